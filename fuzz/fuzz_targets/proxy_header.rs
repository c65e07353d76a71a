//! Headers of the PROXY protocol: what is read depends on nothing behind it, and no part of it is a header already.
#![no_main]

use kirsch::http::ProxyHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = ProxyHeader::read(input);
    if let Ok(Some((_, length))) = whole {
        assert!(length <= ProxyHeader::MAX_LENGTH);
        assert_eq!(ProxyHeader::read(&input[..length]), whole);
        assert!((0..length).all(|end| ProxyHeader::read(&input[..end]) == Ok(None)));
    }
});

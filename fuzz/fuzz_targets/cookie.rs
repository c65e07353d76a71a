//! Cookie fields: each pair that is read is a name and a value without control characters, and comes back when it is
//! sent again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for (name, value) in kirsch::http::cookies(input) {
        assert!(!name.is_empty() && !value.contains(|character: char| character.is_ascii_control()));
        let again = format!("first=1; {name}=\"{value}\"");
        assert_eq!(kirsch::http::cookies(&again).last(), Some((name, value)));
    }
    let text = String::from_utf8_lossy(input);
    let _ = kirsch::http::best_media_type(&text, &["text/html", "application/json", "image/*"]);
});

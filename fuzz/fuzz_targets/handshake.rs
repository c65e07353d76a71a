//! The first bytes of a connection that should be encrypted. Whatever they are, and however they are split, nothing
//! breaks, and the answer is records of TLS or a response of HTTP. The first four bytes say where the input is split.
#![no_main]

use kirsch::server::converse_encrypted;
use libfuzzer_sys::fuzz_target;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use std::sync::{Arc, LazyLock};

static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    config.with_single_cert(vec![made.cert.der().clone()], key).expect("they belong together").into()
});

fuzz_target!(|input: &[u8]| {
    let Some((cuts, input)) = input.split_at_checked(4) else { return };
    let mut places: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * input.len() / 255).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    let pieces = places.windows(2).map(|ends| &input[ends[0]..ends[1]]);
    converse_encrypted(&CONFIG, pieces);
});

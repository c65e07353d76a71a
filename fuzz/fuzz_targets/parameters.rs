//! Query and form: any text in both is decoded, in a request that is answered with 200 unless the head itself is
//! refused.
#![no_main]

use kirsch::server::converse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (query, form) = (&input[..split], input.get(split + 1..).unwrap_or_default());
    let form = &form[..form.len().min(900)];
    if query.len() > 900 || !query.iter().all(u8::is_ascii_graphic) || query.contains(&b'#') {
        return;
    }
    let length = form.len().to_string();
    let head = b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ";
    let request = [&b"POST /?"[..], query, head, length.as_bytes(), b"\r\n\r\n", form].concat();
    let answer = converse([&request[..]]);
    assert!(answer.starts_with(b"HTTP/1.1 200 ") || answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
});

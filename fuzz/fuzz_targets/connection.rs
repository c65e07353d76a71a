//! A whole connection, from its socket to the service and back: the answers do not depend on how the requests are
//! split. The first four bytes say where.
#![no_main]

use kirsch::server::converse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cuts, input)) = input.split_at_checked(4) else { return };
    let mut places: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * input.len() / 255).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    let pieces = places.windows(2).map(|ends| &input[ends[0]..ends[1]]);
    let (whole, split) = (converse([input]), converse(pieces));
    assert_eq!(whole.escape_ascii().to_string(), split.escape_ascii().to_string());
});

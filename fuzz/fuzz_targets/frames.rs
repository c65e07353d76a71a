//! A whole connection of HTTP/2, from its preface on. Whatever frames follow, and however they are split, the answer is
//! frames, and no stream outlives its connection. The first four bytes say where the input is split.
#![no_main]

use kirsch::server::converse_in_frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cuts, input)) = input.split_at_checked(4) else { return };
    let mut places: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * input.len() / 255).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    converse_in_frames(places.windows(2).map(|ends| &input[ends[0]..ends[1]]));
});

use kirsch::prelude::*;

struct Pages;

fn published<T: Publish>() {}

fn check() {
    published::<Pages>();
}

fn main() {}

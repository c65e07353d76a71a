use kirsch::prelude::*;

#[handlers]
struct Pages;

fn main() {}

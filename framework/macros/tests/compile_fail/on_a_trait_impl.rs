use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Clone for Pages {
    fn clone(&self) -> Self {
        Pages
    }
}

fn main() {}

use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    async fn show(&self) -> &'static str {
        ""
    }
}

fn main() {}

use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn show(&self, session: &mut Session) -> &'static str {
        let _ = session;
        ""
    }

    #[expose]
    fn twice(&self, one: &mut Response, two: &mut Response) {
        let _ = (one, two);
    }
}

fn main() {}

use kirsch::prelude::*;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    async fn one(&mut self) {}

    #[expose(nonsense)]
    fn two(&self, session: &mut Session) {
        let _ = session;
    }
}

fn published<T: Publish>() {}

fn check() {
    published::<Pages>();
}

fn main() {}

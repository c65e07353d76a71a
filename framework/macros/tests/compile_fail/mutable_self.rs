use kirsch::prelude::*;

struct Counter {
    count: u64,
}

#[handlers]
impl Counter {
    #[expose]
    fn add(&mut self) -> String {
        self.count += 1;
        self.count.to_string()
    }

    #[expose]
    fn take(self) -> String {
        self.count.to_string()
    }

    #[expose]
    fn free() -> &'static str {
        ""
    }
}

fn main() {}

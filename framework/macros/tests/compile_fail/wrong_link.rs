use kirsch::prelude::*;

struct Shop;

#[handlers]
impl Shop {
    #[expose]
    fn item(&self, id: u32, page: Option<u32>) -> String {
        format!("{id} {page:?}")
    }
}

fn main() {
    let _ = link_to::<Shop>().itm(42, None);
    let _ = link_to::<Shop>().item(42);
    let _ = link_to::<Shop>().item("forty-two", None);
}

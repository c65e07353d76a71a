//! The files are in the guide, and the programs that read them find nothing to object to.

use crate::{folder, read};

#[test]
fn the_guide_prints_every_file() {
    let guide: String = ["deployment.md", "proxies.md"].map(|page| read(&format!("../guide/{page}"))).concat();
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(guide.contains(&format!("\n{}```", read(&name))), "docs/guide must print docs/deployment/{name}");
    }
}

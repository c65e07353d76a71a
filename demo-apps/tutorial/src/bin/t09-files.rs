//! Lesson 9: files, in both directions.
//!
//! `Upload` is a file of a form. The page runs when the whole file has come, a large one on disk, and describes it; the
//! file is gone with the request unless `persist` keeps it. Files go out by `StaticDir`, a tool that serves a folder,
//! and by returning a `File`, which answers conditions and ranges.
//!
//! Try to send a file with the form, or by `curl -F file=@FILE http://127.0.0.1:8080/upload`. `/download` is saved, and
//! `/pages/cherry.txt` is shown.

use kirsch::{prelude::*, serve_download};
use std::process::ExitCode;

struct Files;

/// The folder `pages` beside this program's source.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pages");

#[handlers]
impl Files {
    #[expose]
    fn index(&self) -> Html<&'static str> {
        Html(
            r#"<h2>Upload a file</h2>
            <form action="upload" method="post" enctype="multipart/form-data">
            <input type="file" name="file" required> <button>Send</button></form>
            <h2>Download a file</h2><a href="download">This one</a>, or <a href="pages/cherry.txt">from the folder</a>"#,
        )
    }

    #[expose(post)]
    fn upload(&self, file: Upload) -> Html<String> {
        let name = escape(file.file_name().unwrap_or("no name")).to_string();
        let content_type = escape(file.content_type().unwrap_or("unknown")).to_string();
        Html(format!("{name}: {} bytes, content type {content_type}", file.size()))
    }

    #[expose]
    fn download(&self) -> kirsch::Result<File> {
        serve_download(format!("{FOLDER}/cherry.txt"), "a cherry.txt")
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t09-files.rs"), App::new(Files).tool("/pages", StaticDir::new(FOLDER)))
}

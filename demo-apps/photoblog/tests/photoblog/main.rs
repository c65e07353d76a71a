//! The blog as its readers, its authors and their programs meet it. Each test has a blog of its own, in a folder that
//! goes with it.

mod atom;
mod desk;
mod pictures;
mod site;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use kirsch::{
    jobs::Jobs,
    testing::{Client, FormData, TestResponse},
};
use photoblog::Samples;
use serde_json::Value;
use std::io::Cursor;
use tempfile::TempDir;

const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
const JSON: &str = "application/json";

struct Blog {
    client: Client,
    jobs: Jobs,
    folder: TempDir,
}

fn blog() -> Blog {
    start(tempfile::tempdir().expect("a folder"))
}

fn start(folder: TempDir) -> Blog {
    let (app, jobs) = photoblog::app_and_jobs(folder.path(), Samples::Never).expect("a new folder can be used");
    Blog { client: Client::in_process(app), jobs, folder }
}

impl Blog {
    /// The browser of somebody who has logged in.
    fn author(&self, name: &str) -> Client {
        let browser = self.client.new_browser();
        browser.login(name, if name == "anna" { "correct horse" } else { "battery staple" }).assert_status(200);
        browser
    }

    /// Makes the pictures.
    fn work(&self) {
        self.jobs.run_due().expect("the jobs run");
    }

    /// An album with photos of these titles, whose pictures are there. Their numbers begin at 1.
    fn with_photos(&self, author: &Client, titles: &[&str]) {
        album(author, "Spring", true);
        let photos = (60..).zip(titles).map(|(width, title)| (format!("{title}.jpg"), jpeg(width, 40)));
        upload_all(author, "/desk/album/1/", photos).assert_status(202);
        self.work();
    }

    /// The names in a folder of the blog.
    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).expect("the folder is there");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    fn json(&self, path: &str) -> Value {
        let response = self.client.get(path).header("Accept", JSON).send();
        response.assert_status(200);
        response.json()
    }
}

/// Makes an album, and returns its page at the desk.
fn album(author: &Client, title: &str, is_published: bool) -> TestResponse {
    let form = author.get("/desk/").send().form("#new-album").set("title", title).check("published", is_published);
    let page = form.submit();
    page.assert_status(200).assert_contains("The album is there.");
    page
}

/// A picture of this size: red on the left, blue on the right.
fn picture(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) }).into()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    written(&picture(width, height), ImageFormat::Jpeg)
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("memory takes it");
    file.into_inner()
}

/// Sends one file as the script of the desk does, and returns the answer.
fn upload(author: &Client, album: &str, name: &str, content: &[u8]) -> TestResponse {
    upload_all(author, album, [(name.to_owned(), content.to_owned())])
}

fn upload_all(author: &Client, album: &str, photos: impl IntoIterator<Item = (String, Vec<u8>)>) -> TestResponse {
    let token = author.get(album).send().form("#upload").value("csrf_token").to_owned();
    let form = FormData::new().field("csrf_token", &token);
    let add = |form: FormData, (name, content): (String, Vec<u8>)| form.file("photos", &name, "image/jpeg", content);
    let form = photos.into_iter().fold(form, add);
    author.post(&format!("{album}upload")).header("Accept", JSON).form_data(form).send()
}

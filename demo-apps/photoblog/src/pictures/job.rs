//! The jobs: pictures of a photo that has come, and the sweep.

use super::make::Trouble;
use crate::{
    blog::Blog,
    model::{moment, photo::Photo},
};
use chrono::Utc;
use kirsch::jobs::{Job, Jobs, Work};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc, time::Duration};

/// How long a photo that was thrown away can be taken back.
const UNDO: Duration = Duration::from_secs(600);
/// After a kill, the next program goes on with its pictures so much later. A job that is at work renews it.
const LEASE: Duration = Duration::from_secs(15);
/// So old is a file without a row that no upload is under way that will give it one.
const ORPHAN: Duration = Duration::from_secs(3600);

/// The jobs of the blog, in its own database: a row and its job come together. Two pictures are made at a time, so that
/// pages have a core to themselves.
pub(crate) fn jobs(database: &Path, blog: &Arc<Blog>) -> Jobs {
    Jobs::sqlite(database)
        .threads(2)
        .lease(LEASE)
        .register::<MakePictures>(blog.clone())
        .register::<Sweep>(blog.clone())
        .cron("*/5 * * * *", Sweep)
}

/// Makes the pictures of a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct MakePictures {
    pub(crate) file: String,
}

impl Job for MakePictures {
    const NAME: &'static str = "pictures";
    type State = Blog;

    fn run(&self, blog: &Blog, work: &Work) -> kirsch::Result {
        let made = blog.pictures.make(&self.file, |share| {
            work.progress(share);
            work.check().is_ok()
        });
        let size = match made {
            Ok(Some(size)) => Some(size),
            // The program stops: another one goes on.
            Ok(None) => return work.check(),
            Err(Trouble::Broken(problem)) => {
                log::warn!("the pictures of {} cannot be made: {problem}", self.file);
                None
            }
            Err(Trouble::Passing(error)) => return Err(error.into()),
        };
        blog.database.write(|database| Photo::pictured(database, &self.file, size))?;
        match size {
            Some(_) => work.result_at(format!("/picture/{}-320.jpg", self.file)),
            None => Ok(()),
        }
    }
}

/// Forgets what was thrown away and not taken back, and files that have no row.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sweep;

impl Job for Sweep {
    const NAME: &'static str = "sweep";
    type State = Blog;

    fn run(&self, blog: &Blog, _: &Work) -> kirsch::Result {
        sweep(blog, UNDO, ORPHAN)
    }
}

pub(crate) fn sweep(blog: &Blog, undo: Duration, orphan: Duration) -> kirsch::Result {
    let before = moment::written(Utc::now() - undo);
    blog.database.write(|database| Photo::sweep(database, &before))?;
    blog.pictures.forget_unfinished(orphan)?;
    for file in blog.pictures.older_than(orphan)? {
        // While this connection writes, no upload can give the file a row.
        blog.database.write(|database| {
            if !Photo::is_used(database, &file)? {
                blog.pictures.forget(&file)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        album::{Album, AlbumText},
        photo::NewPhoto,
    };
    use image::{ImageFormat, RgbImage};
    use std::io::Cursor;

    struct Shop {
        blog: Arc<Blog>,
        jobs: Jobs,
        folder: tempfile::TempDir,
    }

    fn open(folder: tempfile::TempDir) -> Shop {
        let blog = Arc::new(Blog::open(folder.path()).expect("a blog"));
        Shop { jobs: jobs(blog.database.path(), &blog), blog, folder }
    }

    fn png(width: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        RgbImage::new(width, 10).write_to(&mut file, ImageFormat::Png).expect("memory takes it");
        file.into_inner()
    }

    /// A file, with a row and a job if its upload came so far.
    fn upload(shop: &Shop, width: u32, has_row: bool) -> String {
        let original = shop.blog.pictures.keep(&mut &*png(width)).expect("it is kept");
        let album = shop.blog.database.write(|database| Album::add(database, "a", &AlbumText::default(), "anna"));
        let new = NewPhoto {
            album: album.expect("an album"),
            title: "t",
            author: "anna",
            file: &original.file,
            media_type: original.media_type,
            bytes: original.bytes,
            published: None,
        };
        if has_row {
            shop.blog.add_photo(&shop.jobs, &new, |_, _| Ok(())).expect("a row");
        }
        original.file
    }

    #[test]
    fn a_file_that_lost_its_upload_is_swept_and_one_with_a_row_stays() {
        let shop = open(tempfile::tempdir().expect("a folder"));
        let (orphan, kept) = (upload(&shop, 11, false), upload(&shop, 12, true));
        sweep(&shop.blog, UNDO, ORPHAN).expect("the sweep");
        assert!(shop.blog.pictures.original(&orphan).exists(), "an upload may be under way");
        sweep(&shop.blog, UNDO, Duration::ZERO).expect("the sweep");
        assert!(!shop.blog.pictures.original(&orphan).exists());
        assert!(shop.blog.pictures.original(&kept).exists());
    }

    #[test]
    fn what_a_killed_program_has_begun_to_write_is_swept() {
        let shop = open(tempfile::tempdir().expect("a folder"));
        let begun = [shop.folder.path().join("originals/.tmpx"), shop.folder.path().join("pictures/.makingx")];
        for path in &begun {
            std::fs::write(path, "half").expect("a file");
        }
        sweep(&shop.blog, UNDO, ORPHAN).expect("the sweep");
        assert!(begun.iter().all(|path| path.exists()), "a program may be at work");
        sweep(&shop.blog, UNDO, Duration::ZERO).expect("the sweep");
        assert!(!begun.iter().any(|path| path.exists()));
    }

    #[test]
    fn a_row_that_fails_leaves_neither_row_nor_job() {
        let shop = open(tempfile::tempdir().expect("a folder"));
        let file = upload(&shop, 11, false);
        let (media_type, published) = ("image/png", None);
        let new = NewPhoto { album: 1, title: "t", author: "anna", file: &file, media_type, bytes: 9, published };
        shop.blog.add_photo(&shop.jobs, &new, |_, _| Err("the disk".into())).expect_err("it fails");
        assert!(!shop.blog.database.read(|database| Photo::is_used(database, &file)).expect("an answer"));
        assert_eq!(shop.jobs.run_due().expect("the jobs run"), 0);
    }

    #[test]
    fn a_program_that_dies_after_the_upload_makes_the_pictures_at_its_next_start() {
        let shop = open(tempfile::tempdir().expect("a folder"));
        let file = upload(&shop, 11, true);
        let Shop { blog, jobs, folder } = shop;
        drop((blog, jobs));
        let again = open(folder);
        again.jobs.run_due().expect("the jobs run");
        assert!(again.folder.path().join("pictures").join(format!("{file}-320.jpg")).exists());
    }

    #[test]
    fn what_was_thrown_away_goes_after_its_time() {
        let shop = open(tempfile::tempdir().expect("a folder"));
        upload(&shop, 11, true);
        shop.blog.database.write(|database| Photo::throw_away(database, 1, None)).expect("it is thrown away");
        let find = || shop.blog.database.read(|database| Photo::find(database, 1)).expect("an answer");
        sweep(&shop.blog, UNDO, ORPHAN).expect("the sweep");
        assert!(find().is_some());
        // As if it were ten minutes later.
        shop.blog.database.write(|database| Photo::sweep(database, "9999")).expect("the sweep");
        assert!(find().is_none());
    }
}

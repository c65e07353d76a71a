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
/// So old is a file without a row that no upload is under way that will give it one.
const ORPHAN: Duration = Duration::from_secs(3600);

/// The jobs of the blog, in its own database: a row and its job come together. Two pictures are made at a time, so that
/// pages have a core to themselves.
pub(crate) fn jobs(database: &Path, blog: &Arc<Blog>) -> Jobs {
    Jobs::sqlite(database)
        .threads(2)
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

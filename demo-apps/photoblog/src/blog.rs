//! What all pages share: the database and the files. It knows no request.

use crate::{
    model::{
        Changed,
        database::Database,
        photo::{NewPhoto, Photo},
    },
    pictures::{Original, Pictures, job::MakePictures},
};
use kirsch::jobs::Jobs;
use std::path::Path;

pub(crate) struct Blog {
    pub(crate) database: Database,
    pub(crate) pictures: Pictures,
}

impl Blog {
    /// The blog in `folder`.
    pub(crate) fn open(folder: &Path) -> kirsch::Result<Self> {
        let pictures = Pictures::open(folder)?;
        Ok(Self { database: Database::open(folder.join("photoblog.sqlite"))?, pictures })
    }

    /// Gives an original that is kept already its row, and the job that makes its pictures: both or neither. `finish`
    /// adds what else belongs to it.
    pub(crate) fn add_photo(
        &self,
        jobs: &Jobs,
        new: &NewPhoto<'_>,
        finish: impl FnOnce(&rusqlite::Connection, i64) -> kirsch::Result,
    ) -> kirsch::Result<i64> {
        self.database.with_writer(|writer| {
            jobs.transaction(writer, |change| {
                let photo = Photo::add(change, new)?;
                let job = change.enqueue(&MakePictures { file: new.file.to_owned() })?;
                Photo::awaits(change, photo, &job.to_string())?;
                finish(change, photo)?;
                Ok(photo)
            })
        })
    }

    /// Puts another original in the place of the photo's, if it is still at `version`.
    pub(crate) fn replace_file(
        &self,
        jobs: &Jobs,
        photo: i64,
        version: i64,
        original: &Original,
    ) -> kirsch::Result<Changed> {
        let Original { file, media_type, bytes } = original;
        self.database.with_writer(|writer| {
            jobs.transaction(writer, |change| {
                let changed = Photo::replace(change, photo, version, file, media_type, *bytes)?;
                if changed == Changed::Done {
                    let job = change.enqueue(&MakePictures { file: file.clone() })?;
                    Photo::awaits(change, photo, &job.to_string())?;
                }
                Ok(changed)
            })
        })
    }
}

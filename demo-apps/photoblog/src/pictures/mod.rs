//! The files of photos: originals as they came, and the smaller pictures that readers see.
//!
//! An original is kept under its hash, in a folder that is not served: it may tell where the photographer lives. The
//! pictures are made of it by a job. They are upright, and have no metadata. A file comes before its row, so no row is
//! without its file; a file that lost its row is swept away.

pub(crate) mod job;
mod jpeg;
mod make;
pub(crate) mod samples;

use image::{ImageFormat, ImageReader};
use kirsch::{Error, StatusCode};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs::{self, DirBuilder},
    io::{self, BufReader, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::NamedTempFile;

/// The pictures of each photo, by their widths.
pub(crate) const WIDTHS: [u32; 3] = [1600, 800, 320];

/// How the name of a picture begins while it is written. It is not served.
const MAKING: &str = ".making";

/// What a picture may have once it is decoded. A file of a hundred bytes can claim any size.
const MAX_PIXELS: u64 = 60_000_000;

/// The two folders.
#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    originals: PathBuf,
    pictures: PathBuf,
}

/// An original that is kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Original {
    /// Its SHA-256.
    pub(crate) file: String,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: u64,
}

impl Pictures {
    pub(crate) fn open(folder: &Path) -> kirsch::Result<Self> {
        let (originals, pictures) = (folder.join("originals"), folder.join("pictures"));
        for folder in [&originals, &pictures] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(Self { originals, pictures })
    }

    /// The folder that is served.
    pub(crate) fn served(&self) -> &Path {
        &self.pictures
    }

    pub(crate) fn original(&self, file: &str) -> PathBuf {
        self.originals.join(file)
    }

    /// Keeps a photo as it comes, and looks at its head.
    ///
    /// # Errors
    /// 415 for what is no photo, 422 for one that is too large or broken, 507 when the disk is full.
    pub(crate) fn keep(&self, content: &mut dyn Read) -> kirsch::Result<Original> {
        let mut file = NamedTempFile::new_in(&self.originals).map_err(of_disk)?;
        let (mut hash, mut bytes, mut part) = (Sha256::new(), 0, vec![0; 64 * 1024]);
        loop {
            let read = content.read(&mut part)?;
            if read == 0 {
                break;
            }
            hash.update(&part[..read]);
            file.write_all(&part[..read]).map_err(of_disk)?;
            bytes += read as u64;
        }
        let media_type = inspect(file.path())?;
        let name = hash.finalize().iter().fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        // The row that follows must not outlive the file.
        file.as_file().sync_all().map_err(of_disk)?;
        match file.persist_noclobber(self.original(&name)) {
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                // Young again: the sweep leaves it for the row that follows.
                fs::File::options().append(true).open(self.original(&name))?.set_modified(SystemTime::now())?;
            }
            kept => drop(kept.map_err(|failed| failed.error)?),
        }
        Ok(Original { file: name, media_type, bytes })
    }

    /// The names of originals that are older than `age`, or all.
    pub(crate) fn older_than(&self, age: Duration) -> io::Result<Vec<String>> {
        older_than(&self.originals, age)
    }

    /// Removes what programs that were killed have begun to write before `age`.
    pub(crate) fn forget_unfinished(&self, age: Duration) -> io::Result<()> {
        for name in older_than(&self.pictures, age)?.iter().filter(|name| name.starts_with(MAKING)) {
            fs::remove_file(self.pictures.join(name))?;
        }
        Ok(())
    }

    /// Forgets an original and its pictures. Those that are gone already are no failure.
    pub(crate) fn forget(&self, file: &str) -> io::Result<()> {
        let pictures = WIDTHS.map(|width| self.picture(file, width));
        for path in pictures.into_iter().chain([self.original(file)]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn picture(&self, file: &str, width: u32) -> PathBuf {
        self.pictures.join(format!("{file}-{width}.jpg"))
    }
}

/// A full disk is nothing that a visitor has done wrong, and has a sentence of its own.
fn of_disk(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            log::error!("a photo cannot be kept: {error}");
            Error::new(StatusCode::INSUFFICIENT_STORAGE, "The disk of the server is full. The photo is not kept.")
        }
        _ => error.into(),
    }
}

/// The names of files in `folder` that are older than `age`.
fn older_than(folder: &Path, age: Duration) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_old = entry.metadata()?.modified()?.elapsed().unwrap_or_default() >= age;
        if let (true, Ok(name)) = (is_old, entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The media type of a photo, by its content and not by its name. Nothing is decoded.
fn inspect(path: &Path) -> kirsch::Result<&'static str> {
    let reader = ImageReader::new(BufReader::new(fs::File::open(path)?)).with_guessed_format()?;
    let media_type = match reader.format() {
        Some(ImageFormat::Jpeg) => "image/jpeg",
        Some(ImageFormat::Png) => "image/png",
        Some(ImageFormat::WebP) => "image/webp",
        Some(ImageFormat::Gif) => "image/gif",
        _ => {
            let message = "This is no photo. JPEG, PNG, WebP and GIF are taken.";
            return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
    };
    let refused = |message: &'static str| Error::new(StatusCode::UNPROCESSABLE_ENTITY, message);
    let (width, height) = reader.into_dimensions().map_err(|error| {
        log::info!("a photo is refused: {error}");
        refused("The photo is broken.")
    })?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(refused("The photo has too many pixels. At most 60 megapixels are taken."));
    }
    if media_type == "image/jpeg" && !jpeg::is_whole(BufReader::new(fs::File::open(path)?))? {
        return Err(refused("The photo is broken: it ends in the middle."));
    }
    Ok(media_type)
}

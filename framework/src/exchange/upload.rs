//! A file in a form: [`Upload`].

use super::list_names::is_of_list;
use super::{Argument, ArgumentInfo, Arguments, BodyUse, DiskCharge, HttpError, Source};
use crate::http::PartHead;
use ::http::StatusCode;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use tempfile::{NamedTempFile, PersistError};

/// A file that the client sent in a form, by the name of the form's field.
///
/// The handler runs when the whole form has come. Small forms are in memory. A form larger than `body_memory` is in a
/// temporary file that has no name and vanishes with its last `Upload`, and each `Upload` reads its own range of it:
/// nothing is copied before [`persist`](Self::persist). To read a file while it arrives take
/// [`Multipart`](super::Multipart) or [`Body`](super::Body).
///
/// A bare `Upload` must be there, else the answer is 400 and names the field. `Option<Upload>` is `None` when the
/// visitor has chosen no file, `Vec<Upload>` has all files of a field with `multiple`. How much may come is limited by
/// `max_body`, and the form's texts by `max_form`.
///
/// ```
/// use kirsch::{prelude::*, testing::{Client, FormData}};
///
/// struct Photos;
///
/// #[handlers]
/// impl Photos {
///     #[expose]
///     fn add(&self, title: String, photo: Upload) -> String {
///         format!("{title}: {} of {} bytes", photo.file_name().unwrap_or("no name"), photo.size())
///     }
/// }
///
/// let client = Client::in_process(App::new(Photos));
/// let form = FormData::new().field("title", "The sea").file("photo", "sea.jpg", "image/jpeg", b"...");
/// client.post("/add").form_data(form).send().assert_text("The sea: sea.jpg of 3 bytes");
/// ```
#[derive(Clone, Debug)]
pub struct Upload {
    field: String,
    file_name: Option<String>,
    raw_file_name: String,
    content_type: Option<String>,
    content: Content,
    position: u64,
    /// The budget for temporary files counts the file for as long as an upload of it lives.
    _charge: Option<Arc<DiskCharge>>,
}

/// Where the bytes are.
#[derive(Clone)]
pub(super) enum Content {
    Memory(Arc<[u8]>),
    /// A range of the file that the whole body was spooled to.
    Spooled {
        file: Arc<File>,
        start: u64,
        length: u64,
    },
}

/// The mode of a kept file: every user may read it, since another program may serve it, and no other user may write it.
const USUAL: u32 = 0o644;

/// How much is copied at a time.
const PIECE: usize = 128 * 1024;

impl Upload {
    pub(super) fn new(head: PartHead, content: Content) -> Self {
        let raw_file_name = head.file_name.unwrap_or_default();
        let file_name = last_component(&raw_file_name);
        Self {
            field: head.name,
            file_name,
            raw_file_name,
            content_type: head.content_type,
            content,
            position: 0,
            _charge: None,
        }
    }

    pub(super) fn hold(&mut self, charge: &Arc<DiskCharge>) {
        self._charge = Some(charge.clone());
    }

    /// How many bytes of memory the content takes.
    pub(super) fn in_memory(&self) -> u64 {
        match &self.content {
            Content::Memory(content) => content.len() as u64,
            Content::Spooled { .. } => 0,
        }
    }

    /// The name of the form's field.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// The name that the file had at the client: the last component of the name that was sent, without control
    /// characters; `None` when nothing is left. It is still the client's word: show it, but choose the names of your
    /// own files yourself.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The name of the file exactly as it was sent: it may be a path, such as `../../etc/passwd`.
    #[must_use]
    pub fn raw_file_name(&self) -> &str {
        &self.raw_file_name
    }

    /// The media type that the client claims, unchecked.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Memory(content) => content.len() as u64,
            Content::Spooled { length, .. } => *length,
        }
    }

    /// All of it in memory, from the start, wherever reading has come to. Its size is limited by `max_body` alone: look
    /// at [`size`](Self::size) first.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    // By value, or `Read::bytes` would be meant wherever `Read` is imported.
    pub fn bytes(mut self) -> io::Result<Vec<u8>> {
        if let Content::Memory(content) = &self.content {
            return Ok(content.to_vec());
        }
        let mut content = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        self.position = 0;
        self.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Keeps the content as a new file at `path`.
    ///
    /// It is written to a file next to it (`.upload-…`), forced to disk, and then named: others see all of it or
    /// nothing, also after a crash. The file may be read by all and written by this user alone (mode 0644), as far as
    /// the program's umask allows. On a slow disk forcing takes its time; to do without, copy with [`std::io::copy`].
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when there is something at `path`, and the errors of the file
    /// system. Nothing is left behind then.
    pub fn persist(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.keep(path.as_ref(), USUAL, |file, path| file.persist_noclobber(path))
    }

    /// As [`persist`](Self::persist), but takes the place of a file that is there, with its mode.
    ///
    /// # Errors
    /// The errors of the file system.
    pub fn persist_replacing(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let replaced = path.symlink_metadata().ok().filter(Metadata::is_file);
        // A file that was for few must not be for all because its content is new, not even while that is written.
        self.keep(path, replaced.map_or(USUAL, |metadata| metadata.mode() & 0o777), |file, path| file.persist(path))
    }

    fn keep(
        &self,
        path: &Path,
        mode: u32,
        give_name: fn(NamedTempFile, &Path) -> Result<File, PersistError>,
    ) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let permissions = Permissions::from_mode(mode);
        let mut file = tempfile::Builder::new().prefix(".upload-").permissions(permissions).tempfile_in(directory)?;
        self.write_to(file.as_file_mut())?;
        if mode != USUAL {
            file.as_file().set_permissions(Permissions::from_mode(mode))?;
        }
        file.as_file().sync_all()?;
        give_name(file, path).map_err(|failure| failure.error)?;
        // Without this the name itself could be lost in a crash.
        File::open(directory)?.sync_all()
    }

    fn write_to(&self, out: &mut File) -> io::Result<()> {
        if let Content::Memory(content) = &self.content {
            return out.write_all(content);
        }
        let (mut reader, mut piece) = (Self { position: 0, ..self.clone() }, vec![0; PIECE]);
        loop {
            match reader.read(&mut piece)? {
                0 => return Ok(()),
                length => out.write_all(&piece[..length])?,
            }
        }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size().saturating_sub(self.position);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        // Behind the end there may be no such place in the temporary file.
        if most == 0 {
            return Ok(0);
        }
        let length = match &self.content {
            Content::Memory(content) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(content.len());
                buffer[..most].copy_from_slice(&content[start..start + most]);
                most
            }
            Content::Spooled { file, start, .. } => file.read_at(&mut buffer[..most], start + self.position)?,
        };
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Upload {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "there is nothing before the start of an upload")
        })?;
        Ok(self.position)
    }
}

impl<'a> Argument<'a> for Upload {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::File, body: BodyUse::Files, ..ArgumentInfo::TYPED };

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let upload: Option<Self> = Argument::take(name, arguments)?;
        upload.ok_or_else(|| match arguments.request.has_form() && !arguments.request.is_multipart() {
            true => without_files(name),
            false => arguments.not_given(name),
        })
    }
}

impl<'a> Argument<'a> for Option<Upload> {
    const INFO: ArgumentInfo = Upload::INFO;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let uploads: Vec<Upload> = Argument::take(name, arguments)?;
        Ok(uploads.into_iter().next())
    }
}

impl<'a> Argument<'a> for Vec<Upload> {
    const INFO: ArgumentInfo = Upload::INFO;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let request = arguments.request;
        let uploads: Vec<Upload> = request.uploads(name).cloned().collect();
        if !uploads.is_empty() {
            return Ok(uploads);
        }
        arguments.check_body()?;
        // A text in the file's place: its name, when the form does not say how it is to be sent.
        match request.form_fields().any(|(field, text)| is_of_list(field, name) && !text.is_empty()) {
            true if request.is_multipart() => {
                let message = format!("the field `{name}` must be a file: its part needs a `filename`");
                Err(HttpError::new(StatusCode::BAD_REQUEST, message))
            }
            true => Err(without_files(name)),
            false => Ok(uploads),
        }
    }
}

/// 400 for a form that its page sends in the wrong way.
fn without_files(name: &str) -> HttpError {
    let message = format!(
        "the file `{name}` is missing: the form was sent without its files; give it enctype=\"multipart/form-data\""
    );
    HttpError::new(StatusCode::BAD_REQUEST, message)
}

/// Clients on Windows once sent whole paths, and hostile ones send any.
pub(super) fn last_component(raw: &str) -> Option<String> {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|letter| !letter.is_control()).collect();
    (!matches!(&*name, "" | "." | "..")).then_some(name)
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(content) => write!(f, "Memory({} bytes)", content.len()),
            Self::Spooled { length, .. } => write!(f, "Spooled({length} bytes)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(content: Content) -> Upload {
        let head = PartHead { name: "a".into(), file_name: Some("b.txt".into()), content_type: None };
        Upload::new(head, content)
    }

    /// The same content in memory and as a range of a file.
    fn both() -> [Upload; 2] {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"before0123456789after").expect("room");
        [
            upload(Content::Memory(Arc::from(&b"0123456789"[..]))),
            upload(Content::Spooled { file: Arc::new(file), start: 6, length: 10 }),
        ]
    }

    #[test]
    fn reading_and_seeking_stay_within_the_file() {
        for mut upload in both() {
            let mut text = String::new();
            assert_eq!(upload.seek(SeekFrom::End(-3)).expect("within"), 7);
            upload.read_to_string(&mut text).expect("text");
            assert_eq!((&*text, upload.size()), ("789", 10));
            assert_eq!(upload.seek(SeekFrom::Current(-10)).expect("the start"), 0);
            assert!(upload.seek(SeekFrom::Current(-1)).is_err());
            assert_eq!(upload.seek(SeekFrom::Start(99)).expect("behind the end is allowed"), 99);
            assert_eq!(upload.read(&mut [0; 4]).expect("nothing"), 0);
            upload.seek(SeekFrom::Start(u64::MAX)).expect("behind the end is allowed");
            assert_eq!(upload.read(&mut [0; 4]).expect("nothing"), 0);
            assert_eq!(upload.bytes().expect("all"), b"0123456789");
        }
    }

    #[test]
    fn two_uploads_of_one_file_read_side_by_side() {
        let [_, mut one] = both();
        let (mut other, mut first) = (one.clone(), [0; 4]);
        one.read_exact(&mut first).expect("enough");
        other.read_exact(&mut first).expect("enough");
        assert_eq!(&first, b"0123");
    }

    #[test]
    fn persist_never_overwrites_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("kept");
        for upload in both() {
            upload.persist(&path).expect("a new file");
            assert_eq!(std::fs::read(&path).expect("it is there"), b"0123456789");
            let refused = upload.persist(&path).expect_err("it is there already");
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            std::fs::write(&path, "old").expect("room");
            upload.persist_replacing(&path).expect("takes its place");
            assert_eq!(std::fs::read(&path).expect("it is there"), b"0123456789");
            std::fs::remove_file(&path).expect("it is there");
            assert!(upload.persist(directory.path().join("no such/kept")).is_err());
            assert_eq!(directory.path().read_dir().expect("a directory").count(), 0);
        }
    }

    #[test]
    fn a_persisted_file_is_for_its_user_alone_to_write_and_keeps_the_mode_of_the_one_it_replaces() {
        let directory = tempfile::tempdir().expect("a directory");
        let kept = directory.path().join("kept");
        let mode = || std::fs::metadata(&kept).expect("it is there").mode() & 0o777;
        let usual = tempfile::Builder::new().permissions(Permissions::from_mode(USUAL)).tempfile().expect("room");
        both()[0].persist(&kept).expect("a new file");
        assert_eq!(mode(), usual.as_file().metadata().expect("it is there").mode() & 0o777, "less the umask");
        for before in [0o600, 0o660, 0o444] {
            std::fs::set_permissions(&kept, Permissions::from_mode(before)).expect("ours");
            both()[1].persist_replacing(&kept).expect("takes its place");
            assert_eq!(mode(), before);
        }
    }

    #[test]
    fn of_a_path_only_the_last_component_is_a_name() {
        for (raw, name) in [
            ("a.txt", Some("a.txt")),
            ("../../etc/passwd", Some("passwd")),
            (r"C:\dir\b.txt", Some("b.txt")),
            ("a\0\r\n.txt", Some("a.txt")),
            ("x, y.txt", Some("x, y.txt")),
            ("dir/", None),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(last_component(raw).as_deref(), name, "{raw:?}");
        }
    }
}

//! Uploads of any size, read while they arrive, and a page that shows how far they have come: `/progress` keeps
//! answering the same browser, since the upload holds the session's lock only at its end.

use crate::page;
use kirsch::{http::best_media_type, prelude::*, sessions::LockMode};
use std::{
    collections::HashMap,
    fs::File,
    io::{ErrorKind, Read, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The application. Files are kept in `directory`, never over another one; without it they are only counted.
pub fn app(directory: Option<PathBuf>) -> App {
    let sessions = Sessions::in_memory();
    App::new(Uploads { directory, running: Mutex::default() })
        .tool("/", sessions.clone())
        // The upload takes the lock when it has something to write.
        .tool("/receive", sessions.lock(LockMode::Explicit))
        .settings("/receive", |settings| settings.max_body = 1 << 40)
}

/// Maximum of uploads whose progress is remembered.
const MAX_REMEMBERED: usize = 1000;

struct Uploads {
    directory: Option<PathBuf>,
    running: Mutex<HashMap<String, Arc<Progress>>>,
}

/// How far one upload has come.
#[derive(Default)]
struct Progress {
    received: AtomicU64,
    /// The length of the body, if the client has told.
    total: Option<u64>,
    result: Mutex<Option<String>>,
}

/// Received bytes, bytes in all if known, and the result if there is one.
type Report = (u64, Option<u64>, Option<String>);

#[handlers]
impl Uploads {
    #[expose]
    fn index(&self, session: &Session) -> Html<String> {
        let last: Option<String> = session.get("last_upload");
        let last = last.unwrap_or_else(|| "nothing yet".to_owned());
        session.set("seen", true);
        let escaped = last.replace('&', "&amp;").replace('<', "&lt;");
        Html(page(include_str!("upload.html")).replace("{last}", &escaped))
    }

    /// A form with files, as the page and `curl -F file=@name` send it. `/progress` shows the upload with the number
    /// `upload`.
    ///
    /// Scripts and programs get the result; a browser that sends the form by itself is led back to the page that shows
    /// it.
    #[expose(post)]
    fn receive(
        &self,
        mut form: Multipart,
        upload: Option<String>,
        request: &Request,
        response: &mut Response,
        session: &Session,
    ) -> kirsch::Result {
        let progress = self.begin(upload, request);
        let mut list = String::new();
        while let Some(mut part) = form.next_part()? {
            // A field for which no file was chosen has no name.
            if let Some(name) = part.file_name().map(str::to_owned) {
                list.push_str(&self.keep(&mut part, &name, &progress)?);
            }
        }
        if list.is_empty() {
            return Err(Error::new(StatusCode::BAD_REQUEST, "no file was chosen"));
        }
        let is_kept = finish(&list, &progress, session)?;
        let accept = request.header("accept").unwrap_or_default();
        if is_kept && best_media_type(accept, &["text/plain", "text/html"]) == Some("text/html") {
            return Redirect::to("/").into_response(response);
        }
        Text(list).into_response(response)
    }

    /// One file, as `curl -T name` sends it.
    #[expose(put, name = "receive")]
    fn receive_file(
        &self,
        name: String,
        mut body: Body,
        upload: Option<String>,
        request: &Request,
        session: &Session,
    ) -> kirsch::Result<Text<String>> {
        if name.contains(['/', '\\']) || matches!(&*name, "." | "..") {
            return Err(Error::new(StatusCode::BAD_REQUEST, "the name of a file is not a path"));
        }
        let progress = self.begin(upload, request);
        let line = self.keep(&mut body, &name, &progress)?;
        finish(&line, &progress, session)?;
        Ok(Text(line))
    }

    /// Nothing yet for an upload that is not known: it may be about to begin.
    #[expose]
    fn progress(&self, upload: String) -> Json<Report> {
        let Some(progress) = self.lock().get(&upload).cloned() else { return Json((0, None, None)) };
        let result = progress.result.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Json((progress.received.load(Ordering::Relaxed), progress.total, result))
    }
}

impl Uploads {
    fn begin(&self, id: Option<String>, request: &Request) -> Arc<Progress> {
        let total = request.header("content-length").and_then(|length| length.parse().ok());
        let progress = Arc::new(Progress { total, ..Progress::default() });
        if let Some(id) = id.filter(|id| id.len() <= 64) {
            let mut running = self.lock();
            if running.len() >= MAX_REMEMBERED {
                // Held nowhere else: that upload has ended.
                running.retain(|_, progress| Arc::strong_count(progress) > 1);
            }
            if running.len() < MAX_REMEMBERED {
                running.insert(id, Arc::clone(&progress));
            }
        }
        progress
    }

    /// Reads a file to its end and describes it.
    fn keep(&self, from: &mut impl Read, name: &str, progress: &Progress) -> kirsch::Result<String> {
        let (size, checksum) = match &self.directory {
            None => copy(from, &mut std::io::sink(), progress)?,
            Some(directory) => {
                let path = directory.join(name);
                let mut file = File::create_new(&path).map_err(|error| match error.kind() {
                    ErrorKind::AlreadyExists => {
                        Error::new(StatusCode::CONFLICT, format!("there is a file {name} already"))
                    }
                    _ => error.into(),
                })?;
                copy(from, &mut file, progress).inspect_err(|_| {
                    // Half a file is worse than none; if it cannot be removed either, the first error says more.
                    let _ = std::fs::remove_file(&path);
                })?
            }
        };
        Ok(format!("{name}: {size} bytes, CRC-32 {checksum:08x}\n"))
    }

    // Nothing in this file can panic between two halves of a change: a poisoned map is a whole map.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Progress>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the result to `/progress` and to the session, if there is one; returns whether there is.
fn finish(result: &str, progress: &Progress, session: &Session) -> kirsch::Result<bool> {
    *progress.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.to_owned());
    let is_there = !session.is_missing() && !session.is_new();
    if is_there {
        session.acquire_lock()?;
        session.set("last_upload", result);
    }
    Ok(is_there)
}

/// Copies all, with the memory of one buffer; returns the size and the checksum.
fn copy(from: &mut impl Read, to: &mut impl Write, progress: &Progress) -> kirsch::Result<(u64, u32)> {
    let (mut piece, mut size, mut checksum) = (vec![0; 64 * 1024], 0, !0);
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            return Ok((size, !checksum));
        }
        to.write_all(&piece[..length])?;
        checksum = piece[..length]
            .iter()
            .fold(checksum, |sum: u32, byte| CRC_TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ (sum >> 8));
        size += length as u64;
        progress.received.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// CRC-32 as in gzip and zip, a byte at a time.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
};

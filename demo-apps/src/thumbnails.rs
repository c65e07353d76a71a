//! Pictures in several sizes: the upload is answered at once, a job makes the sizes, and the page shows how far it is.
//! The same work in a handler (`/slow`) keeps its visitor waiting, and holds a worker for all that time.

mod picture;

use crate::page;
use kirsch::{
    jobs::{Accepted, Job, Jobs, Retry, Work},
    prelude::*,
    status,
};
use picture::Picture;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The widths of the small pictures.
const WIDTHS: [usize; 5] = [320, 240, 160, 80, 40];
/// How many photos are kept; the oldest goes.
const MAX_PHOTOS: usize = 20;
const MAX_UPLOAD: u64 = 16 << 20;

/// The application. Each size takes `pause` more than the work itself.
pub fn app(pause: Duration) -> App {
    let gallery = Arc::new(Gallery { pause, photos: Mutex::default(), latest: AtomicU64::new(0) });
    let jobs = Jobs::memory().threads(2).register::<Thumbnails>(gallery.clone());
    App::new(Site { gallery, jobs: jobs.clone() })
        .settings("/", |settings| settings.max_body = MAX_UPLOAD)
        .jobs("/jobs", &jobs)
        .mount("/status", status::app().open())
}

/// The photos in memory.
struct Gallery {
    pause: Duration,
    photos: Mutex<BTreeMap<u64, Photo>>,
    latest: AtomicU64,
}

struct Photo {
    /// As it was sent.
    original: Arc<Vec<u8>>,
    /// Files of the format BMP, by their widths.
    sizes: BTreeMap<usize, Arc<Vec<u8>>>,
}

impl Gallery {
    fn add(&self, original: Vec<u8>) -> u64 {
        let number = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let mut photos = self.lock();
        photos.insert(number, Photo { original: Arc::new(original), sizes: BTreeMap::new() });
        while photos.len() > MAX_PHOTOS {
            photos.pop_first();
        }
        number
    }

    /// Makes all sizes. Made twice they are the same, so the job may be done again.
    fn shrink(&self, number: u64, mut step: impl FnMut(usize) -> kirsch::Result) -> kirsch::Result {
        let original = self.lock().get(&number).map(|photo| photo.original.clone());
        let picture = Picture::read(&original.ok_or("the photo is not there any more")?)?;
        for (done, width) in WIDTHS.into_iter().enumerate() {
            step(done)?;
            thread::sleep(self.pause);
            let small = Arc::new(picture.with_width(width).to_bmp());
            if let Some(photo) = self.lock().get_mut(&number) {
                photo.sizes.insert(width, small);
            }
        }
        Ok(())
    }

    // Nothing here can panic between two halves of a change.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Photo>> {
        self.photos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize, Deserialize)]
struct Thumbnails {
    photo: u64,
}

impl Job for Thumbnails {
    const NAME: &'static str = "thumbnails";
    type State = Gallery;
    /// What cannot be read now cannot be read later.
    const RETRY: Option<Retry> = Some(Retry::never());

    fn run(&self, gallery: &Gallery, work: &Work) -> kirsch::Result {
        gallery.shrink(self.photo, |done| {
            work.progress(done as f32 / WIDTHS.len() as f32);
            work.check()
        })?;
        work.result_at(format!("/photo/{}", self.photo))
    }
}

struct Site {
    gallery: Arc<Gallery>,
    jobs: Jobs,
}

#[handlers]
impl Site {
    #[expose]
    fn index(&self) -> Html<String> {
        let seconds = self.gallery.pause.as_secs_f32() * WIDTHS.len() as f32;
        Html(page(include_str!("thumbnails.html")).replace("{seconds}", &format!("{seconds:.1}")))
    }

    /// Keeps the picture, leaves the work to a job, and says where to look. Without a file a picture is drawn.
    #[expose(post)]
    fn photo(&self, photo: Option<Upload>) -> kirsch::Result<Accepted> {
        let photo = self.receive(photo)?;
        let id = self.jobs.enqueue(&Thumbnails { photo })?;
        Ok(Accepted::at(format!("/jobs/{id}")))
    }

    /// The same work in the handler: the visitor waits for all of it, and a worker is gone meanwhile.
    #[expose(post)]
    fn slow(&self, photo: Option<Upload>) -> kirsch::Result<Redirect> {
        let photo = self.receive(photo)?;
        self.gallery.shrink(photo, |_| Ok(()))?;
        Ok(Redirect::to(format!("/photo/{photo}")))
    }

    /// The page of a photo that is ready.
    #[expose(get, name = "photo")]
    fn show(&self, number: u64) -> Option<Html<String>> {
        let photos = self.gallery.lock();
        let photo = photos.get(&number)?;
        let picture = |width: &usize| {
            format!(
                "<img src=\"/small/{number}/{width}\" width=\"{width}\" alt=\"Photo {number}, {width} pixels wide\">\n"
            )
        };
        let pictures: String = photo.sizes.keys().rev().map(picture).collect();
        let html = include_str!("thumbnails/photo.html").replace("{number}", &number.to_string());
        Some(Html(page(&html).replace("{pictures}", &pictures)))
    }

    #[expose(get)]
    fn small(&self, number: u64, width: usize, response: &mut Response) -> Option<Vec<u8>> {
        response.default_content_type("image/bmp");
        self.gallery.lock().get(&number)?.sizes.get(&width).map(|file| file.to_vec())
    }
}

impl Site {
    fn receive(&self, photo: Option<Upload>) -> kirsch::Result<u64> {
        let bytes = match photo {
            Some(photo) => photo.bytes()?,
            None => Picture::drawn().to_bmp(),
        };
        Ok(self.gallery.add(bytes))
    }
}

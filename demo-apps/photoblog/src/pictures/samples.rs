//! Photos for a blog that has none, so that a newcomer sees something: they are painted by the program itself.

use crate::{
    blog::Blog,
    model::{
        album::{Album, AlbumText},
        moment,
        photo::{NewPhoto, Photo, PhotoText},
    },
};
use chrono::{Days, Utc};
use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use kirsch::jobs::Jobs;
use std::f32::consts::TAU;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 640;

type Colour = [f32; 3];

/// A painting: the sky from top to horizon, the farthest and the nearest hill, and where the sun is.
struct Scene {
    title: &'static str,
    caption: &'static str,
    tags: &'static [&'static str],
    sky: [Colour; 2],
    hills: [Colour; 2],
    sun: (f32, f32, f32),
    /// Water in place of hills.
    is_sea: bool,
}

const ALBUMS: [(&str, &str, &[Scene]); 2] = [
    (
        "Hills at dusk",
        "Five evenings above the valley, one after the other. The sun goes, and the colours stay a little longer.",
        &[
            Scene {
                title: "Before the hay",
                caption: "Nobody is on the path yet.",
                tags: &["hills", "evening", "summer"],
                sky: [[0.99, 0.78, 0.45], [1.0, 0.93, 0.75]],
                hills: [[0.72, 0.62, 0.55], [0.16, 0.25, 0.2]],
                sun: (0.7, 0.42, 0.06),
                is_sea: false,
            },
            Scene {
                title: "Cherry weather",
                caption: "A warm wind, and the first petals in it.",
                tags: &["hills", "spring", "cherry"],
                sky: [[0.95, 0.55, 0.62], [1.0, 0.86, 0.8]],
                hills: [[0.78, 0.5, 0.6], [0.25, 0.12, 0.25]],
                sun: (0.3, 0.36, 0.07),
                is_sea: false,
            },
            Scene {
                title: "The blue hour",
                caption: "Ten minutes that look like an hour.",
                tags: &["hills", "night", "blue"],
                sky: [[0.07, 0.12, 0.3], [0.45, 0.55, 0.8]],
                hills: [[0.3, 0.38, 0.6], [0.03, 0.06, 0.14]],
                sun: (0.8, 0.2, 0.035),
                is_sea: false,
            },
            Scene {
                title: "Frost below",
                caption: "The valley is white, and the ridge is not.",
                tags: &["hills", "winter", "morning"],
                sky: [[0.55, 0.7, 0.82], [0.95, 0.94, 0.92]],
                hills: [[0.75, 0.82, 0.88], [0.25, 0.35, 0.42]],
                sun: (0.2, 0.5, 0.05),
                is_sea: false,
            },
            Scene {
                title: "Rust and gold",
                caption: "October decided it in one night.",
                tags: &["hills", "autumn", "evening"],
                sky: [[0.8, 0.38, 0.2], [0.99, 0.8, 0.5]],
                hills: [[0.75, 0.4, 0.2], [0.22, 0.1, 0.07]],
                sun: (0.5, 0.45, 0.08),
                is_sea: false,
            },
        ],
    ),
    (
        "By the sea",
        "A week with one window and a lot of water behind it.",
        &[
            Scene {
                title: "Low sun",
                caption: "It takes the long way into the water.",
                tags: &["sea", "evening", "summer"],
                sky: [[0.35, 0.3, 0.55], [1.0, 0.6, 0.35]],
                hills: [[0.95, 0.55, 0.4], [0.1, 0.12, 0.3]],
                sun: (0.5, 0.5, 0.07),
                is_sea: true,
            },
            Scene {
                title: "Flat calm",
                caption: "You can hear the gulls think.",
                tags: &["sea", "morning", "blue"],
                sky: [[0.45, 0.7, 0.9], [0.9, 0.95, 0.97]],
                hills: [[0.6, 0.8, 0.88], [0.05, 0.3, 0.42]],
                sun: (0.25, 0.25, 0.05),
                is_sea: true,
            },
            Scene {
                title: "Moonrise",
                caption: "The boats were back by then.",
                tags: &["sea", "night"],
                sky: [[0.02, 0.03, 0.1], [0.2, 0.25, 0.42]],
                hills: [[0.25, 0.3, 0.5], [0.01, 0.02, 0.07]],
                sun: (0.65, 0.3, 0.045),
                is_sea: true,
            },
            Scene {
                title: "Green storm",
                caption: "It passed us by, two miles out.",
                tags: &["sea", "storm"],
                sky: [[0.2, 0.28, 0.28], [0.65, 0.72, 0.6]],
                hills: [[0.45, 0.6, 0.5], [0.03, 0.16, 0.15]],
                sun: (0.85, 0.48, 0.03),
                is_sea: true,
            },
        ],
    ),
];

/// Paints the samples into a blog that has no album yet.
pub(crate) fn add(blog: &Blog, jobs: &Jobs, author: &str) -> kirsch::Result {
    if !blog.database.read(Album::all)?.is_empty() {
        return Ok(());
    }
    let mut number: u16 = 0;
    for (title, story, scenes) in ALBUMS {
        let text = AlbumText {
            title: title.to_owned(),
            story: story.to_owned(),
            published: Some(moment::now()),
            foreign_elements: None,
        };
        let album = blog.database.write(|database| Album::add(database, title, &text, author))?;
        for scene in scenes {
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&scene.paint(f32::from(number)))?;
            let original = blog.pictures.keep(&mut &*jpeg)?;
            // One every twelve days, so that the archive has months.
            let published = moment::written(Utc::now() - Days::new(12 * u64::from(number)));
            let new = NewPhoto {
                album,
                title: scene.title,
                author,
                file: &original.file,
                media_type: original.media_type,
                bytes: original.bytes,
                published: Some(&published),
            };
            let text = PhotoText {
                title: scene.title.to_owned(),
                caption: scene.caption.to_owned(),
                tags: scene.tags.iter().map(|tag| (*tag).to_owned()).collect(),
                published: Some(published.clone()),
                foreign_elements: None,
            };
            blog.add_photo(jobs, &new, |database, photo| Photo::edit(database, photo, 1, &text).map(drop))?;
            number += 1;
        }
    }
    jobs.run_due()?;
    Ok(())
}

impl Scene {
    fn paint(&self, seed: f32) -> RgbImage {
        let horizon = if self.is_sea { 0.55 } else { 0.75 };
        let (sun_x, sun_y, sun_size) = self.sun;
        let aspect = WIDTH as f32 / HEIGHT as f32;
        // The heights of five ridges, from the farthest to the nearest, for each column.
        let ridge = |layer: usize, x: f32| {
            let layer = layer as f32;
            let wave = |pace: f32, height: f32| height * ((x * pace + seed * 0.37 + layer * 0.21) * TAU).sin();
            0.5 + 0.11 * layer + wave(1.1 + 0.3 * layer, 0.05) + wave(2.7, 0.02) + wave(7.3 + layer, 0.006)
        };
        let columns: Vec<[f32; 5]> =
            (0..WIDTH).map(|x| std::array::from_fn(|layer| ridge(layer, x as f32 / WIDTH as f32))).collect();
        RgbImage::from_fn(WIDTH, HEIGHT, |column, row| {
            let (x, y) = (column as f32 / WIDTH as f32, row as f32 / HEIGHT as f32);
            let mut colour = mix(self.sky[0], self.sky[1], (y / horizon).min(1.0));
            let distance = ((x - sun_x) * aspect).hypot(y - sun_y);
            let glow = (sun_size / distance.max(0.001)).min(1.0).powi(2);
            colour = mix(colour, [1.0, 0.96, 0.86], glow);
            if self.is_sea && y > horizon {
                let depth = (y - horizon) / (1.0 - horizon);
                colour = mix(self.hills[0], self.hills[1], depth);
                let ripple = ((y * 90.0 / (0.3 + depth)).sin() + (x * 40.0 + y * 300.0).sin()) * 0.5;
                let near_sun = (1.0 - ((x - sun_x) * aspect).abs() * (3.0 - 2.0 * depth)).max(0.0);
                colour = mix(colour, [1.0, 0.93, 0.8], near_sun * (0.35 + 0.3 * ripple).max(0.0));
            }
            if !self.is_sea {
                for (layer, top) in columns[column as usize].iter().enumerate() {
                    if y > *top {
                        let haze = ((y - top) * 3.0).min(1.0) * 0.25;
                        colour = mix(mix(self.hills[0], self.hills[1], layer as f32 / 4.0), self.sky[1], haze);
                    }
                }
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 255")]
            Rgb(colour.map(|part| (part.clamp(0.0, 1.0) * 255.0) as u8))
        })
    }
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|part| from[part] + (to[part] - from[part]) * share)
}

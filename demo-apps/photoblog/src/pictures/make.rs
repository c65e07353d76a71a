//! One original, turned upright, as JPEG files of several widths, without metadata.

use super::{MAKING, MAX_PIXELS, Pictures, WIDTHS};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};
use parking_lot::Mutex;
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
};
use tempfile::NamedTempFile;

/// Bytes of a decoded picture: four for each pixel.
const MAX_BYTES: u64 = MAX_PIXELS * 4;
const QUALITY: u8 = 82;

/// A picture of more bytes is decoded alone: two of the largest together would need a gigabyte.
const MAX_SHARED_BYTES: u64 = 100 << 20;
static LARGE: Mutex<()> = Mutex::new(());

/// Why there are no pictures.
pub(super) enum Trouble {
    /// The file is broken, and will be.
    Broken(String),
    /// The disk, which may have room later.
    Passing(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Passing(error)
    }
}

impl From<ImageError> for Trouble {
    fn from(error: ImageError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Pictures {
    /// Makes all sizes, and returns that of the whole picture. Made twice they are the same. `step` is told the share
    /// that is done, and may end it.
    pub(super) fn make(&self, file: &str, mut step: impl FnMut(f32) -> bool) -> Result<Option<(u32, u32)>, Trouble> {
        let whole = read(File::open(self.original(file))?)?;
        let size = whole.dimensions();
        let mut picture = DynamicImage::ImageRgb8(whole);
        for (number, width) in WIDTHS.into_iter().enumerate() {
            if !step(number as f32 / WIDTHS.len() as f32) {
                return Ok(None);
            }
            if picture.width() > width {
                // Each is made of the next larger one. The first step is the long one, and takes the quick way, which
                // needs no copy of floating-point numbers.
                let height = width.saturating_mul(3);
                picture = match number {
                    0 => picture.thumbnail(width, height),
                    _ => picture.resize(width, height, FilterType::CatmullRom),
                };
            }
            // Under another name first: who looks for it finds all of it or nothing.
            let mut small = NamedTempFile::with_prefix_in(MAKING, self.served())?;
            let mut writer = BufWriter::new(small.as_file_mut());
            JpegEncoder::new_with_quality(&mut writer, QUALITY).encode_image(&picture)?;
            writer.flush()?;
            drop(writer);
            small.persist(self.picture(file, width)).map_err(|failed| failed.error)?;
        }
        Ok(Some(size))
    }
}

/// Decodes the (first) picture, turns it as its EXIF data say, and puts it on white where one can see through.
fn read(file: File) -> Result<RgbImage, Trouble> {
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // The limits of the crate do not hold on all of its ways.
    if decoder.total_bytes() > 2 * MAX_BYTES {
        return Err(Trouble::Broken("it is too large".to_owned()));
    }
    let _alone = (decoder.total_bytes() > MAX_SHARED_BYTES).then(|| LARGE.lock());
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    if !picture.color().has_alpha() {
        return Ok(picture.into_rgb8());
    }
    let mut opaque = RgbImage::new(picture.width(), picture.height());
    for (to, from) in opaque.pixels_mut().zip(picture.into_rgba8().pixels()) {
        let [red, green, blue, alpha] = from.0.map(u16::from);
        let on_white = |part: u16| u8::try_from((part * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        to.0 = [red, green, blue].map(on_white);
    }
    Ok(opaque)
}

//! Pictures as rows of red, green and blue: read from PPM (`P6`) and from BMP with 24 bits a pixel, made smaller,
//! written as BMP.

/// At most so many pixels a side: what a phone makes.
const MAX_SIDE: usize = 10_000;
const BMP_HEAD: usize = 54;

pub(super) struct Picture {
    width: usize,
    height: usize,
    /// Row by row, from the top.
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// The picture in a file.
    pub(super) fn read(file: &[u8]) -> Result<Self, String> {
        let picture = match file {
            [b'P', b'6', rest @ ..] => Self::read_ppm(rest),
            [b'B', b'M', ..] => Self::read_bmp(file),
            _ => return Err("the file is neither a PPM (P6) nor a BMP".to_owned()),
        };
        picture.ok_or_else(|| "the picture is not whole, or of a kind that is not read here".to_owned())
    }

    /// A picture for those that have none at hand.
    pub(super) fn drawn() -> Self {
        let (width, height) = (640_usize, 480_usize);
        let pixel = |index: usize| {
            let (x, y) = (index % width, index / width);
            let byte = |number: usize| u8::try_from(number & 0xff).unwrap_or(0);
            let from_middle = (x.abs_diff(width / 2).pow(2) + y.abs_diff(height / 2).pow(2)) / 200;
            if from_middle < 120 { [byte(200 - from_middle), 18, 47] } else { [byte(x / 3), byte(y / 2), byte(x ^ y)] }
        };
        Self { width, height, pixels: (0..width * height).map(pixel).collect() }
    }

    fn read_ppm(rest: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut number = || {
            loop {
                match rest.get(at)? {
                    b'#' => at += rest[at..].iter().position(|byte| *byte == b'\n')?,
                    byte if byte.is_ascii_whitespace() => at += 1,
                    _ => break,
                }
            }
            let digits = rest[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number: usize = std::str::from_utf8(&rest[at..at + digits]).ok()?.parse().ok()?;
            at += digits;
            Some(number)
        };
        let (width, height, brightest) = (number()?, number()?, number()?);
        if brightest != 255 {
            return None;
        }
        let pixels = rest.get(at + 1..)?;
        Self::of(width, height, |index| pixels.get(index * 3..index * 3 + 3)?.try_into().ok())
    }

    fn read_bmp(file: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
        let (begin, width, height) = (number(10)?, number(18)?, number(22)?);
        let is_plain = file.get(28..30)? == [24, 0] && number(30)? == 0;
        let (begin, width) = (usize::try_from(begin).ok()?, usize::try_from(width).ok()?);
        let (from_below, height) = (height > 0, usize::try_from(height.unsigned_abs()).ok()?);
        if !is_plain {
            return None;
        }
        let row_bytes = width.checked_mul(3)?.div_ceil(4) * 4;
        Self::of(width, height, |index| {
            let (x, y) = (index % width, index / width);
            let y = if from_below { height - 1 - y } else { y };
            let at = begin + y * row_bytes + x * 3;
            let [blue, green, red] = file.get(at..at + 3)?.try_into().ok()?;
            Some([red, green, blue])
        })
    }

    fn of(width: usize, height: usize, pixel: impl Fn(usize) -> Option<[u8; 3]>) -> Option<Self> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return None;
        }
        // A head that promises more than the file has must not cost its memory.
        pixel(width * height - 1)?;
        let pixels = (0..width * height).map(pixel).collect::<Option<_>>()?;
        Some(Self { width, height, pixels })
    }

    /// The picture so wide, each pixel the mean of those that it stands for.
    pub(super) fn with_width(&self, width: usize) -> Self {
        let height = (self.height * width / self.width).max(1);
        let span = |at: usize, of: usize, all: usize| {
            let begin = at * all / of;
            begin..((at + 1) * all / of).max(begin + 1)
        };
        let mean = |index: usize| {
            let (columns, rows) = (span(index % width, width, self.width), span(index / width, height, self.height));
            let mut sums = [0_usize; 3];
            let count = columns.len() * rows.len();
            for row in rows {
                for pixel in &self.pixels[row * self.width + columns.start..row * self.width + columns.end] {
                    sums.iter_mut().zip(pixel).for_each(|(sum, part)| *sum += usize::from(*part));
                }
            }
            sums.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX))
        };
        Self { width, height, pixels: (0..width * height).map(mean).collect() }
    }

    /// A file of the format BMP.
    pub(super) fn to_bmp(&self) -> Vec<u8> {
        let padding = (4 - self.width * 3 % 4) % 4;
        let length = BMP_HEAD + (self.width * 3 + padding) * self.height;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let mut file = Vec::with_capacity(length);
        file.extend_from_slice(b"BM");
        for part in [length, 0, BMP_HEAD, 40, self.width, self.height] {
            file.extend(number(part));
        }
        file.extend([1, 0, 24, 0]);
        file.extend([0; 24]);
        for row in self.pixels.chunks(self.width).rev() {
            file.extend(row.iter().flat_map(|[red, green, blue]| [*blue, *green, *red]));
            file.extend(std::iter::repeat_n(0, padding));
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let picture = Picture::read(b"P6 # a comment\n3 1 255\nabcdefghi").expect("a PPM");
        let again = Picture::read(&picture.to_bmp()).expect("a BMP");
        assert_eq!((again.width, again.height), (3, 1));
        assert_eq!(again.pixels, [*b"abc", *b"def", *b"ghi"]);
        assert_eq!(again.with_width(1).pixels, [*b"def"]);
    }

    #[test]
    fn what_is_not_a_whole_picture_is_refused() {
        let long = b"P6 9999 9999 255\nabc";
        for file in [&b""[..], b"GIF89a", b"P6", b"P6 0 1 255\n", b"P6 1 1 15\nabc", b"P6 1 2 255\nabc", long, b"BM"] {
            assert!(Picture::read(file).is_err(), "{file:?}");
        }
        let whole = Picture::drawn().to_bmp();
        assert!(Picture::read(&whole[..whole.len() - 1]).is_err());
    }
}

//! Whether a JPEG file is whole. The decoder paints grey what is missing, and reports no error.

use std::io::{self, BufRead, Read};

/// Whether the file has the marker of its end, behind its segments (ITU-T T.81, annex B). A segment is passed over by
/// its length, so the end of a small picture within the metadata is not mistaken for that of the photo.
pub(super) fn is_whole(mut file: impl BufRead) -> io::Result<bool> {
    loop {
        let Some(byte) = next(&mut file)? else { return Ok(false) };
        if byte != 0xff {
            continue;
        }
        let mut marker = 0xff;
        while marker == 0xff {
            let Some(byte) = next(&mut file)? else { return Ok(false) };
            marker = byte;
        }
        match marker {
            0xd9 => return Ok(true),
            // A byte of the picture that looks like a marker, and markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let (Some(high), Some(low)) = (next(&mut file)?, next(&mut file)?) else { return Ok(false) };
                let rest = u64::from(u16::from_be_bytes([high, low])).saturating_sub(2);
                io::copy(&mut file.by_ref().take(rest), &mut io::sink())?;
            }
        }
    }
}

fn next(file: &mut impl BufRead) -> io::Result<Option<u8>> {
    let byte = file.fill_buf()?.first().copied();
    file.consume(usize::from(byte.is_some()));
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_that_of_the_photo_and_not_of_a_picture_in_its_metadata() {
        for (file, expected) in [
            (&b"\xff\xd8\xff\xdb\0\x04ab\xff\xda\0\x03x12\xff\0\xff\xd034\xff\xd9"[..], true),
            (b"\xff\xd8\xff\xda\0\x0212\xff\xd9 and a trailer", true),
            (b"\xff\xd8\xff\xe1\0\x06\xff\xd8\xff\xd9\xff\xda\0\x0212", false),
            (b"\xff\xd8\xff\xda\0\x0212\xff", false),
            (b"\xff\xd8\xff\xe1\xff\xff", false),
            (b"\xff\xd8\xff\xe1\0\0\xff\xff\xd9", true),
            (b"", false),
        ] {
            assert_eq!(is_whole(file).expect("memory can be read"), expected, "{file:x?}");
        }
    }
}

//! Files: what is taken, what is made of it, and what stays hidden.

use super::{album, blog, jpeg, picture, upload, written};
use image::{Frame, ImageFormat, Rgba, RgbaImage, codecs::gif::GifEncoder};

/// `content` with the metadata of a camera: this orientation, and a place.
fn with_exif(content: &[u8], orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend([1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    tiff.extend(b"\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\0\0\0\0");
    tiff.extend(b"\0\x01\0\x01\0\x02\0\0\0\x02N\0\0\0\0\0\0\0Unter den Linden 1");
    let length = u16::try_from(tiff.len() + 8).expect("short").to_be_bytes();
    let segment = [&b"\xff\xe1"[..], &length, b"Exif\0\0", &tiff].concat();
    [&content[..2], &segment, &content[2..]].concat()
}

/// A PNG that says it has this size, and has nothing.
fn png_head(width: u32, height: u32) -> Vec<u8> {
    let mut head = b"IHDR".to_vec();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 6, 0, 0, 0]);
    let crc = head.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let mut file = [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", &*head, &(!crc).to_be_bytes()].concat();
    file.extend(b"\0\0\0\x0cIDATx\x9c\x63\0\x01\0\0\x05\0\x01\x0d\x0a\x2d\xb4");
    file
}

#[test]
fn a_small_file_that_claims_a_huge_picture_is_refused() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let bomb = png_head(100_000, 100_000);
    assert!(bomb.len() < 100);
    let answer = upload(&anna, "/desk/album/1/", "small.png", &bomb);
    answer.assert_status(422).assert_contains("At most 60 megapixels are taken.");
    assert!(blog.files("originals").is_empty());
}

#[test]
fn what_is_no_photo_is_refused_whatever_its_name() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    for content in [&b""[..], b"hello", svg, b"GIF", b"BM\x36\0\0\0"] {
        upload(&anna, "/desk/album/1/", "photo.jpg", content).assert_status(415);
    }
    assert!(blog.files("originals").is_empty());
}

#[test]
fn a_photo_that_breaks_off_fails_and_says_so() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let whole = written(&picture(80, 60), ImageFormat::Png);
    upload(&anna, "/desk/album/1/", "half.png", &whole[..whole.len() / 2]).assert_status(202);
    blog.work();
    anna.get("/desk/album/1/").send().assert_contains("The pictures cannot be made: the file is broken.");
    blog.client.get("/photo/1/").send().assert_status(404);
}

#[test]
fn a_jpeg_that_breaks_off_is_refused_at_once() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let whole = with_exif(&jpeg(80, 60), 1);
    for length in [200, whole.len() / 2, whole.len() - 2] {
        let answer = upload(&anna, "/desk/album/1/", "half.jpg", &whole[..length]);
        answer.assert_status(422).assert_contains("The photo is broken");
    }
    assert!(blog.files("originals").is_empty());
}

#[test]
fn of_an_animation_the_first_picture_is_shown() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let mut animation = Vec::new();
    let mut encoder = GifEncoder::new(&mut animation);
    for colour in [[220, 20, 20, 255], [20, 20, 220, 255]] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(40, 30, Rgba(colour)))).expect("memory takes it");
    }
    drop(encoder);
    upload(&anna, "/desk/album/1/", "moves.gif", &animation).assert_status(202);
    blog.work();
    let file = blog.json("/photo/1/")["photo"]["file"].as_str().expect("a file").to_owned();
    let made = blog.client.get(&format!("/picture/{file}-320.jpg")).send();
    let made = image::load_from_memory(made.bytes()).expect("a picture").into_rgb8();
    assert!(made.dimensions() == (40, 30) && made.get_pixel(20, 15).0[0] > 150);
}

#[test]
fn pictures_are_upright_and_tell_no_place() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    // Where the red half of the original is, once the picture is upright.
    let table = ["left", "right", "right", "left", "top", "top", "bottom", "bottom"];
    for (number, place) in (1_u8..).zip(table) {
        let content = with_exif(&jpeg(64 + 2 * u32::from(number), 32), number);
        upload(&anna, "/desk/album/1/", "turned.jpg", &content).assert_status(202);
        blog.work();
        let photo = &blog.json(&format!("/photo/{number}/"))["photo"];
        let file = photo["file"].as_str().expect("a file");
        let made = blog.client.get(&format!("/picture/{file}-320.jpg")).send();
        let text = String::from_utf8_lossy(made.bytes()).into_owned();
        assert!(!text.contains("Exif") && !text.contains("Unter den Linden"), "orientation {number}");
        let made = image::load_from_memory(made.bytes()).expect("a picture").into_rgb8();
        let (width, height) = made.dimensions();
        assert_eq!((photo["width"].as_u64(), photo["height"].as_u64()), (Some(width.into()), Some(height.into())));
        let is_red = |x: u32, y: u32| made.get_pixel(x, y).0[0] > 120;
        let red = match (is_red(2, height / 2), is_red(width / 2, 2)) {
            _ if height > width && is_red(width / 2, 2) => "top",
            _ if height > width => "bottom",
            (true, _) => "left",
            (false, _) => "right",
        };
        assert_eq!(red, place, "orientation {number}");
    }
}

#[test]
fn each_format_becomes_a_jpeg_of_three_sizes() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif];
    for (number, format) in (1..).zip(formats) {
        upload(&anna, "/desk/album/1/", "photo", &written(&picture(900, 600), format)).assert_status(202);
        blog.work();
        let file = blog.json(&format!("/photo/{number}/"))["photo"]["file"].as_str().expect("a file").to_owned();
        for (width, expected) in [(320, 320), (800, 800), (1600, 900)] {
            let made = blog.client.get(&format!("/picture/{file}-{width}.jpg")).send();
            let made = image::load_from_memory_with_format(made.bytes(), ImageFormat::Jpeg).expect("a JPEG file");
            assert_eq!(made.width(), expected);
        }
    }
}

#[test]
fn originals_are_served_to_nobody() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    let file = blog.json("/photo/1/")["photo"]["file"].as_str().expect("a file").to_owned();
    assert!(blog.folder.path().join("originals").join(&file).exists());
    for path in ["/originals/", "/picture/", "/static/"] {
        anna.get(&format!("{path}{file}")).send().assert_status(404);
    }
}

//! A small site out of files: pages and assets from a folder, a recording that can be sought in, a download.

use kirsch::prelude::*;
use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Samples a second, one byte each.
const RATE: u32 = 8_000;
/// Ten minutes.
const SECONDS: u32 = 600;

/// The application; the folder is part of the sources.
///
/// # Errors
/// When the recording cannot be made.
pub fn app() -> io::Result<App> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static-site");
    let site = StaticDir::new(&folder).cache_control("no-cache");
    let assets = StaticDir::new(folder.join("assets")).listing(true).cache_control("public, max-age=60");
    Ok(App::new(Site { tone: recording()? }).tool("/", site).tool("/assets", assets))
}

struct Site {
    tone: fs::File,
}

#[handlers]
impl Site {
    /// At `/tone.wav`: a dot in a path matches `_`. The browser asks for the parts that it plays.
    #[expose]
    fn tone_wav(&self) -> kirsch::Result<File> {
        File::from_std(self.tone.try_clone()?, "tone.wav")
    }

    #[expose]
    fn download(&self) -> kirsch::Result<File> {
        Ok(File::from_std(self.tone.try_clone()?, "tone.wav")?
            .download("Ten minutes of rising tone (½ MB a minute).wav"))
    }
}

/// A WAV file that no other user sees and that ends with the process.
fn recording() -> io::Result<fs::File> {
    let path = std::env::temp_dir().join(format!("kirsch-tone-{}.wav", std::process::id()));
    // Only as a new file: every user may write there, and a link could wait that leads to a file to overwrite.
    let mut file = fs::File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    // Open files live on without a name.
    fs::remove_file(&path)?;
    file.write_all(&wave())?;
    Ok(file)
}

/// A square wave that rises from 100 to 700 Hz.
fn wave() -> Vec<u8> {
    let length = RATE * SECONDS;
    let mut wave = Vec::new();
    wave.extend_from_slice(b"RIFF");
    wave.extend_from_slice(&(36 + length).to_le_bytes());
    wave.extend_from_slice(b"WAVEfmt ");
    wave.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    wave.extend_from_slice(&[1, 0, 1, 0]);
    wave.extend_from_slice(&RATE.to_le_bytes());
    wave.extend_from_slice(&RATE.to_le_bytes());
    // One byte for each sample of eight bits.
    wave.extend_from_slice(&[1, 0, 8, 0]);
    wave.extend_from_slice(b"data");
    wave.extend_from_slice(&length.to_le_bytes());
    let mut phase = 0;
    for sample in 0..length {
        phase = (phase + 100 + sample / RATE) % RATE;
        wave.push(if phase < RATE / 2 { 118 } else { 138 });
    }
    wave
}

//! Sounds: a melody, and WAV files of one channel with 16-bit samples.

use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Samples a second.
pub(crate) const RATE: u32 = 16_000;

/// The length of the header of a WAV file, bytes.
const HEADER: usize = 44;

/// The most bytes of samples in a WAV file, whose lengths have 32 bits.
const MAX_DATA: u32 = u32::MAX - HEADER as u32;

/// The longest file that is read, bytes: an hour.
const LONGEST: u64 = 3600 * 2 * RATE as u64 + HEADER as u64;

/// The tones of the melody, half tones above a', and how long each lasts, eighths.
const MELODY: [(i32, u32); 15] = [
    (7, 2),
    (7, 2),
    (8, 2),
    (10, 2),
    (10, 2),
    (8, 2),
    (7, 2),
    (5, 2),
    (3, 2),
    (3, 2),
    (5, 2),
    (7, 2),
    (7, 3),
    (5, 1),
    (5, 4),
];

/// The length of an eighth, samples.
const EIGHTH: u32 = RATE / 5;

/// So many seconds of a melody, which begins anew at its end.
pub(crate) fn melody(seconds: u32) -> Vec<i16> {
    let tone = |&(half_tones, eighths): &(i32, u32)| {
        let frequency = 440.0 * 2.0_f64.powf(f64::from(half_tones) / 12.0);
        let length = EIGHTH * eighths;
        (0..length).map(move |at| {
            // Soft at both ends, so that tones do not click: only glitches do.
            let edge = f64::from(at.min(length - at)) / f64::from(RATE / 50);
            let wave = (TAU * frequency * f64::from(at) / f64::from(RATE)).sin();
            (wave * edge.min(1.0) * 12_000.0) as i16
        })
    };
    let count = seconds as usize * RATE as usize;
    MELODY.iter().flat_map(tone).collect::<Vec<i16>>().into_iter().cycle().take(count).collect()
}

/// Writes a sound into a WAV file.
pub(crate) fn write(path: &Path, samples: &[i16]) -> Result<()> {
    let mut file = WavFile::create(path)?;
    file.write(samples)?;
    file.finish()
}

/// A WAV file that grows, and says how long it is at its end.
#[derive(Debug)]
pub(crate) struct WavFile {
    name: String,
    file: BufWriter<File>,
    /// Of the samples, bytes.
    length: u32,
}

impl WavFile {
    /// An empty one.
    pub(crate) fn create(path: &Path) -> Result<WavFile> {
        let name = path.display().to_string();
        let file = File::create(path).with_context(|| format!("{name}: cannot be written"))?;
        let mut file = BufWriter::new(file);
        file.write_all(&header(0)).with_context(|| format!("{name}: writing"))?;
        Ok(WavFile { name, file, length: 0 })
    }

    pub(crate) fn write(&mut self, samples: &[i16]) -> Result<()> {
        let length =
            u32::try_from(samples.len() * 2).ok().and_then(|it| it.checked_add(self.length));
        let length = length.filter(|length| *length <= MAX_DATA);
        self.length =
            length.with_context(|| format!("{}: a WAV file is full at 4 GiB", self.name))?;
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.file.write_all(&bytes).with_context(|| format!("{}: writing", self.name))
    }

    /// How long it sounds.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.length) / f64::from(RATE * 2))
    }

    /// Whole as it is on the disk.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let header = header(self.length);
        let mut finish = || {
            self.file.rewind()?;
            self.file.write_all(&header)?;
            self.file.seek(SeekFrom::End(0))?;
            self.file.flush()
        };
        finish().with_context(|| format!("{}: writing", self.name))
    }
}

/// What stands before `length` bytes of samples.
fn header(length: u32) -> [u8; HEADER] {
    let mut header = *b"RIFF....WAVEfmt ....................data....";
    let mut number = |at: usize, value: u32| {
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    number(4, HEADER as u32 - 8 + length);
    number(16, 16);
    // PCM, one channel.
    number(20, 1 << 16 | 1);
    number(24, RATE);
    number(28, RATE * 2);
    // Two bytes a sample, of sixteen bits.
    number(32, 16 << 16 | 2);
    number(40, length);
    header
}

/// Reads a WAV file of the one kind that is sent.
pub(crate) fn read(path: &Path) -> Result<Vec<i16>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name}: cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).with_context(|| format!("{name}: reading"))?;
    ensure!(bytes.len() as u64 <= LONGEST, "{name}: is longer than an hour");
    decode(&bytes).with_context(|| {
        format!("{name}: is no WAV file of one channel, 16 bits and {RATE} samples a second")
    })
}

fn decode(bytes: &[u8]) -> Option<Vec<i16>> {
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut is_ours = false;
    loop {
        let (kind, after) = rest.split_at_checked(4)?;
        let (length, body) = after.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let body = body.get(..length)?;
        match kind {
            b"fmt " => {
                let rate = u32::from_le_bytes(body.get(4..8)?.try_into().ok()?);
                is_ours =
                    body.starts_with(&[1, 0, 1, 0]) && rate == RATE && body.get(14..16)? == [16, 0];
            }
            b"data" if is_ours => {
                let pairs = body.chunks_exact(2);
                return Some(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect());
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = after.get(4 + length + length % 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Temporary {
            let name = format!("tapstack-stream-{}-{name}.wav", std::process::id());
            Temporary(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_header_says_what_the_file_is() {
        let expected = b"RIFF\x2a\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\
            \x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\x06\0\0\0";
        assert_eq!(&header(6), expected);
        assert_eq!(header(MAX_DATA)[4..8], (u32::MAX - 8).to_le_bytes());
    }

    #[test]
    fn a_file_is_good_whenever_it_is_finished() {
        let file = Temporary::new("growing");
        let mut wav = WavFile::create(&file.0).unwrap();
        wav.finish().unwrap();
        assert_eq!(read(&file.0).unwrap(), []);
        wav.write(&[1, -2]).unwrap();
        wav.finish().unwrap();
        assert_eq!(read(&file.0).unwrap(), [1, -2]);
        wav.write(&[3]).unwrap();
        wav.finish().unwrap();
        assert_eq!(read(&file.0).unwrap(), [1, -2, 3]);
        // What lengths cannot say is not written, and what was is good.
        wav.length = MAX_DATA - 1;
        assert!(wav.write(&[4]).unwrap_err().to_string().contains("full"));
        wav.length = 6;
        wav.finish().unwrap();
        assert_eq!(read(&file.0).unwrap(), [1, -2, 3]);
    }

    #[test]
    fn a_sound_survives_its_file() {
        let sound = melody(13);
        assert_eq!(sound.len(), 13 * RATE as usize);
        assert!(sound.iter().any(|sample| *sample > 10_000));
        let file = Temporary::new("whole");
        write(&file.0, &sound).unwrap();
        assert_eq!(read(&file.0).unwrap(), sound);
        let bytes = fs::read(&file.0).unwrap();
        // Another chunk in between, of an odd length.
        let other = [&bytes[..36], b"LIST\x01\0\0\0x\0", &bytes[36..]].concat();
        assert_eq!(decode(&other), decode(&bytes));
        for cut in [0, 3, 11, 20, 40, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..cut]), None);
        }
        let mut stereo = bytes.clone();
        stereo[22] = 2;
        assert_eq!(decode(&stereo), None);
    }
}

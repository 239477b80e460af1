//! Broken audio files and manifests: an error or an answer, never a panic.

mod common;

use std::io::Cursor;

use bonafide::cli::Audio;
use bonafide::model::Manifest;
use common::speech_like;
use proptest::prelude::*;

/// Valid files of every format, made from our own sound (tests/data/README.md).
const SEEDS: [(&str, &[u8]); 8] = [
    ("wav", include_bytes!("data/voice.wav")),
    ("flac", include_bytes!("data/voice.flac")),
    ("mp3", include_bytes!("data/voice.mp3")),
    ("ogg", include_bytes!("data/voice.ogg")),
    ("m4a", include_bytes!("data/voice.m4a")),
    ("aac", include_bytes!("data/voice.aac")),
    ("aiff", include_bytes!("data/voice.aiff")),
    ("caf", include_bytes!("data/voice.caf")),
];

/// A change at a place, given as a share of the file.
#[derive(Clone, Debug)]
enum Damage {
    Set(f64, u8),
    Cut(f64),
    Remove(f64, usize),
    Repeat(f64, usize),
    Insert(f64, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Headers matter most: half of all places lie in the first 2 %.
    let place = prop_oneof![0.0..0.02_f64, 0.0..1.0_f64];
    prop_oneof![
        4 => (place.clone(), any::<u8>()).prop_map(|(at, x)| Damage::Set(at, x)),
        1 => place.clone().prop_map(Damage::Cut),
        1 => (place.clone(), 1..64_usize).prop_map(|(at, n)| Damage::Remove(at, n)),
        1 => (place.clone(), 1..64_usize).prop_map(|(at, n)| Damage::Repeat(at, n)),
        1 => (place, proptest::collection::vec(any::<u8>(), 1..32)).prop_map(|(at, x)| Damage::Insert(at, x)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let at = |share: f64| (share * bytes.len() as f64) as usize;
        match damage {
            Damage::Set(share, x) => {
                let at = at(*share);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *x;
                }
            }
            Damage::Cut(share) => bytes.truncate(at(*share)),
            Damage::Remove(share, n) => {
                let at = at(*share);
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Damage::Repeat(share, n) => {
                let at = at(*share);
                let part = bytes[at..(at + n).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Damage::Insert(share, x) => {
                let at = at(*share);
                bytes.splice(at..at, x.iter().copied());
            }
        }
    }
    bytes
}

/// Reads on to the end or an error; a damaged header may promise more than anyone wants to hear.
fn read(bytes: Vec<u8>, extension: &str) -> Result<usize, String> {
    let mut audio =
        Audio::read(Box::new(Cursor::new(bytes)), Some(extension)).map_err(|error| error.to_string())?;
    let mut samples = 0;
    while let Some(block) = audio.next_block().map_err(|error| error.to_string())? {
        samples += block[0].len();
        audio.consume();
        if samples > 1_000_000 {
            break;
        }
    }
    Ok(samples)
}

/// `cargo test --release --test fuzz -- --ignored make_seeds` writes the seeds anew, with ffmpeg.
#[test]
#[ignore = "writes tests/data"]
fn make_seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 22_050,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(folder.join("voice.wav"), spec).unwrap();
    speech_like(22_050, 1.0, 1).iter().for_each(|x| wav.write_sample((x * 32_000.0) as i16).unwrap());
    wav.finalize().unwrap();
    for (extension, _) in &SEEDS[1..] {
        let mut ffmpeg = std::process::Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-bitexact", "-i", "voice.wav", "-map_metadata", "-1"]);
        ffmpeg.arg(format!("voice.{extension}")).current_dir(&folder);
        assert!(ffmpeg.status().unwrap().success(), "{extension}");
    }
}

#[test]
fn the_seeds_themselves_are_read() {
    let original = speech_like(22_050, 1.0, 1).len();
    for (extension, bytes) in SEEDS {
        let samples = read(bytes.to_vec(), extension).unwrap();
        assert!(samples.abs_diff(original) < 5_000, "{extension}: {samples} samples");
    }
}

fn quiet<T>(test: impl FnOnce() -> T) -> T {
    // A decoder's panic is caught and becomes an error; its message would only fill the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = test();
    std::panic::set_hook(hook);
    result
}

#[test]
fn ten_thousand_broken_audio_files() {
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    let (mut errors, mut read_on) = (0, 0);
    quiet(|| {
        let cases = (0..SEEDS.len(), proptest::collection::vec(damage(), 1..8));
        let cell = std::cell::RefCell::new((&mut errors, &mut read_on));
        runner.run(&cases, |(seed, damages)| {
            let (extension, bytes) = SEEDS[seed];
            match read(damaged(bytes.to_vec(), &damages), extension) {
                Ok(_) => *cell.borrow_mut().1 += 1,
                Err(problem) => {
                    prop_assert!(!problem.is_empty());
                    *cell.borrow_mut().0 += 1;
                }
            }
            Ok(())
        })
    })
    .unwrap();
    println!("{errors} errors, {read_on} read in spite of the damage");
    assert!(errors > 500 && read_on > 500, "the damage is too weak or too strong to test anything");
}

#[test]
fn ten_thousand_broken_manifests() {
    use proptest::test_runner::{Config, TestRunner};
    let valid = include_str!("../models/bonafide-small.toml");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    let words = proptest::sample::select(vec![
        "nan",
        "inf",
        "-1",
        "0",
        "1e308",
        "99999999999",
        "\"\"",
        "[]",
        "{}",
        "true",
        "[model]",
        "=",
        "\"max\"",
        "\u{0}",
        "é",
    ]);
    let cases = (proptest::collection::vec(damage(), 0..6), proptest::option::of((0.0..1.0_f64, words)));
    runner
        .run(&cases, |(damages, swap)| {
            let mut text = String::from_utf8_lossy(&damaged(valid.into(), &damages)).into_owned();
            if let Some((line, word)) = swap {
                // The value of one line becomes something else.
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let at = (line * lines.len() as f64) as usize;
                if let Some(line) = lines.get_mut(at) {
                    *line = format!("{}= {word}", line.split('=').next().unwrap_or_default());
                }
                text = lines.join("\n");
            }
            match Manifest::parse(&text) {
                // Whatever is accepted can be worked with.
                Ok(manifest) => prop_assert!(manifest.input_shape().iter().product::<usize>() > 0),
                Err(problem) => prop_assert!(!problem.is_empty()),
            }
            Ok(())
        })
        .unwrap();
}

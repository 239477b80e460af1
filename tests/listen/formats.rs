//! Whatever the stream is made of, its scores are those of the same file.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bonafide::cli::{PcmSpec, SampleFormat, SoundStream};
use proptest::prelude::*;
use serde_json::Value;

use crate::common::speech_like;
use crate::running::{RAW, Running, assert_scores, bytes, listen, of_type, scanned, speech};

/// Stereo at 44.1 kHz, 32-bit float, with as many channels as asked for.
fn wav(folder: &Path, channels: u16) -> PathBuf {
    let path = folder.join(format!("voice{channels}.wav"));
    let spec = hound::WavSpec {
        channels,
        sample_rate: 44_100,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let voices: Vec<_> = (0..channels).map(|c| speech_like(44_100, 6.3, u32::from(c) + 1)).collect();
    let mut wav = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..voices[0].len() {
        voices.iter().for_each(|voice| wav.write_sample(voice[i]).unwrap());
    }
    wav.finalize().unwrap();
    path
}

fn ffmpeg_is_here() -> bool {
    let here = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_ok();
    if !here {
        println!("skipped: ffmpeg is not here");
    }
    here
}

fn ffmpeg(input: &Path, arguments: &str, output: &Path) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(input).args(arguments.split_whitespace()).arg(output);
    assert!(ffmpeg.status().unwrap().success(), "{arguments}");
}

/// `ffmpeg … - | bonafide listen …`, with nothing but a pipe between.
fn through_pipe(input: &Path, make: &str, options: &str) -> Vec<Value> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(input).args(make.split_whitespace()).arg("-");
    let mut ffmpeg = ffmpeg.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = crate::running::bonafide();
    command.arg("listen").args(options.split_whitespace()).stdin(ffmpeg.stdout.take().unwrap());
    let output = command.output().unwrap();
    assert!(ffmpeg.wait().unwrap().success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{make}: {text} {}", String::from_utf8_lossy(&output.stderr));
    crate::running::parsed(&text)
}

#[test]
fn what_ffmpeg_pipes_is_judged_as_its_file() {
    if !ffmpeg_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (stereo, surround) = (wav(folder.path(), 2), wav(folder.path(), 6));
    let file = |name: &str| folder.path().join(name);
    for (sound, make, name, pipe, options, format) in [
        // WAV of unknown length, with a LIST chunk before the sound.
        (&stereo, "-c:a pcm_s16le", "a.wav", "-c:a pcm_s16le -f wav", "", "wav s16le"),
        (&stereo, "-c:a pcm_s24le", "b.wav", "-c:a pcm_s24le -f wav", "", "wav s24le"),
        (&stereo, "-c:a pcm_f32le", "c.wav", "-c:a pcm_f32le -f wav -rf64 always", "", "wav f32le"),
        (&stereo, "-c:a pcm_f64le", "d.wav", "-c:a pcm_f64le -f wav", "", "wav f64le"),
        (&stereo, "-c:a pcm_u8", "e.wav", "-c:a pcm_u8 -f wav", "", "wav u8"),
        (&surround, "-c:a pcm_s16le", "f.wav", "-c:a pcm_s16le -f wav", "", "wav s16le"),
        // Telephones.
        (
            &stereo,
            "-c:a pcm_mulaw -ar 8000 -ac 1",
            "g.wav",
            "-c:a pcm_mulaw -ar 8000 -ac 1 -f wav",
            "",
            "wav mulaw",
        ),
        (
            &stereo,
            "-c:a pcm_mulaw -ar 8000 -ac 1",
            "g.wav",
            "-ar 8000 -ac 1 -f mulaw",
            "--format mulaw --rate 8000",
            "mulaw",
        ),
        (
            &stereo,
            "-c:a pcm_alaw -ar 8000 -ac 1",
            "h.wav",
            "-ar 8000 -ac 1 -f alaw",
            "--format alaw --rate 8000",
            "alaw",
        ),
        // Raw.
        (&stereo, "-c:a pcm_s16le", "a.wav", "-f s16be", "--format s16be --rate 44100 --channels 2", "s16be"),
        (&stereo, "-c:a pcm_s32le", "i.wav", "-f s32le", "--format s32le --rate 44100 --channels 2", "s32le"),
        (
            &surround,
            "-c:a pcm_s24le",
            "j.wav",
            "-f s24be",
            "--format s24be --rate 44100 --channels 6",
            "s24be",
        ),
        (
            &surround,
            "-c:a pcm_f64le",
            "k.wav",
            "-f f64be",
            "--format f64be --rate 44100 --channels 6",
            "f64be",
        ),
        // Compressed: the stream is the file's own bytes.
        (
            &stereo,
            "-bitexact -write_xing 0 -id3v2_version 0",
            "l.mp3",
            "-bitexact -write_xing 0 -id3v2_version 0 -f mp3",
            "",
            "compressed",
        ),
    ] {
        let file = file(name);
        ffmpeg(sound, make, &file);
        let records = through_pipe(sound, pipe, options);
        assert_eq!(records[0]["format"], format);
        assert_scores(&records, &scanned(&file), pipe);
    }
}

#[test]
fn what_a_file_holds_can_be_piped() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for (name, format) in [
        ("voice.wav", "wav s16le"),
        ("voice.mp3", "compressed"),
        ("voice.flac", "compressed"),
        ("voice.ogg", "compressed"),
    ] {
        let file = data.join(name);
        let (records, code, errors) = listen(&[], &std::fs::read(&file).unwrap());
        assert_eq!((code, &records[0]["format"]), (0, &Value::from(format)), "{name}: {errors}");
        assert_scores(&records, &scanned(&file), name);
        let (records, ..) = Running::start(&[file.to_str().unwrap()]).end();
        assert_scores(&records, &scanned(&file), name);
    }
}

#[test]
fn what_is_no_stream_is_said() {
    for (arguments, input, expected) in [
        (&[][..], &b""[..], "no data came"),
        (&[], b"this is no sound at all, is it?", "--format"),
        (&[], b"RIFF\0\0\0\0WAVEfmt ", "ends within the head"),
        (&["--format", "s16le", "--rate", "7999"], b"abcdefghijklmnop", "7999 Hz"),
        (&["--format", "s16le", "--rate", "8000", "--channels", "17"], b"abcdefghijklmnop", "17 channels"),
        (&["/nowhere/a.wav"], b"", "can't be opened"),
        (&["--format", "s16le"], b"", "--rate"),
        (&["--timecode", "1:2:3"], b"", "HH:MM:SS:FF"),
        (&["--timecode", "00:00:00;00"], b"", "29.97"),
        (&["a.wav", "a.wav"], b"", "--name"),
        (&["-", "-"], b"", "only once"),
        (&["--name", "a", "--name", "b"], b"", "2 names"),
        (&["--on-alarm", "'"], b"", "quote"),
        (&["--webhook", "ftp://example.org"], b"", "http"),
        (&["--osc", "nowhere"], b"", "nowhere"),
        (&["--midi", "/nowhere/midi"], b"", "/nowhere/midi"),
        (&["--output", "/nowhere/log"], b"", "/nowhere/log"),
    ] {
        let (records, code, errors) = listen(arguments, input);
        let told = records.last().and_then(|end| end["problem"].as_str()).unwrap_or(&errors);
        assert!(told.contains(expected), "{arguments:?}: {told}");
        assert_eq!(code, 2, "{arguments:?}");
    }
}

#[test]
fn a_stream_that_breaks_off_is_judged_as_far_as_it_goes() {
    let mut sound = speech(4.0, 1);
    sound.pop();
    let (records, code, _) = listen(&RAW, &sound);
    let end = records.last().unwrap();
    assert_eq!((code, &end["reason"]), (2, &Value::from("failed")));
    assert!(end["problem"].as_str().unwrap().contains("1 of 2 bytes"), "{end}");
    assert_eq!(of_type(&records, "window").len(), 5);
}

/// A change at a place of the first 128 bytes, or anywhere.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = prop_oneof![4 => 0..128_usize, 1 => 0..40_000_usize];
    prop_oneof![
        6 => (place.clone(), any::<u8>()).prop_map(|(at, x)| Damage::Set(at, x)),
        1 => place.clone().prop_map(Damage::Cut),
        1 => (place.clone(), 1..32_usize).prop_map(|(at, n)| Damage::Remove(at, n)),
        1 => (place, proptest::collection::vec(any::<u8>(), 1..32)).prop_map(|(at, x)| Damage::Insert(at, x)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len();
        match damage {
            Damage::Set(at, x) => bytes.get_mut(*at).into_iter().for_each(|byte| *byte = *x),
            Damage::Cut(at) => bytes.truncate(*at),
            Damage::Remove(at, n) => drop(bytes.drain((*at).min(len)..(at + n).min(len))),
            Damage::Insert(at, x) => drop(bytes.splice((*at).min(len)..(*at).min(len), x.iter().copied())),
        }
    }
    bytes
}

/// WAV streams as programs write them.
fn seeds() -> Vec<Vec<u8>> {
    let data = bytes(&speech_like(16_000, 1.0, 1));
    let fmt = |tag: u16, rate: u32, frame: u16| {
        let mut x = [tag.to_le_bytes(), 1_u16.to_le_bytes()].concat();
        x.extend(rate.to_le_bytes());
        x.extend((rate * u32::from(frame)).to_le_bytes());
        x.extend(frame.to_le_bytes());
        x.extend((frame * 8).to_le_bytes());
        x
    };
    let wav = |id: &[u8; 4], chunks: &[(&[u8; 4], u32, &[u8])]| {
        let mut x = [&id[..], &[0xff; 4], b"WAVE"].concat();
        chunks.iter().for_each(|(name, size, content)| {
            x.extend(*name);
            x.extend(size.to_le_bytes());
            x.extend(*content);
        });
        x
    };
    let mut extensible = fmt(0xfffe, 16_000, 2);
    extensible
        .extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    let sizes = [[0; 8], (data.len() as u64).to_le_bytes(), [0; 8]].concat();
    let list = b"INFOISFT\x0e\0\0\0Lavf60.16.100\0";
    vec![
        wav(b"RIFF", &[(b"fmt ", 16, &fmt(1, 16_000, 2)), (b"LIST", 26, list), (b"data", u32::MAX, &data)]),
        wav(b"RIFF", &[(b"fmt ", 16, &fmt(7, 8_000, 1)), (b"data", data.len() as u32, &data)]),
        wav(b"RIFF", &[(b"fmt ", 40, &extensible), (b"data", 0, &data)]),
        wav(b"RF64", &[(b"ds64", 24, &sizes), (b"fmt ", 16, &fmt(3, 48_000, 4)), (b"data", u32::MAX, &data)]),
    ]
}

#[test]
fn ten_thousand_broken_wav_streams() {
    use proptest::test_runner::{Config, TestRunner};
    let seeds = seeds();
    let raw = PcmSpec { format: SampleFormat::S24be, rate: 48_000, channels: 3 };
    let read = |bytes: Vec<u8>, raw: Option<PcmSpec>| -> Result<usize, String> {
        let mut stream =
            SoundStream::open(Box::new(Cursor::new(bytes)), raw).map_err(|error| error.to_string())?;
        let mut samples = 0;
        while let Some(block) = stream.next_block().map_err(|error| error.to_string())? {
            assert!(block.len() == stream.channels && block.iter().all(|c| c.len() == block[0].len()));
            samples += block[0].len();
        }
        Ok(samples)
    };
    for seed in &seeds {
        assert!(read(seed.clone(), None).unwrap() >= 8_000);
    }
    let counts = std::cell::Cell::new((0, 0));
    let cases = (0..seeds.len(), proptest::collection::vec(damage(), 1..8), any::<bool>());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    // A decoder's panic is caught and becomes an error; its message would only fill the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = runner.run(&cases, |(seed, damages, declared)| {
        let (errors, read_on) = counts.get();
        match read(damaged(seeds[seed].clone(), &damages), declared.then_some(raw)) {
            Ok(_) => counts.set((errors, read_on + 1)),
            Err(problem) => {
                prop_assert!(!problem.is_empty());
                counts.set((errors + 1, read_on));
            }
        }
        Ok(())
    });
    std::panic::set_hook(hook);
    result.unwrap();
    let (errors, read_on) = counts.get();
    println!("{errors} errors, {read_on} read in spite of the damage");
    assert!(errors > 500 && read_on > 500, "the damage is too weak or too strong to test anything");
}

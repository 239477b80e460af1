//! `bonafide scan --log` and `bonafide verify`, as their users call them.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bonafide::detect::EngineChoice;
use bonafide::engine::{Event, OfflineStream, ScorerPool, StreamConfig};
use bonafide::evidence::{
    self, AudioDigest, End, EventRecord, Hash, Header, Log, Settings, WindowRecord, now,
};
use bonafide::model::Model;
use common::{noise, speech_like};

fn bonafide(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bonafide")).args(arguments).output().unwrap()
}

/// Exit code and everything that was printed.
fn verify(arguments: &[&str]) -> (i32, String) {
    let output = bonafide(&[&["verify"], arguments].concat());
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().expect("ended by itself"), String::from_utf8(text).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn write_wav(path: &Path, rate: u32, channels: &[Vec<f32>]) {
    let (sample_format, bits_per_sample) = (hound::SampleFormat::Int, 16);
    let spec =
        hound::WavSpec { channels: channels.len() as u16, sample_rate: rate, bits_per_sample, sample_format };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..channels[0].len() {
        channels.iter().for_each(|c| wav.write_sample((c[i] * 32_000.0) as i16).unwrap());
    }
    wav.finalize().unwrap();
}

/// A folder with a stereo voice of 5 s at 44.1 kHz and its log.
fn logged() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (wav, log) = (folder.path().join("voice.wav"), folder.path().join("log.jsonl"));
    write_wav(&wav, 44_100, &[speech_like(44_100, 5.3, 1), speech_like(44_100, 5.3, 2)]);
    let scanned = bonafide(&["scan", "--log", text(&log), text(&wav)]);
    assert!(scanned.status.code() < Some(2), "{}", String::from_utf8_lossy(&scanned.stderr));
    (folder, wav, log)
}

#[test]
fn a_scan_is_verified_by_its_log_on_either_engine() {
    let (_folder, wav, log) = logged();
    let (code, said) = verify(&[text(&log)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("not compared: none was given") && said.contains("the log holds\n"), "{said}");
    let last =
        fs::read_to_string(&log).unwrap().lines().last().map(|line| Hash::of(line.as_bytes())).unwrap();
    assert!(said.contains(&last.to_string()), "{said}");
    for engine in ["auto", "tract"] {
        let (code, said) = verify(&[text(&log), "--audio", text(&wav), "--engine", engine]);
        assert_eq!(code, 0, "{said}");
        // 5.3 s: 7 windows each half a second, and one that ends with the file.
        assert!(
            said.contains("8 windows run again") && said.contains("233730 samples, and the whole"),
            "{said}"
        );
    }
    let (code, said) = verify(&[text(&log), "--audio", text(&wav), "--no-scores"]);
    assert_eq!((code, said.contains("scores    not run again")), (0, true), "{said}");
}

#[test]
fn a_changed_record_or_sample_is_named() {
    let (folder, wav, log) = logged();
    let original = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = original.lines().collect();
    let with = |lines: &[&str]| {
        fs::write(&log, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        verify(&[text(&log)])
    };
    let changed = lines[4].replacen("\"speech_s\":", "\"speech_s\":1", 1);
    let mut one = lines.clone();
    one[4] = &changed;
    let (code, said) = with(&one);
    assert_eq!(code, 1);
    assert!(said.starts_with("line 5:") && said.contains("the log does not hold"), "{said}");
    let (code, said) = with(&[&lines[..3], &lines[4..]].concat());
    assert_eq!((code, said.contains("line 4: records are missing")), (1, true), "{said}");
    let (code, said) = with(&lines[..lines.len() - 2]);
    assert_eq!((code, said.contains("cut off; which can't be told")), (2, true), "{said}");
    fs::write(&log, original).unwrap();

    // Single samples of the audio; the header's 44 bytes are no samples.
    let sound = fs::read(&wav).unwrap();
    let other = folder.path().join("other.wav");
    for (i, x) in noise(12, 5).iter().enumerate() {
        let mut changed = sound.clone();
        let at = 44 + ((x.abs() * (sound.len() - 44) as f32) as usize).min(sound.len() - 45);
        changed[at] ^= 1 << (i % 8);
        fs::write(&other, changed).unwrap();
        let (code, said) = verify(&[text(&log), "--audio", text(&other), "--no-scores"]);
        assert_eq!((code, said.contains("the audio was changed between")), (1, true), "byte {at}: {said}");
    }
    fs::write(&other, &sound[..sound.len() / 2]).unwrap();
    let (code, said) = verify(&[text(&log), "--audio", text(&other), "--no-scores"]);
    assert_eq!((code, said.contains("the audio is shorter")), (1, true), "{said}");
    write_wav(&other, 48_000, &[speech_like(48_000, 5.0, 1)]);
    let (code, said) = verify(&[text(&log), "--audio", text(&other), "--no-scores"]);
    assert_eq!((code, said.contains("48000 Hz, 1 channels")), (1, true), "{said}");
}

/// Makes the hashes of a log fit again, as someone who changed it would.
fn rehashed(text: &str) -> String {
    let mut prev = "0".repeat(64);
    let mut out = String::new();
    for line in text.lines() {
        let at = line.find("\"prev\":\"").unwrap() + 8;
        let line = format!("{}{prev}{}", &line[..at], &line[at + 64..]);
        prev = Hash::of(line.as_bytes()).to_string();
        out += &format!("{line}\n");
    }
    out
}

#[test]
fn scores_are_run_again_whatever_the_chain_says() {
    let (_folder, wav, log) = logged();
    let original = fs::read_to_string(&log).unwrap();
    let (before, after) = original.split_once("\"llr\":").unwrap();
    let rest = &after[after.find(',').unwrap()..];
    fs::write(&log, rehashed(&format!("{before}\"llr\":-4.5{rest}"))).unwrap();
    assert_eq!(verify(&[text(&log)]).0, 0, "the chain alone can't tell");
    let (code, said) = verify(&[text(&log), "--audio", text(&wav)]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("line 2: the window's score is not what the model gives"), "{said}");
    // Headers that no log of ours has: words, not a crash.
    for (from, to) in [
        ("\"hop_s\":0.5", "\"hop_s\":1e-300"),
        ("\"hop_s\":0.5", "\"hop_s\":-1.0"),
        ("\"channel\":\"mid\"", "\"channel\":\"\\u001b[2J\""),
        ("\"rate\":44100.0", "\"rate\":0.0"),
        ("\"position\":0", "\"position\":18446744073709551615"),
        ("\"format\":1", "\"format\":2"),
        ("\"end_s\":2.0", "\"end_s\":1e308"),
    ] {
        assert!(original.contains(from));
        fs::write(&log, rehashed(&original.replacen(from, to, 1))).unwrap();
        let (code, said) = verify(&[text(&log), "--audio", text(&wav)]);
        assert!(code == 1 || code == 2, "{to}: {said}");
        assert!(!said.contains('\u{1b}') && !said.contains("panicked"), "{to}: {said}");
    }
}

#[test]
fn another_model_is_refused_with_words() {
    let (folder, wav, log) = logged();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut onnx = fs::read(models.join("bonafide-small.onnx")).unwrap();
    // A field that no engine knows is still another file.
    onnx.extend([0xf8, 0x7f, 0x00]);
    fs::write(folder.path().join("bonafide-small.onnx"), &onnx).unwrap();
    let manifest = fs::read_to_string(models.join("bonafide-small.toml")).unwrap();
    let sha256 = manifest.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    let other = Hash::of(&onnx);
    let path = folder.path().join("other.toml");
    fs::write(&path, manifest.replace(sha256, &format!("\"{other}\""))).unwrap();
    let (code, said) = verify(&[text(&log), "--audio", text(&wav), "--model", text(&path)]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(&other.to_string()) && said.contains("--model MANIFEST.toml"), "{said}");
    let (code, said) = verify(&[text(&folder.path().join("gone.jsonl"))]);
    assert_eq!((code, said.contains("gone.jsonl: the log can't be read")), (2, true), "{said}");
}

#[test]
fn a_log_of_many_files_finds_each_one_s_audio() {
    let (folder, wav, log) = logged();
    let (second, broken) = (folder.path().join("second.wav"), folder.path().join("a\u{1b}[2J\nb.wav"));
    write_wav(&second, 8_000, &[speech_like(8_000, 3.0, 4)]);
    fs::write(&broken, "no sound").unwrap();
    // It goes on with the log of the first file.
    let scanned = bonafide(&["scan", "--log", text(&log), text(&second), text(&broken), text(&wav)]);
    assert_eq!(scanned.status.code(), Some(2));
    let (code, said) = verify(&[text(&log), "--audio", text(&second), "--audio", text(&wav)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("streams: 4") && said.contains("of 1 of 4 streams was not given"), "{said}");
    assert_eq!(said.matches("audio     equal").count(), 3, "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let (code, said) = verify(&[text(&log), "--audio", text(&log)]);
    assert_eq!((code, said.contains("none has its bytes or its file name")), (2, true), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_log_but_not_the_scores() {
    let (_folder, wav, _log) = logged();
    let output = bonafide(&["scan", "--json", "--log", "/dev/full", text(&wav), text(&wav)]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2, "both are judged");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("/dev/full: the log can't be written: No space left").count(), 1, "{said}");
}

/// A live stream's log, as another program part would write it: a gap, a lost window, no sound at all.
#[test]
fn a_live_stream_with_a_gap_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (wav, log) = (folder.path().join("call.wav"), folder.path().join("call.jsonl"));
    let rate = 16_000;
    write_wav(&wav, rate, &[speech_like(rate, 9.0, 3)]);
    let sound: Vec<f32> = hound::WavReader::open(&wav)
        .unwrap()
        .samples::<i16>()
        .map(|x| f32::from(x.unwrap()) / 32_768.0)
        .collect();
    let model = Model::embedded().unwrap();
    let pool = ScorerPool::open(&model, EngineChoice::Tract).unwrap();
    let settings = Settings { hop_s: 0.5, threshold: 0.5, channel: "mid".to_owned(), ..Settings::default() };
    let header = Header::new(&model, &pool.engine(), settings, "line 1");
    let header = Header { rate: Some(f64::from(rate)), channels: Some(1), ..header };
    let write = |placed: bool| {
        let _ = fs::remove_file(&log);
        let mut writer = Log::open(&log, &header).unwrap();
        let mut digest = AudioDigest::new();
        let cut = 70_001_usize;
        let mut windows = 0;
        for (segment, (from, to)) in [(0, cut), (cut, sound.len())].into_iter().enumerate() {
            digest.push(&[&sound[from..to]]);
            let mut stream = OfflineStream::new(&pool, StreamConfig::at(f64::from(rate)), 0.5).unwrap();
            let mut all = Vec::new();
            stream.push(&[&sound[from..to]], |event| all.push(event)).unwrap();
            stream.finish(|event| all.push(event)).unwrap();
            for (i, event) in all.into_iter().enumerate() {
                let Event::Window(window) = event else { continue };
                // One that could not be judged in time.
                if i == 2 {
                    continue;
                }
                let record = WindowRecord::new(&window).placed(f64::from(rate), from as u64);
                let audio = Some(digest.span(record.end.unwrap()));
                writer
                    .window(WindowRecord { segment: segment as u32, audio, time: Some(now()), ..record })
                    .unwrap();
                windows += 1;
            }
            if segment == 0 {
                let (position, event) =
                    (placed.then_some(cut as u64), evidence::Event::Gap { missing_s: Some(0.3) });
                writer.event(EventRecord { position, time: Some(now()), event }).unwrap();
            }
        }
        let (audio, whole) = (Some(digest.span(u64::MAX)), Some(digest.whole()));
        writer.end(End { windows, lost: 2, audio, whole, duration_s: 9.0, ..End::default() }).unwrap();
        writer.seal().unwrap();
        windows
    };
    let windows = write(true);
    let (code, said) = verify(&[text(&log), "--audio", text(&wav)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("equal: {windows} windows run again")) && windows > 10, "{said}");
    write(false);
    let (code, said) = verify(&[text(&log), "--audio", text(&wav)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("not the rest: a gap in it has no position"), "{said}");
}

//! `bonafide` as its users call it.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{speech_in_rising_noise, speech_like};
use serde_json::Value;

fn bonafide(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bonafide")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn records(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_wav(path: &Path, rate: u32, channels: &[Vec<f32>]) {
    let channels_len = channels.len() as u16;
    let spec = hound::WavSpec {
        channels: channels_len,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..channels[0].len() {
        channels.iter().for_each(|c| wav.write_sample((c[i] * 32_000.0) as i16).unwrap());
    }
    wav.finalize().unwrap();
}

fn voice(folder: &Path, name: &str, seconds: f64) -> PathBuf {
    let path = folder.join(name);
    write_wav(&path, 22_050, &[speech_like(22_050, seconds, 1)]);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn json_has_its_fields_and_the_exit_code_tells() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 5.0);
    let output = bonafide(&["scan", "--json", "--timeline", text(&file)]);
    let [record] = &records(&output)[..] else { panic!("one line: {}", stdout(&output)) };
    let p = record["p_spoof"].as_f64().unwrap();
    assert!((0.01..=0.99).contains(&p));
    assert_eq!(record["path"], text(&file));
    assert_eq!(record["state"], "scored");
    assert_eq!((record["sample_rate"].as_u64(), record["channels"].as_u64()), (Some(22_050), Some(1)));
    assert_eq!(record["duration_s"], 5.0);
    assert!(record["speech_s"].as_f64().unwrap() > 2.0);
    assert!(record["engine"].as_str().unwrap().contains(' '));
    assert_eq!(record["model"]["name"], "bonafide-small");
    assert_eq!(record["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(record["problem"], Value::Null);
    let timeline = record["timeline"].as_array().unwrap();
    assert_eq!(timeline.len(), 7);
    assert_eq!((&timeline[1]["start_s"], &timeline[1]["end_s"]), (&0.5.into(), &2.5.into()));
    let flagged = record["flagged"].as_bool().unwrap();
    assert_eq!(code(&output), i32::from(flagged));
    assert_eq!(record["verdict"], if flagged { "spoof" } else { "bonafide" });

    // The threshold decides the code, not the score.
    let flag_all = bonafide(&["scan", "--threshold", "0.01", text(&file)]);
    assert_eq!((code(&flag_all), stdout(&flag_all).contains("SPOOF")), (1, true));
    let high = if p < 0.985 { 0 } else { 1 };
    assert_eq!(code(&bonafide(&["scan", "--threshold", "0.99", text(&file)])), high);
}

/// The ends of short files are judged together; each keeps its own verdict, and its place.
#[test]
fn many_short_files_say_what_each_says_alone() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..16_u32 {
        let path = folder.path().join(format!("{i:02}.wav"));
        match i {
            6 => fs::write(path, "this is no sound").unwrap(),
            _ => write_wav(&path, 16_000, &[speech_in_rising_noise(16_000, 1.0 + 0.1 * f64::from(i), i)]),
        }
    }
    let scan = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
        // On one thread four of them are a group, whatever machine this is.
        command.env("RAYON_NUM_THREADS", "1").args(["scan", "--json", "--timeline", text(path)]);
        records(&command.output().unwrap())
    };
    let all = scan(folder.path());
    assert_eq!(all.len(), 16);
    for (i, found) in all.iter().enumerate() {
        let path = folder.path().join(format!("{i:02}.wav"));
        assert_eq!(found["path"], text(&path));
        let [alone] = &scan(&path)[..] else { panic!("one line") };
        for key in ["state", "problem", "duration_s", "speech_s", "sample_rate"] {
            assert_eq!(found[key], alone[key], "{key} of {i}");
        }
        let windows = |record: &Value| -> Vec<f64> {
            let timeline = record["timeline"].as_array().into_iter().flatten();
            timeline.map(|window| window["p_spoof"].as_f64().unwrap()).collect()
        };
        let (found, alone) = (windows(found), windows(alone));
        assert_eq!((found.len(), found.is_empty()), (alone.len(), i == 6), "windows of {i}");
        let near = found.iter().zip(&alone).all(|(p, q)| (p - q).abs() < 1e-4);
        assert!(near, "{i}: {found:?}, alone {alone:?}");
    }
}

#[test]
fn what_can_not_be_read_is_said_and_the_rest_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    voice(folder.path(), "a.wav", 4.0);
    fs::write(at("b.wav"), "").unwrap();
    fs::write(at("c.wav"), "this is no sound").unwrap();
    fs::write(at("d.txt"), "not looked at").unwrap();
    fs::create_dir(at("e")).unwrap();
    voice(&at("e"), "deep.WAV", 4.0);
    let output = bonafide(&["scan", "--json", text(folder.path()), text(&at("gone.flac"))]);
    assert_eq!(code(&output), 2);
    let records = records(&output);
    let names: Vec<_> = records
        .iter()
        .map(|r| Path::new(r["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["a.wav", "b.wav", "c.wav", "deep.WAV", "gone.flac"], "in order");
    let states: Vec<_> = records.iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["scored", "error", "error", "scored", "error"]);
    for (record, problem) in records.iter().zip(["", "0 bytes", "no audio", "", "can't be opened"]) {
        assert!(record["problem"].as_str().unwrap_or_default().contains(problem), "{record}");
    }
}

#[test]
fn a_truncated_file_is_judged_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 6.0);
    let whole = fs::read(&file).unwrap();
    let half = &whole[..whole.len() / 2];
    fs::write(&file, half).unwrap();
    let output = bonafide(&["scan", "--json", text(&file)]);
    let record = &records(&output)[0];
    assert_eq!(record["state"], "scored");
    assert!((2.5..3.5).contains(&record["duration_s"].as_f64().unwrap()), "{record}");
    let problem = record["problem"].as_str().expect("half of it is missing");
    assert!(problem.contains("its header tells of 6.0 s"), "{problem}");
    assert_eq!(code(&output), 2);

    // A program that writes to a pipe can't go back to its header.
    let length = whole.windows(4).position(|four| four == b"data").unwrap() + 4;
    for unknown in [u32::MAX, 0x7fff_f000] {
        let mut bytes = half.to_vec();
        bytes[4..8].copy_from_slice(&unknown.to_le_bytes());
        bytes[length..length + 4].copy_from_slice(&unknown.saturating_sub(length as u32 - 4).to_le_bytes());
        fs::write(&file, bytes).unwrap();
        let output = bonafide(&["scan", "--json", text(&file)]);
        assert_eq!(records(&output)[0]["problem"], Value::Null);
        assert!(code(&output) < 2);
    }
}

#[test]
fn no_verdict_is_no_flag() {
    let folder = tempfile::tempdir().unwrap();
    let silence = folder.path().join("silence.wav");
    write_wav(&silence, 48_000, &[vec![0.0; 200_000], vec![0.0; 200_000]]);
    let short = voice(folder.path(), "short.wav", 1.0);
    let output = bonafide(&["scan", "--json", "--threshold", "0.01", text(&silence), text(&short)]);
    assert_eq!(code(&output), 0);
    let states: Vec<_> =
        records(&output).iter().map(|r| (r["state"].clone(), r["p_spoof"].clone())).collect();
    assert_eq!(states, [("no_speech".into(), Value::Null), ("too_little_evidence".into(), Value::Null)]);
}

#[test]
fn reads_every_format() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let output = bonafide(&["scan", "--json", text(&data)]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let records = records(&output);
    assert_eq!(records.len(), 8);
    for record in records {
        assert_eq!(record["problem"], Value::Null, "{record}");
        assert_eq!(record["sample_rate"], 22_050);
        assert!(record["duration_s"].as_f64().unwrap() > 0.99, "{record}");
    }
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "a\u{1b}[2J\nb.wav", 3.0);
    let output = bonafide(&["scan", text(&file)]);
    assert!(!stdout(&output).contains('\u{1b}'), "{}", stdout(&output));
    let record = &records(&bonafide(&["scan", "--json", text(&file)]))[0];
    assert_eq!(record["path"], text(&file));
}

#[test]
fn engines_agree_and_say_which_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 4.0);
    let with = |engine: &str| bonafide(&["scan", "--json", "--engine", engine, text(&file)]);
    let tract = &records(&with("tract"))[0];
    assert!(tract["engine"].as_str().unwrap().starts_with("tract"));
    let onnxruntime = with("onnxruntime");
    if code(&onnxruntime) == 2 {
        assert!(stderr(&onnxruntime).contains("cargo xtask ort"), "{}", stderr(&onnxruntime));
        println!("skipped: ONNX Runtime is not here (`cargo xtask ort` fetches it)");
        return;
    }
    let apart = records(&onnxruntime)[0]["llr"].as_f64().unwrap() - tract["llr"].as_f64().unwrap();
    assert!(apart.abs() < 1e-3, "{apart} nats apart");
}

#[test]
fn a_missing_library_is_said_and_the_embedded_engine_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 4.0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    let output = command
        .args(["scan", "--json", text(&file)])
        .env("BONAFIDE_ORT", "/nowhere/libonnxruntime.so")
        .output()
        .unwrap();
    assert!(records(&output)[0]["engine"].as_str().unwrap().starts_with("tract"));
    assert!(stderr(&output).contains("/nowhere/libonnxruntime.so"), "{}", stderr(&output));
    // A file that is no library is not a crash either.
    let fake = folder.path().join("libonnxruntime.so");
    fs::write(&fake, "no library").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    let output = command.args(["scan", "--json", text(&file)]).env("BONAFIDE_ORT", &fake).output().unwrap();
    assert!(records(&output)[0]["engine"].as_str().unwrap().starts_with("tract"), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 3.0);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    let output = command.args(["scan", "--json", text(&file)]).stdout(full).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("standard output: No space left"), "{}", stderr(&output));
}

#[test]
fn wrong_options_are_errors_that_help() {
    for (arguments, expected) in [
        (vec!["scan"], "PATHS"),
        (vec!["scan", "x.wav", "--threshold", "1.5"], "0.01 to 0.99"),
        (vec!["scan", "x.wav", "--hop", "0"], "0.01 to 60"),
        (vec!["scan", "x.wav", "--engine", "magic"], "onnxruntime"),
        (vec!["scan", "x.wav", "--model", "/nowhere/model.toml"], "/nowhere/model.toml"),
        (vec!["eval", "/nowhere.csv"], "/nowhere.csv"),
    ] {
        let output = bonafide(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(
            stderr(&output).to_lowercase().contains(&expected.to_lowercase()),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn eval_reports_labelled_files() {
    let folder = tempfile::tempdir().unwrap();
    voice(folder.path(), "a.wav", 4.0);
    voice(folder.path(), "b.wav", 4.0);
    let manifest = folder.path().join("list.csv");
    fs::write(&manifest, "path,label,split\na.wav,real,dev\nb.wav,fake,dev\nc.wav,fake,train\n").unwrap();
    let scores = folder.path().join("scores.csv");
    let output = bonafide(&["eval", "--json", "--split", "dev", "--scores", text(&scores), text(&manifest)]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report = &records(&output)[0];
    // Two equal files, one of each label: nothing can be told apart.
    for of in ["per_window", "per_file"] {
        assert_eq!(report[of]["eer"], 0.5);
        assert_eq!(report[of]["auc"], 0.5);
        assert_eq!(report[of]["accuracy"], 0.5);
    }
    assert_eq!(report["files"], 2);
    assert_eq!(fs::read_to_string(&scores).unwrap().lines().count(), 1 + 2 * 5);
    let words = stdout(&bonafide(&["eval", "--split", "dev", text(&manifest)]));
    assert!(words.contains("equal error rate") && words.contains("50.0 %"), "{words}");

    fs::write(&manifest, "path,label\na.wav,robot\n").unwrap();
    let output = bonafide(&["eval", text(&manifest)]);
    assert!(stderr(&output).contains("line 2: label 'robot'"), "{}", stderr(&output));
    fs::write(&manifest, "file,label\na.wav,real\n").unwrap();
    assert!(stderr(&bonafide(&["eval", text(&manifest)])).contains("no column 'path'"));
}

/// The model card's claim. Runs where the corpus is.
#[test]
fn the_default_model_holds_its_promise_on_dev() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/manifest.csv");
    if !manifest.exists() {
        println!("skipped: ../shared/corpus is not here");
        return;
    }
    let output = bonafide(&["eval", "--json", "--split", "dev", text(&manifest)]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report = &records(&output)[0];
    let eer = report["per_window"]["eer"].as_f64().unwrap();
    assert!(eer <= 0.285, "equal error rate {eer} per 2-s window");
}

#[test]
fn a_card_that_is_not_here_is_told_and_never_silently_replaced() {
    if bonafide::detect::runtime().is_err() {
        println!("skipped: ONNX Runtime is not here (`cargo xtask ort` fetches it)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 3.0);
    // No test machine has all of these, and DirectML is Windows' and CoreML macOS's.
    let mut told = 0;
    for (engine, title) in
        [("cuda", "CUDA"), ("tensorrt", "TensorRT"), ("directml", "DirectML"), ("coreml", "CoreML")]
    {
        let output = bonafide(&["scan", "--json", "--engine", engine, text(&file)]);
        let record = records(&output)[0].clone();
        assert_eq!(record["state"], "scored", "{}", stderr(&output));
        let judged_by = record["engine"].as_str().unwrap();
        if judged_by.contains(title) {
            assert_eq!(record["engine_note"], Value::Null);
            continue;
        }
        told += 1;
        assert!(judged_by.ends_with("(CPU)"), "{judged_by}");
        let note = record["engine_note"].as_str().unwrap();
        assert!(note.starts_with("using ONNX Runtime") && note.contains(title), "{note}");
        assert!(stderr(&output).contains(&format!("note: {note}")), "{}", stderr(&output));
    }
    assert!(told >= 2);
    // A machine's own word for auto, and a wrong one.
    let by = |engine: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
        let output =
            command.args(["scan", "--json", text(&file)]).env("BONAFIDE_ENGINE", engine).output().unwrap();
        records(&output)[0].clone()
    };
    assert!(by("tract")["engine"].as_str().unwrap().starts_with("tract"));
    let wrong = by("gpu");
    assert!(
        wrong["engine_note"].as_str().unwrap().contains("BONAFIDE_ENGINE is \"gpu\": expected auto"),
        "{wrong}"
    );
}

#[test]
fn the_doctor_says_what_would_judge_and_why_nothing_else() {
    let output = bonafide(&["doctor"]);
    let said = stdout(&output);
    println!("{said}");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for expected in
        ["bonafide-small", "sha256", "front end", "calibration", "  tract        yes: tract", "used (auto)"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(said.contains("none named: nothing leaves this machine"), "{said}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    let output = command.args(["doctor"]).env("BONAFIDE_ORT", "/nowhere/x.so").output().unwrap();
    let said = stdout(&output);
    assert!(said.contains("/nowhere/x.so (not there)") && said.contains("  cpu          no: "), "{said}");
    assert!(said.contains("used (auto)    tract"), "{said}");
    // An empty variable is none: the library is looked for where it always is.
    let library =
        |command: &mut Command| stdout(&command.output().unwrap()).lines().next().map(str::to_owned);
    let doctor = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
        command.arg("doctor");
        command
    };
    let found = library(doctor().env_remove("BONAFIDE_ORT"));
    assert!(found.is_some() && library(doctor().env("BONAFIDE_ORT", "")) == found, "{found:?}");
    let info = stdout(&bonafide(&["model", "info"]));
    assert!(info.contains("bonafide-small") && info.contains("16000 Hz, every 160 samples"), "{info}");
}

#[test]
fn a_bench_measures_and_compares() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/bonafide-convnext.toml");
    let arguments = ["model", "bench", text(&model), "--batch", "1,3", "--seconds", "0.1", "--json"];
    let output = bonafide(&[&arguments[..], &["--engine", "tract"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let record = records(&output)[0].clone();
    assert!(record["engine"].as_str().unwrap().starts_with("tract"), "{record}");
    assert!(record["apart_p"].as_f64().unwrap() < 1e-3, "{record}");
    let batches = record["batches"].as_array().unwrap();
    assert_eq!(batches.iter().map(|b| b["windows"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    for batch in batches {
        let figure = |key: &str| batch[key].as_f64().unwrap();
        assert!(
            figure("per_s") > 0.0 && figure("p50_ms") > 0.0 && figure("p99_ms") >= figure("p50_ms"),
            "{batch}"
        );
    }
}

//! `bonafide eval` beyond the plain figures: degraded, by column, probed.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::speech_like;
use serde_json::Value;

const CODECS: [&str; 4] = ["gsm", "opus-12", "mp3-64", "aac-64"];

/// A folder with `count` voices, of which every other one is labelled fake, and their list.
fn corpus(count: u32, loudness: impl Fn(u32) -> f32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut list = "path,label,language,generator\n".to_owned();
    for i in 0..count {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(folder.path().join(format!("{i}.wav")), spec).unwrap();
        let seconds = 2.2 + f64::from(i * 7 % 5) / 10.0;
        for x in speech_like(16_000, seconds, i) {
            wav.write_sample((x * loudness(i) * 32_000.0) as i16).unwrap();
        }
        wav.finalize().unwrap();
        let (label, generator) = if i % 2 == 1 { ("fake", "robot") } else { ("real", "") };
        let language = ["en", "de", "en"][i as usize % 3];
        list += &format!("{i}.wav,{label},{language},{generator}\n");
    }
    fs::write(folder.path().join("list.csv"), list).unwrap();
    folder
}

fn eval(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    command.arg("eval").args(arguments).arg(folder.join("list.csv"));
    command
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {}", stderr(output)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn degraded_figures_do_not_depend_on_threads() {
    let folder = corpus(4, |_| 0.5);
    let ways = "g711,noise-10,white-10,music,room,resample,resample-44,level+20,level-20,clip+20";
    let run = |threads: &str| {
        let mut command = eval(folder.path(), &["--json", "--degrade", ways]);
        command.env("RAYON_NUM_THREADS", threads).output().unwrap()
    };
    let (one, four) = (run("1"), run("4"));
    assert_eq!(one.status.code(), Some(0), "{}", stderr(&one));
    assert_eq!(report(&one), report(&four));
    let report_one = report(&one);
    let rows = report_one["degraded"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.join(","), ways);
    for row in rows {
        assert_eq!(row["files"], 4, "{row}");
        assert!(row["per_file"]["auc"].is_number() && row["eer_change_per_file"].is_number(), "{row}");
    }
    // Read whole or block by block, a file is the same.
    let plain = report(&eval(folder.path(), &["--json"]).output().unwrap());
    assert_eq!(plain["per_window"], report_one["per_window"]);
    assert_eq!(plain["degraded"], Value::Null);
    let words = eval(folder.path(), &["--degrade", "room"]).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("\nclean ") && words.contains("\nroom "), "{words}");
}

#[test]
fn without_ffmpeg_its_degradations_are_refused_or_skipped_aloud() {
    let folder = corpus(2, |_| 0.5);
    let without = |ways: &str| {
        let mut command = eval(folder.path(), &["--json", "--degrade", ways]);
        command.env("PATH", folder.path()).output().unwrap()
    };
    let named = without("gsm,noise-10");
    assert_eq!((named.status.code(), named.stdout.len()), (Some(2), 0));
    assert!(stderr(&named).contains("gsm needs ffmpeg: install"), "{}", stderr(&named));
    let all = without("all");
    assert_eq!(all.status.code(), Some(2), "something wanted was not done");
    assert!(CODECS.iter().all(|name| stderr(&all).contains(&format!("{name} needs ffmpeg"))));
    for row in report(&all)["degraded"].as_array().unwrap() {
        let needs = CODECS.contains(&row["name"].as_str().unwrap());
        assert_eq!(row["skipped"], if needs { "needs ffmpeg".into() } else { Value::Null });
        assert_eq!(row["per_file"].is_object(), !needs, "{row}");
    }
}

#[test]
fn a_file_that_is_missing_does_not_cost_the_others() {
    let folder = corpus(4, |_| 0.5);
    fs::remove_file(folder.path().join("2.wav")).unwrap();
    let output = eval(folder.path(), &["--json", "--degrade", "all"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let report = report(&output);
    assert!(report["unread_files"].to_string().contains("2.wav: can't be opened"), "{report}");
    let done = report["degraded"].as_array().unwrap().iter().filter(|row| row["skipped"].is_null());
    for row in done {
        assert_eq!(row["per_file"]["bonafide"], 1, "{row}");
    }
}

#[test]
fn columns_are_counted_by_value() {
    let folder = corpus(6, |_| 0.5);
    let output = eval(folder.path(), &["--json", "--by", "language,generator"]).output().unwrap();
    let report = report(&output);
    let languages = report["by"][0]["groups"].as_array().unwrap();
    let counts: Vec<_> = languages.iter().map(|g| (g["value"].clone(), g["files"].clone())).collect();
    assert_eq!(counts, [("en".into(), 4.into()), ("de".into(), 2.into())]);
    let generators = report["by"][1]["groups"].as_array().unwrap();
    for group in generators {
        let is_spoof = group["value"] == "robot";
        // One class alone has no equal error rate, and the other's rate is no zero.
        assert_eq!(group["per_file"]["eer"], Value::Null);
        assert_eq!((group["misses"].is_object(), group["false_alarms"].is_object()), (is_spoof, !is_spoof));
        let rate = &group[if is_spoof { "misses" } else { "false_alarms" }];
        let [share, low, high] = ["share", "low", "high"].map(|key| rate[key].as_f64().unwrap());
        assert!(low <= share && share <= high && low < high, "{rate}");
    }
    let unknown = eval(folder.path(), &["--by", "mood"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("no column 'mood' (found: path, label, language, generator)"),
        "{}",
        stderr(&unknown)
    );
    let unknown = eval(folder.path(), &["--degrade", "mood"]).output().unwrap();
    assert!(stderr(&unknown).contains("opus-12") && stderr(&unknown).contains("all"), "{}", stderr(&unknown));
}

#[test]
fn a_corpus_whose_label_is_its_level_is_found_out() {
    let probe = |loudness: fn(u32) -> f32| {
        let folder = corpus(12, loudness);
        let output = eval(folder.path(), &["--json", "--probe"]).output().unwrap();
        report(&output)["probe"].clone()
    };
    let level = |probe: &Value| probe["values"][1]["auc"].as_f64().unwrap();
    let leaky = probe(|i| if i % 2 == 1 { 0.9 } else { 0.1 });
    assert_eq!(leaky["files"], 12);
    assert_eq!(leaky["values"][1]["name"], "level (dBFS)");
    assert_eq!(level(&leaky), 1.0);
    assert!(leaky["lookup_auc"].as_f64().unwrap() > 0.95, "{leaky}");
    let fair = probe(|i| [0.2, 0.2, 0.8, 0.8][i as usize % 4]);
    assert!((level(&fair) - 0.5).abs() < 0.3, "{fair}");
}

#[test]
fn scores_hold_the_verdict_that_scan_gives() {
    let folder = corpus(2, |_| 0.5);
    let scores = folder.path().join("scores.csv");
    let output = eval(folder.path(), &["--scores", scores.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let file = folder.path().join("1.wav");
    let mut scan = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    let scanned = report(&scan.args(["scan", "--json"]).arg(&file).output().unwrap());
    let table = fs::read_to_string(scores).unwrap();
    let last = table.lines().last().unwrap();
    let llr: f64 = last.rsplit(',').next().unwrap().parse().unwrap();
    assert!(last.starts_with(file.to_str().unwrap()));
    assert!((llr - scanned["llr"].as_f64().unwrap()).abs() < 1e-5, "{last}, {scanned}");
}

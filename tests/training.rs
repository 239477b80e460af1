//! The training scripts of `models/training/`, end to end, on synthetic speech.
//!
//! They need Python with the packages of `models/training/requirements.txt`, named by
//! `BONAFIDE_PYTHON` (`cargo xtask test` sets it up).
#![cfg(feature = "cli")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const BONAFIDE: &str = env!("CARGO_BIN_EXE_bonafide");

/// The Python to train with, or word that there is none.
fn python() -> Option<OsString> {
    let python = std::env::var_os("BONAFIDE_PYTHON");
    if python.is_none() {
        println!("skipped: BONAFIDE_PYTHON names no Python with PyTorch (`cargo xtask test` makes one)");
    }
    python
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command to its end; returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.env("OMP_NUM_THREADS", "1").output().expect("the program can be run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `bonafide eval` as JSON.
fn eval(model: &Path, list: &Path) -> Value {
    let mut eval = Command::new(BONAFIDE);
    eval.args(["eval", "--json", "--split", "dev", "--model"]).arg(model).arg(list);
    serde_json::from_str(&run(&mut eval)).unwrap()
}

/// The number behind `name` in the lines of `text`.
fn number(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// The one documented command makes a model that has learnt, and whose scores are PyTorch's.
#[test]
fn the_default_model_is_made_from_nothing() {
    let Some(python) = python() else { return };
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        println!("skipped: there is no ffmpeg, which makes the degraded copies");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let train = || {
        let mut train = Command::new(&python);
        train.arg(in_repository("models/training/run.py")).arg("--work").arg(work.path());
        run(train.args(["--small", "--bonafide", BONAFIDE]))
    };
    train();
    let model = work.path().join("bonafide-small.toml");
    let figures = eval(&model, &work.path().join("corpus/manifest.csv"));
    let eer = figures["per_window"]["eer"].as_f64().unwrap();
    assert!(eer < 0.35, "equal error rate {eer}");

    let script = in_repository("tests/training/pytorch_scores.py");
    let compared = run(Command::new(&python).arg(script).arg(work.path()));
    assert!(number(&compared, "windows") > 100.0, "{compared}");
    assert!(number(&compared, "largest difference") < 1e-3, "{compared}");

    assert!(!train().contains("[1/"), "a finished training is not begun again");
}

/// The published recipe trains on both layouts, and `bonafide model import` runs what it made.
#[test]
fn the_published_recipe_is_trained_and_imported() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str| {
        let mut script = Command::new(&python);
        script.arg(in_repository("models/training").join(name));
        script
    };
    let (corpus, wild) = (folder.path().join("corpus"), folder.path().join("wild"));
    run(script("synthetic.py").arg(&corpus));
    run(script("synthetic.py").arg(&wild).args([
        "--layout",
        "in-the-wild",
        "--speakers",
        "4",
        "--clips",
        "2",
    ]));

    let small = ["--size", "mini", "--image-size", "64", "--workers", "1"];
    let trained = |data: &Path, splits: &[&str], epochs: &str| {
        let out = data.with_extension("out");
        let mut recipe = script("recipe.py");
        recipe.arg("--data").arg(data).arg("--out").arg(&out).args(small).args(["--epochs", epochs]);
        let printed = run(recipe.arg("--split").args(splits));
        let report = std::fs::read(out.join("report.json")).unwrap();
        (out, printed, serde_json::from_slice::<Value>(&report).unwrap())
    };
    let (_, printed, report) = trained(&wild, &["random", "speaker"], "1");
    assert!(printed.contains("accuracy of bona fide"), "{printed}");
    assert_eq!(report["runs"][0]["split"], "random");
    assert_eq!(report["runs"][1]["voices on both sides"], 0);

    let (out, printed, report) = trained(&corpus, &["given"], "12");
    let eer = report["runs"][0]["EER"].as_f64().unwrap();
    assert!(eer < 0.35, "equal error rate {eer}");
    // The line that it prints, as it stands.
    let import = printed.lines().find_map(|line| line.strip_prefix("To run it: bonafide ")).unwrap();
    let imported = out.join("imported.onnx");
    run(Command::new(BONAFIDE).args(import.split(' ')).arg("-o").arg(&imported));
    let figures = eval(&imported.with_extension("toml"), &corpus.join("manifest.csv"));
    let eer = figures["per_window"]["eer"].as_f64().unwrap();
    assert!(eer < 0.35, "equal error rate {eer} after the import");
}

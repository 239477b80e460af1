//! `bonafide model import` against transformers, librosa and Pillow, and on what is no checkpoint.
//!
//! The comparisons need Python with the packages of `models/training/requirements.txt`, named by
//! `BONAFIDE_PYTHON` (`cargo xtask test` sets it up), and ONNX Runtime.
#![cfg(feature = "cli")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use bonafide::detect::{EngineChoice, library_candidates, open_detector};
use bonafide::model::{ColourMap, Model};
use common::noise;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    colour_maps: HashMap<String, Vec<[u8; 3]>>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    checkpoint: PathBuf,
    options: Vec<String>,
    /// Index of the spoof logit.
    spoof: usize,
    shape: [usize; 4],
    input: PathBuf,
    logits: [f32; 2],
    sounds: Vec<Sound>,
    torch_ms: Option<f64>,
}

#[derive(Deserialize)]
struct Sound {
    path: PathBuf,
    logits: [f64; 2],
    /// Of the same image upside down: how much the drawing matters.
    upside_down: [f64; 2],
}

fn bonafide(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bonafide")).args(arguments).output().unwrap()
}

fn import(arguments: &[&str]) -> Output {
    bonafide(&[&["model", "import"], arguments].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Whether ONNX Runtime, which writes the ONNX file, is at hand; says so if it isn't.
fn has_runtime() -> bool {
    let found = library_candidates().iter().any(|path| path.exists());
    if !found {
        println!("skipped: ONNX Runtime is not here (`cargo xtask ort` fetches it)");
    }
    found
}

#[test]
fn an_imported_checkpoint_is_what_transformers_runs() {
    let Some(python) = std::env::var_os("BONAFIDE_PYTHON") else {
        println!("skipped: BONAFIDE_PYTHON names no Python with transformers (`cargo xtask test` makes one)");
        return;
    };
    if !has_runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model_import/reference.py");
    let made = Command::new(python).arg(script).arg(folder.path()).env("OMP_NUM_THREADS", "1").output();
    let made = made.expect("BONAFIDE_PYTHON can be run");
    assert!(made.status.success(), "{}", stderr(&made));
    let reference = fs::read(folder.path().join("reference.json")).unwrap();
    let reference: Reference = serde_json::from_slice(&reference).unwrap();
    for (name, expected) in &reference.colour_maps {
        assert_eq!(&colours(name.parse().unwrap()), expected, "{name}");
    }
    assert_eq!(reference.colour_maps.len(), 4);
    assert!(reference.cases.len() >= 7);
    for case in &reference.cases {
        let out = folder.path().join(format!("{}.onnx", case.name));
        let options: Vec<&str> = case.options.iter().map(String::as_str).collect();
        let output = import(&[&[text(&case.checkpoint), "-o", text(&out)], &options[..]].concat());
        assert!(output.status.success(), "{}: {}", case.name, stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("runs on tract"), "{}: {said}", case.name);
        let manifest = out.with_extension("toml");
        for engine in [EngineChoice::OnnxRuntime, EngineChoice::Tract] {
            compare_logits(case, &manifest, engine);
            compare_whole_path(case, &manifest, engine);
        }
    }
}

/// All 256 entries of a map.
fn colours(map: ColourMap) -> Vec<[u8; 3]> {
    let entry = |i: u16| map.rgb((f32::from(i) + 0.5) / 256.0).unwrap().map(|c| (c * 255.0).round() as u8);
    (0..256).map(entry).collect()
}

/// Random tensors through the network alone.
fn compare_logits(case: &Case, manifest: &Path, engine: EngineChoice) {
    let model = Model::load(manifest).unwrap();
    assert_eq!(model.manifest.input_shape(), case.shape, "{}", case.name);
    let mut detector = open_detector(&model, &engine.into()).unwrap();
    let input = npyz::NpyFile::new(&fs::read(&case.input).unwrap()[..]).unwrap().into_vec::<f32>().unwrap();
    let logits = detector.logits(&input).unwrap();
    let apart = logits.iter().zip(case.logits).map(|(found, expected)| (found - expected).abs());
    let worst = apart.fold(0.0, f32::max);
    println!("{}, {engine}: logits {logits:?}, {worst:.1e} from PyTorch's", case.name);
    assert!(worst < 1e-5, "{}, {engine}: {logits:?} instead of {:?}", case.name, case.logits);
    if let Some(torch_ms) = case.torch_ms {
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                detector.logits(&input).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{}, {engine}: {:.1} ms a window, PyTorch {torch_ms:.1} ms", case.name, times[4]);
    }
}

/// Sounds through everything that `scan` does.
fn compare_whole_path(case: &Case, manifest: &Path, engine: EngineChoice) {
    let p_spoof = |logits: [f64; 2]| 1.0 / (1.0 + (logits[1 - case.spoof] - logits[case.spoof]).exp());
    for sound in &case.sounds {
        let engine = engine.to_string();
        let options = ["scan", "--json", "--timeline", "--engine", &engine, "--model", text(manifest)];
        let output = bonafide(&[&options[..], &[text(&sound.path)]].concat());
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
        let [window] = &record["timeline"].as_array().unwrap()[..] else { panic!("one window: {record}") };
        let llr = window["llr"].as_f64().unwrap_or_else(|| panic!("{}: no score: {record}", case.name));
        let (found, expected) = (1.0 / (1.0 + (-llr).exp()), p_spoof(sound.logits));
        println!("{}, {engine}: p {found:.5}, transformers' path {expected:.5}", case.name);
        assert!((found - expected).abs() < 1e-3, "{}: p {found} instead of {expected}", case.name);
        let upside_down = p_spoof(sound.upside_down);
        assert!((expected - upside_down).abs() > 0.1, "{}: the image doesn't matter", case.name);
    }
}

/// Names and shapes of the smallest network: one stage of one block, two channels.
fn smallest() -> Vec<(&'static str, Vec<usize>)> {
    vec![
        ("classifier.bias", vec![2]),
        ("classifier.weight", vec![2, 2]),
        ("convnext.embeddings.layernorm.bias", vec![2]),
        ("convnext.embeddings.layernorm.weight", vec![2]),
        ("convnext.embeddings.patch_embeddings.bias", vec![2]),
        ("convnext.embeddings.patch_embeddings.weight", vec![2, 1, 4, 4]),
        ("convnext.encoder.stages.0.layers.0.dwconv.bias", vec![2]),
        ("convnext.encoder.stages.0.layers.0.dwconv.weight", vec![2, 1, 7, 7]),
        ("convnext.encoder.stages.0.layers.0.layer_scale_parameter", vec![2]),
        ("convnext.encoder.stages.0.layers.0.layernorm.bias", vec![2]),
        ("convnext.encoder.stages.0.layers.0.layernorm.weight", vec![2]),
        ("convnext.encoder.stages.0.layers.0.pwconv1.bias", vec![8]),
        ("convnext.encoder.stages.0.layers.0.pwconv1.weight", vec![8, 2]),
        ("convnext.encoder.stages.0.layers.0.pwconv2.bias", vec![2]),
        ("convnext.encoder.stages.0.layers.0.pwconv2.weight", vec![2, 8]),
        ("convnext.layernorm.bias", vec![2]),
        ("convnext.layernorm.weight", vec![2]),
    ]
}

fn safetensors(tensors: &[(&str, Vec<usize>)]) -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let bytes = 0.25_f32.to_le_bytes().repeat(4096);
    let view = |shape: &Vec<usize>| {
        let length = 4 * shape.iter().product::<usize>();
        TensorView::new(Dtype::F32, shape.clone(), &bytes[..length]).unwrap()
    };
    serialize(tensors.iter().map(|(name, shape)| (*name, view(shape))), None).unwrap()
}

const CONFIG: &str = r#"{"architectures": ["ConvNextForImageClassification"], "num_channels": 1,
    "hidden_sizes": [2], "depths": [1], "id2label": {"0": "real", "1": "fake"}}"#;

/// The files of the smallest checkpoint.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", CONFIG.into()),
        ("preprocessor_config.json", r#"{"size": {"shortest_edge": 32}}"#.into()),
        ("model.safetensors", safetensors(&smallest())),
    ]
}

fn write(folder: &Path, files: &[(&str, Vec<u8>)]) {
    fs::create_dir_all(folder).unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_and_its_weights_are_the_same_checkpoint() {
    if !has_runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("some \"voice\" model");
    write(&checkpoint, &files());
    let index = r#"{"weight_map": {"classifier.bias": "model.safetensors"}}"#;
    fs::write(checkpoint.join("model.safetensors.index.json"), index).unwrap();
    let mut logits = Vec::new();
    for (i, source) in ["", "model.safetensors", "model.safetensors.index.json"].into_iter().enumerate() {
        let out = folder.path().join(format!("{i}.onnx"));
        let output = import(&[text(&checkpoint.join(source)), "--out", text(&out), "--name", "a \"name\""]);
        assert!(output.status.success(), "{}", stderr(&output));
        let model = Model::load(&out).unwrap();
        assert_eq!(model.manifest.input_shape(), [1, 1, 32, 32]);
        assert_eq!(model.manifest.model.name, "a \"name\"");
        assert_eq!(model.manifest.window.frames, 63, "2 s by default");
        let mut detector = open_detector(&model, &EngineChoice::OnnxRuntime.into()).unwrap();
        logits.push(detector.logits(&noise(32 * 32, 7)).unwrap());
    }
    assert_eq!([logits[1], logits[2]], [logits[0]; 2], "the same network each time");
    // Without -o: the folder's name, here. Again: written over.
    for labels in ["spoof,bonafide", "bonafide,spoof"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
        command.args(["model", "import", text(&checkpoint), "--labels", labels]);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let disagree = stderr(&output).contains("the opposite");
        assert_eq!(disagree, labels == "spoof,bonafide", "{}", stderr(&output));
        let manifest = fs::read_to_string(folder.path().join("some \"voice\" model.toml")).unwrap();
        let [first, second] = [labels.split_once(',').unwrap()].map(|(a, b)| [a, b])[0];
        assert!(manifest.contains(&format!("labels = [\"{first}\", \"{second}\"]")), "{manifest}");
    }
    let expected = [
        "0.onnx",
        "0.toml",
        "1.onnx",
        "1.toml",
        "2.onnx",
        "2.toml",
        "some \"voice\" model",
        "some \"voice\" model.onnx",
        "some \"voice\" model.toml",
    ];
    assert_eq!(names(folder.path()), expected, "and nothing else");
}

#[test]
fn what_can_not_be_imported_says_why_and_leaves_nothing() {
    let without = |gone: &str| files().into_iter().filter(|(name, _)| *name != gone).collect::<Vec<_>>();
    let with = |name: &'static str, bytes: Vec<u8>| [without(name), vec![(name, bytes)]].concat();
    let config = |from: &str, to: &str| with("config.json", CONFIG.replace(from, to).into());
    let tensors = |change: fn(&mut Vec<(&'static str, Vec<usize>)>)| {
        let mut tensors = smallest();
        change(&mut tensors);
        with("model.safetensors", safetensors(&tensors))
    };
    let whole = safetensors(&smallest());
    let pickle = [without("model.safetensors"), vec![("pytorch_model.bin", vec![0])]].concat();
    let shards = |index: &str| {
        [without("model.safetensors"), vec![("model.safetensors.index.json", index.into())]].concat()
    };
    let always = vec![
        ("empty folder", vec![], vec![], "neither model.safetensors"),
        ("no config", without("config.json"), vec![], "config.json: can't be read"),
        (
            "no processor",
            without("preprocessor_config.json"),
            vec![],
            "preprocessor_config.json: can't be read",
        ),
        ("pickle", pickle, vec![], "save_pretrained"),
        ("other network", config("ConvNext", "Swin"), vec![], "SwinForImageClassification"),
        ("three classes", config("fake\"", "fake\", \"2\": \"x\""), vec![], "3 classes"),
        ("one class", config(", \"1\": \"fake\"", ""), vec![], "1 classes"),
        ("unclear classes", config("real", "LABEL_0"), vec![], "--labels bonafide,spoof"),
        ("truncated", with("model.safetensors", whole[..whole.len() - 9].to_vec()), vec![], "no whole"),
        ("empty weights", with("model.safetensors", vec![]), vec![], "0 bytes"),
        ("missing shard", shards(r#"{"weight_map": {"x": "gone.safetensors"}}"#), vec![], "gone.safetensors"),
        ("shard elsewhere", shards(r#"{"weight_map": {"x": "../x"}}"#), vec![], "outside of its folder"),
        ("broken index", shards("{}"), vec![], "no index of shards"),
        ("wrong label option", files(), vec!["--labels", "spoof,spoof"], "bonafide,spoof"),
        ("wrong map", files(), vec!["--colour-map", "jet"], "viridis"),
        ("map of one channel", files(), vec!["--colour-map", "magma"], "image.channels"),
        ("wrong rate", files(), vec!["--sample-rate", "0"], "sample_rate"),
        ("no frames", files(), vec!["--frames", "0"], "window.frames"),
        ("no hop", files(), vec!["--hop", "0"], "front_end.hop"),
        ("both lengths", files(), vec!["--frames", "9", "--seconds", "1"], "--seconds"),
        ("out of nowhere", files(), vec!["-o", "/nowhere/x.onnx"], "/nowhere/x.onnx: can't be written"),
        ("out of another kind", files(), vec!["-o", "x.bin"], "no name of an ONNX file"),
    ];
    let with_runtime = vec![
        ("missing tensor", tensors(|t| drop(t.remove(3))), vec![], "layernorm.weight [2] is missing"),
        ("other shape", tensors(|t| t[5].1 = vec![2, 3, 4, 4]), vec![], "has shape [2, 3, 4, 4]"),
        ("one logit", tensors(|t| t[1].1 = vec![1, 2]), vec![], "classifier.weight has shape [1, 2]"),
        ("tensor too many", tensors(|t| t.push(("other.weight", vec![1]))), vec![], "other.weight"),
        ("too small", config("\"num", "\"patch_size\": 33, \"num"), vec![], "needs 33"),
    ];
    let check =
        |name: &str, files: &[(&str, Vec<u8>)], options: &[&str], expected: &str, ort: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("checkpoint"), files);
            let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
            command.args(["model", "import", "checkpoint"]).args(options).current_dir(folder.path());
            if let Some(ort) = ort {
                command.env("BONAFIDE_ORT", ort);
            }
            let output = command.output().unwrap();
            let said = stderr(&output);
            println!("{name}: {said}");
            assert_eq!(output.status.code(), Some(2), "{name}: {said}");
            assert!(said.contains(expected), "{name}: {said}");
            assert_eq!(names(folder.path()), ["checkpoint"], "{name}: something is left");
        };
    for (name, files, options, expected) in &always {
        check(name, files, options, expected, None);
    }
    check("no runtime", &files(), &[], "/nowhere/onnxruntime.so", Some("/nowhere/onnxruntime.so"));
    if has_runtime() {
        for (name, files, options, expected) in &with_runtime {
            check(name, files, options, expected, None);
        }
    }
}

#[test]
fn broken_files_are_errors_not_panics() {
    use bonafide::detect::write_convnext;
    use bonafide::model::import::Checkpoint;
    use proptest::test_runner::{Config, TestRunner};
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.onnx");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(3000) });
    // Headers matter most.
    let place = prop_oneof![0.0..0.1_f64, 0.0..1.0_f64];
    let change = (place, 0..128_u8, 0..6_u8);
    let cases = (0..3_usize, proptest::collection::vec(change, 1..4));
    let (mut errors, mut accepted) = (0, 0);
    let cell = std::cell::RefCell::new((&mut errors, &mut accepted));
    runner
        .run(&cases, |(file, changes)| {
            let mut files = files();
            let bytes = &mut files[file].1;
            for (share, byte, kind) in changes {
                let at = (share * bytes.len() as f64) as usize;
                match kind {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
            }
            write(folder.path(), &files);
            match Checkpoint::read(folder.path()) {
                Err(error) => {
                    prop_assert!(!error.problem.is_empty());
                    *cell.borrow_mut().0 += 1;
                }
                Ok(mut checkpoint) => {
                    *cell.borrow_mut().1 += 1;
                    // Whatever comes of it; only if the sizes are still small.
                    if checkpoint.architecture.stages.iter().all(|(_, width)| *width < 100) {
                        let _ =
                            write_convnext(&checkpoint.architecture, &mut checkpoint.weights, (32, 32), &out);
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    println!("{errors} errors, {accepted} read in spite of the damage");
    assert!(errors > 300 && accepted > 60, "the damage is too weak or too strong to test anything");
}

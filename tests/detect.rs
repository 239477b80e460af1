//! Models by their manifests: what fits works, what doesn't says so.

mod common;

use std::fs;

use bonafide::detect::{EngineChoice, ImageBuilder, Scorer, library_candidates};
use bonafide::model::{Manifest, Model};
use common::tiny::{manifest, model, models, sha256};
use common::{noise, vectors};

/// The engines at hand; says so if ONNX Runtime isn't.
fn engines() -> Vec<EngineChoice> {
    if library_candidates().iter().any(|path| path.exists()) {
        vec![EngineChoice::Tract, EngineChoice::OnnxRuntime]
    } else {
        println!("skipped: ONNX Runtime is not here (`cargo xtask ort` fetches it)");
        vec![EngineChoice::Tract]
    }
}

fn llr(file: &str, manifest: &str, window: &[f32], engine: EngineChoice) -> f32 {
    Scorer::open(model(file, manifest), engine).unwrap().llr(window).unwrap()
}

#[test]
fn scores_by_the_manifest() {
    // 0 dB and −40 dB in turn: pixels 1 and 0.5, of mean (0.75 − 0.25) / 0.5 = 1; logits −1 and 1.
    let window: Vec<f32> = (0..320).map(|i| if i % 2 == 0 { 0.0 } else { -40.0 }).collect();
    for engine in engines() {
        let near = |manifest: &str, expected: f32| {
            let found = llr("gray.onnx", manifest, &window, engine);
            assert!((found - expected).abs() < 1e-5, "{engine}: {found} instead of {expected}");
        };
        let plain = manifest("gray.onnx");
        near(&plain, 2.0 * 2.0 + 0.5);
        near(&plain.replace(r#"["bonafide", "spoof"]"#, r#"["spoof", "bonafide"]"#), 2.0 * -2.0 + 0.5);
        near(&plain.replace(r#"["bonafide", "spoof"]"#, r#"["fake", "real"]"#), 2.0 * -2.0 + 0.5);
        near(&plain.replace("range_db = 80.0", "range_db = 40.0"), 2.0 * 2.0 * 0.5 + 0.5);
        near(&plain.replace(r#"reference = "max""#, "reference = 20.0"), 2.0 * 2.0 * 0.5 + 0.5);
        near(&plain.replace("mean = [0.25]", "mean = [0.75]"), 0.5);
    }
}

#[test]
fn colour_size_crop_and_channels_by_the_manifest() {
    let text = manifest("rgb.onnx")
        .replace("channels = 1", "channels = 3\ncolour_map = \"magma\"\neight_bit = true\nlow_at_bottom = true\nresize = { height = 14, width = 16 }\ncrop = { height = 12, width = 14 }")
        .replace("mean = [0.25]", "mean = [0.0, 0.0, 0.0]")
        .replace("std = [0.5]", "std = [1.0, 1.0, 1.0]");
    // All one level: magma's last colour, (251, 252, 191).
    for engine in engines() {
        let found = llr("rgb.onnx", &text, &[-12.0; 320], engine);
        let expected = 2.0 * (191.0 - 251.0) / 255.0 + 0.5;
        assert!((found - expected).abs() < 1e-5, "{engine}: {found} instead of {expected}");
    }
}

/// Each bank's loudest band is its 1: the two windows' gains don't matter to each other.
#[test]
fn banks_have_references_of_their_own() {
    let second = "[front_end.second]\nn_fft = 32\nwin_length = 32\nn_mels = 4\n\n[window]";
    let text = manifest("gray.onnx").replace("[window]", second);
    let manifest = Manifest::parse(&text).unwrap();
    let bands = manifest.front_end.n_bands();
    assert_eq!(bands, 20);
    // The first bank's bands lie at 0, -1 … dB, the second's at -50, -51 … in every frame.
    let level = |band: usize| if band < 16 { -(band as f32) } else { -50.0 - (band - 16) as f32 };
    let window: Vec<f32> = (0..bands * manifest.window.frames).map(|i| level(i % bands)).collect();
    let found = ImageBuilder::new(&manifest).build(&window);
    for (row, pixels) in found.chunks_exact(manifest.window.frames).enumerate() {
        let expected = (1.0 - (row % 16) as f32 / 80.0 - 0.25) / 0.5;
        assert!(pixels.iter().all(|x| (x - expected).abs() < 1e-6), "row {row}");
    }
}

/// Pillow rounds to 8 bit after each pass in fixed point, so mode L may differ by one step of 255.
#[test]
fn resizes_like_pillow() {
    let vectors = vectors("resize.npz");
    let image = &vectors["image"];
    for (height, width) in [(14, 16), (32, 40), (9, 31)] {
        for (mode, tolerance) in [("eight_bit", 1.01 / 255.0), ("float", 1e-5)] {
            let text = manifest("gray.onnx")
                .replace(
                    "mean = [0.25]",
                    &format!(
                        "mean = [0.0]\neight_bit = {}\nresize = {{ height = {height}, width = {width} }}",
                        mode == "eight_bit"
                    ),
                )
                .replace("std = [0.5]", "std = [1.0]")
                .replace(r#"reference = "max""#, "reference = 0.0");
            // A window is frame after frame: the image's columns.
            let window: Vec<f32> = (0..320).map(|i| (image[i % 16 * 20 + i / 16] - 1.0) * 80.0).collect();
            let found = ImageBuilder::new(&Manifest::parse(&text).unwrap()).build(&window);
            let expected = &vectors[&format!("{mode}/{height}x{width}")];
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{mode} {height}x{width}: {worst}");
        }
    }
}

#[test]
fn engines_agree_on_the_default_model() {
    let model = Model::embedded().unwrap();
    let engines = engines();
    let mut scorers: Vec<_> = engines.iter().map(|e| Scorer::open(model.clone(), *e).unwrap()).collect();
    let slope = model.manifest.calibration.slope;
    for seed in 0..8 {
        let len = model.manifest.window.frames * model.manifest.front_end.n_bands();
        let window: Vec<f32> = noise(len, seed).iter().map(|x| -40.0 + 40.0 * x).collect();
        let llrs: Vec<f32> = scorers.iter_mut().map(|scorer| scorer.llr(&window).unwrap() / slope).collect();
        for llr in &llrs {
            assert!((llr - llrs[0]).abs() < 1e-4, "difference of logits by engine: {llrs:?}");
        }
    }
}

#[test]
fn the_engine_in_use_is_named() {
    let open = |engine| Scorer::open(Model::embedded().unwrap(), engine).unwrap();
    assert!(open(EngineChoice::Tract).engine().starts_with("tract"));
    let auto = open(EngineChoice::Auto);
    if engines().len() == 2 {
        assert!(auto.engine().starts_with("ONNX Runtime 1."), "{}", auto.engine());
        assert_eq!(auto.note(), None);
    } else {
        assert!(auto.engine().starts_with("tract"));
        assert!(auto.note().unwrap().contains("cargo xtask ort"), "{:?}", auto.note());
    }
}

/// A folder with a model, and what loading it says.
fn load(manifest: &str, onnx: &[u8], engine: EngineChoice) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), manifest).unwrap();
    fs::write(folder.path().join("gray.onnx"), onnx).unwrap();
    let opened = Model::load(&folder.path().join("tiny.toml")).and_then(|model| Scorer::open(model, engine));
    opened.err().expect("a broken model was accepted").to_string()
}

#[test]
fn broken_models_say_which_file_what_and_what_to_do() {
    let plain = manifest("gray.onnx");
    let gray = fs::read(models().join("gray.onnx")).unwrap();
    let with_hash = |onnx: &[u8]| plain.replace(&sha256(&gray), &sha256(onnx));
    for engine in engines() {
        let mut cases: Vec<(String, String, &str)> = vec![
            (
                "wrong sha256".into(),
                load(&plain.replace(&sha256(&gray), &"0".repeat(64)), &gray, engine),
                "expects 0000",
            ),
            ("truncated".into(), load(&plain, &gray[..100], engine), "100 bytes"),
            ("0 bytes".into(), load(&plain, &[], engine), "0 bytes"),
            ("not TOML".into(), load("{", &gray, engine), "manifest doesn't fit"),
            ("empty manifest".into(), load("", &gray, engine), "missing field"),
            ("unknown key".into(), load(&plain.replace("hop_s", "hopp_s"), &gray, engine), "hopp_s"),
            (
                "file in a folder".into(),
                load(&plain.replace("\"gray.onnx\"", "\"../gray.onnx\""), &gray, engine),
                "model.file",
            ),
            (
                "missing file".into(),
                load(&plain.replace("\"gray.onnx\"", "\"no.onnx\""), &gray, engine),
                "no.onnx",
            ),
            (
                "other shape".into(),
                load(&plain.replace("frames = 20", "frames = 21"), &gray, engine),
                "input has shape [1, 1, 16, 20]",
            ),
        ];
        let bad = [
            ("truncated, hash right", gray[..100].to_vec(), "can't read the model"),
            ("0 bytes, hash right", Vec::new(), "model"),
            ("not ONNX, hash right", b"this is no model, this is a text".to_vec(), "can't read the model"),
            ("NaN", fs::read(models().join("nan.onnx")).unwrap(), "not finite"),
            ("three logits", fs::read(models().join("three.onnx")).unwrap(), "3"),
            ("two inputs", fs::read(models().join("two_inputs.onnx")).unwrap(), "one"),
        ];
        for (name, onnx, expected) in bad {
            cases.push((name.into(), load(&with_hash(&onnx), &onnx, engine), expected));
        }
        for (name, message, expected) in cases {
            println!("{engine}, {name}: {message}");
            assert!(message.contains(expected), "{engine}, {name}: {message}");
            assert!(
                message.contains("tiny.toml") || message.contains(".onnx"),
                "{name} names no file: {message}"
            );
            assert!(message.contains("what to do: "), "{name} has no cure: {message}");
        }
    }
}

#[test]
fn manifests_out_of_range_are_errors() {
    let plain = manifest("gray.onnx");
    assert!(Manifest::parse(&plain).is_ok());
    let changes = [
        ("sample_rate = 8000", "sample_rate = 0"),
        ("frames = 20", "frames = 0"),
        ("hop_s = 0.1", "hop_s = 0.0"),
        ("hop_s = 0.1", "hop_s = 9.0"),
        ("hop_s = 0.1", "hop_s = nan"),
        ("range_db = 80.0", "range_db = 0.0"),
        ("channels = 1", "channels = 2"),
        ("channels = 1", "channels = 3"),
        ("channels = 1", "channels = 1\ncolour_map = \"magma\""),
        ("channels = 1", "channels = 1\ncrop = { height = 17, width = 20 }"),
        ("channels = 1", "channels = 1\nresize = { height = 0, width = 20 }"),
        ("mean = [0.25]", "mean = [nan]"),
        ("std = [0.5]", "std = [0.0]"),
        (r#"reference = "max""#, r#"reference = "min""#),
        (r#"reference = "max""#, "reference = inf"),
        (r#"["bonafide", "spoof"]"#, r#"["spoof", "spoof"]"#),
        ("slope = 2.0", "slope = 0.0"),
        ("offset = 0.5", "offset = inf"),
        ("threshold = 0.5", "threshold = 1.0"),
    ];
    for (from, to) in changes {
        assert!(plain.contains(from));
        assert!(Manifest::parse(&plain.replace(from, to)).is_err(), "accepted {to}");
    }
}

//! Imports run downwards only, and real-time code knows nothing that could block it.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up; a layer may import itself and those before it.
const LAYERS: [&str; 8] = ["dsp", "rt", "model", "detect", "engine", "evidence", "cli", "plugin"];

/// Both stand on the engine, neither on the other.
const SIBLINGS: [&str; 2] = ["cli", "plugin"];

/// Sources whose every line runs, or may run, on the audio thread.
const REAL_TIME: [&str; 6] = [
    "src/dsp",
    "src/rt",
    "src/engine/processor.rs",
    "src/plugin/audio.rs",
    "src/plugin/outputs.rs",
    "src/plugin/passage.rs",
];

/// Words that have no place there (in code, not in comments).
const FORBIDDEN: [&str; 19] = [
    "Mutex",
    "RwLock",
    "Condvar",
    "mpsc",
    "crossbeam",
    "parking_lot",
    "std::fs",
    "std::io",
    "std::thread",
    "std::time",
    "println!",
    "eprintln!",
    "log::",
    "tracing",
    "ort::",
    "tract",
    "egui",
    "nice_plug",
    "unwrap()",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| sources(&path))
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// Code without comments and without the unit tests, which stand at a file's end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_run_downwards() {
    for (height, layer) in LAYERS.iter().enumerate() {
        let files = sources(&root().join("src").join(layer));
        assert!(!files.is_empty(), "{layer}: no sources");
        for file in files {
            let code = code(&file);
            for above in &LAYERS[height + 1..] {
                let import = format!("crate::{above}");
                assert!(!code.contains(&import), "{} imports {import}", file.display());
            }
        }
    }
}

#[test]
fn command_line_and_plugin_do_not_know_each_other() {
    for (layer, other) in [(SIBLINGS[0], SIBLINGS[1]), (SIBLINGS[1], SIBLINGS[0])] {
        for file in sources(&root().join("src").join(layer)) {
            assert!(!code(&file).contains(&format!("crate::{other}")), "{}", file.display());
        }
    }
}

#[test]
fn dsp_has_no_siblings() {
    for file in sources(&root().join("src/dsp")) {
        assert!(!code(&file).contains("crate::"), "{}", file.display());
    }
}

#[test]
fn real_time_code_can_not_block() {
    for place in REAL_TIME {
        for file in sources(&root().join(place)) {
            let code = code(&file);
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{} holds `{word}`", file.display());
            }
        }
    }
}

/// One file runs models by each engine, and one more writes them with ONNX Runtime's model editor;
/// who else names an engine couples the project to it.
#[test]
fn engines_live_in_files_of_their_own() {
    for file in sources(&root().join("src")) {
        let code = code(&file);
        for (word, homes) in
            [("ort::", &["onnxruntime.rs", "convnext.rs"][..]), ("tract_onnx", &["tract.rs"])]
        {
            let used =
                code.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c))).any(|w| w.starts_with(word));
            assert!(!used || homes.iter().any(|home| file.ends_with(home)), "{} uses {word}", file.display());
        }
    }
}

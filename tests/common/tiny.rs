//! Models of some operators, and their manifests.

use std::fs;
use std::path::{Path, PathBuf};

use bonafide::model::Model;
use sha2::{Digest, Sha256};

/// Where tiny models are.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

/// 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest of a tiny model, to be changed by `replace`.
pub fn manifest(file: &str) -> String {
    let hash = sha256(&fs::read(models().join(file)).unwrap());
    format!(
        r#"
[model]
name = "tiny"
version = "1"
file = "{file}"
sha256 = "{hash}"
licence = "MIT"
[front_end]
sample_rate = 8000
n_fft = 256
win_length = 256
hop = 100
n_mels = 16
f_min = 0.0
f_max = 4000.0
[window]
frames = 20
hop_s = 0.1
[image]
reference = "max"
range_db = 80.0
channels = 1
mean = [0.25]
std = [0.5]
[output]
labels = ["bonafide", "spoof"]
[calibration]
slope = 2.0
offset = 0.5
threshold = 0.5
[gate]
min_speech_s = 0.1
"#
    )
}

/// The model of a file with a manifest.
pub fn model(file: &str, manifest: &str) -> std::sync::Arc<Model> {
    Model::from_parts(file, manifest, fs::read(models().join(file)).unwrap()).unwrap()
}

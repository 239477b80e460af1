//! Which files a checkpoint consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::ModelError;

/// A checkpoint's folder and the safetensors files in it.
#[derive(Debug)]
pub(super) struct Source {
    pub name: String,
    folder: PathBuf,
    pub weights: Vec<PathBuf>,
}

/// `model.safetensors.index.json`: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLED: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

impl Source {
    /// Finds the weights in a folder, or takes the file that was named.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let origin = path.display().to_string();
        let entry = std::fs::metadata(path).map_err(|error| {
            let cure = "give a checkpoint's folder (config.json, preprocessor_config.json, \
                        model.safetensors) or its model.safetensors";
            ModelError::new(&origin, format!("can't be read: {error}"), cure)
        })?;
        let (folder, file) = if entry.is_dir() {
            (path.to_owned(), in_folder(path)?)
        } else {
            (path.parent().unwrap_or(Path::new("")).to_owned(), path.to_owned())
        };
        let name = file.to_string_lossy();
        let weights = if name.ends_with(".index.json") {
            shards(&folder, &file)?
        } else if name.ends_with(".safetensors") {
            vec![file]
        } else if [".bin", ".pt", ".pth", ".ckpt"].iter().any(|ending| name.ends_with(ending)) {
            return Err(pickled(&origin, &folder));
        } else {
            let cure = "give a checkpoint's folder or its model.safetensors";
            return Err(ModelError::new(&origin, "this is no safetensors file", cure));
        };
        // A folder such as `.` has its name once it is made absolute.
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let name = absolute.file_name().map_or_else(|| "imported".into(), |name| name.to_string_lossy());
        Ok(Self { name: name.into_owned(), folder, weights })
    }

    /// A JSON file beside the weights, and its path for reports.
    pub fn text(&self, name: &str) -> Result<(String, String), ModelError> {
        let path = self.folder.join(name);
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let cure = format!("put the checkpoint's {name} there; it says what the weights don't");
            ModelError::new(&origin, format!("can't be read: {error}"), cure)
        })?;
        Ok((origin, text))
    }
}

fn in_folder(folder: &Path) -> Result<PathBuf, ModelError> {
    if let Some(found) = [SINGLE, INDEX].map(|name| folder.join(name)).into_iter().find(|path| path.exists())
    {
        return Ok(found);
    }
    let origin = folder.display().to_string();
    if PICKLED.iter().any(|name| folder.join(name).exists()) {
        return Err(pickled(&origin, folder));
    }
    let cure = "download all of the checkpoint's files into one folder";
    Err(ModelError::new(&origin, format!("holds neither {SINGLE} nor {INDEX}"), cure))
}

/// A pickle can run any code when it is read, so it is not read here.
fn pickled(origin: &str, folder: &Path) -> ModelError {
    let cure = format!(
        "convert them where Python is: python -c \"from transformers import \
         AutoModelForImageClassification as M; M.from_pretrained(r'{0}').save_pretrained(r'{0}')\" \
         writes model.safetensors",
        folder.display()
    );
    ModelError::new(origin, "the weights are a pickle of PyTorch's, not safetensors", cure)
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let origin = index.display().to_string();
    let broken = |problem: String| ModelError::new(&origin, problem, "download the checkpoint again");
    let text = std::fs::read_to_string(index).map_err(|error| broken(format!("can't be read: {error}")))?;
    let index: Index =
        serde_json::from_str(&text).map_err(|error| broken(format!("is no index of shards: {error}")))?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    if let Some(name) = names.iter().find(|name| name.is_empty() || name.contains(['/', '\\'])) {
        return Err(broken(format!("names a shard outside of its folder ({name:?})")));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

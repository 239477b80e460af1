//! Where models come from: the binary itself or a folder.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock, Weak};
use std::time::SystemTime;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{Manifest, ModelError};

const EMBEDDED_MANIFEST: &str = include_str!("../../models/bonafide-small.toml");
const EMBEDDED_ONNX: &[u8] = include_bytes!("../../models/bonafide-small.onnx");

/// A manifest and its ONNX file, checked against each other.
#[derive(Debug)]
pub struct Model {
    /// See [`Manifest`].
    pub manifest: Manifest,
    /// The ONNX file.
    pub onnx: Cow<'static, [u8]>,
    /// Where it came from: a path, or "embedded model".
    pub origin: String,
    /// SHA-256 of manifest and ONNX file together: equal only if the scores are.
    pub identity: String,
}

impl Model {
    /// The default model, which is part of the binary.
    ///
    /// # Errors
    /// None in a build that passes its tests.
    pub fn embedded() -> Result<Arc<Self>, ModelError> {
        static EMBEDDED: OnceLock<Result<Arc<Model>, ModelError>> = OnceLock::new();
        EMBEDDED
            .get_or_init(|| {
                let cure = "this build is broken: install it again";
                Self::assemble("embedded model", EMBEDDED_MANIFEST, Cow::Borrowed(EMBEDDED_ONNX), cure)
            })
            .clone()
    }

    /// Loads a model by its manifest (`.toml`), or by its ONNX file with the manifest beside it.
    ///
    /// # Errors
    /// A file that can't be read, a manifest that doesn't fit, an ONNX file with another SHA-256.
    pub fn load(path: &Path) -> Result<Arc<Self>, ModelError> {
        let manifest_path = path.with_extension("toml");
        let origin = manifest_path.display().to_string();
        let text = std::fs::read_to_string(&manifest_path).map_err(|error| {
            let cure = "give the path of a model's manifest (.toml); models/README.md says what is in one";
            ModelError::new(&origin, format!("the manifest can't be read: {error}"), cure)
        })?;
        let manifest = Self::parse(&origin, &text)?;
        let onnx_path = manifest_path.with_file_name(&manifest.model.file);
        let onnx_origin = onnx_path.display().to_string();
        let onnx = std::fs::read(&onnx_path).map_err(|error| {
            let cure = format!("put the file there, or correct model.file in {origin}");
            ModelError::new(&onnx_origin, format!("the model file can't be read: {error}"), cure)
        })?;
        let cure = format!(
            "copy the model again, or, if it was changed on purpose, correct model.sha256 in {origin}"
        );
        Self::check(&onnx_origin, &manifest, &onnx, &cure)?;
        let identity = identity(&text, &manifest);
        Ok(Arc::new(Self { manifest, onnx: Cow::Owned(onnx), origin: onnx_origin, identity }))
    }

    /// As [`load`](Self::load), but read once for all that hold it at the same time: many instances
    /// of a plugin share one copy. A file that has changed since is read again.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn shared(path: &Path) -> Result<Arc<Self>, ModelError> {
        type Loaded = HashMap<PathBuf, ([Option<SystemTime>; 2], Weak<Model>)>;
        static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);
        let manifest = path.with_extension("toml");
        let stamp = |model: &Self| {
            let onnx = manifest.with_file_name(&model.manifest.model.file);
            [&manifest, &onnx].map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
        };
        let mut loaded = LOADED.lock();
        if let Some((read_at, model)) = loaded.get(&manifest)
            && let Some(model) = model.upgrade()
            && stamp(&model) == *read_at
        {
            return Ok(model);
        }
        let model = Self::load(&manifest)?;
        loaded.retain(|_, (_, model)| model.strong_count() > 0);
        loaded.insert(manifest.clone(), (stamp(&model), Arc::downgrade(&model)));
        Ok(model)
    }

    /// Builds a model from a manifest's text and an ONNX file's bytes, both named `origin`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_parts(origin: &str, manifest: &str, onnx: Vec<u8>) -> Result<Arc<Self>, ModelError> {
        Self::assemble(origin, manifest, Cow::Owned(onnx), "correct model.sha256")
    }

    fn assemble(
        origin: &str,
        text: &str,
        onnx: Cow<'static, [u8]>,
        cure: &str,
    ) -> Result<Arc<Self>, ModelError> {
        let manifest = Self::parse(origin, text)?;
        Self::check(origin, &manifest, &onnx, cure)?;
        let identity = identity(text, &manifest);
        Ok(Arc::new(Self { manifest, onnx, origin: origin.to_owned(), identity }))
    }

    fn parse(origin: &str, text: &str) -> Result<Manifest, ModelError> {
        Manifest::parse(text).map_err(|problem| {
            ModelError::new(
                origin,
                format!("the manifest doesn't fit: {problem}"),
                "correct the manifest; models/README.md documents every key",
            )
        })
    }

    fn check(origin: &str, manifest: &Manifest, onnx: &[u8], cure: &str) -> Result<(), ModelError> {
        let found = sha256(onnx);
        let expected = manifest.model.sha256.to_ascii_lowercase();
        if found == expected {
            return Ok(());
        }
        let problem =
            format!("{} bytes with SHA-256 {found}, but the manifest expects {expected}", onnx.len());
        Err(ModelError::new(origin, problem, cure))
    }

    /// Name, version and the first 12 hex digits of the ONNX file's SHA-256, for reports.
    pub fn title(&self) -> String {
        let info = &self.manifest.model;
        format!("{} {} ({})", info.name, info.version, &info.sha256[..12])
    }
}

fn identity(manifest_text: &str, manifest: &Manifest) -> String {
    hex(Sha256::new().chain_update(manifest_text).chain_update(&manifest.model.sha256).finalize())
}

/// SHA-256 of `bytes`, 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

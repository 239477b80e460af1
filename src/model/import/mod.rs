//! Checkpoints of Hugging Face transformers (`ConvNextForImageClassification` and its V2): read,
//! checked against what they say of themselves, and made ready to become an ONNX file and a
//! manifest.

mod architecture;
mod drawing;
mod labels;
mod preprocessing;
mod source;
mod weights;

use std::path::Path;

pub use architecture::{Activation, Architecture, Generation};
pub use drawing::{Drawing, Provenance};
pub use labels::{parse_labels, tell_apart};
pub use preprocessing::Preprocessing;
pub use weights::Weights;

use super::{Label, ModelError};
use architecture::Config;
use source::Source;

/// A checkpoint, complete but for how the images that it was trained on were drawn.
#[derive(Debug)]
pub struct Checkpoint {
    /// Name of its folder.
    pub name: String,
    /// Its network.
    pub architecture: Architecture,
    /// What becomes of an image before the network sees it.
    pub preprocessing: Preprocessing,
    /// What the checkpoint calls its two classes, in the order of the logits.
    pub class_names: [String; 2],
    /// What these names mean; what can't be told apart says so.
    pub labels: Result<[Label; 2], ModelError>,
    /// The tensors.
    pub weights: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint's folder, or its `model.safetensors` (or `…index.json`) with
    /// `config.json` and `preprocessor_config.json` beside it.
    ///
    /// # Errors
    /// A file that is missing or broken, another architecture, more or fewer than two classes.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let source = Source::find(path)?;
        let (config_origin, text) = source.text("config.json")?;
        let config = Config::parse(&config_origin, &text)?;
        let architecture = config.architecture(&config_origin)?;
        let class_names = config.class_names(&config_origin)?;
        let (origin, text) = source.text("preprocessor_config.json")?;
        let preprocessing = Preprocessing::parse(&origin, &text, architecture.channels)?;
        let labels = tell_apart(&config_origin, &class_names);
        let weights = Weights::read(&source.weights)?;
        Ok(Self { name: source.name, architecture, preprocessing, class_names, labels, weights })
    }
}

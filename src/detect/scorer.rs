//! A model ready to judge windows.

use std::sync::Arc;

use super::engine::{Detector, EngineChoice};
use super::image::ImageBuilder;
use super::onnxruntime::{self, OnnxRuntime};
use super::tract::Tract;
use crate::model::{Label, Model, ModelError};

/// Window in, calibrated log-likelihood ratio out.
pub struct Scorer {
    model: Arc<Model>,
    detector: Box<dyn Detector>,
    image: ImageBuilder,
    note: Option<String>,
}

impl Scorer {
    /// Opens `model` with an engine and tries it once on silence, so that what can't work says so
    /// here and not in the middle of a broadcast.
    ///
    /// # Errors
    /// A model that the engine can't read, whose shapes differ from the manifest's, or whose
    /// output is not two finite numbers.
    pub fn open(model: Arc<Model>, choice: EngineChoice) -> Result<Self, ModelError> {
        let (mut detector, note) = open_detector(&model, choice)?;
        detector.logits(&vec![0.0; model.manifest.input_shape().iter().product()])?;
        let image = ImageBuilder::new(&model.manifest);
        Ok(Self { model, detector, image, note })
    }

    /// One that runs `detector`, for tests of what is around it.
    #[cfg(test)]
    pub(crate) fn of(model: Arc<Model>, detector: Box<dyn Detector>) -> Self {
        let image = ImageBuilder::new(&model.manifest);
        Self { model, detector, image, note: None }
    }

    /// ln p(window|spoof) / p(window|bona fide) in nats, of a window of frames × `n_bands` dB
    /// values.
    ///
    /// # Errors
    /// A run that failed.
    pub fn llr(&mut self, window: &[f32]) -> Result<f32, ModelError> {
        let input = self.image.build(window);
        let [first, second] = self.detector.logits(&input)?;
        let difference = match self.model.manifest.output.labels[0] {
            Label::Bonafide => second - first,
            Label::Spoof => first - second,
        };
        let calibration = self.model.manifest.calibration;
        Ok(calibration.slope * difference + calibration.offset)
    }

    /// Name, version and device of the engine.
    pub fn engine(&self) -> &str {
        self.detector.engine()
    }

    /// Why another engine than the preferred one is in use, if so.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The model that is run.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

/// Opens a model for input tensors; with it comes a note if another engine than the preferred one
/// was taken.
///
/// # Errors
/// A model that the engine can't read, or whose shapes differ from the manifest's.
pub fn open_detector(
    model: &Model,
    choice: EngineChoice,
) -> Result<(Box<dyn Detector>, Option<String>), ModelError> {
    let tract = || Tract::open(model).map(|detector| Box::new(detector) as Box<dyn Detector>);
    let onnxruntime = || OnnxRuntime::open(model).map(|d| Box::new(d) as Box<dyn Detector>);
    match choice {
        EngineChoice::Tract => Ok((tract()?, None)),
        EngineChoice::OnnxRuntime => Ok((onnxruntime()?, None)),
        EngineChoice::Auto => match onnxruntime::library() {
            Ok(_) => Ok((onnxruntime()?, None)),
            Err(reason) => Ok((tract()?, Some(format!("using the embedded engine: {reason}")))),
        },
    }
}

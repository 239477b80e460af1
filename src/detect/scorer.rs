//! A model ready to judge windows.

use std::sync::Arc;

use super::client::Client;
use super::engine::{Detector, EngineSettings};
use super::engines::{Engines, open_step, steps};
use super::image::ImageBuilder;
use super::provider::Capacity;
use super::remote::Remote;
use crate::model::{Label, Model, ModelError};

/// Window in, calibrated log-likelihood ratio out.
pub struct Scorer {
    model: Arc<Model>,
    detector: Box<dyn Detector>,
    image: ImageBuilder,
}

impl Scorer {
    /// Opens `model` with an engine and tries it once on silence, so that what can't work says so
    /// here and not in the middle of a broadcast.
    ///
    /// # Errors
    /// A model that the engine can't read, whose shapes differ from the manifest's, or whose
    /// output is not two finite numbers.
    pub fn open(model: Arc<Model>, settings: impl Into<EngineSettings>) -> Result<Self, ModelError> {
        let mut detector = open_detector(&model, &settings.into())?;
        detector.logits(&vec![0.0; model.manifest.input_shape().iter().product()])?;
        let image = ImageBuilder::new(&model.manifest);
        Ok(Self { model, detector, image })
    }

    /// One that runs `detector`, for tests of what is around it.
    #[cfg(test)]
    pub(crate) fn of(model: Arc<Model>, detector: Box<dyn Detector>) -> Self {
        let image = ImageBuilder::new(&model.manifest);
        Self { model, detector, image }
    }

    /// ln p(window|spoof) / p(window|bona fide) in nats, of a window of frames × `n_bands` dB
    /// values.
    ///
    /// # Errors
    /// A run that failed.
    pub fn llr(&mut self, window: &[f32]) -> Result<f32, ModelError> {
        let input = self.image.build(window);
        Ok(llr(&self.model, self.detector.logits(&input)?))
    }

    /// As [`llr`](Self::llr), of several windows, together where that is faster (see
    /// [`capacity`](Self::capacity)).
    ///
    /// # Errors
    /// A run that failed; none of them is judged then.
    pub fn llrs(&mut self, windows: &[&[f32]]) -> Result<Vec<f32>, ModelError> {
        let inputs: Vec<_> = windows.iter().map(|window| self.image.build(window)).collect();
        let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
        let logits = self.detector.logits_of(&inputs)?;
        Ok(logits.into_iter().map(|logits| llr(&self.model, logits)).collect())
    }

    /// How windows are best given to it.
    pub fn capacity(&self) -> Capacity {
        self.detector.capacity()
    }

    /// Name, version and device of the engine; may change with any window, when a card is lost or a
    /// server comes back.
    pub fn engine(&self) -> &str {
        self.detector.engine()
    }

    /// Why another engine than the preferred one is in use, if so; may change likewise.
    pub fn note(&self) -> Option<&str> {
        self.detector.note()
    }

    /// The model that is run.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

/// Calibrated log-likelihood ratio of a model's logits, nats.
pub(super) fn llr(model: &Model, [first, second]: [f32; 2]) -> f32 {
    let difference = match model.manifest.output.labels[0] {
        Label::Bonafide => second - first,
        Label::Spoof => first - second,
    };
    let calibration = model.manifest.calibration;
    calibration.slope * difference + calibration.offset
}

/// Opens a model for input tensors.
///
/// # Errors
/// A model that the engine can't read, or whose shapes differ from the manifest's.
pub fn open_detector(model: &Arc<Model>, settings: &EngineSettings) -> Result<Box<dyn Detector>, ModelError> {
    // What is wrong is told, and windows are judged all the same.
    let mut told = Vec::from_iter(settings.problem.clone());
    let choice = settings.choice.or_environment().unwrap_or_else(|problem| {
        told.push(problem);
        settings.choice
    });
    let client = settings.server.as_ref().and_then(|server| {
        let client = Client::new(server, &model.manifest.model.name);
        client.map_err(|problem| told.push(format!("{}: {problem}", server.url()))).ok()
    });
    let local = Box::new(Engines::open(model, steps(choice), told, Box::new(open_step))?);
    match client {
        None => Ok(local),
        Some(client) => Ok(Box::new(Remote::open(client, model, local)?)),
    }
}

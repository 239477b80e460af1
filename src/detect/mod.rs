//! From a window of log-mel frames to a calibrated score.

#[cfg(feature = "cli")]
mod convnext;
mod engine;
mod gate;
mod image;
mod onnxruntime;
mod scorer;
mod tract;

#[cfg(feature = "cli")]
pub use convnext::write_convnext;
pub use engine::{Detector, EngineChoice, library_candidates};
pub use gate::{Speech, SpeechGate};
pub use image::ImageBuilder;
pub use scorer::{Scorer, open_detector};

/// Probability of spoof for a log-likelihood ratio in nats at equal priors, kept to 0.01..=0.99:
/// no finite evidence makes certain.
///
/// ```
/// assert_eq!(bonafide::detect::probability(0.0), 0.5);
/// assert_eq!(bonafide::detect::probability(50.0), 0.99);
/// ```
pub fn probability(llr: f32) -> f32 {
    (1.0 / (1.0 + (-llr).exp())).clamp(0.01, 0.99)
}

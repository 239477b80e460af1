//! From a window of log-mel frames to a calibrated score.

mod client;
#[cfg(feature = "cli")]
mod convnext;
mod engine;
mod engines;
mod gate;
#[cfg(feature = "cli")]
mod host;
mod image;
mod onnxruntime;
mod protocol;
mod provider;
mod remote;
mod scorer;
mod server;
mod survey;
mod tract;
mod trial;

#[cfg(feature = "cli")]
pub use convnext::write_convnext;
pub use engine::{Detector, EngineChoice, EngineSettings, library_candidates};
pub use gate::{Speech, SpeechGate};
#[cfg(feature = "cli")]
pub use host::{Answer, Asked, describe_model, describe_server, read_request};
pub use image::ImageBuilder;
pub use provider::{Capacity, Provider};
pub use scorer::{Scorer, open_detector};
pub use server::{ServerSettings, ServerUrl, Token};
pub use survey::{Bench, Found, Runtime, bench, runtime, survey};

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

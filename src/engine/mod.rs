//! The stages joined.
//!
//! ```text
//! audio thread      StreamProcessor  downmix → resample → STFT → log-mel → queue
//! inference thread  StreamWorker     queue → gap-aware windows → gate → (Scorer) → readings → cell
//!                   InferenceService drives the workers of all streams of the process
//!                   OfflineStream    drives one processor and one worker over a file
//!                   LiveStream       drives one processor and one worker over a pipe or a device
//! ```

#[cfg(feature = "onnx")]
mod alarm;
#[cfg(feature = "onnx")]
mod inference;
#[cfg(feature = "onnx")]
mod live;
#[cfg(feature = "onnx")]
mod offline;
mod processor;
#[cfg(feature = "onnx")]
mod service;
#[cfg(feature = "onnx")]
mod session;
#[cfg(feature = "onnx")]
mod spoken;
#[cfg(feature = "onnx")]
mod together;
#[cfg(feature = "onnx")]
mod window;
#[cfg(feature = "onnx")]
mod worker;

#[cfg(feature = "onnx")]
pub use alarm::Alarm;
#[cfg(feature = "onnx")]
pub use live::{LiveStream, SharedScorer};
#[cfg(feature = "onnx")]
pub use offline::{OfflineStream, ScorerPool};
pub use processor::{StreamConfig, StreamError, StreamProcessor};
#[cfg(feature = "onnx")]
pub use service::{InferenceService, Observer, Status, StreamHandle, Waker};
#[cfg(feature = "onnx")]
pub use session::Session;
#[cfg(feature = "onnx")]
pub use together::Together;
#[cfg(feature = "onnx")]
pub use window::{Window, WindowAssembler};
#[cfg(feature = "onnx")]
pub use worker::{Event, StreamWorker, WindowScore, WorkerConfig};

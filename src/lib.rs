//! Bonafide tells, live, whether a voice is bona fide (a person) or spoof (a machine).
//!
//! Sound's way through the folders, each of which imports only those before it:
//!
//! | module | what happens there |
//! |---|---|
//! | [`dsp`] | host block → mono → model rate → STFT → log-mel frame; pure `f32`/`f64`, no threads |
//! | [`rt`] | the wait-free queue and the score cell between audio thread and inference thread |
//! | `model` | the manifest: everything that a model wants to be known about itself |
//! | `detect` | 2-s window → image → logits → calibrated log-likelihood ratio |
//! | [`engine`] | the stages joined: real-time half, worker half, inference service, offline driver |
//! | `evidence` | what was heard and said, in a log that can be checked |
//! | `cli` | `bonafide scan`, `listen`, `serve`, `verify`, `report`, `eval`, `features`, `model`, `doctor` |
//!
//! Without features only the real-time core is built (`dsp`, `rt`, `engine::StreamProcessor`):
//! neither ONNX Runtime nor a command line is in the tree, so the audio thread can't reach them.
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "onnx")]
pub mod detect;
pub mod dsp;
pub mod engine;
#[cfg(feature = "onnx")]
pub mod evidence;
#[cfg(feature = "onnx")]
pub mod model;
#[cfg(feature = "plugin")]
pub mod plugin;
pub mod rt;

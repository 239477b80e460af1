//! A model: an ONNX file and the manifest that says everything else about it.

mod colour_map;
mod error;
#[cfg(feature = "cli")]
pub mod import;
mod manifest;
mod store;

pub use colour_map::ColourMap;
pub use error::ModelError;
pub use manifest::{
    Calibration, Evidence, Gate, Image, Label, Manifest, ModelInfo, Output, Reference, Resize, ResizeFilter,
    Size, Window,
};
pub use store::{Model, sha256};

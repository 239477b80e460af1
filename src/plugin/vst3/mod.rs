//! VST3: a COM class of our own around nice-plug's.
//!
//! [`component`] forwards what nice-plug does well, [`processor`] replaces its `process`, [`view`]
//! its editor window (whose worker thread and main thread could meet, and abort the host) and
//! [`state`] its reading of projects (which could end that worker, and abort the host later), and
//! [`main_thread`] brings edits to the one thread on which VST3 allows them.

mod component;
mod factory;
mod main_thread;
mod processor;
mod state;
mod view;

pub use factory::GetPluginFactory;

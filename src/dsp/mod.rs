//! Signal processing: from a host's block to log-mel frames.
//!
//! Everything here allocates in its constructor and never after; no call after construction
//! locks, logs, blocks, makes a system call or panics on any input, NaN included.

mod comodulation;
mod downmix;
mod front_end;
mod halve;
mod log_mel;
mod mel;
mod novelty;
mod resample;
mod residual;
mod sinc;
mod stft;

pub use downmix::{ChannelChoice, Downmix, MAX_CHANNELS, MAX_SAMPLE};
pub use front_end::{
    Comodulation, FrontEnd, FrontEndError, MelNorm, MelScale, Padding, Residual, SecondBank,
};
pub use log_mel::LogMel;
pub use mel::MelFilterBank;
pub use resample::{HOST_RATES, RateError, Resampler};

/// Numbers of a [`wide::f32x8`], which a processor takes at once.
pub(crate) const LANES: usize = 8;

//! A plugin of either format, as tests and benchmarks drive it.
#![allow(dead_code, reason = "a benchmark uses a part")]

/// Host sample rate, Hz.
pub const RATE: f64 = 48_000.0;

/// A plugin as the audio thread of a host sees it. Nothing here allocates.
pub trait Processor: Send {
    /// Processes both channels, sets the parameter `id` to `value` and moves the transport; returns
    /// how many parameter changes the plugin told.
    fn process(&mut self, sound: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize;

    /// Counts a choice in steps, not from 0 to 1.
    fn is_clap(&self) -> bool {
        false
    }
}

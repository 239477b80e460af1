//! Trials gathered from judged files, and what they amount to.

use serde::Serialize;

use crate::cli::judge::Judgement;
use crate::cli::metrics::{Metrics, Trial};
use crate::rt::State;

/// Trials of some files.
#[derive(Clone, Debug, Default)]
pub struct Trials {
    windows: Vec<Trial>,
    files: Vec<Trial>,
    unscored_windows: usize,
}

impl Trials {
    /// Adds a file.
    pub fn add(&mut self, judgement: &Judgement, is_spoof: bool) {
        for window in &judgement.windows {
            self.unscored_windows += usize::from(window.reading.state != State::Scored);
            self.windows.push(Trial { llr: window.reading.llr, is_spoof });
        }
        self.files.push(Trial { llr: judgement.scores.integrated.llr, is_spoof });
    }

    /// Figures at a threshold.
    pub fn figures(&self, threshold: f32) -> Figures {
        Figures {
            files: self.files.len(),
            unscored_files: self.files.iter().filter(|trial| !trial.llr.is_finite()).count(),
            unscored_windows: self.unscored_windows,
            per_window: Metrics::new(&self.windows, threshold),
            per_file: Metrics::new(&self.files, threshold),
        }
    }
}

/// How good a model is on some files.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub files: usize,
    /// Files without a verdict (no speech or too little of it).
    pub unscored_files: usize,
    /// Windows in which the gate found too little speech.
    pub unscored_windows: usize,
    pub per_window: Metrics,
    pub per_file: Metrics,
}

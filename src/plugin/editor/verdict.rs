//! What the number means: the words of the verdict and where they begin and end.

use egui::Color32;

use super::theme;
use super::words::{logit, probability};

/// ln 1.5: evidence may fall short of the threshold by odds of 3 to 2 before it says "bona fide".
const MARGIN: f32 = 0.405;

/// What is said of a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A person.
    BonaFide,
    /// Not far enough below the threshold to be cleared.
    Uncertain,
    /// A machine: at the threshold or above, just where alerts begin.
    Spoof,
}

impl Verdict {
    /// The word on the meter.
    pub fn word(self) -> &'static str {
        match self {
            Self::BonaFide => "BONA FIDE",
            Self::Uncertain => "UNCERTAIN",
            Self::Spoof => "SPOOF",
        }
    }

    /// The colour on the meter.
    pub fn colour(self) -> Color32 {
        match self {
            Self::BonaFide => theme::BONA_FIDE,
            Self::Uncertain => theme::UNCERTAIN,
            Self::Spoof => theme::SPOOF,
        }
    }
}

/// Where verdicts change, as probabilities of spoof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zones {
    /// Uncertain begins here.
    pub uncertain: f32,
    /// Spoof begins here: the threshold.
    pub spoof: f32,
}

impl Zones {
    /// The zones of a threshold.
    pub fn of_threshold(threshold: f32) -> Self {
        Self { uncertain: probability(logit(threshold) - MARGIN), spoof: threshold }
    }

    /// The verdict on probability `p`.
    pub fn verdict(self, p: f32) -> Verdict {
        if p >= self.spoof {
            Verdict::Spoof
        } else if p >= self.uncertain {
            Verdict::Uncertain
        } else {
            Verdict::BonaFide
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncertain_is_just_below_the_threshold() {
        let zones = Zones::of_threshold(0.5);
        assert!((zones.uncertain - 0.4).abs() < 1e-3);
        let verdicts = [0.1, 0.39, 0.41, 0.499, 0.5, 0.9].map(|p| zones.verdict(p));
        use Verdict::*;
        assert_eq!(verdicts, [BonaFide, BonaFide, Uncertain, Uncertain, Spoof, Spoof]);
    }

    #[test]
    fn zones_stay_inside_at_the_ends() {
        for threshold in [0.01, 0.99] {
            let zones = Zones::of_threshold(threshold);
            assert!(zones.uncertain > 0.0 && zones.uncertain < zones.spoof && zones.spoof < 1.0);
        }
    }
}

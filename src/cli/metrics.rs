//! Figures of merit of a detector.

use serde::Serialize;

use crate::detect::probability;

/// A score and the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Calibrated log-likelihood ratio, spoof positive.
    pub llr: f32,
    /// The truth.
    pub is_spoof: bool,
}

/// What `bonafide eval` reports of a set of trials. Shares, not percent; `None` where a class is
/// missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Bona fide trials.
    pub bonafide: usize,
    /// Spoof trials.
    pub spoof: usize,
    /// Probability of spoof from which on a trial counts as spoof.
    pub threshold: f32,
    /// Share of trials called rightly at the threshold.
    pub accuracy: Option<f64>,
    /// Share of bona fide trials called bona fide.
    pub bonafide_accuracy: Option<f64>,
    /// Share of spoof trials called spoof.
    pub spoof_accuracy: Option<f64>,
    /// Rows: truth (bona fide, spoof); columns: called (bona fide, spoof).
    pub confusion: [[usize; 2]; 2],
    /// Equal error rate: where false alarms and misses are equally frequent.
    pub eer: Option<f64>,
    /// Area under the ROC curve: how often a spoof scores above a bona fide trial.
    pub auc: Option<f64>,
    /// Share of spoof trials missed where 1 % of bona fide trials raise a false alarm.
    pub miss_at_1_percent: Option<f64>,
    /// Share of spoof trials missed where 5 % of bona fide trials raise a false alarm.
    pub miss_at_5_percent: Option<f64>,
    /// Expected calibration error of the probability of spoof, 10 equal bins, classes weighted
    /// equally (Naeini et al., AAAI 2015).
    pub ece: Option<f64>,
    /// Log-likelihood-ratio cost in bits: 0 perfect, 1 knows nothing (Brümmer and du Preez,
    /// Computer Speech and Language 20, 2006).
    pub cllr: Option<f64>,
}

impl Metrics {
    /// Figures of `trials` at a threshold; trials without a finite score are left out.
    pub fn new(trials: &[Trial], threshold: f32) -> Self {
        let class = |is_spoof: bool| {
            let mut scores: Vec<f32> = trials
                .iter()
                .filter(|t| t.is_spoof == is_spoof && t.llr.is_finite())
                .map(|t| t.llr)
                .collect();
            scores.sort_by(f32::total_cmp);
            scores
        };
        let (bonafide, spoof) = (class(false), class(true));
        let alarms = |scores: &[f32]| scores.iter().filter(|llr| probability(**llr) >= threshold).count();
        let (false_alarms, hits) = (alarms(&bonafide), alarms(&spoof));
        let confusion = [[bonafide.len() - false_alarms, false_alarms], [spoof.len() - hits, hits]];
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let both = !bonafide.is_empty() && !spoof.is_empty();
        Self {
            bonafide: bonafide.len(),
            spoof: spoof.len(),
            threshold,
            accuracy: share(confusion[0][0] + confusion[1][1], bonafide.len() + spoof.len()),
            bonafide_accuracy: share(confusion[0][0], bonafide.len()),
            spoof_accuracy: share(confusion[1][1], spoof.len()),
            confusion,
            eer: both.then(|| eer(&bonafide, &spoof)),
            auc: both.then(|| auc(&bonafide, &spoof)),
            miss_at_1_percent: both.then(|| miss_at(&bonafide, &spoof, 0.01)),
            miss_at_5_percent: both.then(|| miss_at(&bonafide, &spoof, 0.05)),
            ece: both.then(|| ece(&bonafide, &spoof)),
            cllr: both.then(|| cllr(&bonafide, &spoof)),
        }
    }
}

/// A share and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// The share counted.
    pub share: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Rate {
    /// `part` of `whole` independent trials (Wilson, Journal of the American Statistical
    /// Association 22, 1927); `None` of nothing.
    pub fn of(part: usize, whole: usize) -> Option<Self> {
        const Z: f64 = 1.959_964;
        if whole == 0 {
            return None;
        }
        let (n, share) = (whole as f64, part as f64 / whole as f64);
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        // The share itself bounds them: rounding must not put it outside.
        Some(Self { share, low: (middle - half).clamp(0.0, share), high: (middle + half).clamp(share, 1.0) })
    }
}

impl Metrics {
    /// Share of bona fide trials called spoof.
    pub fn false_alarms(&self) -> Option<Rate> {
        Rate::of(self.confusion[0][1], self.bonafide)
    }

    /// Share of spoof trials called bona fide.
    pub fn misses(&self) -> Option<Rate> {
        Rate::of(self.confusion[1][0], self.spoof)
    }
}

/// Share of sorted `scores` that lie below `x`.
fn below(scores: &[f32], x: f32) -> f64 {
    scores.partition_point(|score| *score < x) as f64 / scores.len() as f64
}

/// Equal error rate of sorted scores, linear between the two thresholds around the crossing.
fn eer(bonafide: &[f32], spoof: &[f32]) -> f64 {
    let mut thresholds: Vec<f32> = bonafide.iter().chain(spoof).copied().collect();
    thresholds.push(f32::INFINITY);
    thresholds.sort_by(f32::total_cmp);
    let mut before = (1.0, 0.0);
    for threshold in thresholds {
        let (false_alarm, miss) = (1.0 - below(bonafide, threshold), below(spoof, threshold));
        if miss >= false_alarm {
            let (gap_before, gap) = (before.0 - before.1, miss - false_alarm);
            let part = if gap_before + gap > 0.0 { gap_before / (gap_before + gap) } else { 0.0 };
            return before.1 + part * (miss - before.1);
        }
        before = (false_alarm, miss);
    }
    before.1
}

/// Mann-Whitney: ties count half.
fn auc(bonafide: &[f32], spoof: &[f32]) -> f64 {
    let wins = |x: &f32| {
        let less = bonafide.partition_point(|score| score < x);
        let not_more = bonafide.partition_point(|score| score <= x);
        (less + not_more) as f64 / 2.0
    };
    spoof.iter().map(wins).sum::<f64>() / (bonafide.len() * spoof.len()) as f64
}

/// Miss rate at the lowest threshold with at most `allowed` false alarms.
fn miss_at(bonafide: &[f32], spoof: &[f32], allowed: f64) -> f64 {
    let alarms = (allowed * bonafide.len() as f64).floor() as usize;
    // Just above the highest bona fide score that must not raise an alarm.
    let limit = bonafide[bonafide.len() - 1 - alarms.min(bonafide.len() - 1)];
    spoof.partition_point(|score| *score <= limit) as f64 / spoof.len() as f64
}

fn ece(bonafide: &[f32], spoof: &[f32]) -> f64 {
    // Per bin: weight, sum of probabilities, weight of spoofs.
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for (scores, is_spoof) in [(bonafide, 0.0), (spoof, 1.0)] {
        let weight = 0.5 / scores.len() as f64;
        for llr in scores {
            let p = f64::from(probability(*llr));
            let bin = &mut bins[((p * 10.0) as usize).min(9)];
            *bin = (bin.0 + weight, bin.1 + weight * p, bin.2 + weight * is_spoof);
        }
    }
    bins.iter().map(|(_, sum, spoofs)| (sum - spoofs).abs()).sum()
}

fn cllr(bonafide: &[f32], spoof: &[f32]) -> f64 {
    let cost = |scores: &[f32], sign: f64| {
        let bits = scores.iter().map(|llr| (sign * f64::from(*llr)).exp().ln_1p() / std::f64::consts::LN_2);
        bits.sum::<f64>() / scores.len() as f64
    };
    (cost(bonafide, 1.0) + cost(spoof, -1.0)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(bonafide: &[f32], spoof: &[f32]) -> Vec<Trial> {
        let of = |scores: &[f32], is_spoof| {
            scores.iter().map(|llr| Trial { llr: *llr, is_spoof }).collect::<Vec<_>>()
        };
        [of(bonafide, false), of(spoof, true)].concat()
    }

    #[test]
    fn perfect_and_inverted() {
        let metrics = Metrics::new(&trials(&[-2.0, -1.0], &[1.0, 2.0]), 0.5);
        assert_eq!((metrics.eer, metrics.auc, metrics.accuracy), (Some(0.0), Some(1.0), Some(1.0)));
        assert_eq!(metrics.confusion, [[2, 0], [0, 2]]);
        let metrics = Metrics::new(&trials(&[1.0, 2.0], &[-2.0, -1.0]), 0.5);
        assert_eq!((metrics.eer, metrics.auc, metrics.accuracy), (Some(1.0), Some(0.0), Some(0.0)));
    }

    /// scikit-learn 1.9 on the same numbers: roc_auc_score 0.6875; roc_curve goes through
    /// (FPR 1/4, TPR 3/4), and has TPR 1/4 where FPR is still 0.
    #[test]
    fn overlapping() {
        let metrics = Metrics::new(&trials(&[0.0, 1.0, 2.0, 6.0], &[3.0, 4.0, 0.5, 8.0]), 0.5);
        assert_eq!(metrics.auc, Some(0.6875));
        assert_eq!(metrics.eer, Some(0.25));
        assert_eq!(metrics.miss_at_1_percent, Some(0.75));
    }

    #[test]
    fn uninformative_scores_cost_one_bit() {
        let metrics = Metrics::new(&trials(&[0.0; 10], &[0.0; 10]), 0.5);
        assert_eq!((metrics.auc, metrics.cllr), (Some(0.5), Some(1.0)));
        assert!(metrics.ece.unwrap() < 1e-9);
        assert_eq!(metrics.eer, Some(0.5));
    }

    /// scipy 1.17: binomtest(7, 20).proportion_ci(method='wilson'), and of (0, 10).
    #[test]
    fn wilson_intervals() {
        let close = |rate: Option<Rate>, low: f64, high: f64| {
            let rate = rate.unwrap();
            assert!((rate.low - low).abs() < 1e-4 && (rate.high - high).abs() < 1e-4, "{rate:?}");
        };
        close(Rate::of(7, 20), 0.1812, 0.5671);
        close(Rate::of(0, 10), 0.0, 0.2775);
        assert_eq!(Rate::of(0, 0), None);
    }

    #[test]
    fn one_class_or_nothing_has_no_rates() {
        let metrics = Metrics::new(&trials(&[], &[1.0, f32::NAN]), 0.5);
        assert_eq!((metrics.eer, metrics.spoof, metrics.spoof_accuracy), (None, 1, Some(1.0)));
        assert_eq!(Metrics::new(&[], 0.5).accuracy, None);
    }
}

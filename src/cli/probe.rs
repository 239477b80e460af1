//! Does a score follow what has nothing to do with the question: bandwidth, level, silence, length?

use std::fmt::Write as _;

use realfft::RealFftPlanner;
use serde::Serialize;

use super::judge::Judgement;
use super::metrics::{Metrics, Trial};
use super::sound::Sound;
use super::stats::{cross_validated, pearson, r_squared, spearman};

/// Names and units of [`SideValues`].
const NAMES: [&str; 5] = ["bandwidth (Hz)", "level (dBFS)", "peak (dBFS)", "share of speech", "length (s)"];

/// Folds of the linear probe.
const FOLDS: usize = 5;

/// What a file shows without being listened to, in the order of [`NAMES`].
pub type SideValues = [f64; 5];

/// A judged file.
#[derive(Clone, Copy, Debug)]
pub struct Probed {
    /// The file's verdict and the truth.
    pub trial: Trial,
    /// What a look-up would see.
    pub values: SideValues,
}

/// Measures a file that was judged.
pub fn side_values(sound: &Sound, judgement: &Judgement) -> SideValues {
    let db = |power: f64| 10.0 * power.max(1e-12).log10();
    let peak = sound.samples().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let seconds = sound.seconds();
    let speech = judgement.speech_s() / seconds.max(f64::MIN_POSITIVE);
    [bandwidth_hz(sound), db(sound.power()), db(f64::from(peak).powi(2)), speech.min(1.0), seconds]
}

/// Highest frequency at which the long-term spectrum (32-ms Hann frames, half overlapping) of the
/// first channel is at most 60 dB below its maximum; 0 of silence.
fn bandwidth_hz(sound: &Sound) -> f64 {
    let len = (0.016 * f64::from(sound.rate)) as usize * 2;
    let Some(channel) = sound.channels.first().filter(|_| len > 0) else { return 0.0 };
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(len);
    let (mut time, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
    let mut power = vec![0.0; spectrum.len()];
    for frame in channel.windows(len).step_by(len / 2) {
        for (i, (out, x)) in time.iter_mut().zip(frame).enumerate() {
            *out = f64::from(*x) * (std::f64::consts::PI * i as f64 / len as f64).sin().powi(2);
        }
        // The buffers are the plan's own: this can't fail.
        if fft.process(&mut time, &mut spectrum).is_ok() {
            power.iter_mut().zip(&spectrum).for_each(|(sum, bin)| *sum += bin.norm_sqr());
        }
    }
    let loudest = power.iter().copied().fold(0.0, f64::max);
    let highest = power.iter().rposition(|bin| loudest > 0.0 && *bin >= 1e-6 * loudest);
    highest.unwrap_or(0) as f64 * f64::from(sound.rate) / len as f64
}

/// What the score owes to side values.
#[derive(Debug, Serialize)]
pub struct Probe {
    /// Files with a verdict.
    files: usize,
    values: Vec<Value>,
    /// Share of the score's variance that a linear model of all values explains.
    r_squared: Parts<Explained>,
    /// Area under ROC of a linear model that guesses the label from the values alone, on files that
    /// it was not fitted on.
    lookup_auc: Option<f64>,
    /// Area under ROC of the score on the same files.
    score_auc: Option<f64>,
}

/// One value of the files.
#[derive(Debug, Serialize)]
struct Value {
    name: &'static str,
    correlation: Parts<Correlation>,
    /// How often it is higher in a spoof than in a bona fide file: 0.5 tells nothing.
    auc: Option<f64>,
}

/// Something known within each class, and of all files.
#[derive(Debug, Serialize)]
struct Parts<T> {
    bonafide: T,
    spoof: T,
    all: T,
}

#[derive(Debug, Serialize)]
struct Correlation {
    spearman: Option<f64>,
    pearson: Option<f64>,
    /// 95 % of correlations by mere chance are smaller than this.
    chance: f64,
}

#[derive(Debug, Serialize)]
struct Explained {
    share: Option<f64>,
    /// Less what as many random values would explain (Ezekiel).
    adjusted: Option<f64>,
}

impl<T> Parts<T> {
    fn of(files: &[Probed], what: impl Fn(&[Probed]) -> T) -> Self {
        let class = |is_spoof: bool| {
            files.iter().filter(|file| file.trial.is_spoof == is_spoof).copied().collect::<Vec<_>>()
        };
        Self { bonafide: what(&class(false)), spoof: what(&class(true)), all: what(files) }
    }

    fn each(&self) -> [&T; 3] {
        [&self.bonafide, &self.spoof, &self.all]
    }
}

impl Probe {
    /// Correlates; files without a verdict are left out.
    pub fn new(files: &[Probed]) -> Self {
        let files: Vec<Probed> = files.iter().filter(|file| file.trial.llr.is_finite()).copied().collect();
        let value = |(k, name): (usize, &'static str)| Value {
            name,
            correlation: Parts::of(&files, |files| correlation(files, k)),
            auc: auc(&files, files.iter().map(|file| file.values[k])),
        };
        let labels: Vec<f64> = files.iter().map(|file| f64::from(u8::from(file.trial.is_spoof))).collect();
        let guessed = cross_validated(&rows(&files), &labels, FOLDS);
        Self {
            values: NAMES.into_iter().enumerate().map(value).collect(),
            r_squared: Parts::of(&files, explained),
            lookup_auc: guessed.and_then(|guessed| auc(&files, guessed.into_iter())),
            score_auc: auc(&files, files.iter().map(|file| f64::from(file.trial.llr))),
            files: files.len(),
        }
    }

    /// The table.
    pub fn text(&self) -> String {
        let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.3}"));
        let mut text = format!(
            "side values and the score of {} files, Spearman's / Pearson's correlation\n\
             {:<20}{:>17}{:>17}{:>17}{:>11}\n",
            self.files, "", "bona fide", "spoof", "all", "own AUC"
        );
        for value in &self.values {
            let _ = write!(text, "{:<20}", value.name);
            for part in value.correlation.each() {
                let signed = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:+.2}"));
                let both = format!("{} / {}", signed(part.spearman), signed(part.pearson));
                let _ = write!(text, "{both:>17}");
            }
            let _ = writeln!(text, "{:>11}", number(value.auc));
        }
        if let Some(value) = self.values.first() {
            let chance = value.correlation.each().map(|part| format!("±{:.2}", part.chance));
            let _ = writeln!(
                text,
                "{:<20}{:>17}{:>17}{:>17}",
                "  95 % by chance", chance[0], chance[1], chance[2]
            );
        }
        let _ = write!(text, "{:<20}", "R² of all (adj.)");
        for part in self.r_squared.each() {
            let both = format!("{} ({})", number(part.share), number(part.adjusted));
            let _ = write!(text, "{both:>17}");
        }
        let _ = writeln!(
            text,
            "\nlabel from these values alone: AUC {} (linear, {FOLDS}-fold); from the score: AUC {}",
            number(self.lookup_auc),
            number(self.score_auc)
        );
        text
    }
}

fn rows(files: &[Probed]) -> Vec<SideValues> {
    files.iter().map(|file| file.values).collect()
}

fn scores(files: &[Probed]) -> Vec<f64> {
    files.iter().map(|file| f64::from(file.trial.llr)).collect()
}

fn correlation(files: &[Probed], k: usize) -> Correlation {
    let (x, y): (Vec<f64>, _) = (files.iter().map(|file| file.values[k]).collect(), scores(files));
    let chance = 1.96 / (files.len().max(2) as f64 - 1.0).sqrt();
    Correlation { spearman: spearman(&x, &y), pearson: pearson(&x, &y), chance: chance.min(1.0) }
}

fn explained(files: &[Probed]) -> Explained {
    let share = r_squared(&rows(files), &scores(files));
    let (n, values) = (files.len() as f64, NAMES.len() as f64);
    let adjusted = share.map(|share| 1.0 - (1.0 - share) * (n - 1.0) / (n - values - 1.0));
    Explained { share, adjusted }
}

fn auc(files: &[Probed], values: impl Iterator<Item = f64>) -> Option<f64> {
    let trial = |(file, x): (&Probed, f64)| Trial { llr: x as f32, is_spoof: file.trial.is_spoof };
    Metrics::new(&files.iter().zip(values).map(trial).collect::<Vec<_>>(), 0.5).auc
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::cli::degrade::Seeded;

    /// A second of sines, each of a frequency and an amplitude.
    fn sound(tones: &[(f64, f64)]) -> Sound {
        let rate = 16_000;
        let sample = |i: u32| {
            let t = f64::from(i) / f64::from(rate);
            tones.iter().map(|(hz, loud)| loud * (std::f64::consts::TAU * hz * t).sin()).sum::<f64>() as f32
        };
        Sound { rate, channels: vec![(0..rate).map(sample).collect()], problem: None }
    }

    #[test]
    fn measures_tones() {
        let values = side_values(&sound(&[(1_000.0, 0.1)]), &Judgement::default());
        assert!((values[1] + 23.01).abs() < 0.01, "{values:?}");
        assert!((values[2] + 20.0).abs() < 0.01, "{values:?}");
        assert_eq!(values[4], 1.0);
        let silence = side_values(&sound(&[]), &Judgement::default());
        assert_eq!((silence[0], silence[1]), (0.0, -120.0));
        // 50 dB below the loudest counts, 70 dB below does not; a tone leaks into the next bin.
        let faint = sound(&[(1_000.0, 0.1), (4_000.0, 0.1 * 0.003_16), (6_000.0, 0.1 * 0.000_316)]);
        assert_eq!(bandwidth_hz(&faint), 4_031.25);
    }

    fn files(score: impl Fn(u32, bool, &SideValues) -> f64) -> Vec<Probed> {
        let mut random = Seeded::seed_from_u64(1);
        let file = |i: u32| {
            let is_spoof = i % 2 == 1;
            let values = std::array::from_fn(|_| random.random());
            Probed { trial: Trial { llr: score(i, is_spoof, &values) as f32, is_spoof }, values }
        };
        (0..200).map(file).collect()
    }

    #[test]
    fn a_score_that_is_a_level_is_found_out() {
        let probe = Probe::new(&files(|_, _, values| values[1] - 0.5));
        let level = &probe.values[1].correlation;
        assert!(level.bonafide.spearman.unwrap() > 0.999 && level.spoof.pearson.unwrap() > 0.999);
        assert!(probe.r_squared.all.share.unwrap() > 0.999);
        assert!(probe.values[0].correlation.all.spearman.unwrap().abs() < 0.3);
        // The label has nothing to do with it.
        assert!((probe.lookup_auc.unwrap() - 0.5).abs() < 0.15, "{:?}", probe.lookup_auc);
    }

    #[test]
    fn a_score_that_knows_the_label_owes_nothing() {
        let probe = Probe::new(&files(|i, is_spoof, _| f64::from(is_spoof) + f64::from(i % 17) / 100.0));
        assert_eq!(probe.score_auc, Some(1.0));
        assert!(probe.r_squared.bonafide.adjusted.unwrap() < 0.1);
    }
}

//! A small formant synthesiser after D. H. Klatt (1980): glottal pulses and noise, shaped by
//! resonators that glide from sound to sound.
//!
//! It speaks one fixed text, the same to the bit every time on one machine.

use fastrand::Rng;
use std::f64::consts::{PI, TAU};

pub const RATE: u32 = 48_000;
const FS: f64 = RATE as f64;

/// One speech sound: what the mouth aims at while it lasts.
#[derive(Clone, Copy)]
struct Phone {
    /// Frequencies of the four formants, in hertz.
    formants: [f64; 4],
    /// Loudness of the voice, 0 to 1.
    voice: f64,
    /// Loudness of the noise made at the teeth or lips, 0 to 1.
    hiss: f64,
    /// Where that noise has its peak, in hertz.
    hiss_hz: f64,
}

const fn vowel(formants: [f64; 4]) -> Phone {
    Phone { formants, voice: 1.0, hiss: 0.0, hiss_hz: 4_000.0 }
}

const fn soft(formants: [f64; 4], voice: f64) -> Phone {
    Phone { formants, voice, hiss: 0.0, hiss_hz: 4_000.0 }
}

const fn noise(hiss_hz: f64, hiss: f64) -> Phone {
    Phone { formants: NEUTRAL, voice: 0.0, hiss, hiss_hz }
}

// Formants of vowels: Peterson and Barney (1952), men.
const NEUTRAL: [f64; 4] = [500.0, 1_500.0, 2_500.0, 3_500.0];
const AA: Phone = vowel([730.0, 1_090.0, 2_440.0, 3_400.0]);
const AE: Phone = vowel([660.0, 1_720.0, 2_410.0, 3_500.0]);
const AH: Phone = vowel([640.0, 1_190.0, 2_390.0, 3_400.0]);
const AO: Phone = vowel([570.0, 840.0, 2_410.0, 3_300.0]);
const EH: Phone = vowel([530.0, 1_840.0, 2_480.0, 3_500.0]);
const ER: Phone = vowel([490.0, 1_350.0, 1_690.0, 3_200.0]);
const IY: Phone = vowel([270.0, 2_290.0, 3_010.0, 3_600.0]);
const UW: Phone = vowel([300.0, 870.0, 2_240.0, 3_300.0]);
const M: Phone = soft([280.0, 900.0, 2_200.0, 3_300.0], 0.35);
const N: Phone = soft([280.0, 1_700.0, 2_600.0, 3_300.0], 0.35);
const R: Phone = soft([310.0, 1_060.0, 1_380.0, 3_200.0], 0.6);
const Y: Phone = soft([260.0, 2_070.0, 3_020.0, 3_600.0], 0.6);
const F: Phone = noise(7_000.0, 0.12);
const S: Phone = noise(6_500.0, 0.4);
const SH: Phone = noise(2_900.0, 0.4);
/// The breath of noise with which a stop consonant opens.
const BURST: Phone = noise(2_000.0, 0.5);
/// The closed mouth before it; also the pause between phrases.
const SHUT: Phone = noise(2_000.0, 0.0);

/// Sounds with their lengths in milliseconds.
type Phrase = &'static [(Phone, u32)];

/// "Are you a person? Or a machine? I am a machine. Bona fide. You may scan me now."
#[rustfmt::skip] // a line a word or two, not a line a sound
const TEXT: [Phrase; 5] = [
    &[
        (AA, 100), (R, 70), (Y, 60), (UW, 120), (AH, 70),
        (SHUT, 60), (BURST, 20), (ER, 140), (S, 110), (AH, 60), (N, 100), (SHUT, 300),
    ],
    &[
        (AO, 110), (R, 70), (AH, 70),
        (M, 80), (AH, 60), (SH, 120), (IY, 170), (N, 110), (SHUT, 450),
    ],
    &[
        (AA, 100), (IY, 90), (AE, 120), (M, 80), (AH, 70),
        (M, 80), (AH, 60), (SH, 120), (IY, 180), (N, 120), (SHUT, 450),
    ],
    &[
        (SHUT, 50), (BURST, 10), (AO, 90), (UW, 80), (N, 80), (AH, 90),
        (F, 110), (AA, 110), (IY, 120), (SHUT, 40), (BURST, 15), (SHUT, 400),
    ],
    &[
        (Y, 60), (UW, 100), (M, 80), (EH, 90), (IY, 80), (S, 110), (SHUT, 60), (BURST, 25), (AE, 140), (N, 80),
        (M, 70), (IY, 140), (N, 80), (AA, 130), (UW, 150), (SHUT, 300),
    ],
];

/// Speaks the text: mono samples at [`RATE`], at most half of full scale.
pub fn speak() -> Vec<f64> {
    let mut rng = Rng::with_seed(1980);
    let mut mouth = Mouth::default();
    let mut glottis = Glottis::default();
    let mut samples = Vec::new();
    for phrase in TEXT {
        let length = f64::from(phrase.iter().map(|(_, ms)| ms).sum::<u32>()) / 1_000.0;
        let start = samples.len();
        for (phone, ms) in phrase {
            for _ in 0..ms * RATE / 1_000 {
                let time = (samples.len() - start) as f64 / FS;
                // The pitch falls over a phrase, with the slow waver of a voice.
                let pitch = 140.0 - 45.0 * time / length + 3.0 * (TAU * 2.7 * time).sin();
                let pulse = glottis.next(pitch, &mut rng);
                samples.push(mouth.next(phone, pulse, &mut rng));
            }
        }
    }
    let peak = samples.iter().fold(0.0_f64, |peak, sample| peak.max(sample.abs()));
    for sample in &mut samples {
        // A trace of noise everywhere: digital silence is no recording.
        *sample = 0.5 * *sample / peak + 2e-4 * white(&mut rng);
    }
    samples
}

fn white(rng: &mut Rng) -> f64 {
    2.0 * rng.f64() - 1.0
}

/// The vocal folds: Rosenberg's pulse, with jitter, shimmer and breath.
#[derive(Default)]
struct Glottis {
    phase: f64,
    jitter: f64,
    shimmer: f64,
    last_flow: f64,
}

impl Glottis {
    fn next(&mut self, pitch: f64, rng: &mut Rng) -> f64 {
        self.phase += pitch * (1.0 + self.jitter) / FS;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.jitter = 0.015 * white(rng);
            self.shimmer = 0.06 * white(rng);
        }
        let flow = match self.phase {
            opening if opening < 0.4 => 0.5 - 0.5 * (PI * opening / 0.4).cos(),
            closing if closing < 0.46 => (PI / 2.0 * (closing - 0.4) / 0.06).cos(),
            _ => 0.0,
        } * (1.0 + self.shimmer);
        // Lips radiate the change of the flow, not the flow.
        let pulse = (flow - self.last_flow) * FS / 2_000.0;
        self.last_flow = flow;
        pulse + 0.05 * flow * white(rng)
    }
}

/// Throat, mouth and lips: they follow the phones, never faster than flesh does.
struct Mouth {
    now: Phone,
    tract: [Resonator; 8],
    teeth: Resonator,
}

impl Default for Mouth {
    fn default() -> Self {
        Self { now: SHUT, tract: Default::default(), teeth: Resonator::default() }
    }
}

impl Mouth {
    /// The formants that hardly move. Without them the ones below would be far too weak.
    const UPPER: [f64; 4] = [4_500.0, 5_500.0, 6_500.0, 7_500.0];
    const BANDWIDTHS: [f64; 8] = [70.0, 90.0, 130.0, 180.0, 250.0, 350.0, 450.0, 600.0];

    fn next(&mut self, aim: &Phone, pulse: f64, rng: &mut Rng) -> f64 {
        for (now, aim) in self.now.formants.iter_mut().zip(aim.formants) {
            glide(now, aim, 0.020);
        }
        glide(&mut self.now.voice, aim.voice, 0.008);
        glide(&mut self.now.hiss, aim.hiss, 0.004);
        glide(&mut self.now.hiss_hz, aim.hiss_hz, 0.002);

        let mut voice = pulse * self.now.voice;
        let formants = self.now.formants.into_iter().chain(Self::UPPER);
        for ((stage, hz), bandwidth) in self.tract.iter_mut().zip(formants).zip(Self::BANDWIDTHS) {
            voice = stage.next(voice, hz, bandwidth);
        }
        let hz = self.now.hiss_hz;
        let hiss = self.teeth.next(white(rng) * self.now.hiss, hz, 0.4 * hz);
        voice + hiss
    }
}

/// Moves `now` towards `aim` as an exponential with this time constant in seconds.
fn glide(now: &mut f64, aim: f64, seconds: f64) {
    *now += (aim - *now) / (seconds * FS);
}

/// Klatt's two-pole resonator, with gain 1 at 0 Hz.
#[derive(Default)]
struct Resonator {
    last: f64,
    before_last: f64,
}

impl Resonator {
    fn next(&mut self, input: f64, hz: f64, bandwidth: f64) -> f64 {
        let radius = (-PI * bandwidth / FS).exp();
        let b = 2.0 * radius * (TAU * hz / FS).cos();
        let c = -radius * radius;
        let output = (1.0 - b - c) * input + b * self.last + c * self.before_last;
        self.before_last = self.last;
        self.last = output;
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_same_every_time() {
        assert_eq!(speak(), speak());
    }

    #[test]
    fn lasts_about_six_seconds_and_stays_in_range() {
        let samples = speak();
        let seconds = samples.len() as f64 / FS;
        assert!((5.5..7.5).contains(&seconds), "{seconds} s");
        assert!(samples.iter().all(|sample| sample.abs() < 0.51));
    }

    /// Speech comes and goes: loud syllables, and pauses far below them.
    #[test]
    fn has_syllables_and_pauses() {
        let samples = speak();
        let mut levels: Vec<f64> = samples
            .chunks(RATE as usize / 50)
            .map(|frame| {
                let power = frame.iter().map(|s| s * s).sum::<f64>() / frame.len() as f64;
                10.0 * power.log10()
            })
            .collect();
        levels.sort_by(f64::total_cmp);
        let at = |share: f64| levels[(share * (levels.len() - 1) as f64) as usize];
        assert!(at(0.1) < -60.0, "pauses at {} dB", at(0.1));
        assert!(at(0.7) > -35.0, "syllables at {} dB", at(0.7));
    }
}

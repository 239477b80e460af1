//! A band: chords, bass and drums, out of a seed.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::Seeded;

/// Chords in semitones above the key, four to a progression, a bar of four beats each.
const PROGRESSIONS: [[[f64; 3]; 4]; 4] = [
    [[0.0, 4.0, 7.0], [7.0, 11.0, 14.0], [9.0, 12.0, 16.0], [5.0, 9.0, 12.0]],
    [[0.0, 3.0, 7.0], [8.0, 12.0, 15.0], [3.0, 7.0, 10.0], [10.0, 14.0, 17.0]],
    [[2.0, 5.0, 9.0], [7.0, 11.0, 14.0], [0.0, 4.0, 7.0], [9.0, 12.0, 16.0]],
    [[0.0, 3.0, 7.0], [5.0, 8.0, 12.0], [0.0, 3.0, 7.0], [7.0, 10.0, 14.0]],
];

/// Mono music in a key, a tempo and a progression that `random` chooses. It begins anywhere in the
/// progression, on a beat; its level is arbitrary.
pub fn music(samples: usize, rate: f64, random: &mut Seeded) -> Vec<f32> {
    let key = 110.0 * 2_f64.powf(f64::from(random.random_range(0..12_u32)) / 12.0);
    let beat_s = 60.0 / random.random_range(80.0..140.0);
    let progression = PROGRESSIONS[random.random_range(0..PROGRESSIONS.len())];
    let first = random.random_range(0..16_usize);
    let mut band = Band { out: vec![0.0; samples], rate };
    let beats = (samples as f64 / rate / beat_s).ceil() as usize;
    for n in 0..beats {
        let (at, beat) = (n as f64 * beat_s, first + n);
        let chord = progression[beat / 4 % 4];
        if n == 0 || beat % 4 == 0 {
            let bar_s = beat_s * (4 - beat % 4) as f64;
            chord.iter().for_each(|above| band.note(at, bar_s, 2.0 * key * semitones(*above), 0.15, 1.0));
        }
        band.note(at, beat_s, key / 2.0 * semitones(chord[0]), 0.5, 3.0);
        if beat % 2 == 0 {
            band.kick(at);
        } else {
            band.rattle(at, 0.15, 0.25, random);
        }
        band.rattle(at + beat_s / 2.0, 0.04, 0.1, random);
    }
    band.out
}

fn semitones(count: f64) -> f64 {
    2_f64.powf(count / 12.0)
}

struct Band {
    out: Vec<f32>,
    rate: f64,
}

impl Band {
    /// Adds `sound` (of seconds since its start) for `length_s`.
    fn play(&mut self, at_s: f64, length_s: f64, mut sound: impl FnMut(f64) -> f64) {
        let (from, len) = ((at_s * self.rate) as usize, (length_s * self.rate) as usize);
        for (i, x) in self.out.iter_mut().skip(from).take(len).enumerate() {
            *x += sound(i as f64 / self.rate) as f32;
        }
    }

    /// Eight falling harmonics, fewer below half the rate, that fade by `fade` nepers a second.
    fn note(&mut self, at_s: f64, length_s: f64, hz: f64, loud: f64, fade: f64) {
        let audible = ((0.45 * self.rate / hz) as u32).min(8);
        self.play(at_s, length_s, |t| {
            let harmonic = |k: u32| (TAU * hz * f64::from(k) * t).sin() / f64::from(k).powf(1.3);
            // 10 ms from and to nothing: no clicks.
            let edge = (t / 0.01).min((length_s - t) / 0.01).clamp(0.0, 1.0);
            loud * edge * (-fade * t).exp() * (1..=audible).map(harmonic).sum::<f64>()
        });
    }

    /// A sine that falls from 150 to 50 Hz.
    fn kick(&mut self, at_s: f64) {
        self.play(at_s, 0.25, |t| {
            let cycles = 50.0 * t + 100.0 * 0.03 * (1.0 - (-t / 0.03).exp());
            0.9 * (TAU * cycles).sin() * (-t / 0.08).exp()
        });
    }

    /// A burst of noise: a snare or, shorter, a hi-hat.
    fn rattle(&mut self, at_s: f64, length_s: f64, loud: f64, random: &mut Seeded) {
        self.play(at_s, length_s, |t| {
            let noise: f64 = StandardNormal.sample(&mut *random);
            loud * noise * (-4.0 * t / length_s).exp()
        });
    }
}

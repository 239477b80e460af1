//! Something else under the voice.

use rand_distr::{Distribution, StandardNormal};

use super::{Seeded, Sound};
use crate::cli::sound::power;

/// Adds what `make` gives (samples, rate) to every channel, `snr_db` below the sound's mean power.
/// Silence stays silence.
pub fn under(
    sound: &mut Sound,
    snr_db: f64,
    make: impl FnOnce(usize, f64) -> Vec<f32>,
) -> Result<(), String> {
    let added = make(sound.len(), f64::from(sound.rate));
    let wanted = sound.power() * 10_f64.powf(-snr_db / 10.0);
    let gain = (wanted / power(added.iter().copied()).max(f64::MIN_POSITIVE)).sqrt();
    for channel in &mut sound.channels {
        for (x, y) in channel.iter_mut().zip(&added) {
            *x += (f64::from(*y) * gain) as f32;
        }
    }
    Ok(())
}

/// White noise of power 1.
pub fn white(samples: usize, random: &mut Seeded) -> Vec<f32> {
    StandardNormal.sample_iter(random).take(samples).collect()
}

/// Pink noise: −3 dB an octave, like most noise that surrounds us. White noise through Paul
/// Kellet's three poles (1999), within 0.5 dB from 1/5000 to 1/5 of the rate.
pub fn pink(samples: usize, random: &mut Seeded) -> Vec<f32> {
    const POLES: [(f32, f32); 3] = [(0.997_65, 0.099_046), (0.963, 0.296_516_4), (0.57, 1.052_691_3)];
    let mut state = [0.0_f32; 3];
    let mut noise = white(samples, random);
    for x in &mut noise {
        let mut sum = 0.184_8 * *x;
        for (y, (pole, gain)) in state.iter_mut().zip(POLES) {
            *y = pole * *y + gain * *x;
            sum += *y;
        }
        *x = sum;
    }
    noise
}

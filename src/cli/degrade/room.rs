//! A room that never was.

use rand_distr::{Distribution, StandardNormal};
use realfft::RealFftPlanner;

use super::{Seeded, Sound};
use crate::cli::sound::power;

/// Seconds in which the reverberation falls by 60 dB.
pub const RT60_S: f64 = 0.5;

/// Seconds between the direct sound and the first of the reverberation.
const GAP_S: f64 = 0.0025;

/// The sound in a room, at the level that it had; what rings on behind its end is cut.
pub fn room(sound: &mut Sound, random: &mut Seeded) -> Result<(), String> {
    let response = response(f64::from(sound.rate), random);
    let before = sound.power();
    for channel in &mut sound.channels {
        *channel = convolved(channel, &response)?;
    }
    let after = sound.power();
    if after > 0.0 {
        sound.scale((before / after).sqrt());
    }
    Ok(())
}

/// Impulse response: the direct sound, then exponentially decaying noise of the same energy
/// (Moorer, Computer Music Journal 3, 1979).
pub fn response(rate: f64, random: &mut Seeded) -> Vec<f32> {
    let decay = -3.0 / (RT60_S * rate);
    let noise = |i: usize| {
        let x: f64 = StandardNormal.sample(&mut *random);
        (x * 10_f64.powf(decay * i as f64)) as f32
    };
    let mut tail: Vec<f32> = (0..(1.2 * RT60_S * rate) as usize).map(noise).collect();
    let energy = power(tail.iter().copied()) * tail.len() as f64;
    tail.iter_mut().for_each(|x| *x /= energy.sqrt() as f32);
    let mut response = vec![0.0; (GAP_S * rate) as usize];
    response[0] = 1.0;
    response.extend(tail);
    response
}

/// The first samples of the convolution of both, as many as `samples` has: overlap-add.
pub fn convolved(samples: &[f32], response: &[f32]) -> Result<Vec<f32>, String> {
    let len = (4 * response.len()).next_power_of_two();
    let step = len - response.len() + 1;
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let spectrum_of = |part: &[f32]| {
        let (mut time, mut spectrum) = (vec![0.0; len], forward.make_output_vec());
        time[..part.len()].copy_from_slice(part);
        forward.process(&mut time, &mut spectrum).map_err(|error| error.to_string())?;
        Ok::<_, String>(spectrum)
    };
    let filter = spectrum_of(response)?;
    let mut out = vec![0.0; samples.len()];
    let mut time = vec![0.0; len];
    for (at, part) in samples.chunks(step).enumerate() {
        let mut spectrum = spectrum_of(part)?;
        spectrum.iter_mut().zip(&filter).for_each(|(x, h)| *x *= h);
        backward.process(&mut spectrum, &mut time).map_err(|error| error.to_string())?;
        for (y, x) in out[at * step..].iter_mut().zip(&time) {
            *y += x / len as f32;
        }
    }
    Ok(out)
}

//! Sounds, front ends and manifests that several tests use.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod http;
pub mod tiny;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};

use bonafide::detect::EngineChoice;
use bonafide::dsp::{FrontEnd, MelNorm, MelScale, Padding};
use bonafide::engine::{Event, OfflineStream, ScorerPool, StreamConfig};
use bonafide::model::Model;

pub fn front_end() -> FrontEnd {
    FrontEnd {
        sample_rate: 16_000,
        n_fft: 1024,
        win_length: 1024,
        hop: 160,
        n_mels: 128,
        f_min: 0.0,
        f_max: 8000.0,
        mel_scale: MelScale::Slaney,
        mel_norm: MelNorm::Slaney,
        padding: Padding::Centre,
        amin: 1e-10,
        second: None,
        comodulation: None,
        residual: None,
    }
}

/// White noise in −1..=1, the same for the same seed (xorshift32).
pub fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_769) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub fn sine(hz: f64, rate: f64, len: usize) -> Vec<f32> {
    (0..len).map(|i| (std::f64::consts::TAU * hz * i as f64 / rate).sin() as f32).collect()
}

/// Something that the gate takes for speech: a gliding pulse train through three resonances, in
/// syllables, with a little noise.
pub fn speech_like(rate: u32, seconds: f64, seed: u32) -> Vec<f32> {
    let rate = f64::from(rate);
    let len = (rate * seconds) as usize;
    let breath = noise(len, seed);
    let detune = 1.0 + f64::from(seed % 7) * 0.05;
    let mut phase = 0.0;
    let mut sound: Vec<f64> = (0..len)
        .map(|i| {
            let t = i as f64 / rate;
            phase += (120.0 + 40.0 * (t * 2.1).sin()) * detune / rate;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            pulse + 0.005 * f64::from(breath[i])
        })
        .collect();
    for (hz, width) in [(650.0, 90.0), (1_250.0, 110.0), (2_600.0, 170.0)] {
        let r = (-std::f64::consts::PI * width / rate).exp();
        let (a, b) = (2.0 * r * (std::f64::consts::TAU * hz * detune / rate).cos(), -r * r);
        let (mut y1, mut y2) = (0.0, 0.0);
        for x in &mut sound {
            let y = *x * (1.0 - r) + a * y1 + b * y2;
            (y1, y2) = (y, y1);
            *x = y;
        }
    }
    let peak = sound.iter().fold(1e-9, |peak: f64, x| peak.max(x.abs()));
    let syllable = |i: usize| (i as f64 / rate * 3.0 * std::f64::consts::PI).sin().powi(2);
    sound.iter().enumerate().map(|(i, x)| (0.5 * x / peak * syllable(i)) as f32).collect()
}

/// The same in noise that rises, so that its score moves: alone it is as near to 100 % as is ever shown.
pub fn speech_in_rising_noise(rate: u32, seconds: f64, seed: u32) -> Vec<f32> {
    let mut sound = speech_like(rate, seconds, seed);
    let (len, hiss) = (sound.len() as f32, noise(sound.len(), 5));
    for (i, (x, hiss)) in sound.iter_mut().zip(hiss).enumerate() {
        *x += 0.2 * (i as f32 / len).powi(2) * hiss;
    }
    sound
}

/// The float32 arrays of an `.npz` file (a zip of `.npy` files) in tests/vectors.
pub fn vectors(file: &str) -> HashMap<String, Vec<f32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let mut archive = zip::ZipArchive::new(Cursor::new(std::fs::read(path).unwrap())).unwrap();
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let array = |name: String| {
        let values = npyz::NpyFile::new(archive.by_name(&name).unwrap()).unwrap().into_vec().unwrap();
        (name.trim_end_matches(".npy").to_owned(), values)
    };
    names.into_iter().map(array).collect()
}

/// What `bonafide scan` makes of `sound` with the embedded model at a hop of 0.5 s: each window's
/// probability of spoof in thousandths, as a plugin shows it (500: no score).
pub fn scanned(rate: f64, sound: &[&[f32]]) -> Vec<i64> {
    let pool = ScorerPool::open(&Model::embedded().unwrap(), EngineChoice::Auto).unwrap();
    let mut stream = OfflineStream::new(&pool, StreamConfig::at(rate), 0.5).unwrap();
    let mut shown = Vec::new();
    let mut take = |event| {
        if let Event::Window(window) = event {
            shown.push(thousandths(bonafide::plugin::outputs::shown_probability(window.reading.llr).into()));
        }
    };
    stream.push(sound, &mut take).unwrap();
    stream.finish(&mut take).unwrap();
    shown
}

pub fn thousandths(p: f64) -> i64 {
    (p * 1000.0).round() as i64
}

/// Runs an ignored test of this binary alone, in a process of its own, with `environment`.
pub fn child(test: &str, environment: &[(&str, &str)]) -> Output {
    let arguments = ["--exact", test, "--ignored", "--test-threads=1", "--nocapture"];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}

/// From here on this thread may only end the process: any other system call ends it with SIGSYS.
/// Other threads go on as they like.
#[cfg(target_os = "linux")]
pub fn allow_only_exit() {
    use seccompiler::{SeccompAction, SeccompFilter};
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(libc::SYS_exit_group, vec![])].into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

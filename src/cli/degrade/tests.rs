use super::*;
use crate::cli::sound::power;

const RATE: u32 = 16_000;

/// Three seconds of something like a voice: harmonics in syllables, in two unequal channels.
fn voice() -> Sound {
    let sample = |i: u32| {
        let t = f64::from(i) / f64::from(RATE);
        let tone = |k: u32| (std::f64::consts::TAU * 140.0 * f64::from(k) * t).sin() / f64::from(k);
        (0.1 * (9.0 * t).sin().powi(2) * (1..20).map(tone).sum::<f64>()) as f32
    };
    let left: Vec<f32> = (0..3 * RATE).map(sample).collect();
    let right = left.iter().map(|x| 0.5 * x).collect();
    Sound { rate: RATE, channels: vec![left, right], problem: None }
}

fn way(name: &str) -> &'static Degradation {
    DEGRADATIONS.iter().find(|way| way.name == name).unwrap()
}

fn apply(name: &str, sound: &Sound, seed: u64) -> Sound {
    way(name).apply(sound.clone(), seed).unwrap()
}

fn db(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// What was added to the first channel.
fn added(before: &Sound, after: &Sound) -> Vec<f32> {
    after.channels[0].iter().zip(&before.channels[0]).map(|(x, y)| x - y).collect()
}

#[test]
fn names_are_unique_and_everything_repeats() {
    let voice = voice();
    let encoders = Encoders::here();
    let mut names = std::collections::HashSet::new();
    for way in &DEGRADATIONS {
        assert!(names.insert(way.name), "{}", way.name);
        if way.missing(&encoders).is_some() {
            println!("skipped: {} (no ffmpeg)", way.name);
            continue;
        }
        let (first, second) = (way.apply(voice.clone(), 7).unwrap(), way.apply(voice.clone(), 7).unwrap());
        assert_eq!((first.rate, &first.channels), (second.rate, &second.channels), "{}", way.name);
        assert!(first.samples().all(f32::is_finite), "{}", way.name);
        assert!((first.seconds() - voice.seconds()).abs() < 0.001, "{}: {} s", way.name, first.seconds());
        assert_ne!((first.rate, &first.channels), (RATE, &voice.channels), "{} does nothing", way.name);
    }
}

#[test]
fn noise_and_music_lie_10_db_below_and_differ_by_file() {
    let voice = voice();
    for name in ["noise-10", "white-10", "music"] {
        let noisy = apply(name, &voice, 1);
        let added = added(&voice, &noisy);
        let snr = db(voice.power() / power(added.iter().copied()));
        assert!((snr - 10.0).abs() < 0.05, "{name}: {snr} dB");
        assert_ne!(noisy.channels, apply(name, &voice, 2).channels, "{name}");
    }
}

/// Power of one octave against that of the octave below.
#[test]
fn pink_noise_has_equal_octaves_and_white_noise_doubles() {
    let octave = |noise: &[f32], from: usize| {
        let mut planner = realfft::RealFftPlanner::<f32>::new();
        let fft = planner.plan_fft_forward(noise.len());
        let (mut time, mut spectrum) = (noise.to_vec(), fft.make_output_vec());
        fft.process(&mut time, &mut spectrum).unwrap();
        spectrum[from..2 * from].iter().map(|bin| f64::from(bin.norm_sqr())).sum::<f64>()
    };
    let mut random = Seeded::seed_from_u64(3);
    let (white, pink) = (mix::white(1 << 17, &mut random), mix::pink(1 << 17, &mut random));
    for from in [1 << 9, 1 << 11, 1 << 13, 1 << 14] {
        let step = |noise: &[f32]| db(octave(noise, 2 * from) / octave(noise, from));
        assert!((step(&white) - 3.0).abs() < 0.5, "white, {from}: {} dB", step(&white));
        assert!(step(&pink).abs() < 0.7, "pink, {from}: {} dB", step(&pink));
    }
}

#[test]
fn levels_are_what_they_say() {
    let voice = voice();
    let change = |after: &Sound| db(after.power() / voice.power());
    let (up, down, clipped) =
        (apply("level+20", &voice, 1), apply("level-20", &voice, 1), apply("clip+20", &voice, 1));
    assert!((change(&up) - 20.0).abs() < 1e-3 && (change(&down) + 20.0).abs() < 1e-3);
    assert!(up.samples().any(|x| x > 1.0), "beyond full scale");
    assert_eq!(clipped.samples().fold(0.0, |peak: f32, x| peak.max(x.abs())), 1.0);
}

/// G.711 keeps some 38 dB between a sine and its error, whatever the level over a wide range; two of
/// them in a row some 3 dB less.
#[test]
fn g711_is_as_good_and_as_bad_as_the_telephone() {
    let sine = |level_db: f64| {
        let loud = 10_f64.powf(level_db / 20.0);
        let sample = |i: u32| (loud * (f64::from(i) * 0.8).sin()) as f32;
        Sound { rate: 8_000, channels: vec![(0..16_000).map(sample).collect()], problem: None }
    };
    for level_db in [-3.0, -10.0, -20.0, -30.0] {
        let before = sine(level_db);
        let after = apply("g711", &before, 1);
        let snr = db(before.power() / power(added(&before, &after)));
        assert!((32.0..40.0).contains(&snr), "{level_db} dBFS: {snr} dB");
    }
    assert_eq!(apply("g711", &voice(), 1).rate, 8_000);
}

/// Schroeder's backward integration: the time from −5 to −25 dB, times three.
#[test]
fn the_room_rings_for_half_a_second() {
    let response = room::response(f64::from(RATE), &mut Seeded::seed_from_u64(5));
    let direct = f64::from(response[0]).powi(2);
    let tail = power(response[1..].iter().copied()) * (response.len() - 1) as f64;
    assert!((direct - tail).abs() < 1e-3 * direct, "{direct} direct, {tail} reverberant");
    let mut left: Vec<f64> = response[1..]
        .iter()
        .rev()
        .scan(0.0, |sum, x| {
            *sum += f64::from(*x).powi(2);
            Some(*sum)
        })
        .collect();
    left.reverse();
    let below = |level_db: f64| left.iter().position(|energy| db(energy / left[0]) < level_db).unwrap();
    let rt60 = 3.0 * (below(-25.0) - below(-5.0)) as f64 / f64::from(RATE);
    assert!((rt60 - room::RT60_S).abs() < 0.05, "{rt60} s");
    let (voice, wet) = (voice(), apply("room", &voice(), 5));
    assert!(db(wet.power() / voice.power()).abs() < 0.01, "its level changed");
}

#[test]
fn convolution_in_parts_is_convolution() {
    let mut random = Seeded::seed_from_u64(9);
    let (x, h) = (mix::white(1_000, &mut random), mix::white(50, &mut random));
    let found = room::convolved(&x, &h).unwrap();
    for n in [0, 1, 49, 50, 206, 207, 208, 500, 999] {
        let expected: f32 = (0..=n.min(49)).map(|k| h[k] * x[n - k]).sum();
        assert!((found[n] - expected).abs() < 1e-4, "{n}: {} for {expected}", found[n]);
    }
}

/// Nothing above the lower rate's half comes back.
#[test]
fn resampling_takes_the_top() {
    let mut random = Seeded::seed_from_u64(2);
    let noise = Sound { rate: RATE, channels: vec![mix::white(1 << 15, &mut random)], problem: None };
    let back = apply("resample", &noise, 1);
    assert_eq!((back.rate, back.len()), (RATE, noise.len()));
    // White noise has its power everywhere: 11.025 of 16 kHz are left, less the filter's slope.
    let kept = back.power() / noise.power();
    assert!((0.62..0.69).contains(&kept), "{kept}");
    assert_eq!(apply("resample-44", &noise, 1).rate, 44_100);
}

/// A codec gives back what it was given, more or less and soon after.
#[test]
fn codecs_keep_the_voice() {
    let voice = voice();
    for name in ["gsm", "opus-12", "mp3-64", "aac-64"] {
        if let Some(why) = way(name).missing(&Encoders::here()) {
            println!("skipped: {name} {why}");
            continue;
        }
        let coded = apply(name, &voice, 1);
        assert_eq!(coded.channels.len(), 2);
        let step = (voice.rate / coded.rate) as usize;
        let before: Vec<f32> = voice.channels[0].iter().step_by(step).copied().collect();
        let likeness = |delay: usize| {
            let pairs = || before.iter().zip(&coded.channels[0][delay..]);
            let product: f64 = pairs().map(|(x, y)| f64::from(x * y)).sum();
            product
                / pairs().count() as f64
                / (power(before.iter().copied()) * power(coded.channels[0].iter().copied())).sqrt()
        };
        let best = (0..1_600).map(likeness).fold(0.0, f64::max);
        assert!(best > 0.8, "{name}: {best}");
    }
}

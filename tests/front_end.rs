//! Sound to frames: parity with librosa, resampler quality, splits into blocks, rubbish.

mod common;

use bonafide::dsp::{
    ChannelChoice, Comodulation, FrontEnd, LogMel, MelNorm, MelScale, Padding, Resampler, Residual,
    SecondBank,
};
use bonafide::engine::{StreamConfig, StreamProcessor};
use bonafide::rt::{FrameConsumer, FrameTag, Item};
use common::{front_end, noise, sine, speech_like, vectors};
use proptest::prelude::*;

fn named_front_end(name: &str) -> FrontEnd {
    let published = FrontEnd { n_fft: 2048, win_length: 2048, hop: 512, ..front_end() };
    match name {
        "published_224" => FrontEnd { n_mels: 224, ..published },
        "published_128" => published,
        "default" => front_end(),
        "short_htk" => FrontEnd {
            n_fft: 512,
            win_length: 400,
            hop: 128,
            n_mels: 40,
            f_min: 60.0,
            f_max: 7600.0,
            mel_scale: MelScale::Htk,
            mel_norm: MelNorm::None,
            ..front_end()
        },
        "uncentred" => FrontEnd { padding: Padding::None, ..front_end() },
        "linear" => FrontEnd { n_fft: 512, win_length: 400, mel_scale: MelScale::Linear, ..front_end() },
        other => panic!("no front end {other}"),
    }
}

/// Frames of a whole stream.
fn frames(front_end: &FrontEnd, samples: &[f32]) -> Vec<Vec<f32>> {
    let (mut processor, mut queue) =
        StreamProcessor::new(front_end, StreamConfig { queue_s: 60.0, ..StreamConfig::at(16_000.0) })
            .unwrap();
    processor.process(&[samples]);
    assert!(processor.finish());
    drain(&mut queue, front_end.n_bands()).into_iter().map(|(_, bands)| bands).collect()
}

fn drain(queue: &mut FrameConsumer, n_bands: usize) -> Vec<(FrameTag, Vec<f32>)> {
    let mut bands = vec![0.0; n_bands];
    std::iter::from_fn(|| {
        loop {
            match queue.pop(&mut bands)? {
                Item::Frame(tag) => return Some((tag, bands.clone())),
                Item::End(_) => return None,
                Item::Settings(_) | Item::Timecode(_) => {}
            }
        }
    })
    .collect()
}

/// 1e-3 dB is 0.01 % of a band's amplitude: a hundredth of what 8-bit pixels of an 80 dB range
/// resolve. Below 80 dB under the maximum (librosa's own default floor) nothing is shown to a
/// model, and rounding noise decides.
#[test]
fn equals_librosa() {
    let vectors = vectors("librosa.npz");
    for signal in ["sines", "sweep", "noise", "speech_like"] {
        let samples = &vectors[&format!("{signal}/y")];
        for name in ["published_224", "published_128", "default", "short_htk", "uncentred", "linear"] {
            let spec = named_front_end(name);
            let (expected, found) = (&vectors[&format!("{signal}/{name}")], frames(&spec, samples));
            // Every frame that is centred inside the stream: librosa has one more at its very end.
            let inside = match spec.padding {
                Padding::Centre => samples.len().div_ceil(spec.hop),
                Padding::None => expected.len() / spec.n_mels,
            };
            assert_eq!(found.len(), inside, "{signal}, {name}");
            let floor = expected.iter().copied().fold(f32::MIN, f32::max) - 80.0;
            let pairs = found.iter().flatten().zip(expected);
            let worst = pairs.filter(|(_, e)| **e > floor).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-3, "{signal}, {name}: {worst} dB apart");
        }
    }
}

/// As `librosa_vectors.py` computes them, from `librosa.stft` and `scipy.linalg`, in double precision. 1e-3 is 2.5e-5
/// of a correlation and a thousandth of a decibel of the residual's shape.
#[test]
fn what_is_no_level_equals_its_definition() {
    let vectors = vectors("librosa.npz");
    for signal in ["sines", "sweep", "noise", "speech_like"] {
        let (spec, samples) = (with_measures(), &vectors[&format!("{signal}/y")]);
        let (found, mut first) = (frames(&spec, samples), spec.n_mels);
        for measure in ["comodulation", "novelty", "residual"] {
            let expected = &vectors[&format!("{signal}/{measure}")];
            let values = expected.len() / found.len();
            let here = found.iter().flat_map(|frame| &frame[first..first + values]);
            let worst = here.zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-3, "{signal}, {measure}: {worst} apart");
            first += values;
        }
        assert_eq!(first, spec.n_bands());
    }
}

/// Pulses excite all bands at once, noise each by itself; and no gain shows.
#[test]
fn comodulation_hears_pulses_and_no_gain() {
    let pulses: Vec<f32> = (0..16_000).map(|i| if i % 160 == 40 { 0.5 } else { 0.0 }).collect();
    let softer: Vec<f32> = pulses.iter().map(|x| x * 0.1).collect();
    let (tone, noise, buzz) =
        (unlagged(&sine(1_000.0, 16_000.0, 16_000)), unlagged(&noise(16_000, 3)), unlagged(&pulses));
    assert!((-41.0..-39.0).contains(&tone), "{tone}");
    assert!((-43.5..-41.5).contains(&noise) && buzz > -1.0, "{noise} {buzz}");
    assert!((unlagged(&softer) - buzz).abs() < 0.01);
}

/// Mean of the 28 values at no lag, which follow the 128 bands, over frames that the ends don't reach.
fn unlagged(samples: &[f32]) -> f32 {
    mean_of(128..156, samples)
}

/// Mean of some values of a frame, likewise.
fn mean_of(range: std::ops::Range<usize>, samples: &[f32]) -> f32 {
    let frames = frames(&with_measures(), samples);
    let values: Vec<f32> = frames[5..90].iter().flat_map(|frame| frame[range.clone()].to_vec()).collect();
    values.iter().sum::<f32>() / values.len() as f32
}

/// A tone can be foretold, noise can't; no gain shows.
#[test]
fn novelty_hears_noise_and_no_gain() {
    let novelty = |samples: &[f32]| mean_of(316..348, samples);
    let (tone, noise) = (sine(1_000.0, 16_000.0, 16_000), noise(16_000, 3));
    let softer: Vec<f32> = noise.iter().map(|x| x * 0.1).collect();
    assert!(mean_of(318..321, &tone) < -79.0, "{}", mean_of(318..321, &tone));
    assert!(novelty(&noise) > -50.0, "{}", novelty(&noise));
    assert!((novelty(&softer) - novelty(&noise)).abs() < 0.02, "{}", novelty(&softer));
}

/// What excites the sound is pulses or noise, whatever a resonance makes of it; no gain shows, silence is finite.
#[test]
fn residual_hears_pulses_behind_a_resonance() {
    let pulses: Vec<f32> = (0..16_000).map(|i| if i % 160 == 40 { 0.5 } else { 0.0 }).collect();
    let resonance = |input: &[f32]| {
        let (mut one, mut two) = (0.0, 0.0);
        let ring = |x: &f32| {
            (two, one) = (one, x + 1.6 * one - 0.81 * two);
            one
        };
        input.iter().map(ring).collect::<Vec<f32>>()
    };
    let (buzz, hiss) = (resonance(&pulses), resonance(&noise(16_000, 3)));
    let softer: Vec<f32> = buzz.iter().map(|x| x * 0.01).collect();
    let crest = |samples: &[f32]| mean_of(349..350, samples);
    assert!(crest(&buzz) < -20.0 && crest(&hiss) > -15.0, "{} {}", crest(&buzz), crest(&hiss));
    assert!((crest(&softer) - crest(&buzz)).abs() < 0.01);
    assert!(mean_of(348..351, &[0.0; 16_000]).is_finite());
}

/// Comodulation follows the 128 bands, then novelty (32 values), then the shape of the residual (3).
fn with_measures() -> FrontEnd {
    FrontEnd { residual: Some(Residual { win_length: 400, order: 16 }), ..comodulated(64, 16, 25, 8, 2) }
}

fn comodulated(n_fft: usize, hop: usize, parts: usize, bands: usize, lags: usize) -> FrontEnd {
    let comodulation = Comodulation { n_fft, hop, parts, bands, lags, novelty: true };
    FrontEnd { comodulation: Some(comodulation), ..named_front_end("linear") }
}

fn resampled(host_rate: f64, samples: &[f32]) -> Vec<f32> {
    let mut resampler = Resampler::new(host_rate, 16_000).unwrap();
    let mut out = Vec::new();
    resampler.push(samples, |x| out.extend_from_slice(x));
    resampler.flush(|x| out.extend_from_slice(x));
    out
}

/// Level in dB of what `hz` becomes, away from both ends; 0 dB is unchanged.
fn gain_db(host_rate: f64, hz: f64) -> f64 {
    let seconds = 0.5;
    let out = resampled(host_rate, &sine(hz, host_rate, (host_rate * seconds) as usize));
    let inside = &out[out.len() / 4..out.len() * 3 / 4];
    let power = inside.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / inside.len() as f64;
    10.0 * (2.0 * power).log10()
}

const RATES: [f64; 14] = [
    8_000.0, 11_025.0, 22_050.0, 24_000.0, 32_000.0, 37_800.0, 42_667.0, 44_056.0, 44_100.0, 48_000.0,
    88_200.0, 96_000.0, 192_000.0, 384_000.0,
];

#[test]
fn resampler_keeps_the_passband() {
    for rate in RATES {
        let nyquist = rate.min(16_000.0) / 2.0;
        for share in [0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97] {
            let gain = gain_db(rate, share * nyquist);
            assert!(gain.abs() <= 0.1, "{rate} Hz: {gain:.3} dB at {share} of the lower Nyquist frequency");
        }
    }
}

#[test]
fn resampler_has_no_aliases() {
    // What lies above the lower Nyquist frequency of 8 kHz, and would fold to other than the last 100 Hz below it, must
    // vanish.
    for rate in RATES.into_iter().filter(|rate| *rate > 16_000.0) {
        for hz in [8_100.0, 8_500.0, 9_000.0, 11_000.0, 15_000.0, 17_000.0, 23_900.0, 47_000.0, 100_000.0] {
            if hz < rate / 2.0 {
                let alias = gain_db(rate, hz);
                assert!(alias <= -80.0, "{rate} Hz: {hz} Hz leaves {alias:.1} dB");
            }
        }
    }
    // Upsampling: images above the host's Nyquist frequency must vanish; the tone itself is
    // removed by least squares, the rest measured.
    for rate in [8_000.0, 11_025.0] {
        let out = resampled(rate, &sine(0.4 * rate, rate, rate as usize));
        let inside = &out[out.len() / 4..out.len() * 3 / 4];
        let (mut ss, mut cc, mut sc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let wave = |i: usize| (std::f64::consts::TAU * 0.4 * rate * i as f64 / 16_000.0).sin_cos();
        for (i, y) in inside.iter().enumerate() {
            let ((s, c), y) = (wave(i), f64::from(*y));
            (ss, cc, sc, ys, yc) = (ss + s * s, cc + c * c, sc + s * c, ys + y * s, yc + y * c);
        }
        let (a, b) = ((ys * cc - yc * sc) / (ss * cc - sc * sc), (yc * ss - ys * sc) / (ss * cc - sc * sc));
        let rest =
            inside.iter().enumerate().map(|(i, y)| (f64::from(*y) - a * wave(i).0 - b * wave(i).1).powi(2));
        let rest_db = 10.0 * (2.0 * rest.sum::<f64>() / inside.len() as f64).log10();
        assert!(rest_db <= -80.0, "{rate} Hz: images at {rest_db:.1} dB");
    }
}

#[test]
fn resampler_has_no_net_delay_and_the_right_length() {
    for rate in RATES {
        let out = resampled(rate, &sine(500.0, rate, rate as usize));
        assert_eq!(out.len(), 16_000, "{rate} Hz");
        let expected = sine(500.0, 16_000.0, 16_000);
        let worst = (4_000..12_000).map(|i| (out[i] - expected[i]).abs()).fold(0.0, f32::max);
        // A hundredth of a model-rate sample is 0.002 at 500 Hz.
        assert!(worst < 0.002, "{rate} Hz: off by {worst}");
    }
}

#[test]
fn rates_out_of_range_are_errors() {
    for rate in [0.0, 7_999.0, 384_001.0, f64::NAN, f64::INFINITY, -48_000.0] {
        assert!(StreamProcessor::new(&front_end(), StreamConfig::at(rate)).is_err(), "{rate}");
    }
}

fn run(
    config: StreamConfig,
    channels: &[Vec<f32>],
    blocks: impl Iterator<Item = usize>,
) -> Vec<(FrameTag, Vec<f32>)> {
    let (mut processor, mut queue) = StreamProcessor::new(&front_end(), config).unwrap();
    let mut from = 0;
    let len = channels[0].len();
    for block in blocks {
        let to = (from + block).min(len);
        let parts: Vec<&[f32]> = channels.iter().map(|c| &c[from..to]).collect();
        processor.process(&parts);
        from = to;
        if from == len {
            break;
        }
    }
    assert_eq!(from, len);
    assert!(processor.finish());
    drain(&mut queue, 128)
}

fn block_size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1), 1..8192_usize, 1..130_usize, Just(64), Just(512)]
}

fn channel_choice() -> impl Strategy<Value = ChannelChoice> {
    prop_oneof![
        Just(ChannelChoice::Mid),
        Just(ChannelChoice::Left),
        Just(ChannelChoice::Right),
        Just(ChannelChoice::Loudest)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Bit for bit, tags included.
    #[test]
    fn any_split_gives_the_same_frames(
        blocks in proptest::collection::vec(block_size(), 1..60),
        rate in prop_oneof![proptest::sample::select(RATES.to_vec()), 8_000.0..100_000.0],
        channels in 1..=4_usize,
        channel in channel_choice(),
    ) {
        let len = (rate * 0.4) as usize;
        let sound: Vec<_> = (0..channels).map(|c| noise(len, c as u32 + 1)).collect();
        let config = StreamConfig { channel, ..StreamConfig::at(rate) };
        let whole = run(config, &sound, std::iter::once(len));
        let split = run(config, &sound, blocks.iter().copied().chain([1]).cycle());
        prop_assert_eq!(whole.len(), 40);
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn reset_equals_fresh(before in 0..20_000_usize, rate in proptest::sample::select(RATES.to_vec()), jump: bool) {
        let config = StreamConfig { channel: ChannelChoice::Loudest, ..StreamConfig::at(rate) };
        let sound = [noise(9_000, 5), noise(9_000, 6)];
        let fresh = run(config, &sound, std::iter::once(9_000));
        let (mut processor, mut queue) = StreamProcessor::new(&front_end(), config).unwrap();
        processor.process(&[noise(before, 1), noise(before, 2)]);
        if jump { processor.discontinuity() } else { processor.reset() }
        // What the jump or reset completed belongs to before it, too.
        drain(&mut queue, 128);
        processor.process(&sound);
        processor.finish();
        let again = drain(&mut queue, 128);
        let expected = if jump { (0, 1) } else { (1, 0) };
        prop_assert!(again.iter().all(|(tag, _)| (tag.session, tag.segment) == expected));
        let bare = |frames: Vec<(FrameTag, Vec<f32>)>| frames.into_iter().map(|(tag, x)| (tag.index, x)).collect::<Vec<_>>();
        prop_assert_eq!(bare(fresh), bare(again));
    }
}

#[test]
fn rubbish_does_no_harm_to_what_follows() {
    let rate = 48_000.0;
    let speech = speech_like(48_000, 1.0, 1);
    let rubbish: [(&str, Vec<f32>); 6] = [
        ("NaN", vec![f32::NAN; 24_000]),
        ("infinity", [f32::INFINITY, f32::NEG_INFINITY].repeat(12_000)),
        ("denormals", vec![1e-40; 24_000]),
        ("DC", vec![1.0; 24_000]),
        ("square", sine(100.0, rate, 24_000).iter().map(|x| x.signum()).collect()),
        ("huge", vec![f32::MAX; 24_000]),
    ];
    let config = StreamConfig::at(rate);
    let silence = vec![0.0; 24_000];
    let clean = run(config, &[[silence, speech.clone()].concat()], std::iter::once(72_000));
    for (name, sound) in rubbish {
        let after = run(config, &[[sound, speech.clone()].concat()], std::iter::once(72_000));
        assert!(after.iter().all(|(_, bands)| bands.iter().all(|x| x.is_finite())), "{name}");
        // Frames wholly behind the rubbish and the filters' reach (half a frame and 6 ms).
        let same = clean.iter().zip(&after).skip(56).all(|(a, b)| a == b);
        assert!(same, "{name} changed frames behind it");
    }
}

/// A second bank is a front end of its own, frame for frame, behind the first one's bands.
#[test]
fn second_bank_stands_beside_the_first() {
    let samples = &vectors("librosa.npz")["speech_like/y"];
    let both = frames(&with_second(512, 400, 128), samples);
    let (first, second) = (frames(&front_end(), samples), frames(&named_front_end("linear"), samples));
    assert!(first.len() > 50 && second.len() == first.len() && both.len() == first.len());
    for (both, (first, second)) in both.iter().zip(first.iter().zip(&second)) {
        assert_eq!(both[..128], first[..]);
        assert_eq!(both[128..], second[..]);
    }
}

fn with_second(n_fft: usize, win_length: usize, n_mels: usize) -> FrontEnd {
    let second = SecondBank { n_fft, win_length, n_mels, mel_scale: MelScale::Linear };
    FrontEnd { second: Some(second), ..front_end() }
}

#[test]
fn front_ends_out_of_range_are_errors() {
    let bad = [
        FrontEnd { sample_rate: 0, ..front_end() },
        FrontEnd { n_fft: 0, ..front_end() },
        FrontEnd { n_fft: 1023, ..front_end() },
        FrontEnd { win_length: 1025, ..front_end() },
        FrontEnd { hop: 0, ..front_end() },
        FrontEnd { hop: 1025, ..front_end() },
        FrontEnd { n_mels: 0, ..front_end() },
        FrontEnd { f_max: 8_001.0, ..front_end() },
        FrontEnd { f_min: f64::NAN, ..front_end() },
        FrontEnd { f_min: 8_000.0, ..front_end() },
        FrontEnd { amin: 0.0, ..front_end() },
        with_second(1026, 400, 128),
        with_second(511, 400, 128),
        with_second(512, 513, 128),
        with_second(512, 400, 0),
        comodulated(14, 2, 5, 7, 1),
        comodulated(129, 32, 5, 2, 1),
        comodulated(64, 0, 5, 8, 1),
        comodulated(64, 80, 5, 8, 1),
        comodulated(64, 15, 5, 8, 1),
        comodulated(64, 16, 1, 8, 0),
        comodulated(64, 16, 30, 8, 1),
        comodulated(64, 1, 65, 8, 1),
        comodulated(64, 16, 25, 1, 1),
        comodulated(64, 16, 25, 7, 1),
        comodulated(64, 16, 25, 8, 25),
        comodulated(64, 16, 2, 8, 1),
        FrontEnd { residual: Some(Residual { win_length: 1, order: 1 }), ..front_end() },
        FrontEnd { residual: Some(Residual { win_length: 1025, order: 16 }), ..front_end() },
        FrontEnd { residual: Some(Residual { win_length: 16, order: 16 }), ..front_end() },
        FrontEnd { residual: Some(Residual { win_length: 400, order: 0 }), ..front_end() },
    ];
    for spec in bad {
        assert!(LogMel::new(&spec).is_err(), "{spec:?}");
    }
}

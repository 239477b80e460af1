//! The plugin in a CLAP host: flags, events, modes, state, sound.

#[path = "common/clap_host.rs"]
mod clap_host;
mod common;

use std::time::{Duration, Instant};

use bonafide::rt::State;
use clack_extensions::params::ParamInfoFlags;
use clap_host::{Host, Said, Transport};
use common::{noise, scanned, speech_in_rising_noise, thousandths};

const OFF: f64 = 0.0;
const METER: f64 = 1.0;
const AUTOMATION: f64 = 2.0;
const MIDI: f64 = 3.0;

/// Its score moves, so that one window's is not another's.
fn voice(rate: u32) -> Vec<f32> {
    speech_in_rising_noise(rate, 5.3, 1)
}

/// Plays `sound` to a live instance at twice its speed: the inference can follow, and what
/// comes while the model is being opened waits in the queue.
fn play(host: &mut Host, sound: &[f32], block: usize) -> Vec<Said> {
    let mut said = Vec::new();
    for part in sound.chunks(block) {
        said.extend(host.process(&[part, part]));
        std::thread::sleep(Duration::from_secs_f64(part.len() as f64 / host.rate / 2.0));
    }
    said
}

/// Lets a one-sample block pass now and then until `done`; what is said within 50 ms of a result
/// counts as said in time.
fn wait(host: &mut Host, mut done: impl FnMut(&[Said]) -> bool) -> Vec<Said> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut said = Vec::new();
    while !done(&said) {
        assert!(Instant::now() < deadline, "still waiting; heard {said:?}");
        said.extend(host.process(&[&[0.0], &[0.0]]));
        std::thread::sleep(Duration::from_millis(2));
    }
    said
}

/// Gives the last windows time to be judged, and the plugin a chance to say so.
fn linger(host: &mut Host) -> Vec<Said> {
    let begun = Instant::now();
    wait(host, |_| begun.elapsed() > Duration::from_millis(400))
}

fn values(said: &[Said], wanted: u32) -> Vec<f64> {
    let value = |said: &Said| match said {
        Said::Value { id, value, .. } if *id == wanted => Some(*value),
        _ => None,
    };
    said.iter().filter_map(value).collect()
}

fn is_scored(said: &[Said], state: u32) -> bool {
    values(said, state).contains(&f64::from(State::Scored as u8))
}

#[test]
fn parameters_are_what_they_should_be() {
    let mut host = Host::new();
    let params = host.params();
    let flags = |name: &str| params.iter().find(|p| p.name == name).expect(name).flags;
    for meter in ["Score", "Alert", "State"] {
        assert!(flags(meter).contains(ParamInfoFlags::IS_READONLY), "{meter}");
        assert!(!flags(meter).intersects(ParamInfoFlags::IS_AUTOMATABLE | ParamInfoFlags::IS_HIDDEN));
    }
    for lane in [
        "Score Lane",
        "Alert Lane",
        "Threshold",
        "Hop",
        "Hold",
        "Channel",
        "Gate Trim",
        "Reset",
        "Output Mode",
    ] {
        assert!(flags(lane).contains(ParamInfoFlags::IS_AUTOMATABLE), "{lane}");
        assert!(!flags(lane).contains(ParamInfoFlags::IS_READONLY), "{lane}");
    }
    assert!(flags("Bypass").contains(ParamInfoFlags::IS_BYPASS));
    let groups: Vec<_> = params.iter().map(|p| p.module.as_str()).collect();
    assert!(groups.contains(&"Output") && groups.contains(&"Detection"), "{groups:?}");
    // Projects hold these numbers: they are frozen.
    let ids: Vec<_> = ["score", "alert", "state", "score_lane", "alert_lane", "output", "threshold", "hold"]
        .into_iter()
        .chain(["hop", "channel", "gate", "reset", "bypass"])
        .map(bonafide::plugin::edits::number)
        .collect();
    assert_eq!(params.iter().map(|p| p.id).collect::<Vec<_>>(), ids);
}

#[test]
fn no_latency() {
    assert_eq!(Host::started(48_000.0).latency(), 0);
}

/// The null test: every output is compared with its input by the host of these tests.
#[test]
fn sound_passes_to_the_bit_for_any_layout_and_block() {
    for channels in 1..=16 {
        let mut host = Host::new();
        host.select_channels(channels);
        for rate in [44_100.0, 96_000.0] {
            host.start(rate);
            for (i, block) in [0, 1, 7, 64, 441, 1024, 8192, 0, 20_000].into_iter().enumerate() {
                let mut sound: Vec<Vec<f32>> = (0..channels).map(|c| noise(block, (c + i) as u32)).collect();
                if let [a, b, c, ..] = &mut sound[0][..] {
                    (*a, *b, *c) = (f32::NAN, f32::from_bits(1), f32::NEG_INFINITY);
                }
                let parts: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
                host.process(&parts);
                if i == 4 {
                    host.reset();
                }
            }
            host.stop();
        }
    }
}

#[test]
fn a_meter_says_changes_alone_and_soon_and_is_never_recorded() {
    let mut host = Host::started(48_000.0);
    let (score, state) = (host.id("Score"), host.id("State"));
    let said = play(&mut host, &voice(48_000), 512);
    let rest = linger(&mut host);
    let said: Vec<_> = said.into_iter().chain(rest).collect();
    assert!(is_scored(&said, state), "{said:?}");
    assert!(said.iter().all(|said| matches!(said, Said::Value { recorded: false, .. })), "{said:?}");
    let scores = values(&said, score);
    assert!(scores.windows(2).all(|pair| pair[0] != pair[1]), "no value is said twice: {scores:?}");
    // A machine voice may be as certain as a score can be; the host widens it from an f32.
    assert!(scores.iter().all(|score| (0.001..=0.999).contains(&(*score as f32))), "{scores:?}");
    assert!(scores.len() <= 9, "at most once a window: {scores:?}");
}

/// From the result to the host's ear: the inference thread publishes, the next block says it.
#[test]
fn a_result_is_said_with_the_next_block() {
    let mut host = Host::started(48_000.0);
    let state = host.id("State");
    let sound = voice(48_000);
    play(&mut host, &sound[..99_000], 512);
    std::thread::sleep(Duration::from_secs(2));
    let said = host.process(&[&sound[99_000..99_064], &sound[99_000..99_064]]);
    assert!(is_scored(&said, state) || host.value(state) == f64::from(State::Scored as u8));
    let times = said.iter().filter_map(|said| match said {
        Said::Value { time, .. } => Some(*time),
        _ => None,
    });
    assert!(times.into_iter().all(|time| time == 63), "at the block's last sample: {said:?}");
}

#[test]
fn modes_say_what_they_promise() {
    let said_in = |mode: f64, playing: bool| {
        let mut host = Host::new();
        let id = host.id("Output Mode");
        host.set(id, mode);
        host.transport = Some(Transport { playing, seconds: 10.0 });
        host.start(48_000.0);
        let mut said = play(&mut host, &voice(48_000), 512);
        host.transport = Some(Transport { playing: false, seconds: 20.0 });
        said.extend(linger(&mut host));
        let lanes = [host.id("Score Lane"), host.id("Alert Lane")];
        (said, host.id("Score"), lanes)
    };
    assert_eq!(said_in(OFF, true).0, [], "off is off");

    let (said, score, lanes) = said_in(METER, true);
    assert!(!values(&said, score).is_empty() && values(&said, lanes[0]).is_empty());

    let (said, _, lanes) = said_in(AUTOMATION, true);
    for lane in lanes {
        let about = |said: &&Said| match said {
            Said::Value { id, recorded, .. } => *id == lane && *recorded,
            Said::Begin(id) | Said::End(id) => *id == lane,
            Said::Midi(_) => false,
        };
        let heard: Vec<_> = said.iter().filter(about).collect();
        assert_eq!(heard.first(), Some(&&Said::Begin(lane)), "{heard:?}");
        assert_eq!(heard.last(), Some(&&Said::End(lane)), "let go when the transport stops: {heard:?}");
        let gestures = heard.iter().filter(|said| matches!(said, Said::Begin(_) | Said::End(_)));
        assert_eq!(gestures.count(), 2);
    }
    assert!(values(&said, lanes[0]).len() > 2, "the curve is there");
    let (said, _, lanes) = said_in(AUTOMATION, false);
    assert!(values(&said, lanes[0]).is_empty(), "nothing is written while the transport stands");

    let (said, ..) = said_in(MIDI, true);
    let midi = |said: &Said| if let Said::Midi(data) = said { Some(*data) } else { None };
    let controllers: Vec<_> = said.iter().filter_map(midi).collect();
    assert!(controllers.iter().any(|data| data[..2] == [0xb0, 20]), "{controllers:?}");
    assert!(controllers.iter().any(|data| data[..2] == [0xb0, 21]));
}

#[test]
fn what_the_host_writes_to_an_output_is_ignored() {
    let mut host = Host::new();
    let outputs = ["Score", "Alert", "State", "Score Lane", "Alert Lane"].map(|name| host.id(name));
    for id in outputs {
        let before = host.value(id);
        host.set(id, 1.0);
        assert_eq!(host.value(id), before, "while it isn't processing");
    }
    host.start(48_000.0);
    host.process(&[&[0.0; 64], &[0.0; 64]]);
    for id in outputs {
        let before = host.value(id);
        host.set(id, 1.0);
        assert_eq!(host.value(id), before, "while it is processing");
    }
    let threshold = host.id("Threshold");
    host.set(threshold, 1.0);
    assert!(host.value(threshold) > 0.99, "settings are taken");
    host.set(threshold, f64::NAN);
    assert!(host.value(threshold) > 0.99, "but not nonsense");
}

#[test]
fn offline_live_and_scanned_scores_are_the_same() {
    for (rate, block) in [(48_000, 512), (44_100, 441), (96_000, 8192)] {
        let sound = voice(rate);
        let expected = scanned(f64::from(rate), &[&sound, &sound]);
        assert_eq!(expected.len(), 8);

        let mut offline = Host::new();
        offline.set_offline(true);
        offline.start(rate.into());
        let score = offline.id("Score");
        let mut heard = vec![500];
        for part in sound.chunks(block) {
            heard.extend(values(&offline.process(&[part, part]), score).into_iter().map(thousandths));
        }
        offline.stop();
        // The last, partial window: its score is there when the host has stopped.
        heard.push(thousandths(offline.value(score)));
        assert_eq!(changes(heard), changes([&[500], &expected[..]].concat()), "offline at {rate} Hz");

        // Live sound has no end, and with it no last, partial window.
        let expected = &expected[..7];
        let mut live = Host::started(rate.into());
        let mut heard = play(&mut live, &sound, block);
        let is_last =
            |said: &[Said]| values(said, score).last().map(|p| thousandths(*p)) == expected.last().copied();
        if !is_last(&heard) {
            heard.extend(wait(&mut live, is_last));
        }
        let heard: Vec<i64> = values(&heard, score).into_iter().map(thousandths).collect();
        // At blocks of 85 ms, two windows may come between two blocks: the host hears the later one.
        let mut whole = [&[500], expected].concat().into_iter();
        assert!(heard.iter().all(|p| whole.any(|other| other == *p)), "live at {rate} Hz: {heard:?}");
    }
}

fn changes(mut values: Vec<i64>) -> Vec<i64> {
    values.dedup();
    values
}

#[test]
fn a_jump_starts_a_fresh_window() {
    let sound = voice(48_000);
    let mut host = Host::new();
    host.set_offline(true);
    host.transport = Some(Transport { playing: true, seconds: 0.0 });
    host.start(48_000.0);
    let state = host.id("State");
    // A loop of 1.5 s, played four times: no two seconds of it belong together.
    for _ in 0..4 {
        host.transport = Some(Transport { playing: true, seconds: 0.0 });
        for part in sound[..72_000].chunks(480) {
            host.process(&[part, part]);
        }
        assert_eq!(host.value(state), f64::from(State::WarmingUp as u8));
    }
    // The same sound without jumps is judged.
    for part in sound[..144_000].chunks(480) {
        host.process(&[part, part]);
    }
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
    // When the transport stops, the last score stands.
    host.transport = Some(Transport { playing: false, seconds: 3.0 });
    host.process(&[&sound[..480], &sound[..480]]);
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
    // After one more jump it is not shown for the new sound.
    host.transport = Some(Transport { playing: true, seconds: 60.0 });
    host.process(&[&sound[..4800], &sound[..4800]]);
    assert_eq!(host.value(state), f64::from(State::WarmingUp as u8));
}

#[test]
fn a_jump_within_a_block_starts_a_fresh_window_too() {
    use clack_host::events::io::EventBuffer;
    let sound = voice(48_000);
    let mut host = Host::new();
    host.set_offline(true);
    host.transport = Some(Transport { playing: true, seconds: 0.0 });
    host.start(48_000.0);
    let state = host.id("State");
    // 1.5 s, a jump back in the middle of a block, 1.5 s.
    host.process(&[&sound[..68_000], &sound[..68_000]]);
    let mut events = EventBuffer::new();
    events.push(&Transport { playing: true, seconds: 0.0 }.event(4_000));
    host.run(&[&sound[68_000..76_000], &sound[68_000..76_000]], &events);
    host.transport = Some(Transport { playing: true, seconds: 4_000.0 / 48_000.0 });
    host.process(&[&sound[76_000..140_000], &sound[76_000..140_000]]);
    assert_eq!(host.value(state), f64::from(State::WarmingUp as u8));
    host.process(&[&sound[140_000..180_000], &sound[140_000..180_000]]);
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
}

#[test]
fn bypass_and_reset_do_what_they_say() {
    let sound = voice(48_000);
    let mut host = Host::new();
    host.set_offline(true);
    host.start(48_000.0);
    let (state, score) = (host.id("State"), host.id("Score"));
    let (bypass, reset) = (host.id("Bypass"), host.id("Reset"));
    host.process(&[&sound, &sound]);
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
    host.set(reset, 1.0);
    assert_eq!((host.value(state), host.value(score)), (f64::from(State::WarmingUp as u8), 0.5));
    host.set(bypass, 1.0);
    host.process(&[&sound, &sound]);
    assert_eq!((host.value(state), host.value(score)), (7.0, 0.5), "bypassed");
    host.set(bypass, 0.0);
    host.process(&[&sound, &sound]);
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
}

#[test]
fn silence_is_no_score() {
    let mut host = Host::new();
    host.set_offline(true);
    host.start(48_000.0);
    let (state, score) = (host.id("State"), host.id("Score"));
    let silence = vec![0.0; 144_000];
    host.process(&[&silence, &silence]);
    assert_eq!((host.value(state), host.value(score)), (f64::from(State::NoSpeech as u8), 0.5));
}

#[test]
fn state_survives_and_rubbish_does_no_harm() {
    let mut host = Host::new();
    let settings =
        [("Threshold", 0.25), ("Hop", 0.5), ("Channel", 2.0), ("Output Mode", 3.0), ("Bypass", 1.0)];
    for (name, value) in settings {
        let id = host.id(name);
        host.set(id, value);
    }
    let blob = host.save();
    let mut other = Host::new();
    assert!(other.load(&blob));
    for (name, _) in settings {
        let (a, b) = (host.id(name), other.id(name));
        assert_eq!(host.value(a), other.value(b), "{name}");
    }
    // From a later version: a parameter, a choice and a field that this one doesn't know.
    let json = String::from_utf8(blob[8..].to_vec()).unwrap();
    let later = json
        .replacen("\"params\":{", "\"params\":{\"novelty\":{\"f32\":0.5},", 1)
        .replacen("\"fields\":{", "\"fields\":{\"later\":\"1\",", 1)
        .replace("right", "upside-down");
    assert_ne!(json, later);
    let later: Vec<u8> = (later.len() as u64).to_le_bytes().into_iter().chain(later.bytes()).collect();
    let mut newer = Host::new();
    assert!(newer.load(&later));
    let threshold = newer.id("Threshold");
    let set = other.value(threshold);
    assert_eq!(newer.value(threshold), set);
    for rubbish in
        [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x04\0\0\0\0\0\0\0null", &blob[..blob.len() / 2]]
    {
        assert!(!newer.load(rubbish), "{rubbish:?}");
        assert_eq!(newer.value(threshold), set, "what was there is there");
    }
}

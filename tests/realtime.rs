//! The audio thread is sacred: no allocation, no lock, no system call.

mod common;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use bonafide::dsp::ChannelChoice;
use bonafide::engine::{StreamConfig, StreamProcessor};
use bonafide::rt::{FrameConsumer, ScoreCell, Scores};
use common::{front_end, noise};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const RATES: [f64; 5] = [8_000.0, 16_000.0, 44_100.0, 48_000.0, 192_000.0];

fn stream(rate: f64, channel: ChannelChoice) -> (StreamProcessor, FrameConsumer) {
    StreamProcessor::new(&front_end(), StreamConfig { host_rate: rate, channel, queue_s: 0.5 }).unwrap()
}

/// A host's life: blocks of all sizes (more than the queue holds, so that it overflows too), NaN,
/// jumps, resets, an end, and readings of the scores.
fn live(processor: &mut StreamProcessor, queue: &mut FrameConsumer, cell: &ScoreCell, sound: &[Vec<f32>]) {
    let mut bands = [0.0; 128];
    for (i, block) in [0, 1, 7, 32, 64, 511, 512, 1024, 8192, 20_000].into_iter().cycle().take(60).enumerate()
    {
        let parts = [&sound[0][..block], &sound[1][..block]];
        processor.process(&parts);
        match i % 20 {
            7 => processor.discontinuity(),
            11 => processor.reset(),
            13 => {
                processor.finish();
            }
            17 => while queue.pop(&mut bands).is_some() {},
            _ => {}
        }
        std::hint::black_box(cell.read());
    }
}

fn sounds() -> Vec<Vec<f32>> {
    let mut sounds = vec![noise(20_000, 1), noise(20_000, 2)];
    sounds[1][500] = f32::NAN;
    sounds
}

#[test]
fn allocates_nothing() {
    let (sound, cell) = (sounds(), ScoreCell::default());
    cell.publish(&Scores::default());
    for rate in RATES {
        for channel in [ChannelChoice::Mid, ChannelChoice::Loudest] {
            let (mut processor, mut queue) = stream(rate, channel);
            assert_no_alloc(|| live(&mut processor, &mut queue, &cell, &sound));
            assert_eq!(violation_count(), 0, "allocations at {rate} Hz, {channel:?}");
        }
    }
}

/// The guard itself can fail: an allocation under it is noticed.
#[test]
fn the_allocation_guard_can_fail() {
    assert_no_alloc(|| drop(std::hint::black_box(Box::new(1))));
    assert!(violation_count() > 0);
}

/// Under seccomp a thread that makes any system call is killed by the kernel with its process: a
/// contended lock (futex), a wake-up, a log line, a page of new memory, a sleep. An uncontended
/// lock makes none, so `tests/layers.rs` also forbids lock types in real-time sources.
#[cfg(target_os = "linux")]
mod system_calls {
    use super::*;
    use common::allow_only_exit;
    use std::process::ExitStatus;

    /// Runs one of this file's tests alone, as a child that is told so.
    fn child(test: &str) -> ExitStatus {
        common::child(test, &[("BONAFIDE_UNDER_SECCOMP", "1")]).status
    }

    fn exit() -> ! {
        // SAFETY: ends the process at once; nothing is left to clean up.
        unsafe { libc::_exit(42) }
    }

    #[test]
    fn makes_no_system_call() {
        assert_eq!(child("system_calls::guarded_stream").code(), Some(42), "a system call killed the stream");
    }

    #[test]
    fn the_guard_kills_a_wake_up() {
        use std::os::unix::process::ExitStatusExt;
        let status = child("system_calls::guarded_wake_up");
        assert_eq!(status.signal(), Some(libc::SIGSYS), "the guard must be able to fail: {status}");
    }

    #[test]
    #[ignore = "run by makes_no_system_call in a process of its own"]
    fn guarded_stream() {
        if std::env::var_os("BONAFIDE_UNDER_SECCOMP").is_none() {
            return;
        }
        let (sound, cell) = (sounds(), ScoreCell::default());
        let mut streams: Vec<_> = RATES.iter().map(|rate| stream(*rate, ChannelChoice::Loudest)).collect();
        allow_only_exit();
        for (processor, queue) in &mut streams {
            live(processor, queue, &cell, &sound);
        }
        exit();
    }

    #[test]
    #[ignore = "run by the_guard_kills_a_wake_up in a process of its own"]
    fn guarded_wake_up() {
        if std::env::var_os("BONAFIDE_UNDER_SECCOMP").is_none() {
            return;
        }
        let sleeper = std::thread::spawn(std::thread::park);
        // Waking a thread is a system call only once it sleeps.
        std::thread::sleep(std::time::Duration::from_millis(200));
        allow_only_exit();
        sleeper.thread().unpark();
        exit();
    }
}

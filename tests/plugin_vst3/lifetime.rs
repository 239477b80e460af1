//! Instances come and go.

use std::process::Output;
use std::sync::Arc;

use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;

use crate::common::{child, noise, speech_like};
use crate::vst3_host::{self, Block, Vst3Instance, same_bits};
use crate::{SCORED, same_score, scan, shown, wait_for};

/// Runs one of this file's tests alone in a process of its own: the others start threads, and what
/// crashes shall not take them along.
fn alone(test: &str) -> Output {
    // With an arena for each thread, glibc's memory depends on which thread came first.
    child(test, &[("MALLOC_ARENA_MAX", "1")])
}

fn assert_passes_alone(test: &str) {
    let output = alone(test);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
}

#[test]
fn terminate_needs_no_activation() {
    drop(Vst3Instance::create());
    let component = vst3_host::create_component();
    // SAFETY: null is a host that lends nothing.
    unsafe {
        assert_eq!(component.initialize(std::ptr::null_mut()), kResultOk);
        assert_eq!(component.terminate(), kResultOk);
    }
    drop(vst3_host::create_component());
}

#[test]
fn what_the_host_has_lent_comes_back() {
    for active in [false, true] {
        let instance = Vst3Instance::create_with_run_loop();
        let (log, run_loop) = (instance.log(), instance.run_loop.clone().unwrap());
        if active {
            instance.start(48_000.0);
            instance.process(Block { inputs: &[&[0.1; 64]], ..Block::default() });
        }
        drop(instance);
        assert_eq!(run_loop.timers(), 0);
        assert_eq!(Arc::strong_count(&log), 1, "the handler is gone");
    }
}

#[test]
fn activation_without_a_setup_is_refused() {
    let instance = Vst3Instance::create();
    // SAFETY: by value.
    unsafe {
        assert_ne!(instance.component.setActive(1), kResultOk);
        assert_eq!(instance.component.setActive(0), kResultOk);
        assert_eq!(instance.component.setActive(0), kResultOk);
    }
}

#[test]
fn the_handler_may_be_taken_back_at_any_time() {
    let instance = Vst3Instance::create_with_run_loop();
    instance.set_text("Output Mode", "Automation");
    instance.start(48_000.0);
    for _ in 0..3 {
        instance.process(Block { inputs: &[&[0.1; 64]], ..Block::default() });
        // SAFETY: null takes the handler back.
        unsafe { assert_eq!(instance.controller.setComponentHandler(std::ptr::null_mut()), kResultOk) };
        instance.run_loop.as_ref().unwrap().fire_timers();
        instance.set("Threshold", 0.5);
    }
    assert_eq!(instance.take_edits(), []);
}

#[test]
fn an_editor_that_is_never_shown_does_no_harm() {
    let instance = Vst3Instance::create_with_run_loop();
    // SAFETY: a C string; the view is the host's to release.
    let view = unsafe { vst3::ComPtr::from_raw(instance.controller.createView(c"editor".as_ptr())) };
    let Some(view) = view else { return };
    let mut size = ViewRect { left: 0, top: 0, right: 0, bottom: 0 };
    // SAFETY: the host's structure and strings; null is to be refused.
    unsafe {
        assert_eq!(view.getSize(&mut size), kResultOk);
        assert_eq!((size.right, size.bottom), (960, 600));
        assert_ne!(view.isPlatformTypeSupported(c"Teletype".as_ptr()), kResultTrue);
        assert_ne!(view.attached(std::ptr::null_mut(), c"X11EmbedWindowID".as_ptr()), kResultOk);
        assert_ne!(view.removed(), kResultOk);
        assert!(instance.controller.createView(c"other".as_ptr()).is_null());
        assert!(instance.controller.createView(std::ptr::null()).is_null());
    }
    drop(instance);
    // SAFETY: a view may outlive its component.
    unsafe { assert_eq!(view.getSize(&mut size), kResultOk) };
}

#[test]
fn many_instances_each_have_their_own_score() {
    // In noise of its own level: the voice alone is always as near to 100 % as is ever shown.
    let sound = |seed: u32| -> Vec<f32> {
        let (voice, hiss) = (speech_like(16_000, 2.6, seed), noise(41_600, 5));
        voice.iter().zip(hiss).map(|(x, hiss)| x + 0.003 * seed as f32 * hiss).collect()
    };
    let sounds: Vec<_> = (0..64).map(sound).collect();
    let expected: Vec<_> = sounds.iter().map(|sound| shown(&scan(16_000, sound)[1])).collect();
    let instances: Vec<_> = sounds.iter().map(|_| Vst3Instance::create()).collect();
    instances.iter().for_each(|instance| instance.start(16_000.0));
    for at in (0..sounds[0].len()).step_by(1600) {
        for (instance, sound) in instances.iter().zip(&sounds) {
            let part = &sound[at..at + 1600];
            let processed = instance.process(Block { inputs: &[part], ..Block::default() });
            assert!(same_bits(&processed.outputs[0], part));
        }
    }
    for (instance, expected) in instances.iter().zip(&expected) {
        wait_for("its score", || {
            instance.process(Block { inputs: &[&[]], ..Block::default() });
            instance.get("State") == SCORED && same_score(instance.get("Score"), *expected)
        });
    }
    let mut different = expected.clone();
    different.sort_by(f64::total_cmp);
    different.dedup();
    assert!(different.len() > 30, "or the test would show little: {different:?}");
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(target_os = "linux")]
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn coming_and_going_leaves_nothing_behind() {
    assert_passes_alone("lifetime::come_and_go");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by coming_and_going_leaves_nothing_behind in a process of its own"]
fn come_and_go() {
    let cycle = |i: usize| {
        let instance = Vst3Instance::create_with_run_loop();
        if i.is_multiple_of(20) {
            instance.start(48_000.0);
            for part in speech_like(48_000, 2.5, 1).chunks(4_800) {
                instance.process(Block { inputs: &[part, part], ..Block::default() });
            }
            wait_for("a score", || {
                instance.process(Block { inputs: &[&[], &[]], ..Block::default() });
                instance.get("State") == SCORED
            });
        }
    };
    // What is made once: tables, and the inference library's own threads.
    (0..40).for_each(cycle);
    let before = (threads(), resident_kib());
    (0..200).for_each(cycle);
    // The system may list a thread for a moment after it was joined.
    wait_for("threads to end", || threads() == before.0);
    let after = resident_kib();
    println!("{before:?} threads and KiB, then {after} KiB");
    // Ten leaked models or streams would take more.
    assert!(after - before.1 < 16 * 1024, "{} KiB, then {after}", before.1);
}

/// nice-plug's worker is one for all instances, and whatever one of them left to it must not end it.
#[test]
fn a_state_from_another_thread_does_not_outlive_its_instance() {
    assert_passes_alone("lifetime::load_elsewhere_and_go");
}

#[test]
#[ignore = "run by a_state_from_another_thread_does_not_outlive_its_instance in a process of its own"]
fn load_elsewhere_and_go() {
    for _ in 0..50 {
        let other = Vst3Instance::create();
        let instance = Vst3Instance::create();
        let state = instance.save();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20).for_each(|_| assert!(instance.load(&state))));
        });
        drop(instance);
        assert!(other.load(&state));
        drop(other);
    }
}

/// Hosts may make an instance on one thread and use it on another.
#[test]
fn an_instance_may_move_to_another_thread() {
    let instance = std::thread::spawn(Vst3Instance::create).join().unwrap();
    instance.start(48_000.0);
    let sound = speech_like(48_000, 0.1, 1);
    let processed = instance.process(Block { inputs: &[&sound], ..Block::default() });
    assert!(same_bits(&processed.outputs[0], &sound));
    assert!(instance.load(&instance.save()));
}

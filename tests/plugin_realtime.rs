//! `process()` of the whole plugin, in both formats: no allocation, no lock that could wait, no
//! system call, with the editor closed and open, and with a log.

#[path = "common/raw_clap.rs"]
mod clap;
mod common;
#[path = "common/processor.rs"]
mod processor;
#[cfg(target_os = "linux")]
#[path = "common/screen.rs"]
mod screen;
#[path = "common/raw_vst3.rs"]
mod vst3;

use std::process::Output;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use bonafide::plugin::edits::number;
use common::speech_like;
use processor::{Processor, RATE};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const BLOCKS: [usize; 9] = [1, 7, 32, 64, 511, 512, 1024, 8192, 0];

/// Twenty seconds of sound in blocks of all sizes, with parameters that move, jumps, and NaN.
fn live(processor: &mut dyn Processor, sound: &mut [Vec<f32>; 2], slowly: bool) -> usize {
    let (mut from, mut said) = (0, 0);
    for i in 0..2000 {
        let len = BLOCKS[i % BLOCKS.len()];
        if from + len > sound[0].len() {
            from = 0;
        }
        let [left, right] = sound;
        let (left, right) = (&mut left[from..from + len], &mut right[from..from + len]);
        let seconds = if i % 97 == 0 { 1000.0 } else { from as f64 / RATE };
        // All output modes in turn, and settings that take effect at once.
        let (id, value) = match i % 50 {
            0 => (
                const { number("output") },
                (i / 50 % 4) as f64 / if processor.is_clap() { 1.0 } else { 3.0 },
            ),
            1 => (const { number("channel") }, 0.0),
            2..10 => (const { number("hop") }, (i % 10) as f64 / 10.0),
            _ => (const { number("threshold") }, (i % 10) as f64 / 10.0),
        };
        said += processor.process([left, right], id, value, seconds);
        from += len;
        if slowly {
            // Time for the inference, so that there is something to be said.
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }
    said
}

fn sound() -> [Vec<f32>; 2] {
    let mut sound = [speech_like(48_000, 6.0, 1), speech_like(48_000, 6.0, 2)];
    sound[1][500] = f32::NAN;
    sound
}

/// Under the guard only the plugin runs: sleeping is the host's.
#[test]
fn allocates_nothing() {
    let mut sound = sound();
    let processors: [Box<dyn Processor>; 2] = [Box::new(clap::started()), Box::new(vst3::started())];
    for mut processor in processors {
        let mut said = live(&mut *processor, &mut sound, true);
        assert_no_alloc(|| said += live(&mut *processor, &mut sound, false));
        assert_eq!(violation_count(), 0);
        assert!(said > 3, "it had something to say");
    }
}

/// A folder whose logs tell that they were written; what filled the queue faster than time is told.
struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, test: &str) -> Output {
        let folder = self.0.path().to_str().unwrap();
        common::child(test, &[("BONAFIDE_UNDER_SECCOMP", "1"), ("DISPLAY", ""), ("BONAFIDE_LOG", folder)])
    }

    fn windows(&self) -> usize {
        let logs = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let texts = logs.map(|log| std::fs::read_to_string(log).unwrap());
        texts.map(|text| text.matches("\"record\":\"window\"").count()).sum()
    }
}

#[test]
fn allocates_nothing_with_a_log() {
    let logs = Logs::new();
    let output = logs.run("logged_under_the_allocator");
    assert!(output.status.success() && logs.windows() > 3, "{output:?}");
}

#[test]
#[ignore = "run by allocates_nothing_with_a_log in a process of its own"]
fn logged_under_the_allocator() {
    if std::env::var_os("BONAFIDE_LOG").is_some() {
        allocates_nothing();
    }
}

#[cfg(target_os = "linux")]
mod system_calls {
    use super::*;
    use crate::common::allow_only_exit;
    use crate::screen::{Screen, Window};
    use std::os::unix::process::ExitStatusExt;

    /// Runs one of this file's tests alone, as a child that is told so, with `display` if there is one.
    fn child(test: &str, display: &str) -> Output {
        common::child(test, &[("BONAFIDE_UNDER_SECCOMP", "1"), ("DISPLAY", display)])
    }

    /// An audio thread that may do nothing but compute, while the main thread opens the editor.
    fn guarded(mut processor: impl Processor + 'static, wake: bool, open_editor: impl FnOnce()) -> ! {
        let mut sound = sound();
        // The model opens and the first scores are there before the door closes.
        live(&mut processor, &mut sound, true);
        open_editor();
        let sleeper = std::thread::spawn(std::thread::park);
        let thread = std::thread::spawn(move || {
            allow_only_exit();
            for _ in 0..40 {
                std::hint::black_box(live(&mut processor, &mut sound, false));
            }
            if wake {
                sleeper.thread().unpark();
            }
            // SAFETY: ends the process at once; nothing is left to clean up.
            unsafe { libc::_exit(42) }
        });
        let _ = thread.join();
        unreachable!("the thread ends the process");
    }

    /// Opens an editor and waits until it has drawn.
    fn shown_in(window: &Window, open: impl FnOnce()) {
        open();
        while window.colours() < 20 {
            std::thread::yield_now();
        }
    }

    fn is_child() -> bool {
        std::env::var_os("BONAFIDE_UNDER_SECCOMP").is_some()
    }

    fn makes_none(test: &str) {
        let output = child(test, "");
        assert_eq!(output.status.code(), Some(42), "a system call killed it: {output:?}");
    }

    /// The same with the editor open, where one can be opened.
    fn makes_none_with_editor(test: &str) {
        let Some(screen) = Screen::start() else {
            eprintln!("skipped: no Xvfb (Debian: apt install xvfb libegl1 libgl1-mesa-dri)");
            return;
        };
        let output = child(test, &screen.display);
        if String::from_utf8_lossy(&output.stderr).contains("NO EDITOR") {
            eprintln!("skipped: the editor can't be opened here");
            return;
        }
        assert_eq!(output.status.code(), Some(42), "a system call killed it: {output:?}");
    }

    #[test]
    fn clap_makes_none() {
        makes_none("system_calls::guarded_clap");
    }

    #[test]
    fn vst3_makes_none() {
        makes_none("system_calls::guarded_vst3");
    }

    #[test]
    fn a_log_makes_none_on_the_audio_thread() {
        for test in ["system_calls::guarded_clap", "system_calls::guarded_vst3"] {
            let logs = Logs::new();
            let output = logs.run(test);
            assert_eq!(output.status.code(), Some(42), "a system call killed it: {output:?}");
            assert!(logs.windows() > 3, "{test} wrote no log");
        }
    }

    #[test]
    fn clap_with_its_editor_open_makes_none() {
        makes_none_with_editor("system_calls::guarded_clap_editor");
    }

    #[test]
    fn vst3_with_its_editor_open_makes_none() {
        makes_none_with_editor("system_calls::guarded_vst3_editor");
    }

    #[test]
    fn the_guard_can_fail() {
        let output = child("system_calls::guarded_wake_up", "");
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "a wake-up must be noticed: {output:?}");
    }

    #[test]
    #[ignore = "run by clap_makes_none in a process of its own"]
    fn guarded_clap() {
        if is_child() {
            guarded(clap::started(), false, || {});
        }
    }

    #[test]
    #[ignore = "run by vst3_makes_none in a process of its own"]
    fn guarded_vst3() {
        if is_child() {
            guarded(vst3::started(), false, || {});
        }
    }

    #[test]
    #[ignore = "run by clap_with_its_editor_open_makes_none in a process of its own"]
    fn guarded_clap_editor() {
        if is_child() {
            let (plugin, window) = (clap::started(), Window::open(960, 600));
            let open = plugin.editor(window.id);
            guarded(plugin, false, || shown_in(&window, open));
        }
    }

    #[test]
    #[ignore = "run by vst3_with_its_editor_open_makes_none in a process of its own"]
    fn guarded_vst3_editor() {
        if is_child() {
            let (plugin, window) = (vst3::started(), Window::open(960, 600));
            let open = plugin.editor(window.id);
            guarded(plugin, false, || shown_in(&window, open));
        }
    }

    #[test]
    #[ignore = "run by the_guard_can_fail in a process of its own"]
    fn guarded_wake_up() {
        if is_child() {
            guarded(clap::started(), true, || {});
        }
    }
}

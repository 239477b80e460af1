//! The plugin as a program: `cargo test --release --features standalone --test standalone`. Where a screen
//! in memory or PulseAudio is missing the test says that it skips.
#![cfg(all(feature = "standalone", target_os = "linux"))]

mod common;
#[path = "common/screen.rs"]
#[allow(dead_code, reason = "it brings its own window")]
mod screen;
#[path = "common/sound_card.rs"]
mod sound_card;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use screen::Screen;
use serde_json::Value;
use sound_card::{SoundCard, at_home};

/// What ALSA calls a sound server of PulseAudio.
const CARD: &str = "PulseAudio Sound Server";

/// What the log in `folder` says so far.
fn records(folder: &Path) -> Vec<Value> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    let text: String = texts.collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Ends with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_voice_that_the_sound_card_hears_is_judged() {
    let home = tempfile::tempdir().unwrap();
    let Some(screen) = Screen::start() else {
        println!("skipped: no Xvfb (Debian: apt install xvfb libegl1 libgl1-mesa-dri)");
        return;
    };
    let Some(card) = SoundCard::start(home.path()) else { return };
    let (log, errors) = (home.path().join("log"), home.path().join("errors"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_bonafide-standalone"));
    program.args(["--backend", "alsa", "--input-device", CARD, "--output-device", CARD]);
    program.env("DISPLAY", &screen.display).env("BONAFIDE_LOG", &log);
    program.stdout(Stdio::null()).stderr(fs::File::create(&errors).unwrap());
    let mut program = Program(at_home(&mut program, home.path()).spawn().unwrap());

    let voice = common::speech_like(48_000, 5.0, 1);
    let deadline = Instant::now() + Duration::from_secs(40);
    let judged = |record: &Value| record["record"] == "window" && record["state"] == "scored";
    while !records(&log).iter().any(judged) {
        let ended = program.0.try_wait().unwrap();
        let said = || fs::read_to_string(&errors).unwrap();
        if ended.is_some() && said().contains("GLX") {
            println!("skipped: the editor can't be opened here (libegl1, libx11-xcb1?): {}", said());
            return;
        }
        assert!(ended.is_none(), "{ended:?}: {}", said());
        assert!(Instant::now() < deadline, "nothing was judged: {}", said());
        assert!(card.play(&voice, 48_000));
        sleep(Duration::from_millis(200));
    }
}

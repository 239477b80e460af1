//! `listen --device`, with a sound card of PulseAudio's that is none: what is played into it is heard.
//! Where it is missing the test says that it skips.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::running::{Running, bonafide};
use crate::streams::{text, write_wav};

/// A sound server of the test's own, gone with it.
struct Card {
    server: Child,
    home: PathBuf,
}

impl Card {
    fn start(home: &Path) -> Option<Self> {
        fs::write(home.join(".asoundrc"), "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
            .unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
        let mut server = Command::new("pulseaudio");
        server.args([
            "--exit-idle-time=-1",
            "-n",
            "-L",
            "module-null-sink",
            "-L",
            "module-native-protocol-unix",
        ]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let server = at_home(&mut server, home).spawn().ok()?;
        let card = Self { server, home: home.to_owned() };
        let there = |_| {
            std::thread::sleep(Duration::from_millis(100));
            card.run("pactl", &["info"])
        };
        (0..50).any(there).then_some(card)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        at_home(&mut command, &self.home).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env_remove("PULSE_SERVER")
}

#[test]
fn a_sound_card_is_heard() {
    let home = tempfile::tempdir().unwrap();
    let Some(card) = Card::start(home.path()) else {
        println!(
            "skipped: no PulseAudio (Debian: apt install pulseaudio pulseaudio-utils libasound2-plugins)"
        );
        return;
    };
    let mut list = bonafide();
    let list = at_home(&mut list, home.path()).args(["listen", "--list-devices"]).output().unwrap();
    assert!(list.status.success(), "{list:?}");
    let mut command = bonafide();
    command.args(["listen", "--device", "default", "--name", "desk"]);
    at_home(&mut command, home.path());
    let mut running = Running::spawn(command);
    let start = running.wait_until("start or end", |record| record["type"] != "window");
    if start["type"] == "end" && start["problem"].to_string().contains("device") {
        println!("skipped: ALSA has no plugin for PulseAudio here: {start}");
        return;
    }
    let wav = write_wav(&home.path().join("a.wav"), 5.0, 1);
    assert!(card.run("paplay", &[text(&wav)]));
    running.wait_until("speech", |record| record["type"] == "window" && record["state"] == "scored");
    running.signal("TERM");
    let (records, code, errors) = running.end();
    assert_eq!(code, 0, "{errors}");
    let end = records.last().unwrap();
    assert!(end["reason"] == "stopped" && start["live"] == true, "{end}");
}

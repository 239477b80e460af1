//! A sound card that is none, of a PulseAudio of the test's own: what is played into it is heard.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The sound server; gone with this.
pub struct SoundCard {
    server: Child,
    home: PathBuf,
}

impl SoundCard {
    /// One whose settings lie in `home`; `None`, and why, where PulseAudio isn't installed.
    pub fn start(home: &Path) -> Option<Self> {
        fs::write(home.join(".asoundrc"), "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
            .unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
        let mut server = Command::new("pulseaudio");
        server.args(["--exit-idle-time=-1", "-n", "-L", "module-native-protocol-unix"]);
        server.args(["-L", "module-null-sink sink_name=card", "-L", "module-null-sink sink_name=speakers"]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(server) = at_home(&mut server, home).spawn() else {
            println!(
                "skipped: no PulseAudio (Debian: apt install pulseaudio pulseaudio-utils libasound2-plugins)"
            );
            return None;
        };
        let card = Self { server, home: home.to_owned() };
        let there = |_| {
            std::thread::sleep(Duration::from_millis(100));
            card.control(&["set-default-source", "card.monitor"])
                && card.control(&["set-default-sink", "speakers"])
        };
        if (0..50).any(there) {
            return Some(card);
        }
        println!("skipped: PulseAudio doesn't answer");
        None
    }

    /// Plays sound, to its end, into what is recorded.
    pub fn play(&self, sound: &[f32], rate: u32) -> bool {
        let path = self.home.join("played.raw");
        fs::write(&path, sound.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).unwrap();
        let mut player = Command::new("paplay");
        player.args(["--device=card", "--raw", "--format=float32le", "--channels=1"]);
        self.run(player.arg(format!("--rate={rate}")).arg(path))
    }

    fn control(&self, arguments: &[&str]) -> bool {
        self.run(Command::new("pactl").args(arguments))
    }

    fn run(&self, command: &mut Command) -> bool {
        at_home(command.stdout(Stdio::null()).stderr(Stdio::null()), &self.home)
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for SoundCard {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where the sound server of that home is found.
pub fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env_remove("PULSE_SERVER")
}

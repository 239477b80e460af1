//! `listen --device`. Without PulseAudio the test says that it skips.

use crate::common::speech_like;
use crate::running::{RATE, Running, bonafide};
use crate::sound_card::{SoundCard, at_home};

#[test]
fn a_sound_card_is_heard() {
    let home = tempfile::tempdir().unwrap();
    let Some(card) = SoundCard::start(home.path()) else { return };
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
    assert!(card.play(&speech_like(RATE, 5.0, 1), RATE));
    running.wait_until("speech", |record| record["type"] == "window" && record["state"] == "scored");
    running.signal("TERM");
    let (records, code, errors) = running.end();
    assert_eq!(code, 0, "{errors}");
    let end = records.last().unwrap();
    assert!(end["reason"] == "stopped" && start["live"] == true, "{end}");
}

//! The plugin's engine is its user's choice, kept on the machine and not in projects.
#![cfg(all(feature = "cli", feature = "plugin"))]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bonafide::plugin::audio::Position;
use bonafide::plugin::instance::{Host, Instance};
use bonafide::plugin::machine::EngineFile;
use common::{child, speech_like};

const RATE: u32 = 48_000;

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An offline render, which waits until all is judged; says how many windows there were.
fn play(instance: &Instance, seed: u32) -> usize {
    let before = instance.monitor.lock().points.len();
    for block in speech_like(RATE, 4.0, seed).chunks(4800) {
        instance.process(&[block, block], Position { playing: None, seconds: None });
    }
    instance.monitor.lock().points.len() - before
}

#[test]
fn a_server_judges_for_the_plugin_and_goes() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut server = Command::new(env!("CARGO_BIN_EXE_bonafide"))
        .args(["serve", "--listen", &address])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("the server", || TcpStream::connect(&address).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("settings/engine.toml");
    fs::create_dir(folder.path().join("settings")).unwrap();
    fs::write(&config, format!("server = \"http://{address}\"\n")).unwrap();
    let id = server.id().to_string();
    let environment = [("BONAFIDE_CONFIG", config.to_str().unwrap()), ("BONAFIDE_TEST_SERVER", id.as_str())];
    let output = child("in_a_process_with_settings", &environment);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let _ = server.kill();
    server.wait().unwrap();
    assert!(output.status.success(), "{said}");
    // What the child's user chose last.
    assert!(fs::read_to_string(&config).unwrap().contains("engine = \"tract\""));
}

#[test]
#[ignore = "run by another test, with settings"]
fn in_a_process_with_settings() {
    let instance = Arc::new(Instance::default());
    let status = || instance.monitor.lock().status.clone();
    instance.activate(Host { rate: RATE.into(), offline: true });
    assert!(play(&instance, 1) > 0);
    let engine = status().engine;
    assert!(engine.starts_with("bonafide ") && engine.contains(" at http://127.0.0.1:"), "{engine}");
    assert_eq!(status().note, None);

    // The server is killed: this machine judges, and says why.
    let killed = Command::new("kill").args(["-9", &std::env::var("BONAFIDE_TEST_SERVER").unwrap()]).status();
    assert!(killed.unwrap().success());
    assert!(play(&instance, 2) > 0);
    let (engine, note) = (status().engine, status().note.unwrap_or_default());
    assert!(!engine.contains("http") && note.contains("can't be reached"), "{engine}: {note}");
    assert_eq!((status().error, instance.monitor.lock().scores.dropped), (None, 0));

    // Its user has had enough of it.
    instance.set_engine(&EngineFile { engine: "tract".to_owned(), ..EngineFile::default() });
    wait("tract", || status().engine.starts_with("tract"));
    assert!(play(&instance, 3) > 0);
    instance.close();

    // An address that is none is told, and costs no window.
    instance.set_engine(&EngineFile { server: "nowhere".to_owned(), ..EngineFile::default() });
    wait("the note", || status().note.is_some_and(|note| note.contains("expected http(s)://HOST:PORT")));
    assert!(play(&instance, 4) > 0);
    assert_eq!(status().error, None);
    instance.set_engine(&EngineFile { engine: "tract".to_owned(), ..EngineFile::default() });
    wait("tract again", || status().note.is_none() && status().engine.starts_with("tract"));
    instance.close();
}

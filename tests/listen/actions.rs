//! Alarms that do something, each with a real receiver.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rosc::{OscPacket, OscType};
use serde_json::Value;

use crate::running::{ALARM, RAW, Running, listen, of_type, silence, speech};

/// An alarm that begins and ends.
fn sound() -> Vec<u8> {
    [speech(4.0, 1), silence(12.0)].concat()
}

fn options<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RAW[..], &ALARM, more].concat()
}

/// Actions were done, so many.
fn assert_done(records: &[Value], action: &str, count: usize) {
    let actions = of_type(records, "action");
    assert_eq!(actions.len(), count, "{actions:?}");
    assert!(actions.iter().all(|done| done["action"] == action && done["done"] == true), "{actions:?}");
    assert_eq!(records.last().unwrap()["actions_open"], 0);
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_command_is_run_and_no_name_is_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let (program, out) = (folder.path().join("on alarm"), folder.path().join("out"));
    script(
        &program,
        "printf '%s|%s|%s|%s|%s|%s\\n' \"$1\" \"$BONAFIDE_EVENT\" \"$BONAFIDE_STREAM\" \
         \"$BONAFIDE_P_SPOOF\" \"$BONAFIDE_TIMECODE\" \"$BONAFIDE_STREAM_S\" >>\"$2\"; echo noise",
    );
    let name = "x'; touch pwned; `touch pwned` $(touch pwned) \" & ";
    let command = format!("'{}' 'two words' '{}'", program.display(), out.display());
    let mut listen = crate::running::bonafide();
    let more = ["--name", name, "--on-alarm", &command, "--timecode", "00:00:10:00"];
    listen.arg("listen").args(options(&more)).current_dir(folder.path());
    let mut running = Running::spawn(listen);
    running.write(&sound());
    running.close();
    let (records, code, _) = running.end();
    assert_eq!(code, 0);
    assert_done(&records, "command", 2);
    let (alarm, end) = (of_type(&records, "alarm")[0], of_type(&records, "alarm_end")[0]);
    let expected = format!(
        "two words|alarm|{name}|{}|{}|{}\ntwo words|alarm_end|{name}||{}|{}\n",
        alarm["p_spoof"],
        alarm["timecode"].as_str().unwrap(),
        alarm["stream_s"].as_f64().unwrap(),
        end["timecode"].as_str().unwrap(),
        end["stream_s"].as_f64().unwrap(),
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), expected);
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn a_command_that_is_slow_or_fails_delays_nothing_and_leaves_no_zombie() {
    let folder = tempfile::tempdir().unwrap();
    let (program, go) = (folder.path().join("slow"), folder.path().join("go"));
    script(&program, "while ! [ -e \"$1\" ]; do sleep 0.05; done; exit 3");
    let command = format!("{} {}", program.display(), go.display());
    let mut running = Running::start(&options(&["--on-alarm", &command]));
    running.write(&sound());
    // All is judged while the program still waits.
    running.wait_until("window at 15.5 s", |record| record["end_s"] == 15.5);
    assert!(of_type(&running.records, "action").is_empty());
    fs::write(&go, "").unwrap();
    for _ in 0..2 {
        let action = running.wait_for("action");
        assert_eq!((&action["done"], &action["attempts"]), (&false.into(), &1.into()));
        assert!(action["problem"].as_str().unwrap().contains("exit status: 3"), "{action}");
    }
    assert_eq!(zombies_of(running.pid()), 0);
    running.close();
    assert_eq!(running.end().1, 0);
}

#[cfg(target_os = "linux")]
fn zombies_of(parent: u32) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    let zombie = |stat: &String| {
        // The name, in parentheses, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.first() == Some(&"Z") && fields.get(1) == Some(&parent.to_string().as_str())
    };
    stats.filter(zombie).count()
}

#[cfg(not(target_os = "linux"))]
fn zombies_of(_parent: u32) -> usize {
    0
}

#[test]
fn a_command_that_is_not_there_is_said() {
    let (records, code, _) = listen(&options(&["--on-alarm", "/nowhere/program"]), &sound());
    assert_eq!(code, 0, "listening goes on");
    let actions = of_type(&records, "action");
    assert_eq!(actions.len(), 2);
    assert!(actions[0]["problem"].as_str().unwrap().contains("/nowhere/program"), "{actions:?}");
}

/// Answers one POST; its body.
fn serve(server: &TcpListener, status: &str) -> Value {
    let (stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length, mut head) = (String::new(), 0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        line.clear();
    }
    assert!(head.starts_with("POST /alarm HTTP/1.1") && head.contains("application/json"), "{head}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_webhook_that_was_down_is_told_when_it_is_up() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let url = format!("http://{address}/alarm");
    let mut running = Running::start(&options(&["--webhook", &url, "--name", "line 1"]));
    running.write(&sound());
    running.wait_until("window at 15.5 s", |record| record["end_s"] == 15.5);
    assert!(of_type(&running.records, "action").is_empty(), "all is judged while nobody answers");
    let server = TcpListener::bind(address).unwrap();
    // Busy once, then well; then the second notice.
    let refused = serve(&server, "503 Service Unavailable");
    let taken = serve(&server, "200 OK");
    assert_eq!(refused, taken, "the same again");
    assert_eq!(&taken, of_type(&running.records, "alarm")[0]);
    assert_eq!(taken["stream"], "line 1");
    assert_eq!(serve(&server, "204 No Content")["type"], "alarm_end");
    let action = running.wait_for("action");
    assert!(action["attempts"].as_u64().unwrap() >= 2, "{action}");
    running.wait_for("action");
    running.close();
    let (records, code, _) = running.end();
    assert_eq!(code, 0);
    assert_done(&records, "webhook", 2);
}

#[test]
fn a_webhook_that_refuses_is_not_asked_again() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alarm", server.local_addr().unwrap());
    let answers = std::thread::spawn(move || (0..2).for_each(|_| drop(serve(&server, "403 Forbidden"))));
    let (records, code, _) = listen(&options(&["--webhook", &url]), &sound());
    answers.join().unwrap();
    assert_eq!(code, 0);
    let actions = of_type(&records, "action");
    assert_eq!(actions.len(), 2);
    for action in actions {
        assert_eq!((&action["done"], &action["attempts"]), (&false.into(), &1.into()));
        assert!(action["problem"].as_str().unwrap().contains("403"), "{action}");
    }
}

#[test]
fn osc_is_sent() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    let (records, ..) = listen(&options(&["--osc", &address, "--name", "studio 3"]), &sound());
    assert_done(&records, "osc", 2);
    let receive = || {
        let mut buffer = [0; 1024];
        let length = receiver.recv(&mut buffer).unwrap();
        let (_, packet) = rosc::decoder::decode_udp(&buffer[..length]).unwrap();
        let OscPacket::Message(message) = packet else { panic!("a message: {packet:?}") };
        message
    };
    let alarm = receive();
    assert_eq!(alarm.addr, "/bonafide/alarm");
    let p = of_type(&records, "alarm")[0]["p_spoof"].as_f64().unwrap() as f32;
    assert_eq!(alarm.args[..2], [OscType::String("studio 3".to_owned()), OscType::Float(p)]);
    assert_eq!(receive().addr, "/bonafide/alarm_end");
}

#[test]
fn midi_is_written() {
    let device = tempfile::NamedTempFile::new().unwrap();
    let (records, ..) = listen(&options(&["--midi", device.path().to_str().unwrap()]), &sound());
    assert_done(&records, "midi", 2);
    let p = of_type(&records, "alarm")[0]["p_spoof"].as_f64().unwrap();
    let score = (p * 127.0).round() as u8;
    assert_eq!(fs::read(device.path()).unwrap(), [0xb0, 20, score, 0xb0, 21, 127, 0xb0, 21, 0]);
}

#[test]
fn actions_keep_their_distance() {
    // Two alarms within an hour: the second is told, and nothing is done.
    let twice = [sound(), sound()].concat();
    let device = tempfile::NamedTempFile::new().unwrap();
    let path = device.path().to_str().unwrap();
    let (records, ..) = listen(&options(&["--midi", path, "--min-interval", "3600"]), &twice);
    let suppressed: Vec<_> =
        of_type(&records, "alarm").iter().map(|alarm| alarm["suppressed"].clone()).collect();
    assert_eq!(suppressed, [false, true]);
    assert_done(&records, "midi", 2);
    assert_eq!(fs::read(device.path()).unwrap().len(), 9);
}

//! Servers that don't answer as they should: every window is judged all the same, and why is told.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use bonafide::detect::{EngineChoice, Scorer, ServerSettings};

use crate::fake::{Fake, Fault, judge_until, model, settings, window, with};

/// What is wrong, and what is said of it.
const FAULTS: [(Fault, &str); 11] = [
    (Fault::Broken, "answers 500 Internal Server Error: {\"error\":\"out of memory\"}"),
    (Fault::Garbage, "no Open Inference answer"),
    (Fault::NoProtocol, "doesn't speak the Open Inference Protocol"),
    (Fault::WrongShape, "shape [1, 3] instead of [1, 2]"),
    (Fault::NotANumber, "not finite"),
    (Fault::OtherModel, "has another model: scores up to 0.2000 nats apart"),
    (Fault::OtherInput, "the model's input has shape [-1, 1, 17, 20]"),
    (Fault::TwoInputs, "2 inputs: expected one"),
    (Fault::WantsToken, "answers 401 Unauthorized"),
    (Fault::Slow, "doesn't answer within 0.5 s"),
    (Fault::Hangs, "doesn't answer within 0.5 s"),
];

#[test]
fn what_is_wrong_at_the_start_is_told_and_judged_here() {
    let mut here = Scorer::open(model(), EngineChoice::Tract).unwrap();
    for (fault, expected) in FAULTS {
        let fake = Fake::start(&[], -1);
        fake.set(fault);
        let mut scorer = Scorer::open(model(), settings(&fake.server.url())).unwrap();
        // The trial's windows go together.
        let expected = expected.replace("[1, 3] instead of [1, 2]", "[4, 3] instead of [4, 2]");
        let note = scorer.note().unwrap_or_else(|| panic!("{fault:?} went unseen")).to_owned();
        println!("{fault:?}: {note}");
        assert!(note.contains(&fake.server.url()) && note.contains(&expected), "{fault:?}: {note}");
        assert!(scorer.engine().starts_with("tract"));
        assert_eq!(scorer.llr(&window(1)).unwrap(), here.llr(&window(1)).unwrap());
    }
}

#[test]
fn what_goes_wrong_later_costs_no_window_and_ends() {
    // What only shows at the start is no matter here, and another model shows nowhere else.
    let later = [Fault::Broken, Fault::Garbage, Fault::WrongShape, Fault::NotANumber, Fault::Slow];
    for (fault, expected) in FAULTS.into_iter().filter(|(fault, _)| later.contains(fault)) {
        let fake = Fake::start(&[], -1);
        let mut scorer = Scorer::open(model(), settings(&fake.server.url())).unwrap();
        judge_until(&mut scorer, "the server", |scorer| scorer.note().is_none());
        fake.set(fault);
        judge_until(&mut scorer, "the fault", |scorer| scorer.note().is_some());
        let note = scorer.note().unwrap();
        assert!(note.contains(expected) && scorer.engine().starts_with("tract"), "{fault:?}: {note}");
        fake.set(Fault::None);
        judge_until(&mut scorer, "the return", |scorer| scorer.note().is_none());
        assert!(scorer.engine().starts_with("fake 1.0 at "), "{}", scorer.engine());
    }
}

#[test]
fn a_slow_server_holds_a_window_up_no_longer_than_was_said() {
    let fake = Fake::start(&[], -1);
    let mut scorer = Scorer::open(model(), settings(&fake.server.url())).unwrap();
    fake.set(Fault::Slow);
    let start = Instant::now();
    scorer.llr(&window(1)).unwrap();
    let first = start.elapsed();
    let start = Instant::now();
    (2..20).for_each(|seed| _ = scorer.llr(&window(seed)).unwrap());
    let others = start.elapsed();
    assert!(first >= Duration::from_millis(450) && first < Duration::from_secs(5), "{first:?}");
    assert!(others < Duration::from_secs(4), "only the first of 18 waits: {others:?}");
}

#[test]
fn nobody_there_no_such_host_and_no_tls_are_told() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fake = Fake::start(&[], -1);
    for (url, expected) in [
        (format!("http://{free}"), "can't be reached"),
        // Some networks let such a name wait for an answer, some answer it themselves.
        ("http://no-such-host.invalid".to_owned(), ""),
        (format!("https://{}", fake.server.address), "can't be reached"),
    ] {
        let scorer = Scorer::open(model(), settings(&url)).unwrap();
        let note = scorer.note().unwrap();
        println!("{note}");
        assert!(note.contains(&url) && note.contains(expected), "{note}");
    }
}

#[test]
fn settings_that_can_not_work_are_told() {
    let server = ServerSettings::new("http://127.0.0.1:9").unwrap();
    let error = |server: ServerSettings| {
        // The plugin tells and judges; a command says so before it begins.
        let scorer = Scorer::open(model(), with(server.clone())).unwrap();
        assert!(scorer.engine().starts_with("tract"));
        let problem = server.check().expect_err("it was taken");
        assert!(scorer.note().unwrap().contains(&problem), "{:?}", scorer.note());
        problem
    };
    let model = Some("../../x".to_owned());
    assert!(error(ServerSettings { model, ..server.clone() }).contains("no model's name"));
    let certificates = Some("tests/server/runtime.py".into());
    assert!(error(ServerSettings { certificates, ..server.clone() }).contains("no certificate"));
    let certificates = Some("no-such-file.pem".into());
    assert!(error(ServerSettings { certificates, ..server }).contains("no-such-file.pem"));
    let bonafide = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bonafide")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (arguments, expected) in [
        (&["scan", "x.wav", "--server", "h:8000"][..], "expected http(s)://HOST:PORT"),
        (&["scan", "x.wav", "--server-model", "m"], "--server"),
        (&["scan", "x.wav", "--server", "http://h", "--server-timeout", "0"], "0.1 to 60"),
        (&["scan", "x.wav", "--server", "http://h", "--server-token", "no-such-file"], "no-such-file"),
    ] {
        let (code, said) = bonafide(arguments);
        assert!(code == Some(2) && said.contains(expected), "{arguments:?}: {said}");
    }
}

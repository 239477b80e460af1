//! Real servers, killed and started again: MLServer with the default model in onnxruntime, and our own.
//!
//! MLServer needs Python with the packages of `tests/server/requirements.txt`, named by `BONAFIDE_MLSERVER`
//! (`cargo xtask test` sets it up).

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bonafide::model::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{RATE, RAW, Running, bonafide, of_type, speech};

/// How far apart scores there and here may be, nats.
const TOLERANCE: f64 = 1e-4;

/// A server in a process of its own.
struct Real {
    command: Box<dyn Fn() -> Command>,
    port: u16,
    log: TempDir,
    process: Option<Child>,
}

impl Real {
    /// Started, and asked until it answers.
    fn start(port: u16, log: TempDir, command: impl Fn() -> Command + 'static) -> Self {
        let mut server = Self { command: Box::new(command), port, log, process: None };
        server.run();
        server
    }

    fn run(&mut self) {
        let path = self.log.path().join("log");
        let log = fs::File::create(&path).unwrap();
        let mut command = (self.command)();
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        let start = Instant::now();
        while !self.is_ready() {
            let log = fs::read_to_string(&path).unwrap();
            assert!(start.elapsed() < Duration::from_secs(120), "the server does not start: {log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn is_ready(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let place = format!("/v2/models/{}/ready", Model::embedded().unwrap().manifest.model.name);
        let asked = write!(connection, "GET {place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && connection.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    /// Without a word, as a driver's crash or a power failure does it.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.kill();
    }
}

/// MLServer; says so if there is none.
fn mlserver() -> Option<Real> {
    let Some(python) = std::env::var_os("BONAFIDE_MLSERVER") else {
        println!("skipped: BONAFIDE_MLSERVER names no Python with MLServer (`cargo xtask test` makes one)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = Model::embedded().unwrap();
    let [_, channels, height, width] = model.manifest.input_shape();
    let tensor = |name: &str, shape: &[usize]| {
        let shape: Vec<i64> = std::iter::once(-1).chain(shape.iter().map(|n| *n as i64)).collect();
        json!({"name": name, "datatype": "FP32", "shape": shape})
    };
    let settings = json!({
        "name": model.manifest.model.name,
        "implementation": "runtime.OnnxModel",
        "parameters": {"uri": root.join("models").join(&model.manifest.model.file)},
        "inputs": [tensor("input", &[channels, height, width])],
        "outputs": [tensor("logits", &[2])],
    });
    let [http, grpc, metrics] = [(); 3].map(|()| free_port());
    let server = json!({
        "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics,
        "parallel_workers": 0,
    });
    let at = |name: &str| folder.path().join(name);
    fs::copy(root.join("tests/server/runtime.py"), at("runtime.py")).unwrap();
    fs::write(at("model-settings.json"), settings.to_string()).unwrap();
    fs::write(at("settings.json"), server.to_string()).unwrap();
    let place = folder.path().to_owned();
    Some(Real::start(http, folder, move || {
        let mut command = Command::new(&python);
        // What its script `mlserver` does.
        command.args(["-c", "from mlserver.cli import main; main()", "start"]).arg(&place);
        command
    }))
}

/// `bonafide serve`.
fn own() -> Real {
    let port = free_port();
    Real::start(port, tempfile::tempdir().unwrap(), move || {
        let mut command = bonafide();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wav(path: &Path, samples: &[u8]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples.as_chunks::<2>().0 {
        wav.write_sample(i16::from_le_bytes(*sample)).unwrap();
    }
    wav.finalize().unwrap();
}

fn scan(arguments: &[&str]) -> Value {
    let output = bonafide().args(["scan", "--json", "--timeline"]).args(arguments).output().unwrap();
    assert!(output.status.code() < Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn llrs(windows: &[&Value]) -> Vec<Option<f64>> {
    windows.iter().map(|window| window["llr"].as_f64()).collect()
}

fn assert_same(found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len(), "windows");
    let mut scored = 0;
    for (i, pair) in found.iter().zip(expected).enumerate() {
        match pair {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() <= TOLERANCE, "window {i}: {found} instead of {expected}");
                scored += 1;
            }
            pair => assert_eq!(pair.0, pair.1, "window {i}"),
        }
    }
    assert!(scored > 0, "nothing was compared");
}

#[test]
fn mlserver_says_what_this_machine_says_and_its_death_costs_nothing() {
    if let Some(server) = mlserver() {
        says_the_same_and_dies(server, "mlserver 1.7.1");
    }
}

#[test]
fn our_own_server_does_so_too() {
    says_the_same_and_dies(own(), concat!("bonafide ", env!("CARGO_PKG_VERSION")));
}

fn says_the_same_and_dies(mut server: Real, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voice.wav");
    let sound = speech(30.0, 3);
    wav(&file, &sound);
    let file = file.to_str().unwrap();
    let here = scan(&[file]);
    let expected = llrs(&here["timeline"].as_array().unwrap().iter().collect::<Vec<_>>());

    let url = server.url();
    // A busy machine may take its time.
    let patient = ["--server", url.as_str(), "--server-timeout", "30"];
    let there = scan(&[&[file][..], &patient].concat());
    let engine = format!("{name} at {}", server.url());
    assert_eq!((&there["engine"], &there["engine_note"]), (&json!(engine), &Value::Null));
    assert_same(&llrs(&there["timeline"].as_array().unwrap().iter().collect::<Vec<_>>()), &expected);

    // A stream, written as the server comes and goes.
    let mut running = Running::start(&[&RAW[..], &patient, &["--stall", "600"]].concat());
    let second = 2 * RATE as usize;
    running.write(&sound[..8 * second]);
    running.wait_until("window at 7 s", |record| record["end_s"] == 7.0);
    assert_eq!(of_type(&running.records, "start")[0]["engine"], json!(engine));
    assert!(of_type(&running.records, "engine").is_empty());
    server.kill();
    running.write(&sound[8 * second..12 * second]);
    let away = running.wait_for("engine");
    let note = away["engine_note"].as_str().unwrap();
    assert!(note.contains(&server.url()) && note.contains("can't be reached"), "{away}");
    assert!(!away["engine"].as_str().unwrap().contains("http"), "{away}");
    running.wait_until("window at 11 s", |record| record["end_s"] == 11.0);
    server.run();
    // It is looked for in the background; who judges is told with the next window.
    let (mut at, step) = (12 * second, second / 2);
    // In between, why it is away may change.
    let judge = |records: &[Value]| of_type(records, "engine").last().map(|told| told["engine"].clone());
    while judge(&running.records) != Some(json!(engine)) {
        assert!(at < 28 * second, "it was not found again");
        running.write(&sound[at..at + step]);
        at += step;
        let end_s = (at / step) as f64 * 0.5 - 1.0;
        running.wait_until("the next window", |record| record["end_s"].as_f64() >= Some(end_s));
        std::thread::sleep(Duration::from_millis(800));
    }
    running.write(&sound[at..]);
    running.close();
    let (records, code, _) = running.end();
    assert_eq!(code, 0);
    // Nothing is lost, and nobody can tell from a score who made it.
    assert_same(&llrs(&of_type(&records, "window")), &expected);
    assert_eq!(records.last().unwrap()["windows"], json!(expected.len()));
}

//! A server that speaks the protocol, on this machine's own engine, until a test says otherwise.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bonafide::detect::{Detector, EngineChoice, EngineSettings, Scorer, ServerSettings, open_detector};
use bonafide::model::Model;
use serde_json::{Value, json};

use crate::common::http::{Reply, Request, Server, Stream};
use crate::common::{noise, tiny};

pub const BINARY: &str = "binary_tensor_data";
pub const TOKEN: &str = "open-sesame";

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    #[default]
    None,
    Broken,
    BusyOnce,
    Garbage,
    NoProtocol,
    WrongShape,
    NotANumber,
    OtherModel,
    OtherInput,
    TwoInputs,
    WantsToken,
    Slow,
    Hangs,
}

const FAULTS: [Fault; 13] = [
    Fault::None,
    Fault::Broken,
    Fault::BusyOnce,
    Fault::Garbage,
    Fault::NoProtocol,
    Fault::WrongShape,
    Fault::NotANumber,
    Fault::OtherModel,
    Fault::OtherInput,
    Fault::TwoInputs,
    Fault::WantsToken,
    Fault::Slow,
    Fault::Hangs,
];

pub struct Fake {
    pub server: Server,
    fault: Arc<AtomicU8>,
    /// Windows of each request.
    pub requests: Arc<Mutex<Vec<usize>>>,
}

impl Fake {
    /// A server of the tiny model; `batch`: −1 takes any number of windows, 1 takes one.
    pub fn start(extensions: &'static [&'static str], batch: i64) -> Self {
        Self::start_over(|connection| Box::new(connection), extensions, batch)
    }

    /// `over`: what lies over each connection.
    pub fn start_over(
        over: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
        extensions: &'static [&'static str],
        batch: i64,
    ) -> Self {
        let model = model();
        let detector = Mutex::new(open_detector(&model, &EngineChoice::Tract.into()).unwrap());
        let fault = Arc::<AtomicU8>::default();
        let requests = Arc::<Mutex<Vec<usize>>>::default();
        let (faulty, counted) = (fault.clone(), requests.clone());
        let server = Server::start_over(over, move |request| {
            let fault = FAULTS[faulty.load(Ordering::Relaxed) as usize];
            if (fault, request.method.as_str()) == (Fault::BusyOnce, "POST") {
                faulty.store(Fault::None as u8, Ordering::Relaxed);
            }
            answer(request, fault, extensions, batch, &mut **detector.lock().unwrap(), &counted)
        });
        Self { server, fault, requests }
    }

    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    pub fn take_requests(&self) -> Vec<usize> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(
    request: &Request,
    fault: Fault,
    extensions: &[&str],
    batch: i64,
    detector: &mut dyn Detector,
    requests: &Mutex<Vec<usize>>,
) -> Reply {
    let tensor = |name: &str, shape: Value| json!({"name": name, "datatype": "FP32", "shape": shape});
    let input = tensor("x", json!([batch, 1, if fault == Fault::OtherInput { 17 } else { 16 }, 20]));
    match (fault, request.method.as_str(), request.path.as_str()) {
        (Fault::WantsToken, ..)
            if request.headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) =>
        {
            Reply::json(401, &json!({"error": "who are you?"}))
        }
        (Fault::NoProtocol, ..) => Reply::Body(200, b"<html>welcome</html>".to_vec(), vec![]),
        (Fault::Hangs, ..) => Reply::Silence(Duration::from_secs(20)),
        (_, "GET", "/v2") => {
            Reply::json(200, &json!({"name": "fake", "version": "1.0", "extensions": extensions}))
        }
        (_, "GET", "/v2/models/tiny") => {
            let inputs = if fault == Fault::TwoInputs { json!([input, input]) } else { json!([input]) };
            let outputs = [tensor("y", json!([batch, 2]))];
            Reply::json(200, &json!({"name": "tiny", "inputs": inputs, "outputs": outputs}))
        }
        (Fault::Broken, "POST", _) => Reply::json(500, &json!({"error": "out of memory"})),
        (Fault::BusyOnce, "POST", _) => Reply::json(503, &json!({"error": "busy"})),
        (Fault::Garbage, "POST", _) => Reply::Body(200, b"{]".to_vec(), vec![]),
        (Fault::Slow, "POST", _) => Reply::Silence(Duration::from_secs(20)),
        (_, "POST", "/v2/models/tiny/infer") => infer(request, fault, detector, requests),
        _ => Reply::json(404, &json!({"error": "unknown model"})),
    }
}

/// Reads numbers from JSON or from behind it, and answers in the same way.
fn infer(
    request: &Request,
    fault: Fault,
    detector: &mut dyn Detector,
    requests: &Mutex<Vec<usize>>,
) -> Reply {
    let length = request.headers.get("inference-header-content-length").map(|n| n.parse::<usize>().unwrap());
    let (text, numbers) = request.body.split_at(length.unwrap_or(request.body.len()));
    let asked: Value = serde_json::from_slice(text).unwrap();
    let input = &asked["inputs"][0];
    assert_eq!((&input["name"], &input["datatype"]), (&json!("x"), &json!("FP32")));
    assert_eq!(asked["outputs"][0]["name"], "y");
    let values: Vec<f32> = if length.is_some() {
        assert_eq!(input["parameters"]["binary_data_size"], numbers.len());
        numbers.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
    } else {
        input["data"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let windows: Vec<&[f32]> = values.chunks(320).collect();
    assert_eq!(input["shape"], json!([windows.len(), 1, 16, 20]));
    requests.lock().unwrap().push(windows.len());
    let mut logits = detector.logits_of(&windows).unwrap();
    if fault == Fault::OtherModel {
        logits.iter_mut().for_each(|logits| logits[1] += 0.1);
    }
    let mut output = json!({"name": "y", "datatype": "FP32", "shape": [windows.len(), 2]});
    if fault == Fault::WrongShape {
        output["shape"] = json!([windows.len(), 3]);
    }
    if length.is_none() {
        output["data"] = logits.into_iter().map(Vec::from).collect();
        if fault == Fault::NotANumber {
            output["data"] = json!(vec!["NaN"; 2 * windows.len()]);
        }
        return Reply::json(200, &json!({"model_name": "tiny", "outputs": [output]}));
    }
    let numbers: Vec<u8> = logits.as_flattened().iter().flat_map(|x| x.to_le_bytes()).collect();
    output["parameters"] = json!({"binary_data_size": numbers.len()});
    let text = json!({"model_name": "tiny", "outputs": [output]}).to_string();
    let header = vec![("inference-header-content-length", text.len().to_string())];
    Reply::Body(200, [text.into_bytes(), numbers].concat(), header)
}

/// A model of some operators, with the same name there and here.
pub fn model() -> Arc<Model> {
    tiny::model("gray.onnx", &tiny::manifest("gray.onnx"))
}

/// A window of noise, dB.
pub fn window(seed: u32) -> Vec<f32> {
    noise(320, seed).iter().map(|x| -40.0 + 30.0 * x).collect()
}

pub fn settings(url: &str) -> EngineSettings {
    with(ServerSettings { timeout: Duration::from_millis(500), ..ServerSettings::new(url).unwrap() })
}

pub fn with(server: ServerSettings) -> EngineSettings {
    EngineSettings { choice: EngineChoice::Tract, server: Some(server), problem: None }
}

/// Judges windows one by one until `done`; every one has the score that it has here.
pub fn judge_until(scorer: &mut Scorer, what: &str, done: impl Fn(&Scorer) -> bool) {
    let mut here = Scorer::open(model(), EngineChoice::Tract).unwrap();
    let start = Instant::now();
    for seed in 1.. {
        let window = window(seed);
        let (found, expected) = (scorer.llr(&window).unwrap(), here.llr(&window).unwrap());
        assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        if done(scorer) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! `bonafide serve`: this machine's engine for others, over the Open Inference Protocol.
//!
//! Also the helper process of a plugin: a driver that crashes here takes no host along.

use std::error::Error;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use oxhttp::Server;
use oxhttp::model::header::{AUTHORIZATION, CONTENT_TYPE};
use oxhttp::model::{Body, HeaderName, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::options::model;
use crate::detect::{
    Detector, EngineChoice, Token, describe_model, describe_server, open_detector, read_request,
};
use crate::engine::Together;
use crate::model::{Model, ModelError};

/// Where the JSON of a request or an answer ends, if numbers follow.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Windows that a request may hold.
const MOST_WINDOWS: usize = 64;

/// Clients at once; each has a thread.
const MOST_CLIENTS: usize = 256;

/// A client that says nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(60);

/// Judges windows for others: an Open Inference server (KServe v2, HTTP) of one model.
///
/// For `--server` of scan and listen, the plugin's settings, or any other client. Plain HTTP: on another
/// address than this machine's own, put it behind a proxy with TLS, and give it a token.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on.
    #[arg(short, long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Model manifest (.toml); default: the model that is part of this program.
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Engine, as in `bonafide scan`.
    #[arg(short, long, default_value_t)]
    engine: EngineChoice,
    /// File with a token that clients must send; default: BONAFIDE_SERVER_TOKEN, or the file that
    /// BONAFIDE_SERVER_TOKEN_FILE names; without any, everybody is served.
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

/// What becomes of a window: its logits.
type Judged = Result<[f32; 2], ModelError>;

/// What all clients share.
struct Host {
    model: Arc<Model>,
    detector: Together<Box<dyn Detector>, Vec<f32>, Judged>,
    token: Option<Token>,
    /// Engine and note, as they were last told.
    told: Mutex<(String, Option<String>)>,
}

impl Serve {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let token = match &self.token {
            Some(path) => Some(Token::from_file(path)?),
            None => Token::from_environment()?,
        };
        let model = model(self.model.as_deref())?;
        let detector = open_detector(&model, &self.engine.into())?;
        let spoken = (detector.engine().to_owned(), detector.note().map(str::to_owned));
        tell(&spoken);
        // Bound here first, so that what stands in the way is told in words.
        let listen = TcpListener::bind(self.listen)
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("{} can't be listened on: {error}", self.listen))?;
        let name = &model.manifest.model.name;
        eprintln!("model {}; listening on http://{listen}/v2/models/{name}", model.title());
        let host = Host { model, detector: Together::new(detector), token, told: Mutex::new(spoken) };
        let server = Server::new(move |request| host.answer(request))
            .with_global_timeout(SILENCE)
            .with_max_concurrent_connections(MOST_CLIENTS)
            .bind(listen);
        server.spawn()?.join()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn tell((engine, note): &(String, Option<String>)) {
    eprintln!("engine {engine}");
    if let Some(note) = note {
        eprintln!("note: {note}");
    }
}

impl Host {
    fn answer(&self, request: &mut Request<Body>) -> Response<Body> {
        let wanted = self.token.as_ref().map(Token::header);
        if let Some(wanted) = wanted
            && request.headers().get(AUTHORIZATION).is_none_or(|given| given.as_bytes() != wanted.as_bytes())
        {
            return reply(StatusCode::UNAUTHORIZED, &json!({"error": "a token is needed"}));
        }
        let path = request.uri().path().trim_end_matches('/').to_owned();
        let place = format!("/v2/models/{}", self.model.manifest.model.name);
        let of_model = path.strip_prefix(&place);
        match (request.method().clone(), path.as_str(), of_model) {
            (Method::GET, "/v2", _) => reply(StatusCode::OK, &describe_server()),
            (Method::GET, "/v2/health/live" | "/v2/health/ready", _) | (Method::GET, _, Some("/ready")) => {
                reply(StatusCode::OK, &json!({}))
            }
            (Method::GET, _, Some("")) => reply(StatusCode::OK, &describe_model(&self.model)),
            (Method::POST, _, Some("/infer")) => self.infer(request),
            _ => reply(StatusCode::NOT_FOUND, &json!({"error": format!("there is no {path} here")})),
        }
    }

    fn infer(&self, request: &mut Request<Body>) -> Response<Body> {
        let wrong = |problem: String| reply(StatusCode::BAD_REQUEST, &json!({ "error": problem }));
        let json_length = request.headers().get(JSON_LENGTH).and_then(|n| n.to_str().ok()?.parse().ok());
        let each = self.model.manifest.input_shape().iter().product::<usize>();
        // As JSON, a number takes up to some 16 bytes.
        let most = (1 << 16) + (16 * each * MOST_WINDOWS) as u64;
        let mut body = Vec::new();
        match request.body_mut().take(most + 1).read_to_end(&mut body) {
            Ok(read) if read as u64 > most => return wrong(format!("more than {MOST_WINDOWS} windows")),
            Ok(_) => {}
            Err(error) => return wrong(error.to_string()),
        }
        let asked = match read_request(&self.model, &body, json_length) {
            Ok(asked) if asked.windows.len() <= MOST_WINDOWS => asked,
            Ok(_) => return wrong(format!("more than {MOST_WINDOWS} windows")),
            Err(problem) => return wrong(problem),
        };
        let failed = |problem: String| reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": problem }));
        match self.judge(asked.windows.clone()) {
            Err(problem) => failed(problem),
            Ok(logits) => {
                let (body, json_length) = asked.answer(&self.model, &logits);
                let kind =
                    if json_length.is_some() { "application/octet-stream" } else { "application/json" };
                let mut answer = Response::builder().header(CONTENT_TYPE, kind);
                if let Some(length) = json_length {
                    answer = answer.header(JSON_LENGTH, length);
                }
                answer.body(Body::from(body)).unwrap_or_else(|error| failed(error.to_string()))
            }
        }
    }

    /// Judges a request's windows, with those of other clients where that is faster.
    fn judge(&self, windows: Vec<Vec<f32>>) -> Result<Vec<[f32; 2]>, String> {
        let lost = || Err(ModelError::new(&self.model.origin, "the engine panicked", "report it"));
        let results = self.detector.run(
            windows,
            |detector| detector.capacity().at_once,
            |detector, windows| self.judge_together(&mut **detector, windows),
        );
        let results = results.into_iter().map(|result| result.unwrap_or_else(lost));
        results.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn judge_together(
        &self,
        detector: &mut dyn Detector,
        windows: &[Vec<f32>],
    ) -> Vec<Result<[f32; 2], ModelError>> {
        let inputs: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
        let logits = detector.logits_of(&inputs);
        let mut told = self.told.lock();
        if told.0 != detector.engine() || told.1.as_deref() != detector.note() {
            *told = (detector.engine().to_owned(), detector.note().map(str::to_owned));
            tell(&told);
        }
        match logits {
            Ok(logits) => logits.into_iter().map(Ok).collect(),
            Err(error) => windows.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

fn reply(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, oxhttp::model::HeaderValue::from_static("application/json"));
    response
}

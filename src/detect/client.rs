//! A server is asked, one request at a time.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error};

use super::engine::check_shape;
use super::protocol::{self, BINARY, JSON_LENGTH, Metadata, Server, Tensor};
use super::provider::Capacity;
use super::server::{ServerSettings, Token};
use crate::model::Model;

/// A connection that takes longer isn't made.
const CONNECT: Duration = Duration::from_secs(1);

/// Pause before a request is tried again; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries of one request, as long as there is time.
const TRIES: u32 = 3;

/// An answer is some numbers; more is none.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// In words that go on after the server's address.
    pub problem: String,
    /// Whether another try may help.
    passes: bool,
}

impl Failure {
    fn lasting(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), passes: false }
    }
}

/// A way to one model on one server.
pub(super) struct Client {
    agent: Agent,
    pub url: String,
    /// `URL/v2`
    root: String,
    model: String,
    authorisation: Option<String>,
    timeout: Duration,
}

/// A model there, found to be of the right shape.
#[derive(Clone, Debug)]
pub(super) struct There {
    /// Name and version of the server.
    pub server: String,
    pub capacity: Capacity,
    input: String,
    output: String,
    shape: [usize; 4],
    binary: bool,
}

impl Client {
    /// A client of the `model` of this name, unless `settings` have another; nothing is sent yet.
    ///
    /// # Errors
    /// Settings that don't go together, or certificates that can't be read.
    pub fn new(settings: &ServerSettings, model: &str) -> Result<Self, String> {
        if settings.token.is_some() && settings.is_open() {
            return Err(
                "the token would cross the network in the open: name the server by https://".to_owned()
            );
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = &settings.certificates {
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let certificates: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(format!("{}: no certificate in it (PEM)", path.display()));
            }
            tls = tls.root_certs(RootCerts::from(certificates));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(CONNECT.min(settings.timeout)))
            .http_status_as_error(false)
            // A token is for this server alone.
            .max_redirects(0)
            .user_agent(concat!("bonafide/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let named = settings.model.as_deref().filter(|name| !name.is_empty());
        let model = named.unwrap_or(model).to_owned();
        if !model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(format!("{model:?} is no model's name: letters, digits, - _ . are"));
        }
        let authorisation = settings.token.as_ref().map(Token::header);
        let (url, root) = (settings.url().to_owned(), format!("{}/v2", settings.url()));
        Ok(Self { agent, url, root, model, authorisation, timeout: settings.timeout })
    }

    /// Asks for the model, and whether its shapes fit.
    pub fn find(&self, model: &Model) -> Result<There, Failure> {
        let server: Server = self.get("")?;
        let metadata: Metadata = self.get(&format!("/models/{}", self.model))?;
        let only = |what: &str, tensors: Option<Vec<Tensor>>| match tensors.as_deref() {
            Some([tensor]) => Ok(tensor.clone()),
            found => {
                let n = found.map_or(0, <[_]>::len);
                Err(Failure::lasting(format!("says that model {} has {n} {what}: expected one", self.model)))
            }
        };
        let (input, output) = (only("inputs", metadata.inputs)?, only("outputs", metadata.outputs)?);
        let shape = model.manifest.input_shape();
        for (what, tensor, expected) in [("input", &input, &shape[..]), ("output", &output, &[1, 2])] {
            check_shape(&self.model, what, &tensor.shape, expected)
                .map_err(|error| Failure::lasting(format!("has another model: {}", error.problem)))?;
            if tensor.datatype != "FP32" {
                let problem =
                    format!("has another model: its {what} is of type {}, not FP32", tensor.datatype);
                return Err(Failure::lasting(problem));
            }
        }
        let any_number = input.shape.first().is_some_and(|n| *n < 0);
        let capacity = Capacity::SERVER;
        Ok(There {
            server: format!("{} {}", server.name, server.version).trim().to_owned(),
            capacity: if any_number { capacity } else { Capacity { at_once: 1, ..capacity } },
            input: input.name,
            output: output.name,
            shape,
            binary: server.extensions.iter().any(|extension| extension == BINARY),
        })
    }

    /// The logits of `inputs`, in requests of as many as the model takes; tried again while there is time.
    pub fn infer(&self, there: &There, inputs: &[&[f32]]) -> Result<Vec<[f32; 2]>, Failure> {
        let mut logits = Vec::with_capacity(inputs.len());
        let deadline = Instant::now() + self.timeout;
        for together in inputs.chunks(there.capacity.at_once) {
            let (mut pause, mut tries) = (PAUSE, 1);
            logits.extend(loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.post(there, together, left) {
                    Ok(logits) => break logits,
                    Err(failure) if !failure.passes || tries == TRIES || left <= pause => {
                        return Err(failure);
                    }
                    Err(_) => {}
                }
                std::thread::sleep(pause);
                (pause, tries) = (2 * pause, tries + 1);
            });
        }
        Ok(logits)
    }

    fn post(&self, there: &There, inputs: &[&[f32]], time: Duration) -> Result<Vec<[f32; 2]>, Failure> {
        let body = protocol::request(&there.input, &there.output, there.shape, inputs, there.binary);
        let body = body.map_err(Failure::lasting)?;
        let url = format!("{}/models/{}/infer", self.root, self.model);
        let mut request = self.agent.post(url).config().timeout_global(Some(time)).build();
        request = match body.json_length {
            None => request.content_type("application/json"),
            Some(length) => {
                request.content_type("application/octet-stream").header(JSON_LENGTH, length.to_string())
            }
        };
        if let Some(authorisation) = &self.authorisation {
            request = request.header("authorization", authorisation);
        }
        let (answer, json_length) = self.read(request.send(&body.bytes))?;
        let logits = protocol::answer(&answer, json_length, &there.output, inputs.len());
        let logits = logits.map_err(Failure::lasting)?;
        if logits.as_flattened().iter().all(|x| x.is_finite()) {
            return Ok(logits);
        }
        Err(Failure::lasting("its answer is not finite"))
    }

    fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, Failure> {
        let mut request = self.agent.get(format!("{}{place}", self.root));
        request = request.config().timeout_global(Some(self.timeout)).build();
        if let Some(authorisation) = &self.authorisation {
            request = request.header("authorization", authorisation);
        }
        let (body, _) = self.read(request.call())?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::lasting(format!("doesn't speak the Open Inference Protocol: {error}")))
    }

    /// An answer's body, and where its JSON ends if numbers follow.
    fn read(&self, answer: Result<Response<Body>, Error>) -> Result<(Vec<u8>, Option<usize>), Failure> {
        let mut answer = answer.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        let json_length =
            answer.headers().get(JSON_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
        if status.is_success() {
            return Ok((body.map_err(|error| self.failed(&error))?, json_length));
        }
        let said = String::from_utf8_lossy(&body.unwrap_or_default()).chars().take(200).collect::<String>();
        let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
        let advice = match status.as_u16() {
            401 | 403 if self.authorisation.is_none() => " (it wants a token: BONAFIDE_SERVER_TOKEN)",
            401 | 403 => " (the token is not the right one)",
            404 => " (is the model's name there another? --server-model)",
            _ => "",
        };
        let passes = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
        Err(Failure { problem: format!("answers {status}{advice}{said}"), passes })
    }

    fn failed(&self, error: &Error) -> Failure {
        let passes = matches!(error, Error::Io(_) | Error::ConnectionFailed | Error::Protocol(_));
        let problem = match error {
            Error::Timeout(_) => format!("doesn't answer within {} s", self.timeout.as_secs_f64()),
            Error::Io(error) => format!("can't be reached: {error}"),
            Error::HostNotFound => "can't be reached: no such host".to_owned(),
            error => format!("can't be reached: {error}"),
        };
        Failure { problem, passes }
    }
}

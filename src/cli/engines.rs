//! Which engine judges, and where: options of several commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::detect::{EngineChoice, EngineSettings, ServerSettings, Token};
use crate::model::ModelError;

/// The engine on this machine, and a server that judges in its place.
#[derive(Clone, Debug, Args)]
pub struct EngineOptions {
    /// Engine: auto, onnxruntime, tensorrt, cuda, directml, coreml, cpu or tract. auto takes the first
    /// card that ONNX Runtime's library offers (cuda, directml, coreml) if its scores are the CPU's and
    /// it is faster, else the CPU, else tract; BONAFIDE_ENGINE says what auto means. A card that fails
    /// is replaced by the CPU, and that is told. See `bonafide doctor`.
    #[arg(short, long, default_value_t, value_name = "ENGINE")]
    engine: EngineChoice,
    #[command(flatten)]
    server: ServerOptions,
}

/// A server. Nothing leaves this machine without one.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "A server that judges instead; it gets spectrograms, never sound")]
struct ServerOptions {
    /// Open Inference server (KServe, Triton, MLServer, OpenVINO Model Server). While it is away, windows
    /// are judged here, and both are told.
    #[arg(long, value_name = "URL", value_parser = ServerSettings::new)]
    server: Option<ServerSettings>,
    /// The model's name there; default: its name in the manifest.
    #[arg(long, value_name = "NAME", requires = "server")]
    server_model: Option<String>,
    /// File with a bearer token; default: BONAFIDE_SERVER_TOKEN, or the file that
    /// BONAFIDE_SERVER_TOKEN_FILE names.
    #[arg(long, value_name = "FILE", requires = "server")]
    server_token: Option<PathBuf>,
    /// Certificates (PEM) of who vouches for an https:// server, in place of the public ones.
    #[arg(long, value_name = "FILE", requires = "server")]
    server_ca: Option<PathBuf>,
    /// Seconds after which a window is judged here.
    #[arg(long, value_name = "SECONDS", requires = "server", default_value_t = 2.0, value_parser = timeout)]
    server_timeout: f64,
}

fn timeout(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=60.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.1 to 60 seconds".to_owned()) }
}

impl EngineOptions {
    /// What they say.
    ///
    /// # Errors
    /// A token that can't be read.
    pub fn settings(&self) -> Result<EngineSettings, ModelError> {
        let ServerOptions { server, server_model, server_token, server_ca, server_timeout } = &self.server;
        let Some(server) = server else { return Ok(self.engine.into()) };
        let token = match server_token {
            Some(path) => Token::from_file(path).map(Some),
            None => Token::from_environment(),
        };
        let token = token
            .map_err(|problem| ModelError::new("the server's token", problem, "put the token alone there"))?;
        let server = ServerSettings {
            model: server_model.clone(),
            token,
            certificates: server_ca.clone(),
            timeout: Duration::from_secs_f64(*server_timeout),
            ..server.clone()
        };
        server.check().map_err(|problem| {
            ModelError::new(server.url(), problem, "correct --server and what belongs to it")
        })?;
        Ok(EngineSettings { choice: self.engine, server: Some(server), problem: None })
    }
}

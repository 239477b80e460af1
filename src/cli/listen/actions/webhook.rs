//! `--webhook`: an HTTP POST.

use std::time::{Duration, Instant};

use ureq::{Agent, Error};

use super::{Action, Notice, Outcome};

/// One try takes no longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after the first try that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// No more tries after this.
const GIVE_UP: Duration = Duration::from_secs(300);

/// A server that wants to know.
pub struct Webhook {
    url: String,
    agent: Agent,
}

impl Webhook {
    /// A server at `url`.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(url: &str) -> Result<Self, String> {
        let parsed: ureq::http::Uri =
            url.parse().map_err(|error| format!("--webhook: {url:?} is no address: {error}"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            return Err(format!("--webhook: {url:?} is no address: expected http://… or https://…"));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("bonafide/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { url: url.to_owned(), agent })
    }

    fn post(&self, json: &str) -> Result<(), Error> {
        self.agent.post(&self.url).content_type("application/json").send(json).map(drop)
    }
}

impl Action for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn run(&mut self, notice: &Notice) -> Outcome {
        let json = notice.record.json();
        let (start, mut wait, mut attempts) = (Instant::now(), FIRST_PAUSE, 0);
        loop {
            attempts += 1;
            let Err(error) = self.post(&json) else { return Outcome { attempts, problem: None } };
            if start.elapsed() + wait > GIVE_UP || !may_pass(&error) {
                return Outcome { attempts, problem: Some(error.to_string()) };
            }
            std::thread::sleep(wait);
            wait = LAST_PAUSE.min(2 * wait);
        }
    }
}

/// Whether another try may help: a server that is down or busy, not one that refuses.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::StatusCode(code) => *code >= 500 || [408, 425, 429].contains(code),
        Error::BadUri(_) | Error::HostNotFound => false,
        _ => true,
    }
}

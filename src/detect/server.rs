//! An inference server: where it is, and what opens its door.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

use super::client::Client;

/// Where windows are judged instead of here. Nothing leaves the machine unless a user names one.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct ServerSettings {
    /// See [`ServerUrl`].
    pub url: ServerUrl,
    /// The model's name there; `None`: its name in the manifest.
    pub model: Option<String>,
    /// What opens the server's door.
    pub token: Option<Token>,
    /// Certificates (PEM) of those who vouch for the server, in place of the public ones.
    pub certificates: Option<PathBuf>,
    /// A window that takes longer is judged here.
    pub timeout: Duration,
}

/// `http(s)://HOST[:PORT][/PATH]`, checked; `/v2/…` is added to it.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct ServerUrl(String);

/// A secret: sent to the server and shown to nobody.
#[derive(Clone, Hash, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Checks that a token can be sent.
    ///
    /// # Errors
    /// It is empty or holds what a header can't.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token is empty or holds blanks or control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// From the environment, which no project file and no list of processes shows: the variable
    /// `BONAFIDE_SERVER_TOKEN`, or the file that `BONAFIDE_SERVER_TOKEN_FILE` names.
    ///
    /// # Errors
    /// A file that can't be read, or no token in it.
    pub fn from_environment() -> Result<Option<Self>, String> {
        if let Ok(text) = std::env::var("BONAFIDE_SERVER_TOKEN") {
            return Self::new(&text).map(Some).map_err(|problem| format!("BONAFIDE_SERVER_TOKEN: {problem}"));
        }
        let Some(path) = std::env::var_os("BONAFIDE_SERVER_TOKEN_FILE") else { return Ok(None) };
        Self::from_file(path.as_ref()).map(Some)
    }

    /// From a file's text.
    ///
    /// # Errors
    /// A file that can't be read, or no token in it.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Self::new(&text)).map_err(|problem| format!("{}: {problem}", path.display()))
    }
}

impl Token {
    /// The value of the header that carries it.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl ServerSettings {
    /// Two seconds, a window's length, for what is asked together; no token.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(url: &str) -> Result<Self, String> {
        let url = url.trim().trim_end_matches('/');
        let parsed: Uri = url.parse().map_err(|error| format!("{url:?} is no address: {error}"))?;
        let known = matches!(parsed.scheme_str(), Some("http" | "https"));
        if !known || parsed.host().is_none() || parsed.query().is_some() || url.contains('@') {
            return Err(format!("{url:?} is no server: expected http(s)://HOST:PORT"));
        }
        let timeout = Duration::from_secs(2);
        Ok(Self { url: ServerUrl(url.to_owned()), model: None, token: None, certificates: None, timeout })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url.0
    }

    /// Whether they can work; nothing is sent.
    ///
    /// # Errors
    /// A token that others could read, certificates that can't be read, or no name of a model.
    pub fn check(&self) -> Result<(), String> {
        Client::new(self, "model").map(drop)
    }

    /// Whether others could read along: plain HTTP to another machine.
    pub(super) fn is_open(&self) -> bool {
        let host = self.url().parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let here = |host: &str| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        };
        self.url().starts_with("http:") && !host.is_some_and(|host| here(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for url in
            ["http://h:8000", "https://h.example/inference/", "http://[::1]:8080", " http://127.0.0.1 "]
        {
            ServerSettings::new(url).unwrap();
        }
        for url in ["", "h:8000", "ftp://h", "http://", "http://h?x=1", "http://user:word@h", "http://h h"] {
            assert!(ServerSettings::new(url).is_err(), "{url}");
        }
        assert_eq!(ServerSettings::new("http://h/a//").unwrap().url(), "http://h/a");
    }

    #[test]
    fn a_token_crosses_no_network_in_the_open_and_is_shown_to_nobody() {
        let with_token = |url: &str| {
            let token = Some(Token::new("secret-1").unwrap());
            ServerSettings { token, ..ServerSettings::new(url).unwrap() }
        };
        for url in ["https://h", "http://localhost:1", "http://127.0.0.1", "http://[::1]:9"] {
            with_token(url).check().unwrap_or_else(|problem| panic!("{url}: {problem}"));
        }
        for url in ["http://h", "http://10.0.0.1", "http://localhost.example"] {
            assert!(with_token(url).check().is_err(), "{url}");
        }
        assert!(!format!("{:?}", with_token("https://h")).contains("secret"));
        for wrong in ["", " ", "a b", "a\nb", "ü"] {
            assert!(Token::new(wrong).is_err(), "{wrong:?}");
        }
    }
}

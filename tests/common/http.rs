//! A server on this machine that answers as a test says.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What it was asked.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What it answers.
pub enum Reply {
    /// Status, body, headers.
    Body(u16, Vec<u8>, Vec<(&'static str, String)>),
    /// Nothing for so long, and then the connection's end.
    Silence(Duration),
}

impl Reply {
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::Body(status, value.to_string().into_bytes(), vec![("content-type", "application/json".into())])
    }
}

/// A connection, or what lies over one.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Answers until it is dropped.
pub struct Server {
    pub address: String,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_over(|connection| Box::new(connection), answer)
    }

    /// `over`: what lies over each connection, TLS for instance.
    pub fn start_over(
        over: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap().to_string(), Arc::<AtomicBool>::default());
        let (answer, stopped) = (Arc::new(answer), stop.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, mut stream) = (answer.clone(), over(connection.unwrap()));
                std::thread::spawn(move || drop(serve(&mut *stream, &*answer)));
            }
        });
        Self { address, stop }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

/// One request, one answer; whoever wants more connects again.
fn serve(connection: &mut dyn Stream, answer: &dyn Fn(&Request) -> Reply) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut *connection);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    let out = connection;
    match answer(&Request { method, path, headers, body }) {
        Reply::Silence(time) => std::thread::sleep(time),
        Reply::Body(status, body, headers) => {
            write!(out, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len())?;
            headers.iter().try_for_each(|(name, value)| write!(out, "{name}: {value}\r\n"))?;
            out.write_all(b"\r\n")?;
            out.write_all(&body)?;
            out.flush()?;
        }
    }
    Ok(())
}

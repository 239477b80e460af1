//! `--osc`: Open Sound Control by UDP.

use std::net::{ToSocketAddrs, UdpSocket};

use rosc::{OscMessage, OscPacket, OscType, encoder};

use super::{Action, Notice, Outcome};
use crate::cli::listen::record;

/// Somebody who listens to OSC.
pub struct Osc {
    address: String,
}

impl Osc {
    /// Somebody at `address`.
    ///
    /// # Errors
    /// An address that isn't `HOST:PORT`, or that doesn't exist now.
    pub fn new(address: &str) -> Result<Self, String> {
        let osc = Self { address: address.to_owned() };
        osc.socket().map(|_| osc)
    }

    /// Looked up each time: addresses change in weeks.
    fn socket(&self) -> Result<UdpSocket, String> {
        let problem = |error: std::io::Error| format!("--osc {}: {error}", self.address);
        let to = self.address.to_socket_addrs().map_err(problem)?.next();
        let to = to.ok_or_else(|| format!("--osc {}: no such host", self.address))?;
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).map_err(problem)?;
        socket.connect(to).map_err(problem)?;
        Ok(socket)
    }

    fn send(&self, notice: &Notice) -> Result<(), String> {
        let record = &*notice.record;
        let stream = OscType::String(record.stream.clone());
        let probability = notice.p_spoof().map(OscType::Float);
        let time = OscType::String(record::wall(record.time));
        let args = [Some(stream), probability, Some(time)].into_iter().flatten().collect();
        let message = OscMessage { addr: format!("/bonafide/{}", record.kind), args };
        let bytes = encoder::encode(&OscPacket::Message(message)).map_err(|error| format!("{error:?}"))?;
        self.socket()?.send(&bytes).map(drop).map_err(|error| format!("--osc {}: {error}", self.address))
    }
}

impl Action for Osc {
    fn name(&self) -> &'static str {
        "osc"
    }

    fn run(&mut self, notice: &Notice) -> Outcome {
        Outcome::once(self.send(notice))
    }
}

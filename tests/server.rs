//! Windows judged by an Open Inference server: one that answers as it should, those that don't, and a
//! real one (MLServer).
#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "server/errors.rs"]
mod errors;
#[path = "server/fake.rs"]
mod fake;
#[path = "server/protocol.rs"]
mod protocol;
#[path = "server/real.rs"]
mod real;
#[path = "listen/running.rs"]
#[allow(dead_code, reason = "half of it is for other tests of listen")]
mod running;
#[path = "server/tls.rs"]
mod tls;

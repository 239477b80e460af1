//! `bonafide listen` with real pipes, programs and servers.
#![cfg(all(feature = "cli", unix))]

#[path = "listen/actions.rs"]
mod actions;
#[path = "listen/calls.rs"]
mod calls;
#[cfg(feature = "sound-card")]
#[path = "listen/card.rs"]
mod card;
mod common;
#[path = "listen/endurance.rs"]
mod endurance;
#[path = "listen/formats.rs"]
mod formats;
#[path = "listen/log.rs"]
mod log;
#[path = "listen/running.rs"]
mod running;
#[cfg(feature = "sound-card")]
#[path = "common/sound_card.rs"]
mod sound_card;
#[path = "listen/streams.rs"]
mod streams;

//! Sound cards, by cpal: ALSA, CoreAudio, WASAPI.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Data, Device, ErrorKind};
use crossbeam_channel::{Sender, bounded};
use jiff::Timestamp;

use super::input::Heard;
use super::pcm::{Pcm, PcmSpec, SampleFormat};

/// The devices that can be listened to: what `--device` takes, and a name for people.
///
/// # Errors
/// The system's sound doesn't answer.
pub fn list() -> Result<Vec<(String, String)>, String> {
    let host = cpal::default_host();
    let devices = host.input_devices().map_err(|error| format!("no sound devices: {error}"))?;
    Ok(devices.filter_map(|device| Some((id(&device)?, name(&device)))).collect())
}

fn id(device: &Device) -> Option<String> {
    device.id().ok().map(|id| id.to_string())
}

fn name(device: &Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_default()
}

fn find(wanted: &str) -> Result<Device, String> {
    let host = cpal::default_host();
    if wanted == "default" {
        return host.default_input_device().ok_or_else(|| "there is no default sound device".to_owned());
    }
    let mut devices = host.input_devices().map_err(|error| format!("no sound devices: {error}"))?;
    let is = |device: &Device| id(device).is_some_and(|id| id == wanted) || name(device) == wanted;
    devices.find(is).ok_or_else(|| "no such sound device; --list-devices lists them".to_owned())
}

/// Listens to a device until it ends, or nobody listens any more.
///
/// # Errors
/// A device that isn't there, can't be opened, or goes away.
pub fn read(wanted: &str, queue: &Sender<Heard>) -> Result<(), String> {
    let device = find(wanted)?;
    let failed = |error: cpal::Error| format!("the sound device failed: {error}");
    let config = device.default_input_config().map_err(failed)?;
    let spec = PcmSpec {
        format: format(config.sample_format())?,
        rate: config.sample_rate(),
        channels: config.channels().into(),
    }
    .checked()
    .map_err(|error| format!("the sound device {error}"))?;
    let open = Heard::Open {
        format: format!("sound card {}", spec.format.name()),
        rate: spec.rate,
        channels: spec.channels,
        time: Timestamp::now(),
    };
    if queue.send(open).is_err() {
        return Ok(());
    }

    let (end, ended) = bounded(1);
    let lost = Arc::new(AtomicU64::new(0));
    let (counted, closed) = (lost.clone(), end.clone());
    let queue = queue.clone();
    // The card's thread must not wait: what finds the queue full is counted, and told before the
    // next sound.
    let take = move |data: &Data, _: &cpal::InputCallbackInfo| {
        let mut pcm = Pcm::new(data.bytes(), spec, None);
        while let Ok(Some(block)) = pcm.next_block() {
            let missing = counted.swap(0, Ordering::Relaxed);
            if missing > 0 && queue.try_send(Heard::Lost(missing)).is_err() {
                counted.fetch_add(missing, Ordering::Relaxed);
            }
            let samples = block[0].len() as u64;
            match queue.try_send(Heard::Block(block, Timestamp::now())) {
                Err(error) if error.is_disconnected() => drop(closed.try_send(Ok(()))),
                Err(_) => drop(counted.fetch_add(samples, Ordering::Relaxed)),
                Ok(()) => {}
            }
        }
    };
    let fail = move |error: cpal::Error| match error.kind() {
        // How much the card has dropped, it doesn't say: at least one sample.
        ErrorKind::Xrun => drop(lost.fetch_add(1, Ordering::Relaxed)),
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => drop(end.try_send(Err(format!("the sound device failed: {error}")))),
    };
    let stream = device
        .build_input_stream_raw(config.config(), config.sample_format(), take, fail, None)
        .map_err(failed)?;
    stream.play().map_err(failed)?;
    ended.recv().unwrap_or(Ok(()))
}

fn format(format: cpal::SampleFormat) -> Result<SampleFormat, String> {
    let little = cfg!(target_endian = "little");
    let pick = |le, be| Ok(if little { le } else { be });
    match format {
        cpal::SampleFormat::U8 => Ok(SampleFormat::U8),
        cpal::SampleFormat::I8 => Ok(SampleFormat::S8),
        cpal::SampleFormat::I16 => pick(SampleFormat::S16le, SampleFormat::S16be),
        cpal::SampleFormat::I32 => pick(SampleFormat::S32le, SampleFormat::S32be),
        cpal::SampleFormat::F32 => pick(SampleFormat::F32le, SampleFormat::F32be),
        cpal::SampleFormat::F64 => pick(SampleFormat::F64le, SampleFormat::F64be),
        other => Err(format!("the sound device gives samples as {other}, which can't be read")),
    }
}

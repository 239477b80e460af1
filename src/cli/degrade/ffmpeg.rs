//! Codecs that only ffmpeg has: one process codes, one decodes, through pipes.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::Sound;

/// A codec as ffmpeg is told of it.
#[derive(Debug)]
pub struct Codec {
    encoder: &'static str,
    options: &'static [&'static str],
    container: &'static str,
    /// Rate on the wire, if the codec has but one.
    rate: Option<u32>,
}

impl Codec {
    pub const GSM: Self = Self { encoder: "libgsm", options: &[], container: "gsm", rate: Some(8_000) };
    pub const OPUS_12: Self = Self {
        encoder: "libopus",
        options: &["-b:a", "12k", "-application", "voip"],
        container: "ogg",
        rate: None,
    };
    pub const MP3_64: Self =
        Self { encoder: "libmp3lame", options: &["-b:a", "64k"], container: "mp3", rate: None };
    pub const AAC_64: Self =
        Self { encoder: "aac", options: &["-b:a", "64k"], container: "matroska", rate: None };

    /// Codes and decodes each channel; each keeps its length in seconds, so what a codec's delay
    /// moves beyond the end is cut.
    pub fn apply(&self, sound: &mut Sound) -> Result<(), String> {
        let rate = self.rate.unwrap_or(sound.rate);
        let len = (sound.len() as u64 * u64::from(rate)).div_ceil(u64::from(sound.rate)) as usize;
        for channel in &mut sound.channels {
            *channel = self.through(channel, sound.rate, rate)?;
            channel.resize(len, 0.0);
        }
        sound.rate = rate;
        Ok(())
    }

    fn through(&self, samples: &[f32], rate: u32, rate_after: u32) -> Result<Vec<f32>, String> {
        let raw = ["-f", "f32le", "-ac", "1", "-ar"];
        let (from, to) = (rate.to_string(), rate_after.to_string());
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let wire_rate: &[&str] = if self.rate.is_some() { &["-ar", &to] } else { &[] };
        let encode = [&raw, &[&from, "-i", "pipe:0", "-c:a", self.encoder][..], self.options, wire_rate];
        let coded = ffmpeg(&encode.concat(), self.container, &bytes)?;
        let decode = [&["-f", self.container, "-i", "pipe:0"][..], &raw[2..], &[&to]];
        let decoded = ffmpeg(&decode.concat(), raw[1], &coded)?;
        let (samples, _) = decoded.as_chunks::<4>();
        Ok(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// What ffmpeg makes of `input`, in the format `to`.
fn ffmpeg(arguments: &[&str], to: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut process = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-threads", "1"])
        .args(arguments)
        .args(["-f", to, "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("ffmpeg can't be started: {error}"))?;
    let stdin = process.stdin.take();
    let output = std::thread::scope(|scope| {
        // Written beside the reading: neither pipe holds a whole file. If ffmpeg ends early its
        // status says why, better than the broken pipe.
        scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)));
        process.wait_with_output()
    });
    let output = output.map_err(|error: io::Error| format!("ffmpeg: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ffmpeg failed ({}): {}", output.status, said.trim()));
    }
    Ok(output.stdout)
}

/// What this machine's ffmpeg can encode.
#[derive(Debug)]
pub struct Encoders(Result<HashSet<String>, String>);

impl Encoders {
    /// Asks ffmpeg.
    pub fn here() -> Self {
        let asked = Command::new("ffmpeg").args(["-hide_banner", "-v", "error", "-encoders"]).output();
        Self(asked.map_err(|error| error.to_string()).map(|output| {
            let list = String::from_utf8_lossy(&output.stdout);
            // Lines such as " A....D libgsm               libgsm GSM (codec gsm)".
            list.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
        }))
    }

    /// Why `codec` can't be had, in words; `None` if it can.
    pub fn missing(&self, codec: &Codec) -> Option<String> {
        match &self.0 {
            Err(_) => Some("needs ffmpeg".to_owned()),
            Ok(names) if names.contains(codec.encoder) => None,
            Ok(_) => Some(format!("needs ffmpeg with {}", codec.encoder)),
        }
    }
}

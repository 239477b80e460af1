//! Rendering offline: as slowly as the inference needs, and complete.

use std::time::{Duration, Instant};

use super::audio::{AudioThread, Controls, LiveStream, Position};

/// Samples handed over at a time: far fewer than the queue holds at any host rate.
const CHUNK: usize = 2048;

/// How long to wait for the inference before going on without it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Processes a block and returns when all of its windows have been judged.
pub fn process<C: AsRef<[f32]>>(
    audio: &mut AudioThread,
    channels: &[C],
    position: Position,
    controls: Controls,
) {
    let len = channels.first().map_or(0, |channel| channel.as_ref().len());
    for from in (0..len.max(1)).step_by(CHUNK) {
        let part = |channel: &C| {
            let channel = channel.as_ref();
            from.min(channel.len())..(from + CHUNK).min(channel.len())
        };
        let parts: Vec<&[f32]> = channels.iter().map(|c| &c.as_ref()[part(c)]).collect();
        let rate = audio.stream().map_or(f64::INFINITY, |stream| stream.host_rate);
        let samples: usize = parts.iter().map(|part| part.len()).sum();
        wait(audio, |stream| stream.log.as_ref().is_none_or(|log| log.vacant() >= samples));
        let seconds = position.seconds.map(|seconds| seconds + from as f64 / rate);
        audio.process(&parts, Position { seconds, ..position }, controls);
        wait(audio, |stream| stream.processor.is_settled());
    }
}

/// Ends the sound: judges the last, partial window too.
pub fn finish(audio: &mut AudioThread) {
    if let Some(stream) = audio.stream() {
        end(stream, PATIENCE);
    }
    audio.end();
}

/// Ends a stream, with its last, partial window, if that is judged before `patience` is over.
pub fn end(stream: &mut LiveStream, patience: Duration) {
    let until = Instant::now() + patience;
    if let Some(log) = &mut stream.log {
        log.end();
    }
    wait_until(until, stream, |stream| stream.processor.finish());
    wait_until(until, stream, |stream| stream.processor.is_settled());
}

fn wait(audio: &mut AudioThread, done: impl Fn(&mut LiveStream) -> bool) {
    if let Some(stream) = audio.stream() {
        wait_until(Instant::now() + PATIENCE, stream, done);
    }
}

fn wait_until(until: Instant, stream: &mut LiveStream, done: impl Fn(&mut LiveStream) -> bool) {
    while !done(stream) && Instant::now() < until {
        if let Some(waker) = &stream.offline {
            waker.look();
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

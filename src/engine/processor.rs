//! The real-time half: host blocks in, log-mel frames into the queue.

use thiserror::Error;

use crate::dsp::{ChannelChoice, Downmix, FrontEnd, FrontEndError, LogMel, RateError, Resampler};
use crate::rt::{FrameConsumer, FrameProducer, FrameTag, Item, Settings, frame_queue};

/// Host samples mixed down at a time; bounds the scratch buffer, never the block.
const CHUNK: usize = 256;

/// A stream as the host presents it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamConfig {
    /// Host sample rate in Hz, 8,000 to 384,000.
    pub host_rate: f64,
    /// Which channel is judged.
    pub channel: ChannelChoice,
    /// Seconds of frames that the queue holds when nobody reads.
    pub queue_s: f64,
}

impl StreamConfig {
    /// The mid of a stream at `host_rate` Hz, with 2.4 s of queue.
    pub fn at(host_rate: f64) -> Self {
        Self { host_rate, channel: ChannelChoice::Mid, queue_s: 2.4 }
    }
}

/// A stream that can't be set up.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum StreamError {
    /// The model's front end can't work.
    #[error(transparent)]
    FrontEnd(#[from] FrontEndError),
    /// The host's rate can't be resampled.
    #[error(transparent)]
    Rate(#[from] RateError),
}

/// The audio thread's half of a stream: downmix → resample → ring → STFT → log-mel → queue.
///
/// After [`new`](Self::new) no method allocates, locks, makes a system call, logs or panics.
/// Frames are tied to sample positions: the same audio in blocks of any sizes gives the same bits.
pub struct StreamProcessor {
    downmix: Downmix,
    mono: Vec<f32>,
    chain: Chain,
}

/// What follows the downmix.
struct Chain {
    resampler: Resampler,
    log_mel: LogMel,
    queue: FrameProducer,
    tag: FrameTag,
    /// Marks that the queue had no room for yet.
    settings: Option<Settings>,
    timecode: Option<f64>,
    /// Model-rate samples of this segment.
    samples: u64,
    hop: u64,
}

impl StreamProcessor {
    /// Allocates a stream for `front_end`; the consumer goes to the inference thread.
    ///
    /// # Errors
    /// A host rate or a front end that is out of range.
    pub fn new(front_end: &FrontEnd, config: StreamConfig) -> Result<(Self, FrameConsumer), StreamError> {
        let log_mel = LogMel::new(front_end)?;
        let resampler = Resampler::new(config.host_rate, front_end.sample_rate)?;
        let capacity = (config.queue_s * front_end.frame_rate()).ceil().max(1.0) as usize;
        let (queue, consumer) = frame_queue(capacity, front_end.n_bands());
        let hop = front_end.hop as u64;
        let processor = Self {
            downmix: Downmix::new(config.channel, config.host_rate),
            mono: vec![0.0; CHUNK],
            chain: Chain {
                resampler,
                log_mel,
                queue,
                tag: FrameTag::default(),
                settings: None,
                timecode: None,
                samples: 0,
                hop,
            },
        };
        Ok((processor, consumer))
    }

    /// Takes a block of 1 to 16 channels of equal length, 0 included. Real-time safe.
    pub fn process<C: AsRef<[f32]>>(&mut self, channels: &[C]) {
        let len = channels.first().map_or(0, |x| x.as_ref().len());
        self.chain.push_marks();
        for from in (0..len).step_by(CHUNK) {
            let mono = &mut self.mono[..CHUNK.min(len - from)];
            self.downmix.process(channels, from, mono);
            self.chain.push(mono);
        }
    }

    /// How windows are judged from the next block on. Real-time safe.
    pub fn set(&mut self, settings: Settings) {
        self.chain.settings = Some(settings);
    }

    /// Another channel is judged from the next block on; call
    /// [`discontinuity`](Self::discontinuity) too. Real-time safe.
    pub fn set_channel(&mut self, channel: ChannelChoice) {
        self.downmix.set_choice(channel);
    }

    /// Host time of the segment's first sample in seconds; call it after
    /// [`discontinuity`](Self::discontinuity) or [`reset`](Self::reset). Real-time safe.
    pub fn set_timecode(&mut self, seconds: f64) {
        self.chain.timecode = Some(seconds);
    }

    /// Ends the stream: completes the frames that lie inside it and marks the end, so that the
    /// last, partial window is judged too. Real-time safe. `false` if the queue had no room for
    /// the mark: call again when it has been read. The next block starts a new segment.
    pub fn finish(&mut self) -> bool {
        self.chain.finish() && {
            self.discontinuity();
            true
        }
    }

    /// The next block doesn't follow on the last one (a transport jump): nothing of before is
    /// joined to it. Real-time safe.
    pub fn discontinuity(&mut self) {
        let FrameTag { session, segment, .. } = self.chain.tag;
        self.restart(FrameTag { session, segment: segment.wrapping_add(1), index: 0 });
    }

    /// Starts a new measurement; but for the session's number, equals a fresh processor.
    /// Real-time safe.
    pub fn reset(&mut self) {
        let session = self.chain.tag.session.wrapping_add(1);
        self.restart(FrameTag { session, segment: 0, index: 0 });
    }

    /// Model-rate samples since the segment began: "now" for [`crate::rt::Freshness`].
    pub fn position(&self) -> u64 {
        self.chain.samples
    }

    /// Session (count of resets) and segment (count of cuts) of the coming samples.
    pub fn place(&self) -> (u32, u32) {
        (self.chain.tag.session, self.chain.tag.segment)
    }

    /// Frames that the queue can take now; an offline driver waits for room, a live one doesn't.
    pub fn vacant_frames(&self) -> usize {
        self.chain.queue.vacant()
    }

    /// Whether all that was processed has been judged; an offline driver waits for it.
    pub fn is_settled(&self) -> bool {
        self.chain.queue.is_settled()
    }

    fn restart(&mut self, tag: FrameTag) {
        self.chain.complete();
        self.downmix.reset();
        self.chain.resampler.reset();
        self.chain.log_mel.reset();
        (self.chain.tag, self.chain.samples) = (tag, 0);
        // Unknown until the caller says more.
        self.chain.timecode = Some(f64::NAN);
    }
}

impl Chain {
    fn push_marks(&mut self) {
        let Self { queue, settings, timecode, .. } = self;
        if timecode.is_some_and(|seconds| queue.push_mark(Item::Timecode(seconds))) {
            *timecode = None;
        }
        if settings.is_some_and(|settings| queue.push_mark(Item::Settings(settings))) {
            *settings = None;
        }
    }

    fn push(&mut self, mono: &[f32]) {
        let Self { resampler, log_mel, queue, tag, samples, .. } = self;
        resampler.push(mono, |x| {
            *samples += x.len() as u64;
            log_mel.push(x, |bands| enqueue(queue, tag, bands));
        });
    }

    /// Hands over the frame at work, whose last sample is in.
    fn complete(&mut self) {
        let Self { log_mel, queue, tag, .. } = self;
        log_mel.complete(|bands| enqueue(queue, tag, bands));
    }

    /// Idempotent until the end mark is taken: a second call finds nothing left to complete.
    fn finish(&mut self) -> bool {
        let Self { resampler, log_mel, queue, tag, samples, hop, .. } = self;
        resampler.flush(|x| {
            *samples += x.len() as u64;
            log_mel.push(x, |bands| enqueue(queue, tag, bands));
        });
        // Frames centred on a sample of the stream; librosa's one more, centred just behind its
        // end where the length is a multiple of the hop, belongs to no window.
        let frames = samples.div_ceil(*hop);
        let mut inside = |bands: &[f32]| {
            if tag.index < frames {
                enqueue(queue, tag, bands);
            }
        };
        let zeros = [0.0; 64];
        let mut left = log_mel.tail();
        while left > 0 {
            let now = left.min(zeros.len());
            left -= now;
            log_mel.push(&zeros[..now], &mut inside);
        }
        log_mel.complete(&mut inside);
        queue.push_mark(Item::End(*tag))
    }
}

fn enqueue(queue: &mut FrameProducer, tag: &mut FrameTag, bands: &[f32]) {
    queue.push(*tag, bands);
    tag.index += 1;
}

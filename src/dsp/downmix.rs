//! Many channels to one, and anything to finite.

/// Most channels that a stream can have.
pub const MAX_CHANNELS: usize = 16;

/// Samples are limited to ± this (+48 dBFS): beyond it is a fault, not sound.
pub const MAX_SAMPLE: f32 = 256.0;

/// Below this a sample is silence; keeps denormals, slow on many processors, out of the filters.
const SILENCE: f32 = 1e-20;

/// Which channel, or mix of channels, is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelChoice {
    /// Mean of all channels.
    #[default]
    Mid,
    /// First channel.
    Left,
    /// Second channel (the first of a mono stream).
    Right,
    /// The channel with the highest mean power over 0.4 s; changed when another is 6 dB louder,
    /// with a cross-fade of 10 ms.
    Loudest,
}

impl ChannelChoice {
    /// Every choice with its stable name for logs.
    const NAMES: [(&'static str, Self); 4] =
        [("mid", Self::Mid), ("left", Self::Left), ("right", Self::Right), ("loudest", Self::Loudest)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, choice)| *choice == self).map_or("mid", |(name, _)| name)
    }

    /// The choice of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, choice)| *choice)
    }
}

/// Mixes 1 to 16 channels to mono, sample by sample, so that the split into blocks can't matter.
///
/// NaN and infinity become 0, magnitudes are limited to [`MAX_SAMPLE`], denormals become 0.
#[derive(Clone, Debug)]
pub struct Downmix {
    choice: ChannelChoice,
    loudest: Loudest,
}

impl Downmix {
    /// A downmix for a stream of `sample_rate` Hz.
    pub fn new(choice: ChannelChoice, sample_rate: f64) -> Self {
        Self { choice, loudest: Loudest::new(sample_rate) }
    }

    /// Takes another channel from the next sample on.
    pub fn set_choice(&mut self, choice: ChannelChoice) {
        self.choice = choice;
    }

    /// Forgets the past; equals a fresh one.
    pub fn reset(&mut self) {
        self.loudest.reset();
    }

    /// Mixes samples `from..from + out.len()` of `channels` into `out`.
    ///
    /// Channels beyond [`MAX_CHANNELS`] are ignored; missing samples count as 0.
    pub fn process<C: AsRef<[f32]>>(&mut self, channels: &[C], from: usize, out: &mut [f32]) {
        let channels = &channels[..channels.len().min(MAX_CHANNELS)];
        let channel = |c: usize| channels.get(c).and_then(|x| x.as_ref().get(from..)).unwrap_or_default();
        out.fill(0.0);
        match self.choice {
            ChannelChoice::Left => add(out, channel(0)),
            ChannelChoice::Right => add(out, channel(1.min(channels.len().max(1) - 1))),
            ChannelChoice::Mid => {
                (0..channels.len()).for_each(|c| add(out, channel(c)));
                let scale = 1.0 / channels.len().max(1) as f32;
                out.iter_mut().for_each(|out| *out *= scale);
            }
            ChannelChoice::Loudest => {
                let sample = |c, i| channel(c).get(i).map_or(0.0, |x| clean(*x));
                for (i, out) in out.iter_mut().enumerate() {
                    *out = self.loudest.next(channels.len(), |c| sample(c, i));
                }
            }
        }
    }
}

/// Adds a channel, as far as it goes.
fn add(out: &mut [f32], channel: &[f32]) {
    out.iter_mut().zip(channel).for_each(|(out, x)| *out += clean(*x));
}

fn clean(x: f32) -> f32 {
    // NaN fails both comparisons of the first test and so becomes 0 too.
    if x.abs() >= SILENCE && x.is_finite() { x.clamp(-MAX_SAMPLE, MAX_SAMPLE) } else { 0.0 }
}

/// Follows the loudest channel.
#[derive(Clone, Debug)]
struct Loudest {
    power: [f32; MAX_CHANNELS],
    current: usize,
    previous: usize,
    /// Share of `current` in the mix, 0 to 1.
    fade: f32,
    smoothing: f32,
    fade_step: f32,
}

impl Loudest {
    /// Power ratio (6 dB) by which another channel must be louder to take over.
    const MARGIN: f32 = 4.0;

    fn new(sample_rate: f64) -> Self {
        let smoothing = (1.0 - (-1.0 / (0.4 * sample_rate)).exp()) as f32;
        let fade_step = (1.0 / (0.010 * sample_rate)) as f32;
        Self { power: [0.0; MAX_CHANNELS], current: 0, previous: 0, fade: 1.0, smoothing, fade_step }
    }

    fn reset(&mut self) {
        *self = Self { power: [0.0; MAX_CHANNELS], current: 0, previous: 0, fade: 1.0, ..*self };
    }

    fn next(&mut self, channels: usize, sample: impl Fn(usize) -> f32) -> f32 {
        let mut loudest = self.current;
        for c in 0..channels {
            let x = sample(c);
            let power = self.power[c] + self.smoothing * (x * x - self.power[c]);
            self.power[c] = if power > 1e-30 { power } else { 0.0 }; // silence would decay into denormals, and stay there
            if self.power[c] > self.power[loudest] {
                loudest = c;
            }
        }
        let settled = self.fade >= 1.0;
        if settled && self.power[loudest] > Self::MARGIN * self.power[self.current] {
            (self.previous, self.current, self.fade) = (self.current, loudest, 0.0);
        }
        self.fade = (self.fade + self.fade_step).min(1.0);
        self.fade * sample(self.current) + (1.0 - self.fade) * sample(self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(choice: ChannelChoice, channels: &[Vec<f32>]) -> Vec<f32> {
        let mut out = vec![0.0; channels[0].len()];
        Downmix::new(choice, 48_000.0).process(channels, 0, &mut out);
        out
    }

    #[test]
    fn mixes_by_choice() {
        let channels = [vec![1.0, 0.5], vec![0.0, -0.5]];
        assert_eq!(mix(ChannelChoice::Mid, &channels), [0.5, 0.0]);
        assert_eq!(mix(ChannelChoice::Left, &channels), [1.0, 0.5]);
        assert_eq!(mix(ChannelChoice::Right, &channels), [0.0, -0.5]);
        assert_eq!(mix(ChannelChoice::Right, &channels[..1]), [1.0, 0.5], "right of mono is mono");
    }

    #[test]
    fn loudest_follows_the_louder_channel() {
        let channels = [vec![0.01; 48_000], vec![0.5; 48_000]];
        let out = mix(ChannelChoice::Loudest, &channels);
        assert_eq!(out[47_999], 0.5);
        assert!(out[0] < 0.1, "no jump at the start");
    }

    #[test]
    fn silence_leaves_no_denormals() {
        let mut downmix = Downmix::new(ChannelChoice::Loudest, 8_000.0);
        let mut out = vec![0.0; 8_000];
        downmix.process(&[vec![0.5; 8_000]], 0, &mut out);
        (0..40).for_each(|_| downmix.process(&[vec![0.0; 8_000]], 0, &mut out));
        assert_eq!(downmix.loudest.power[0], 0.0);
    }

    #[test]
    fn makes_anything_finite() {
        let rubbish = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, f32::MAX, 0.25];
        let out = mix(ChannelChoice::Mid, &[rubbish.to_vec()]);
        assert_eq!(out, [0.0, 0.0, 0.0, 0.0, MAX_SAMPLE, 0.25]);
    }

    #[test]
    fn takes_no_channels_and_uneven_channels() {
        let mut out = [9.0; 3];
        Downmix::new(ChannelChoice::Right, 8_000.0).process::<Vec<f32>>(&[], 0, &mut out);
        assert_eq!(out, [0.0; 3]);
        Downmix::new(ChannelChoice::Left, 8_000.0).process(&[vec![1.0]], 0, &mut out);
        assert_eq!(out, [1.0, 0.0, 0.0]);
    }
}

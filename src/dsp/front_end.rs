//! The parameters of a log-mel front end, as a model's manifest states them.

use thiserror::Error;

use super::residual::Predictor;

/// Frequency scale on which the bands are equidistant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox; librosa's default).
    #[default]
    Slaney,
    /// 2595·log10(1 + f/700) (HTK; librosa `htk=True`).
    Htk,
    /// Hertz: bands of one width (the filter bank of LFCC; Sahidullah et al., Interspeech 2015).
    /// Keeps the detail above 3 kHz that a mel scale smooths away and that vocoders get wrong.
    Linear,
}

/// Scaling of each triangular mel filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum MelNorm {
    /// Each filter is divided by half its width in Hz (unit area; librosa `norm='slaney'`).
    #[default]
    Slaney,
    /// Peak 1 (librosa `norm=None`).
    None,
}

/// Where frame 0 of a stream lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Padding {
    /// Frame `t` is centred on sample `t·hop`: the stream is preceded, and at its end followed,
    /// by `n_fft / 2` zeros. This is librosa's `center=True, pad_mode='constant'` with the whole
    /// stream as one signal `y`; only the ends of a stream see zeros, never a window inside it.
    #[default]
    Centre,
    /// Frame `t` begins at sample `t·hop` (librosa `center=False`).
    None,
}

/// A log-mel front end: `10·log10(max(amin, mel · |STFT|²))` in dB relative to 1.
///
/// Equals librosa 0.11 `power_to_db(melspectrogram(y, sr, n_fft, hop_length, win_length,
/// window='hann', power=2, n_mels, fmin, fmax, htk, norm), ref=1, amin=amin, top_db=None)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct FrontEnd {
    /// Model rate in Hz, 4,000 to 192,000.
    pub sample_rate: u32,
    /// FFT length in samples, 16 to 16,384, even.
    pub n_fft: usize,
    /// Length of the periodic Hann window in samples, at most `n_fft`, zero-padded on both sides.
    pub win_length: usize,
    /// Step between frames in samples, 1 to `n_fft`.
    pub hop: usize,
    /// Number of bands, 1 to 1,024.
    pub n_mels: usize,
    /// Lower edge of the lowest band in Hz.
    pub f_min: f64,
    /// Upper edge of the highest band in Hz, at most half the sample rate.
    pub f_max: f64,
    /// See [`MelScale`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub mel_scale: MelScale,
    /// See [`MelNorm`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub mel_norm: MelNorm,
    /// See [`Padding`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub padding: Padding,
    /// Smallest power before the logarithm (librosa `power_to_db(amin=…)`), greater than 0.
    #[cfg_attr(feature = "onnx", serde(default = "default_amin"))]
    pub amin: f64,
    /// See [`SecondBank`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub second: Option<SecondBank>,
    /// See [`Comodulation`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub comodulation: Option<Comodulation>,
    /// See [`Residual`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub residual: Option<Residual>,
}

/// A second look at the same instants: another window and other bands, whose levels follow the
/// first bank's in each frame. A long window tells harmonics apart, a short one tells when.
/// All else is as in the first bank.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct SecondBank {
    /// FFT length in samples, at most the first bank's; its frames have the same centres.
    pub n_fft: usize,
    /// As [`FrontEnd::win_length`].
    pub win_length: usize,
    /// As [`FrontEnd::n_mels`].
    pub n_mels: usize,
    /// As [`FrontEnd::mel_scale`].
    #[cfg_attr(feature = "onnx", serde(default))]
    pub mel_scale: MelScale,
}

/// How much the bands of a frame come and go together: correlations of their envelopes in short, overlapping parts
/// around the frame's centre, also with one of the two some parts late. 40·(r − 1) of a correlation r: 0 where
/// they do, −40 where each has its own way, −80 where one does the opposite of the other. The values follow the
/// banks' in each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct Comodulation {
    /// FFT length of a part and length of its Hann window in samples, 16 to 2,048, even.
    pub n_fft: usize,
    /// Step between parts in samples, 1 to `n_fft`; the front end's hop is a multiple of it.
    pub hop: usize,
    /// Parts, 2 to 64; together no longer than the first bank's FFT.
    pub parts: usize,
    /// Bands, 2 to 32, of as many neighbouring FFT bins each; the bin at 0 Hz belongs to none.
    pub bands: usize,
    /// How many parts one of a pair may be late, 0 to `parts − 1`.
    pub lags: usize,
    /// Whether the novelty of each bin follows: how far the parts lie from what the two before each foretell
    /// (Duxbury et al., DAFx 2003), −80 where all was foretold, 0 where nothing. Takes 3 parts.
    #[cfg_attr(feature = "onnx", serde(default))]
    pub novelty: bool,
}

/// The shape of a frame's residual after linear prediction: minus its kurtosis in dB, minus its crest factor in dB,
/// and its temporal flatness in dB. The values follow all others in each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "onnx", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct Residual {
    /// Length of the Hann window around the frame's centre in samples, 2 to the first bank's `n_fft`.
    pub win_length: usize,
    /// Samples that the predictor looks back, 1 to 64 and less than `win_length`.
    pub order: usize,
}

impl Comodulation {
    /// Values in a frame: those of pairs of bands at no lag first, then the later ones, then those of each bin
    /// with the mean of all, then each bin's novelty.
    pub fn n_rows(&self) -> usize {
        (0..=self.lags).map(|lag| self.at_lag(lag)).sum::<usize>()
            + self.bins() * (1 + usize::from(self.novelty))
    }

    /// FFT bins but 0 Hz.
    pub(super) fn bins(&self) -> usize {
        self.n_fft / 2
    }

    /// Values at a lag: of each pair of bands once (0,1 0,2 … 1,2 …) at none, of each band that is late with each
    /// that is not (0,0 0,1 … 1,0 …) else.
    pub(super) fn at_lag(&self, lag: usize) -> usize {
        let bands = self.bands;
        if lag == 0 { bands * (bands - 1) / 2 } else { bands * bands }
    }

    /// Samples that the parts cover together.
    pub(super) fn span(&self) -> usize {
        self.n_fft + self.hop * self.parts.saturating_sub(1)
    }
}

#[cfg(feature = "onnx")]
fn default_amin() -> f64 {
    1e-10
}

/// A front end whose parameters can't work together.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("front_end.{field} is {got}, but must be {expected}")]
pub struct FrontEndError {
    /// Name of the offending field.
    pub field: &'static str,
    /// Its value.
    pub got: String,
    /// What was expected.
    pub expected: String,
}

impl FrontEnd {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field out of range, with the range.
    pub fn validate(&self) -> Result<(), FrontEndError> {
        let nyquist = f64::from(self.sample_rate) / 2.0;
        check(
            "sample_rate",
            self.sample_rate,
            (4_000..=192_000).contains(&self.sample_rate),
            "4000 to 192000 Hz",
        )?;
        let fft_fits = (16..=16_384).contains(&self.n_fft) && self.n_fft.is_multiple_of(2);
        check("n_fft", self.n_fft, fft_fits, "even and 16 to 16384")?;
        check("win_length", self.win_length, (2..=self.n_fft).contains(&self.win_length), "2 to n_fft")?;
        check("hop", self.hop, (1..=self.n_fft).contains(&self.hop), "1 to n_fft")?;
        check("n_mels", self.n_mels, (1..=1024).contains(&self.n_mels), "1 to 1024")?;
        check(
            "f_max",
            self.f_max,
            self.f_max > 0.0 && self.f_max <= nyquist,
            "above 0 and at most half the sample rate",
        )?;
        check(
            "f_min",
            self.f_min,
            self.f_min >= 0.0 && self.f_min < self.f_max,
            "at least 0 and below f_max",
        )?;
        check("amin", self.amin, self.amin.is_finite() && self.amin > 0.0, "finite and above 0")?;
        if let Some(SecondBank { n_fft, win_length, n_mels, .. }) = self.second {
            let fits = (16..=self.n_fft).contains(&n_fft) && n_fft.is_multiple_of(2);
            check("second.n_fft", n_fft, fits, "even and 16 to front_end.n_fft")?;
            let fits = (2..=n_fft).contains(&win_length);
            check("second.win_length", win_length, fits, "2 to second.n_fft")?;
            check("second.n_mels", n_mels, (1..=1024).contains(&n_mels), "1 to 1024")?;
        }
        if let Some(Residual { win_length, order }) = self.residual {
            let fits = (2..=self.n_fft).contains(&win_length);
            check("residual.win_length", win_length, fits, "2 to front_end.n_fft")?;
            let fits = (1..=64).contains(&order) && order < win_length;
            check("residual.order", order, fits, "1 to 64, and below win_length")?;
        }
        let Some(spec) = self.comodulation else { return Ok(()) };
        let Comodulation { n_fft, hop, parts, bands, lags, novelty } = spec;
        let fits = (16..=2048).contains(&n_fft) && n_fft.is_multiple_of(2);
        check("comodulation.n_fft", n_fft, fits, "even and 16 to 2048")?;
        let fits = (1..=n_fft).contains(&hop) && self.hop.is_multiple_of(hop);
        check("comodulation.hop", hop, fits, "1 to n_fft, and a divisor of front_end.hop")?;
        let least = if novelty { 3 } else { 2 };
        let fits = (least..=64).contains(&parts) && spec.span() <= self.n_fft;
        let expected = "2 (with novelty: 3) to 64, and as many as front_end.n_fft has room for";
        check("comodulation.parts", parts, fits, expected)?;
        let fits = (2..=32).contains(&bands) && (n_fft / 2).is_multiple_of(bands);
        check("comodulation.bands", bands, fits, "2 to 32, and a divisor of n_fft / 2")?;
        check("comodulation.lags", lags, lags < parts, "below parts")
    }

    /// Values in a frame: the bands of both banks, then [`n_measures`](Self::n_measures).
    pub fn n_bands(&self) -> usize {
        self.banks().map(|bank| bank.n_mels).sum::<usize>() + self.n_measures()
    }

    /// Values in a frame that are no levels: comodulation, novelty, the shape of the residual.
    pub fn n_measures(&self) -> usize {
        let residual = self.residual.map_or(0, |_| Predictor::VALUES);
        self.comodulation.map_or(0, |comodulation| comodulation.n_rows()) + residual
    }

    /// The first bank as a front end of its own.
    pub fn first(&self) -> Self {
        Self { second: None, comodulation: None, residual: None, ..*self }
    }

    /// Each bank as a front end of its own.
    pub fn banks(&self) -> impl Iterator<Item = Self> {
        let alone = |SecondBank { n_fft, win_length, n_mels, mel_scale }| Self {
            n_fft,
            win_length,
            n_mels,
            mel_scale,
            ..self.first()
        };
        [Some(self.first()), self.second.map(alone)].into_iter().flatten()
    }

    /// Frames per second.
    pub fn frame_rate(&self) -> f64 {
        f64::from(self.sample_rate) / self.hop as f64
    }

    /// Zeros that precede and follow the stream, in samples.
    pub fn pad(&self) -> usize {
        match self.padding {
            Padding::Centre => self.n_fft / 2,
            Padding::None => 0,
        }
    }
}

fn check(field: &'static str, got: impl ToString, fits: bool, expected: &str) -> Result<(), FrontEndError> {
    if fits {
        return Ok(());
    }
    Err(FrontEndError { field, got: got.to_string(), expected: expected.to_owned() })
}

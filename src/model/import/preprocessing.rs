//! `preprocessor_config.json`: what transformers' `ConvNextImageProcessor` makes of an image.

use serde::Deserialize;
use serde_json::Value;

use crate::model::{ModelError, Resize, ResizeFilter, Size};

/// From an image of 8 bits a channel to the network's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// Side of the result in pixels, the share of the resized image that it shows, and the filter;
    /// `None`: the image as it is.
    resize: Option<(usize, f64, ResizeFilter)>,
    /// Subtracted from each channel, whose values are 0..=1.
    pub mean: Vec<f64>,
    /// Each channel is divided by it.
    pub std: Vec<f64>,
}

/// The keys that matter. What is missing or null is the class's default.
#[derive(Debug, Deserialize)]
struct Config {
    image_processor_type: Option<String>,
    /// Its name before 2022; some files hold both.
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    crop_pct: Option<f64>,
    resample: Option<u8>,
    do_center_crop: Option<bool>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<PerChannel>,
    image_std: Option<PerChannel>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PerChannel {
    One(f64),
    Each(Vec<f64>),
}

/// From this side on the whole image is warped to a square, nothing is cropped.
const WARPED: usize = 384;

impl Preprocessing {
    /// Reads the file of a network with `channels` input channels.
    ///
    /// # Errors
    /// Another processor than ConvNeXt's, or a setting that a manifest can't express.
    pub fn parse(origin: &str, text: &str, channels: usize) -> Result<Self, ModelError> {
        let wrong = |problem: String| {
            let cure = "give the preprocessor_config.json of a ConvNextImageProcessor; for anything else \
                        write the manifest by hand (models/README.md)";
            ModelError::new(origin, problem, cure)
        };
        let config: Config = serde_json::from_str(text)
            .map_err(|error| wrong(format!("is no configuration of an image processor: {error}")))?;
        let mut named = [&config.image_processor_type, &config.feature_extractor_type].into_iter().flatten();
        let known =
            |name: &str| name.starts_with("ConvNextImageProcessor") || name == "ConvNextFeatureExtractor";
        if let Some(name) = named.find(|name| !known(name)) {
            return Err(wrong(format!("the image processor is {name}")));
        }
        if config.do_center_crop == Some(true) {
            return Err(wrong(
                "do_center_crop asks for a crop that ConvNextImageProcessor has not".to_owned(),
            ));
        }
        let (mean, std) = config.normalisation(channels).map_err(&wrong)?;
        Ok(Self { resize: config.resize().map_err(&wrong)?, mean, std })
    }

    /// Resize and crop of an image that was drawn in this size, and the size of the result.
    pub fn sizes(&self, drawn: Size) -> (Option<Resize>, Option<Size>, Size) {
        let Some((side, share, filter)) = self.resize else { return (None, None, drawn) };
        let square = Size { height: side, width: side };
        if side >= WARPED {
            return (Some(Resize { height: side, width: side, filter }), None, square);
        }
        // The shorter edge to side / share, the longer one in proportion, both rounded down.
        let short = (side as f64 / share) as usize;
        let longer = |long: usize, drawn: usize| short.saturating_mul(long).checked_div(drawn).unwrap_or(0);
        let (height, width) = match drawn {
            Size { height, width } if width <= height => (longer(height, width), short),
            Size { height, width } => (short, longer(width, height)),
        };
        (Some(Resize { height, width, filter }), Some(square), square)
    }
}

impl Config {
    fn resize(&self) -> Result<Option<(usize, f64, ResizeFilter)>, String> {
        if self.do_resize == Some(false) {
            return Ok(None);
        }
        let side = match &self.size {
            None | Some(Value::Null) => Some(WARPED as u64),
            Some(Value::Number(side)) => side.as_u64(),
            Some(size) => size.get("shortest_edge").and_then(Value::as_u64),
        };
        let side = side
            .and_then(|side| usize::try_from(side).ok())
            .filter(|side| (1..=4096).contains(side))
            .ok_or_else(|| format!("size has no shortest_edge of 1 to 4096 pixels: {:?}", self.size))?;
        let share = self.crop_pct.unwrap_or(224.0 / 256.0);
        if side < WARPED && !(share > 0.01 && share <= 1.0) {
            return Err(format!("crop_pct is {share}: expected above 0.01 and at most 1"));
        }
        let filter = match self.resample.unwrap_or(2) {
            0 => ResizeFilter::Nearest,
            2 => ResizeFilter::Bilinear,
            3 => ResizeFilter::Bicubic,
            other => {
                return Err(format!("resample is {other}: 0 nearest, 2 bilinear and 3 bicubic are known"));
            }
        };
        Ok(Some((side, share, filter)))
    }

    /// Mean and standard deviation in units of the full scale.
    fn normalisation(&self, channels: usize) -> Result<(Vec<f64>, Vec<f64>), String> {
        // What a full pixel, 255, becomes; 1 but for a rounding error.
        let factor = self.rescale_factor.unwrap_or(1.0 / 255.0);
        let full = if self.do_rescale == Some(false) { 255.0 } else { 255.0 * factor };
        let full = if (full - 1.0).abs() < 1e-6 { 1.0 } else { full };
        if !(full > 0.0 && full.is_finite()) {
            return Err(format!("rescale_factor is {factor}"));
        }
        if self.do_normalize == Some(false) {
            return Ok((vec![0.0; channels], vec![1.0 / full; channels]));
        }
        let each = |name: &str, values: &Option<PerChannel>| {
            let values = match values {
                None => vec![0.5; channels],
                Some(PerChannel::One(x)) => vec![*x; channels],
                Some(PerChannel::Each(all)) => all.clone(),
            };
            if values.len() == channels {
                return Ok(values);
            }
            Err(format!("{name} has {} values for {channels} channels", values.len()))
        };
        let over_full = |values: Vec<f64>| values.into_iter().map(|x| x / full).collect::<Vec<_>>();
        let mean = over_full(each("image_mean", &self.image_mean)?);
        let std = over_full(each("image_std", &self.image_std)?);
        if mean.iter().all(|x| x.is_finite()) && std.iter().all(|x| x.is_finite() && *x > 0.0) {
            return Ok((mean, std));
        }
        Err(format!("image_mean or image_std can't be divided by: {mean:?}, {std:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Preprocessing {
        Preprocessing::parse("preprocessor_config.json", text, 3).unwrap()
    }

    fn sizes(text: &str, height: usize, width: usize) -> (Option<(usize, usize)>, Option<usize>) {
        let (resize, crop, _) = parse(text).sizes(Size { height, width });
        (resize.map(|r| (r.height, r.width)), crop.map(|c| c.height))
    }

    /// By transformers 4.57 `ConvNextImageProcessor`.
    #[test]
    fn sizes_are_those_of_transformers() {
        let small = r#"{"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3}"#;
        assert_eq!(sizes(small, 224, 224), (Some((256, 256)), Some(224)));
        assert_eq!(sizes(small, 224, 87), (Some((659, 256)), Some(224)));
        assert_eq!(sizes(small, 128, 200), (Some((256, 400)), Some(224)));
        assert_eq!(sizes(small, 0, 0).0, Some((0, 256)), "nothing drawn: the manifest refuses it");
        assert_eq!(sizes(r#"{"size": 384}"#, 128, 200), (Some((384, 384)), None));
        assert_eq!(sizes("{}", 128, 200), (Some((384, 384)), None));
        assert_eq!(sizes(r#"{"do_resize": false, "size": 224}"#, 128, 200), (None, None));
        assert_eq!(sizes(r#"{"size": {"shortest_edge": 224}, "crop_pct": 0.95}"#, 9, 9).0, Some((235, 235)));
    }

    #[test]
    fn flags_and_defaults_are_those_of_transformers() {
        let both = r#"{"image_processor_type": "ConvNextImageProcessorFast",
                       "feature_extractor_type": "ConvNextFeatureExtractor"}"#;
        let default = parse("{}");
        assert_eq!(parse(both), default);
        assert_eq!((&default.mean, &default.std), (&vec![0.5; 3], &vec![0.5; 3]));
        assert_eq!(default.resize.unwrap().2, ResizeFilter::Bilinear);
        assert_eq!(parse(r#"{"resample": 3}"#).resize.unwrap().2, ResizeFilter::Bicubic);
        assert_eq!(parse(r#"{"image_mean": [0.1, 0.2, 0.3]}"#).mean, [0.1, 0.2, 0.3]);
        assert_eq!(parse(r#"{"image_std": 0.25, "rescale_factor": 0.00392156862745098}"#).std, [0.25; 3]);
        let raw = parse(r#"{"do_rescale": false, "image_mean": 127.5, "image_std": 51}"#);
        assert_eq!((raw.mean, raw.std), (vec![0.5; 3], vec![0.2; 3]));
        let plain = parse(r#"{"do_normalize": false, "image_mean": 9}"#);
        assert_eq!((plain.mean, plain.std), (vec![0.0; 3], vec![1.0; 3]));
    }

    #[test]
    fn what_a_manifest_can_not_say_is_an_error() {
        for (text, expected) in [
            (r#"{"image_processor_type": "ViTImageProcessor"}"#, "ViTImageProcessor"),
            (r#"{"size": {"height": 224, "width": 224}}"#, "shortest_edge"),
            (r#"{"size": 0}"#, "shortest_edge"),
            (r#"{"size": 224, "crop_pct": 1.5}"#, "crop_pct"),
            (r#"{"size": 224, "crop_pct": 0}"#, "crop_pct"),
            (r#"{"resample": 1}"#, "resample"),
            (r#"{"do_center_crop": true}"#, "do_center_crop"),
            (r#"{"image_mean": [0.5]}"#, "image_mean"),
            (r#"{"image_std": [0.5, 0.5, 0]}"#, "image_std"),
            (r#"{"rescale_factor": 0}"#, "rescale_factor"),
            (r#"{"do_resize": "yes"}"#, "no configuration"),
            ("", "no configuration"),
        ] {
            let error = Preprocessing::parse("preprocessor_config.json", text, 3).unwrap_err();
            assert!(error.problem.contains(expected), "{text}: {error}");
        }
    }
}

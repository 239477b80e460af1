//! `config.json`: which network, how large, which classes.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::ModelError;

/// ConvNeXt (2022) with layer scale, or ConvNeXt V2 (2023) with global response normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// `ConvNextForImageClassification`.
    V1,
    /// `ConvNextV2ForImageClassification`.
    V2,
}

/// The nonlinearity of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x).
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
    /// max(0, x).
    Relu,
    /// Scaled exponential linear unit.
    Selu,
    /// x / (1 + e⁻ˣ).
    Silu,
}

/// A network's measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Which ConvNeXt.
    pub generation: Generation,
    /// Input channels.
    pub channels: usize,
    /// Side and step of the first convolution, pixels.
    pub patch: usize,
    /// Blocks and channels of each stage.
    pub stages: Vec<(usize, usize)>,
    /// See [`Activation`].
    pub activation: Activation,
    /// Of the last layer normalisation; transformers fixes all others at 1e-6.
    pub epsilon: f32,
}

/// The keys that matter; those that are missing are transformers' defaults.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    architectures: Option<Vec<String>>,
    num_channels: Option<usize>,
    patch_size: Option<usize>,
    hidden_sizes: Option<Vec<usize>>,
    depths: Option<Vec<usize>>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f32>,
    id2label: Option<BTreeMap<String, String>>,
}

const KNOWN: [(&str, Generation); 2] = [
    ("ConvNextForImageClassification", Generation::V1),
    ("ConvNextV2ForImageClassification", Generation::V2),
];

impl Config {
    pub fn parse(origin: &str, text: &str) -> Result<Self, ModelError> {
        serde_json::from_str(text).map_err(|error| {
            let problem = format!("is no configuration of a ConvNeXt: {error}");
            ModelError::new(origin, problem, "download the checkpoint again")
        })
    }

    pub fn architecture(&self, origin: &str) -> Result<Architecture, ModelError> {
        let wrong = |problem: String, cure: &str| ModelError::new(origin, problem, cure);
        let named = self.architectures.as_deref().unwrap_or_default();
        let generation = KNOWN.iter().find(|(name, _)| named.iter().any(|n| n == name));
        let Some((_, generation)) = generation else {
            let problem = match named {
                [] => "doesn't name its architecture".to_owned(),
                names => format!("the architecture is {}", names.join(", ")),
            };
            let cure = "only ConvNextForImageClassification and ConvNextV2ForImageClassification can be \
                        imported; export others to ONNX and write a manifest (models/README.md)";
            return Err(wrong(problem, cure));
        };
        let widths = self.hidden_sizes.as_deref().unwrap_or(&[96, 192, 384, 768]);
        let depths = self.depths.as_deref().unwrap_or(&[3, 3, 9, 3]);
        let measures = "hidden_sizes and depths must have one number a stage, 1 to 8 stages, with 1 to 8192 \
                        channels and 1 to 256 blocks; num_channels must be 1 or 3, patch_size 1 to 64";
        let within = |x: &usize, most: usize| (1..=most).contains(x);
        let (channels, patch) = (self.num_channels.unwrap_or(3), self.patch_size.unwrap_or(4));
        let fits = widths.len() == depths.len()
            && within(&widths.len(), 8)
            && widths.iter().all(|x| within(x, 8192))
            && depths.iter().all(|x| within(x, 256))
            && [1, 3].contains(&channels)
            && within(&patch, 64);
        if !fits {
            let problem = format!(
                "can't be a ConvNeXt on spectrograms: hidden_sizes {widths:?}, depths {depths:?}, \
                 num_channels {channels}, patch_size {patch}"
            );
            return Err(wrong(problem, measures));
        }
        let epsilon = self.layer_norm_eps.unwrap_or(1e-12);
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(wrong(format!("layer_norm_eps is {epsilon}"), "it must be 0 or above"));
        }
        Ok(Architecture {
            generation: *generation,
            channels,
            patch,
            stages: depths.iter().copied().zip(widths.iter().copied()).collect(),
            activation: self.activation(origin)?,
            epsilon,
        })
    }

    fn activation(&self, origin: &str) -> Result<Activation, ModelError> {
        match self.hidden_act.as_deref().unwrap_or("gelu") {
            "gelu" | "gelu_python" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "selu" => Ok(Activation::Selu),
            "silu" | "swish" => Ok(Activation::Silu),
            other => {
                let cure = "gelu, gelu_new, gelu_pytorch_tanh, relu, selu and silu can be imported";
                Err(ModelError::new(origin, format!("hidden_act is {other:?}"), cure))
            }
        }
    }

    /// Names of the two classes, in the order of the logits.
    pub fn class_names(&self, origin: &str) -> Result<[String; 2], ModelError> {
        let name = |i: &str| self.id2label.as_ref().and_then(|names| names.get(i)).cloned();
        match (&self.id2label, name("0"), name("1")) {
            // transformers leaves out what it would fill in itself.
            (None, ..) => Ok(["LABEL_0".to_owned(), "LABEL_1".to_owned()]),
            (Some(names), Some(first), Some(second)) if names.len() == 2 => Ok([first, second]),
            (Some(names), ..) => {
                let shown: Vec<_> = names.values().take(4).map(String::as_str).collect();
                let problem = format!("{} classes in id2label ({} …)", names.len(), shown.join(", "));
                let cure = "only classifiers of two classes, bona fide and spoof, can be imported";
                Err(ModelError::new(origin, problem, cure))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str =
        r#"{"architectures": ["ConvNextForImageClassification"], "id2label": {"0": "fake", "1": "real"}}"#;

    fn architecture(text: &str) -> Result<Architecture, ModelError> {
        Config::parse("config.json", text)?.architecture("config.json")
    }

    #[test]
    fn missing_keys_are_the_tiny_network() {
        let tiny = architecture(V1).unwrap();
        assert_eq!(tiny.stages, [(3, 96), (3, 192), (9, 384), (3, 768)]);
        assert_eq!((tiny.channels, tiny.patch, tiny.epsilon), (3, 4, 1e-12));
        assert_eq!((tiny.generation, tiny.activation), (Generation::V1, Activation::Gelu));
        assert_eq!(architecture(&V1.replace("ConvNext", "ConvNextV2")).unwrap().generation, Generation::V2);
    }

    #[test]
    fn other_networks_are_errors() {
        for (with, expected) in [
            (V1.replace("ConvNextFor", "SwinFor"), "SwinForImageClassification"),
            (V1.replace("ForImageClassification", "Model"), "ConvNextModel"),
            (V1.replace("architectures", "other"), "doesn't name"),
            (V1.replace("{\"arch", "{\"hidden_act\": \"mish\", \"arch"), "mish"),
            (V1.replace("{\"arch", "{\"depths\": [1, 1], \"arch"), "depths [1, 1]"),
            (V1.replace("{\"arch", "{\"depths\": [], \"hidden_sizes\": [], \"arch"), "depths []"),
            (V1.replace("{\"arch", "{\"hidden_sizes\": [0, 1, 1, 1], \"arch"), "[0, 1, 1, 1]"),
            (V1.replace("{\"arch", "{\"num_channels\": 2, \"arch"), "num_channels 2"),
            (V1.replace("{\"arch", "{\"patch_size\": 0, \"arch"), "patch_size 0"),
            (V1.replace("{\"arch", "{\"layer_norm_eps\": -1, \"arch"), "layer_norm_eps"),
            (V1.replace("{\"arch", "{\"depths\": \"deep\", \"arch"), "depths"),
            ("[]".to_owned(), "no configuration"),
            (String::new(), "no configuration"),
        ] {
            let message = architecture(&with).unwrap_err().to_string();
            assert!(message.contains(expected) || message.contains("configuration"), "{with}: {message}");
            assert!(message.starts_with("config.json: ") && message.contains("what to do: "), "{message}");
        }
    }

    #[test]
    fn only_two_classes() {
        let names = |text: &str| Config::parse("config.json", text).unwrap().class_names("config.json");
        assert_eq!(names(V1).unwrap(), ["fake", "real"]);
        assert_eq!(names("{}").unwrap(), ["LABEL_0", "LABEL_1"]);
        for (list, count) in [
            (r#"{"0": "fake"}"#, "1 classes"),
            (r#"{"0": "fake", "1": "real", "2": "music"}"#, "3 classes"),
            (r#"{"1": "fake", "2": "real"}"#, "2 classes"),
            ("{}", "0 classes"),
        ] {
            let error = names(&format!("{{\"id2label\": {list}}}")).unwrap_err();
            assert!(error.problem.contains(count), "{error}");
        }
    }
}

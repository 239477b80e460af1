//! A ConvNeXt-Tiny as `save_pretrained` leaves it, with random weights that keep its signals within
//! range, so that its scores depend on its input.

use anyhow::{Context, Result};
use fastrand::Rng;
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::Path;

/// Blocks and channels of each stage.
const STAGES: [(usize, usize); 4] = [(3, 96), (3, 192), (9, 384), (3, 768)];

const CONFIG: &str = r#"{
  "architectures": ["ConvNextForImageClassification"], "num_channels": 3, "patch_size": 4,
  "hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 9, 3], "hidden_act": "gelu",
  "id2label": {"0": "bonafide", "1": "spoof"}
}"#;

const PREPROCESSOR: &str = r#"{
  "do_resize": true, "size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3,
  "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]
}"#;

/// Tensors by name.
struct Tensors {
    rng: Rng,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    /// A tensor of `mean` ± `spread`, uniform.
    fn add(&mut self, name: String, shape: &[usize], mean: f32, spread: f32) {
        let value = |_| mean + spread * (2.0 * self.rng.f32() - 1.0);
        let bytes = (0..shape.iter().product()).map(value).flat_map(f32::to_le_bytes).collect();
        self.tensors.push((name, shape.to_vec(), bytes));
    }

    /// A matrix or convolution that keeps the variance of what it gets, and its offset.
    fn weights(&mut self, name: &str, shape: &[usize]) {
        let inputs: usize = shape[1..].iter().product();
        self.add(format!("{name}.weight"), shape, 0.0, (3.0 / inputs as f32).sqrt());
        self.add(format!("{name}.bias"), &shape[..1], 0.0, 0.1);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width], 1.0, 0.2);
        self.add(format!("{name}.bias"), &[width], 0.0, 0.2);
    }
}

/// Writes it into `folder`, always the same.
pub fn write(folder: &Path) -> Result<()> {
    let mut tensors = Tensors { rng: Rng::with_seed(7), tensors: Vec::new() };
    let mut width = STAGES[0].1;
    tensors.weights("convnext.embeddings.patch_embeddings", &[width, 3, 4, 4]);
    tensors.norm("convnext.embeddings.layernorm", width);
    for (i, (depth, channels)) in STAGES.into_iter().enumerate() {
        let stage = format!("convnext.encoder.stages.{i}");
        if i > 0 {
            tensors.norm(&format!("{stage}.downsampling_layer.0"), width);
            tensors.weights(&format!("{stage}.downsampling_layer.1"), &[channels, width, 2, 2]);
            width = channels;
        }
        for layer in 0..depth {
            let block = format!("{stage}.layers.{layer}");
            tensors.weights(&format!("{block}.dwconv"), &[width, 1, 7, 7]);
            tensors.norm(&format!("{block}.layernorm"), width);
            tensors.weights(&format!("{block}.pwconv1"), &[4 * width, width]);
            tensors.weights(&format!("{block}.pwconv2"), &[width, 4 * width]);
            tensors.add(format!("{block}.layer_scale_parameter"), &[width], 0.5, 0.2);
        }
    }
    tensors.norm("convnext.layernorm", width);
    tensors.weights("classifier", &[2, width]);
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    put("config.json", CONFIG.as_bytes())?;
    put("preprocessor_config.json", PREPROCESSOR.as_bytes())?;
    let mut views = Vec::new();
    for (name, shape, bytes) in &tensors.tensors {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
    }
    put("model.safetensors", &safetensors::serialize(views, None)?)
}

//! A ConvNeXt's tensors to an ONNX file, by ONNX Runtime's model editor: no Python needed.
//!
//! The graph is the form that ran fastest on one core (ms a window of a tiny network in one run:
//! 196 so, 208 with layer normalisation spelt out in NCHW, 223 with matrix products in NHWC): all
//! convolutions, the pointwise ones too, in NCHW, transposed for layer normalisation alone; layer
//! scale and the offset of the global response normalisation folded into the second pointwise
//! convolution; GELU as the operator of its own that opset 20 has.

use std::path::Path;

use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::Allocator;
use ort::operator::Attribute;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType};

use super::onnxruntime::{BATCH, library};
use crate::model::ModelError;
use crate::model::import::{Activation, Architecture, Generation, Weights};

const OPSET: u32 = 20;

/// A protobuf message, which an ONNX file is, ends at 2 GiB.
const MOST_PARAMETERS: usize = 500_000_000;

/// transformers' constant, whatever config.json says.
const EPSILON: f32 = 1e-6;

/// What can go wrong on the way.
enum Problem {
    Runtime(ort::Error),
    Checkpoint(ModelError),
}

impl<R> From<ort::Error<R>> for Problem {
    fn from(error: ort::Error<R>) -> Self {
        Self::Runtime(ort::Error::new(error.message()))
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        Self::Checkpoint(error)
    }
}

/// Writes the network `architecture` with `weights`, which it uses up, for images of `height` ×
/// `width` pixels, as an ONNX file (opset 20, input `pixel_values`
/// `[batch, channels, height, width]`, output `logits` `[batch, 2]`), which any engine can read.
///
/// # Errors
/// ONNX Runtime's library is not there, tensors are missing, too many or of another shape, images
/// too small for the network, or a file that can't be written.
pub fn write_convnext(
    architecture: &Architecture,
    weights: &mut Weights,
    (height, width): (usize, usize),
    path: &Path,
) -> Result<(), ModelError> {
    let library = library().map_err(|problem| {
        ModelError::new("ONNX Runtime", problem, "install it there: it writes the ONNX file")
    })?;
    // Each stage but the first halves what the patches left.
    let least = architecture.patch << architecture.stages.len().saturating_sub(1);
    if height.min(width) < least {
        let problem =
            format!("images of {height} × {width} pixels, where the network needs {least} each way");
        let cure = "check that preprocessor_config.json belongs to these weights, or, if it doesn't resize, \
                    draw larger images (--n-mels, --frames)";
        return Err(ModelError::new("the network", problem, cure));
    }
    let image = [architecture.channels, height, width];
    let mut write = || -> Result<(), Problem> {
        let graph = Network { graph: Graph::new()?, weights, nodes: 0 }.build(architecture, image)?;
        let mut model = Model::new([Opset::new(ONNX_DOMAIN, OPSET)?])?;
        model.set_graph(graph)?;
        // Unoptimised, since an optimised graph belongs to the machine that made it.
        let builder = Session::builder(&library.environment)?
            .with_intra_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::Disable)?
            .with_optimized_model_path(path)?;
        model.into_session(&builder)?;
        Ok(())
    };
    write().map_err(|problem| match problem {
        Problem::Checkpoint(error) => error,
        Problem::Runtime(error) => {
            let problem = format!("ONNX Runtime can't write the model: {}", error.message());
            let cure = "make room on the disk, and install ONNX Runtime 1.24 or later (`cargo xtask ort`)";
            ModelError::new(&path.display().to_string(), problem, cure)
        }
    })
}

/// A graph that grows node by node; a value is known by its name.
struct Network<'a> {
    graph: Graph,
    weights: &'a mut Weights,
    nodes: usize,
}

impl Network<'_> {
    fn build(mut self, architecture: &Architecture, image: [usize; 3]) -> Result<Graph, Problem> {
        let Architecture { generation, channels, patch, stages, activation, epsilon } = architecture;
        let prefix = match generation {
            Generation::V1 => "convnext",
            Generation::V2 => "convnextv2",
        };
        self.graph.set_inputs([outlet("pixel_values", &image)])?;
        self.graph.set_outputs([outlet("logits", &[2])])?;
        let (_, mut width) = stages.first().copied().unwrap_or_default();
        let stem = format!("{prefix}.embeddings");
        let name = format!("{stem}.patch_embeddings");
        let mut x = self.convolution("pixel_values", &name, [width, *channels, *patch, *patch], *patch)?;
        x = self.normalise_channels(&x, &format!("{stem}.layernorm"), width)?;
        for (i, (depth, channels)) in stages.iter().copied().enumerate() {
            let stage = format!("{prefix}.encoder.stages.{i}");
            if i > 0 {
                let name = format!("{stage}.downsampling_layer");
                x = self.normalise_channels(&x, &format!("{name}.0"), width)?;
                x = self.convolution(&x, &format!("{name}.1"), [channels, width, 2, 2], 2)?;
                width = channels;
            }
            for layer in 0..depth {
                let block = format!("{stage}.layers.{layer}");
                x = self.block(&x, &block, width, *generation, *activation)?;
            }
        }
        x = self.node("GlobalAveragePool", &[&x], vec![])?;
        x = self.node("Flatten", &[&x], vec![])?;
        x = self.layer_norm(&x, &format!("{prefix}.layernorm"), width, *epsilon)?;
        let weight = self.parameter("classifier.weight", &[2, width])?;
        let bias = self.parameter("classifier.bias", &[2])?;
        let transposed = Attribute::new("transB", 1_i64)?;
        let node =
            Node::new("Gemm", ONNX_DOMAIN, "classifier", [&x, &weight, &bias], ["logits"], [transposed])?;
        self.graph.add_node(node)?;
        self.weights.all_taken()?;
        Ok(self.graph)
    }

    /// x + scale · pointwise(activation(pointwise(norm(depthwise(x))))).
    fn block(
        &mut self,
        x: &str,
        name: &str,
        width: usize,
        generation: Generation,
        activation: Activation,
    ) -> Result<String, Problem> {
        let wide = 4 * width;
        let mut y = self.depthwise(x, &format!("{name}.dwconv"), width)?;
        y = self.normalise_channels(&y, &format!("{name}.layernorm"), width)?;
        let first = format!("{name}.pwconv1");
        let weight = self.weights.take(&format!("{first}.weight"), &[wide, width])?;
        let bias = self.weights.take(&format!("{first}.bias"), &[wide])?;
        y = self.pointwise(&y, &first, [wide, width], &weight, &bias)?;
        y = self.activate(&y, activation)?;
        let second = format!("{name}.pwconv2");
        let mut weight = self.weights.take(&format!("{second}.weight"), &[width, wide])?;
        let mut bias = self.weights.take(&format!("{second}.bias"), &[width])?;
        let rows = || weight.chunks_exact(wide).zip(&bias);
        match generation {
            Generation::V2 => {
                y = self.global_response(&y, &format!("{name}.grn"), wide)?;
                let offset = self.weights.take(&format!("{name}.grn.bias"), &[1, 1, 1, wide])?;
                let product = |row: &[f32]| {
                    row.iter().zip(&offset).map(|(w, o)| f64::from(*w) * f64::from(*o)).sum::<f64>()
                };
                bias = rows().map(|(row, bias)| (f64::from(*bias) + product(row)) as f32).collect();
            }
            // Absent if the checkpoint was trained without (layer_scale_init_value 0).
            Generation::V1 if self.weights.has(&format!("{name}.layer_scale_parameter")) => {
                let scale = self.weights.take(&format!("{name}.layer_scale_parameter"), &[width])?;
                let scaled = weight.chunks_exact(wide).zip(&scale);
                weight = scaled.flat_map(|(row, scale)| row.iter().map(move |w| w * scale)).collect();
                bias.iter_mut().zip(&scale).for_each(|(bias, scale)| *bias *= scale);
            }
            Generation::V1 => {}
        }
        y = self.pointwise(&y, &second, [width, wide], &weight, &bias)?;
        self.node("Add", &[x, &y], vec![])
    }

    /// x · (1 + weight · n / mean(n)), n the norm of each channel: global response normalisation
    /// with its identity, without its offset.
    fn global_response(&mut self, x: &str, name: &str, width: usize) -> Result<String, Problem> {
        let weight = self.weights.take(&format!("{name}.weight"), &[1, 1, 1, width])?;
        let weight = self.constant(&format!("{name}.weight"), &[1, width, 1, 1], &weight)?;
        let epsilon = self.constant(&format!("{name}.epsilon"), &[1], &[EPSILON])?;
        let one = self.constant(&format!("{name}.one"), &[1], &[1.0])?;
        let places = self.axes(&format!("{name}.places"), &[2, 3])?;
        let channels = self.axes(&format!("{name}.channels"), &[1])?;
        let norm = self.node("ReduceL2", &[x, &places], vec![])?;
        let mean = self.node("ReduceMean", &[&norm, &channels], vec![])?;
        let mean = self.node("Add", &[&mean, &epsilon], vec![])?;
        let relative = self.node("Div", &[&norm, &mean], vec![])?;
        let weighted = self.node("Mul", &[&relative, &weight], vec![])?;
        let gain = self.node("Add", &[&weighted, &one], vec![])?;
        self.node("Mul", &[x, &gain], vec![])
    }

    fn activate(&mut self, x: &str, activation: Activation) -> Result<String, Problem> {
        match activation {
            Activation::Gelu => self.node("Gelu", &[x], vec![]),
            Activation::GeluTanh => {
                self.node("Gelu", &[x], vec![Attribute::new("approximate", "tanh".to_owned())?])
            }
            Activation::Relu => self.node("Relu", &[x], vec![]),
            Activation::Selu => self.node("Selu", &[x], vec![]),
            Activation::Silu => {
                let gate = self.node("Sigmoid", &[x], vec![])?;
                self.node("Mul", &[x, &gate], vec![])
            }
        }
    }

    /// Layer normalisation over the channels of NCHW.
    fn normalise_channels(&mut self, x: &str, name: &str, width: usize) -> Result<String, Problem> {
        let last = self.transpose(x, &[0, 2, 3, 1])?;
        let normal = self.layer_norm(&last, name, width, EPSILON)?;
        self.transpose(&normal, &[0, 3, 1, 2])
    }

    fn layer_norm(&mut self, x: &str, name: &str, width: usize, epsilon: f32) -> Result<String, Problem> {
        let weight = self.parameter(&format!("{name}.weight"), &[width])?;
        let bias = self.parameter(&format!("{name}.bias"), &[width])?;
        let attributes = vec![Attribute::new("axis", -1_i64)?, Attribute::new("epsilon", epsilon)?];
        self.node("LayerNormalization", &[x, &weight, &bias], attributes)
    }

    fn transpose(&mut self, x: &str, order: &[i64]) -> Result<String, Problem> {
        self.node("Transpose", &[x], vec![Attribute::new("perm", order)?])
    }

    /// A convolution of squares that don't overlap.
    fn convolution(
        &mut self,
        x: &str,
        name: &str,
        shape: [usize; 4],
        step: usize,
    ) -> Result<String, Problem> {
        let weight = self.parameter(&format!("{name}.weight"), &shape)?;
        let bias = self.parameter(&format!("{name}.bias"), &shape[..1])?;
        let side = vec![step as i64; 2];
        let attributes =
            vec![Attribute::new("kernel_shape", side.clone())?, Attribute::new("strides", side)?];
        self.node("Conv", &[x, &weight, &bias], attributes)
    }

    /// 7 × 7 on each channel for itself.
    fn depthwise(&mut self, x: &str, name: &str, width: usize) -> Result<String, Problem> {
        let weight = self.parameter(&format!("{name}.weight"), &[width, 1, 7, 7])?;
        let bias = self.parameter(&format!("{name}.bias"), &[width])?;
        let attributes = vec![
            Attribute::new("kernel_shape", vec![7_i64; 2])?,
            Attribute::new("pads", vec![3_i64; 4])?,
            Attribute::new("group", width as i64)?,
        ];
        self.node("Conv", &[x, &weight, &bias], attributes)
    }

    /// A matrix on the channels at each place.
    fn pointwise(
        &mut self,
        x: &str,
        name: &str,
        [rows, columns]: [usize; 2],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<String, Problem> {
        let weight = self.constant(&format!("{name}.weight"), &[rows, columns, 1, 1], weight)?;
        let bias = self.constant(&format!("{name}.bias"), &[rows], bias)?;
        self.node("Conv", &[x, &weight, &bias], vec![Attribute::new("kernel_shape", vec![1_i64; 2])?])
    }

    /// A tensor of the checkpoint as it is.
    fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<String, Problem> {
        let values = self.weights.take(name, shape)?;
        self.constant(name, shape, &values)
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<String, Problem> {
        if self.weights.parameters() > MOST_PARAMETERS {
            let problem = format!("more than {MOST_PARAMETERS} parameters don't fit into one ONNX file");
            return Err(ModelError::new(name, problem, "choose a smaller checkpoint").into());
        }
        let mut tensor = Tensor::<f32>::new(&Allocator::default(), to_shape(shape))?;
        tensor.extract_tensor_mut().1.copy_from_slice(values);
        self.graph.add_initializer(name, tensor, false)?;
        Ok(name.to_owned())
    }

    fn axes(&mut self, name: &str, axes: &[i64]) -> Result<String, Problem> {
        let mut tensor = Tensor::<i64>::new(&Allocator::default(), to_shape(&[axes.len()]))?;
        tensor.extract_tensor_mut().1.copy_from_slice(axes);
        self.graph.add_initializer(name, tensor, false)?;
        Ok(name.to_owned())
    }

    /// Adds a node with one output; returns its name.
    fn node(&mut self, kind: &str, inputs: &[&str], attributes: Vec<Attribute>) -> Result<String, Problem> {
        self.nodes += 1;
        let name = format!("{kind}_{}", self.nodes);
        self.graph.add_node(Node::new(kind, ONNX_DOMAIN, &name, inputs, [&name], attributes)?)?;
        Ok(name)
    }
}

fn to_shape(shape: &[usize]) -> Shape {
    Shape::new(shape.iter().map(|x| *x as i64))
}

/// A value of any number of windows, each of this shape.
fn outlet(name: &str, each: &[usize]) -> Outlet {
    let sizes = std::iter::once(-1).chain(each.iter().map(|x| *x as i64));
    let names = std::iter::once(BATCH).chain(each.iter().map(|_| ""));
    let dtype = ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape: Shape::new(sizes),
        dimension_symbols: SymbolicDimensions::new(names.map(str::to_owned)),
    };
    Outlet::new(name, dtype)
}

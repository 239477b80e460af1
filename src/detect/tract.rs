//! tract, the engine that is part of the binary.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{DimFact, Factoid};

use super::engine::{Detector, check_shape, two_logits};
use crate::model::{Model, ModelError};

pub(super) struct Tract {
    plan: Arc<TypedRunnableModel>,
    shape: [usize; 4],
    origin: String,
}

impl Tract {
    pub fn open(model: &Model) -> Result<Self, ModelError> {
        let shape = model.manifest.input_shape();
        let cure = "copy or export the model again, or choose the engine `onnxruntime`";
        // tract asserts in places where a malformed graph leads.
        let plan = catch_unwind(AssertUnwindSafe(|| plan(model, shape)));
        let plan = plan.unwrap_or_else(|_| {
            Err(ModelError::new(&model.origin, "tract can't read the model: it is malformed", cure))
        })?;
        Ok(Self { plan, shape, origin: model.origin.clone() })
    }
}

fn plan(model: &Model, shape: [usize; 4]) -> Result<Arc<TypedRunnableModel>, ModelError> {
    let cure = "copy or export the model again, or choose the engine `onnxruntime`";
    let cannot_read = |error: TractError| {
        ModelError::new(&model.origin, format!("tract can't read the model: {error:#}"), cure)
    };
    if model.onnx.is_empty() {
        return Err(ModelError::new(&model.origin, "the model is empty (0 bytes)", cure));
    }
    let graph = tract_onnx::onnx().model_for_read(&mut Cursor::new(&model.onnx)).map_err(cannot_read)?;
    if let (Ok([_]), Ok([_])) = (graph.input_outlets(), graph.output_outlets()) {
        let declared = &graph.input_fact(0).map_err(cannot_read)?.shape;
        if !declared.is_open() {
            let size = |dim: &DimFact| dim.concretize().and_then(|dim| dim.to_i64().ok()).unwrap_or(-1);
            let dims: Vec<i64> = declared.dims().map(size).collect();
            check_shape(&model.origin, "input", &dims, &shape)?;
        }
    } else {
        let problem = "the model must have one input and one output";
        return Err(ModelError::new(&model.origin, problem, cure));
    }
    graph
        .with_input_fact(0, f32::fact(shape).into())
        .and_then(|graph| graph.into_optimized())
        .and_then(|graph| graph.into_runnable())
        .map_err(cannot_read)
}

impl Detector for Tract {
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
        let failed = |error: TractError| {
            let problem = format!("tract failed on a window: {error:#}");
            ModelError::new(
                &self.origin,
                problem,
                "choose the engine `onnxruntime`, or export the model again",
            )
        };
        let tensor = Tensor::from_shape(&self.shape, input).map_err(failed)?;
        let outputs = self.plan.run(tvec!(tensor.into())).map_err(failed)?;
        let logits = outputs[0].to_plain_array_view::<f32>().map_err(failed)?;
        two_logits(&self.origin, logits.as_slice().unwrap_or_default())
    }

    fn engine(&self) -> &str {
        concat!("tract ", "0.23", " (embedded)")
    }
}

//! The other side of the protocol: a server's answers, on whatever engine this machine has.

use serde_json::{Value, json};

use super::protocol::BINARY;
use crate::model::Model;

/// A request for logits, read.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// Input tensors of one window each.
    pub windows: Vec<Vec<f32>>,
    /// Whether numbers are answered as bytes.
    binary: bool,
}

/// An answer's body, and where its JSON ends if numbers follow.
pub type Answer = (Vec<u8>, Option<usize>);

/// Names of the one input and the one output.
const NAMES: (&str, &str) = ("input", "logits");

/// `GET v2`
pub fn describe_server() -> Value {
    json!({"name": "bonafide", "version": env!("CARGO_PKG_VERSION"), "extensions": [BINARY]})
}

/// `GET v2/models/NAME`
pub fn describe_model(model: &Model) -> Value {
    let [_, channels, height, width] = model.manifest.input_shape();
    let info = &model.manifest.model;
    json!({
        "name": info.name,
        "versions": [info.version],
        "platform": "onnx",
        "inputs": [{"name": NAMES.0, "datatype": "FP32", "shape": [-1, channels, height, width]}],
        "outputs": [{"name": NAMES.1, "datatype": "FP32", "shape": [-1, 2]}],
    })
}

/// Reads `POST v2/models/NAME/infer`.
///
/// # Errors
/// Not the protocol, or not this model's input: in words.
pub fn read_request(model: &Model, body: &[u8], json_length: Option<usize>) -> Result<Asked, String> {
    let (text, numbers) = match json_length {
        None => (body, &[][..]),
        Some(length) => body.split_at_checked(length).ok_or("the request is cut off")?,
    };
    let asked: Value =
        serde_json::from_slice(text).map_err(|error| format!("the request is no JSON: {error}"))?;
    let Some([input]) = asked["inputs"].as_array().map(Vec::as_slice) else {
        return Err("expected one input".to_owned());
    };
    let [_, channels, height, width] = model.manifest.input_shape();
    let each = channels * height * width;
    let shape: Option<Vec<usize>> = input["shape"]
        .as_array()
        .and_then(|sizes| sizes.iter().map(|n| Some(n.as_u64()? as usize)).collect());
    let n = match shape.as_deref() {
        Some([n, rest @ ..]) if rest == [channels, height, width] && *n > 0 => *n,
        _ => {
            let found = &input["shape"];
            return Err(format!("input of shape {found}: expected [n, {channels}, {height}, {width}]"));
        }
    };
    if input["datatype"] != "FP32" {
        return Err(format!("input of type {}: expected FP32", input["datatype"]));
    }
    let values: Vec<f32> = match (input["parameters"]["binary_data_size"].as_u64(), &input["data"]) {
        (Some(size), _) if size == numbers.len() as u64 => {
            numbers.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
        }
        (Some(size), _) => return Err(format!("{} bytes of numbers instead of {size}", numbers.len())),
        (None, data) => {
            let mut values = Vec::new();
            super::protocol::flatten(data, &mut values);
            values
        }
    };
    if Some(values.len()) != n.checked_mul(each) || !values.iter().all(|x| x.is_finite()) {
        return Err(format!("the input holds {} numbers: expected {n} · {each} finite ones", values.len()));
    }
    let binary = asked["outputs"][0]["parameters"]["binary_data"] == true
        || asked["parameters"]["binary_data_output"] == true;
    Ok(Asked { windows: values.chunks(each).map(<[f32]>::to_vec).collect(), binary })
}

impl Asked {
    /// The answer with these logits, one pair for each window.
    pub fn answer(&self, model: &Model, logits: &[[f32; 2]]) -> Answer {
        let mut output = json!({"name": NAMES.1, "datatype": "FP32", "shape": [logits.len(), 2]});
        let flat = logits.as_flattened();
        if self.binary {
            output["parameters"] = json!({"binary_data_size": 4 * flat.len()});
        } else {
            output["data"] = flat.into();
        }
        let info = &model.manifest.model;
        let answer = json!({"model_name": info.name, "model_version": info.version, "outputs": [output]});
        let mut body = answer.to_string().into_bytes();
        if !self.binary {
            return (body, None);
        }
        let json_length = Some(body.len());
        body.extend(flat.iter().flat_map(|x| x.to_le_bytes()));
        (body, json_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::protocol::{answer, request};

    #[test]
    fn both_sides_understand_each_other() {
        let model = Model::embedded().unwrap();
        let shape = model.manifest.input_shape();
        let each = shape.iter().product::<usize>();
        let windows: Vec<Vec<f32>> =
            (0..3).map(|i| (0..each).map(|k| (i * each + k) as f32 * 1e-5).collect()).collect();
        let inputs: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
        let logits = [[0.1, -0.2], [1e-7, 3.0], [-4.5, 6.0]];
        for binary in [false, true] {
            let body = request(NAMES.0, NAMES.1, shape, &inputs, binary).unwrap();
            let asked = read_request(&model, &body.bytes, body.json_length).unwrap();
            assert_eq!(asked, Asked { windows: windows.clone(), binary });
            let (body, json_length) = asked.answer(&model, &logits);
            assert_eq!(json_length.is_some(), binary);
            assert_eq!(answer(&body, json_length, NAMES.1, 3).unwrap(), logits);
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        let model = Model::embedded().unwrap();
        let [_, c, h, w] = model.manifest.input_shape();
        let of = |input: Value| json!({ "inputs": [input] }).to_string();
        let input = |shape: Value, datatype: &str, data: Value| {
            of(json!({"name": "x", "shape": shape, "datatype": datatype, "data": data}))
        };
        for (body, expected) in [
            ("{".to_owned(), "no JSON"),
            ("{}".to_owned(), "expected one input"),
            (input(json!([1, 2]), "FP32", json!([])), "shape [1,2]"),
            (input(json!([0, c, h, w]), "FP32", json!([])), "shape [0,"),
            (input(json!([1, c, h, w]), "INT8", json!([])), "type \"INT8\""),
            (input(json!([1, c, h, w]), "FP32", json!([1.0])), "holds 1 numbers"),
            (input(json!([u64::MAX, c, h, w]), "FP32", json!([1.0])), "holds 1 numbers"),
            (input(json!([1, c, h, w]), "FP32", json!(vec!["x"; c * h * w])), "finite"),
        ] {
            let problem = read_request(&model, body.as_bytes(), None).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(read_request(&model, b"{}", Some(9)).unwrap_err().contains("cut off"));
    }
}

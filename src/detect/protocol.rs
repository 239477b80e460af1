//! The Open Inference Protocol (KServe v2) as bytes: what is asked of a server and how it answers.
//!
//! HTTP and JSON, which every server speaks; numbers as raw bytes behind the JSON where a server
//! announces the extension `binary_tensor_data` (Triton, OpenVINO Model Server).

use serde::Deserialize;
use serde_json::{Value, json};

/// The extension's name among a server's.
pub(super) const BINARY: &str = "binary_tensor_data";

/// The header that says where the JSON ends and the numbers begin.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// `GET v2`: the server.
#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub extensions: Vec<String>,
}

/// `GET v2/models/NAME`: the model.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub inputs: Option<Vec<Tensor>>,
    #[serde(default)]
    pub outputs: Option<Vec<Tensor>>,
}

/// A tensor of the model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Tensor {
    pub name: String,
    #[serde(default)]
    pub datatype: String,
    /// −1: any.
    #[serde(default)]
    pub shape: Vec<i64>,
}

/// An answer to `POST v2/models/NAME/infer`.
#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    parameters: Option<Value>,
}

/// A request's body.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    /// Where the JSON ends, if numbers follow.
    pub json_length: Option<usize>,
}

/// A request for the logits of `inputs`; `shape` is that of one, with its leading 1.
pub(super) fn request(
    input: &str,
    output: &str,
    shape: [usize; 4],
    inputs: &[&[f32]],
    binary: bool,
) -> Result<Body, String> {
    let [_, channels, height, width] = shape;
    let mut tensor = json!({
        "name": input,
        "shape": [inputs.len(), channels, height, width],
        "datatype": "FP32",
    });
    let mut wanted = json!({ "name": output });
    let text = |value: &Value| serde_json::to_vec(value).map_err(|error| error.to_string());
    if !binary {
        tensor["data"] = inputs.concat().into();
        return Ok(Body {
            bytes: text(&json!({ "inputs": [tensor], "outputs": [wanted] }))?,
            json_length: None,
        });
    }
    let numbers = inputs.iter().flat_map(|input| *input).flat_map(|x| x.to_le_bytes());
    let size = inputs.iter().map(|input| 4 * input.len()).sum::<usize>();
    tensor["parameters"] = json!({ "binary_data_size": size });
    wanted["parameters"] = json!({ "binary_data": true });
    let mut bytes = text(&json!({ "inputs": [tensor], "outputs": [wanted] }))?;
    let json_length = Some(bytes.len());
    bytes.extend(numbers);
    Ok(Body { bytes, json_length })
}

/// The logits in an answer to a request for `windows` of them.
///
/// # Errors
/// Not the protocol, another output, type or shape: in words.
pub(super) fn answer(
    body: &[u8],
    json_length: Option<usize>,
    output: &str,
    windows: usize,
) -> Result<Vec<[f32; 2]>, String> {
    let (text, mut numbers) = match json_length {
        None => (body, &[][..]),
        Some(length) => body.split_at_checked(length).ok_or("its answer is cut off")?,
    };
    let answer: Answer = serde_json::from_slice(text)
        .map_err(|error| format!("its answer is no Open Inference answer: {error}"))?;
    for found in answer.outputs {
        // The outputs' numbers follow on each other.
        let size = found.parameters.as_ref().and_then(|p| p["binary_data_size"].as_u64());
        let bytes = match size {
            None => None,
            Some(size) => {
                let (own, rest) =
                    numbers.split_at_checked(size as usize).ok_or("its answer's numbers are cut off")?;
                numbers = rest;
                Some(own)
            }
        };
        if found.name != output {
            continue;
        }
        if found.shape != [windows as i64, 2] {
            return Err(format!("its answer has shape {:?} instead of [{windows}, 2]", found.shape));
        }
        let mut values = Vec::with_capacity(2 * windows);
        match (bytes, found.datatype.as_str(), found.data) {
            (Some(bytes), "FP32", _) => {
                values.extend(bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)));
            }
            (None, "FP32" | "FP64", Some(data)) => flatten(&data, &mut values),
            (None, "FP32" | "FP64", None) => {}
            (_, datatype, _) => return Err(format!("its answer is of type {datatype} instead of FP32")),
        }
        let (pairs, rest) = values.as_chunks::<2>();
        if pairs.len() != windows || !rest.is_empty() {
            return Err(format!("its answer holds {} numbers instead of {}", values.len(), 2 * windows));
        }
        return Ok(pairs.to_vec());
    }
    Err(format!("its answer lacks the output {output}"))
}

/// Numbers in their order, however a server nests them; what is none becomes NaN, which no score is.
pub(super) fn flatten(data: &Value, into: &mut Vec<f32>) {
    match data {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
        value => into.push(value.as_f64().map_or(f32::NAN, |x| x as f32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_as_json_or_as_bytes() {
        let inputs: [&[f32]; 2] = [&[0.1, -2.5], &[1e-7, 3.0]];
        let plain = request("x", "y", [1, 1, 1, 2], &inputs, false).unwrap();
        assert_eq!(plain.json_length, None);
        let found: Value = serde_json::from_slice(&plain.bytes).unwrap();
        assert_eq!(found["inputs"][0]["shape"], json!([2, 1, 1, 2]));
        let mut data = Vec::new();
        flatten(&found["inputs"][0]["data"], &mut data);
        assert_eq!(data, [0.1, -2.5, 1e-7, 3.0]);

        let binary = request("x", "y", [1, 1, 1, 2], &inputs, true).unwrap();
        let (text, numbers) = binary.bytes.split_at(binary.json_length.unwrap());
        let found: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(found["inputs"][0]["parameters"]["binary_data_size"], 16);
        assert_eq!(found["inputs"][0]["data"], Value::Null);
        assert_eq!(numbers[4..8], (-2.5_f32).to_le_bytes());
    }

    #[test]
    fn answers_are_read_as_json_nested_json_or_bytes() {
        let of = |data: Value| {
            json!({"outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": data}]}).to_string()
        };
        for data in [json!([1, 2.5, -3, 4]), json!([[1, 2.5], [-3, 4]])] {
            assert_eq!(answer(of(data).as_bytes(), None, "y", 2).unwrap(), [[1.0, 2.5], [-3.0, 4.0]]);
        }
        let other =
            json!({"name": "z", "datatype": "INT8", "shape": [1], "parameters": {"binary_data_size": 1}});
        let own =
            json!({"name": "y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}});
        let mut body = json!({"outputs": [other, own]}).to_string().into_bytes();
        let length = body.len();
        body.push(9);
        body.extend([0.5_f32, -0.25].iter().flat_map(|x| x.to_le_bytes()));
        assert_eq!(answer(&body, Some(length), "y", 1).unwrap(), [[0.5, -0.25]]);
        assert!(answer(&body[..body.len() - 1], Some(length), "y", 1).unwrap_err().contains("cut off"));
        assert!(answer(&body, Some(9999), "y", 1).unwrap_err().contains("cut off"));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let of = |output: Value| json!({"outputs": [output]}).to_string();
        let output = |shape: Value, datatype: &str, data: Value| {
            of(json!({"name": "y", "datatype": datatype, "shape": shape, "data": data}))
        };
        for (body, expected) in [
            ("<html>".to_owned(), "no Open Inference answer"),
            (String::new(), "no Open Inference answer"),
            (
                of(json!({"name": "z", "datatype": "FP32", "shape": [1, 2], "data": [0, 0]})),
                "lacks the output y",
            ),
            (output(json!([1, 3]), "FP32", json!([0, 0, 0])), "shape [1, 3]"),
            (output(json!([2, 2]), "FP32", json!([0, 0, 0, 0])), "shape [2, 2]"),
            (output(json!([1, 2]), "BYTES", json!(["a", "b"])), "type BYTES"),
            (output(json!([1, 2]), "FP32", json!([0])), "1 numbers instead of 2"),
            (output(json!([1, 2]), "FP32", Value::Null), "0 numbers instead of 2"),
        ] {
            let problem = answer(body.as_bytes(), None, "y", 1).unwrap_err();
            assert!(problem.contains(expected), "{body}: {problem}");
        }
    }
}

//! Tensors of safetensors files as `f32`, whatever precision they were saved in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo};

use crate::model::ModelError;

/// The tensors of a checkpoint; each is taken once, so that what nobody asked for can be told.
#[derive(Debug, Default)]
pub struct Weights {
    files: Vec<File>,
    /// Name → file and place in it.
    tensors: BTreeMap<String, (usize, TensorInfo)>,
    parameters: usize,
}

#[derive(Debug)]
struct File {
    origin: String,
    bytes: Vec<u8>,
    /// Where the data begin behind the header.
    data: usize,
}

impl Weights {
    /// Reads one or more safetensors files whole.
    ///
    /// # Errors
    /// A file that can't be read, is cut off or is no safetensors file.
    pub fn read(paths: &[PathBuf]) -> Result<Self, ModelError> {
        let mut weights = Self::default();
        for path in paths {
            let origin = path.display().to_string();
            let broken = |problem: String| ModelError::new(&origin, problem, "download the checkpoint again");
            let bytes = std::fs::read(path).map_err(|error| broken(format!("can't be read: {error}")))?;
            let length = bytes.len();
            let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| {
                broken(format!("{length} bytes that are no whole safetensors file: {error}"))
            })?;
            for (name, info) in metadata.tensors() {
                weights.tensors.insert(name, (weights.files.len(), info.clone()));
            }
            // Eight bytes say how long the header is.
            weights.files.push(File { origin, bytes, data: 8 + header });
        }
        Ok(weights)
    }

    /// Takes a tensor, row-major.
    ///
    /// # Errors
    /// It is missing or was taken before, has another shape, another type than f64, f32, f16 or
    /// bf16, or a value that is not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some((file, info)) = self.tensors.remove(name) else {
            let origin = self.files.first().map_or("weights", |file| &file.origin);
            let problem = format!("the tensor {name} {shape:?} is missing");
            let cure = "check that config.json belongs to these weights; if the checkpoint has several \
                        shards, give its folder";
            return Err(ModelError::new(origin, problem, cure));
        };
        let File { origin, bytes, data } = &self.files[file];
        let wrong = |problem: String| {
            let cure = "check that config.json belongs to these weights, or download the checkpoint again";
            ModelError::new(origin, format!("the tensor {name} {problem}"), cure)
        };
        if info.shape != shape {
            return Err(wrong(format!("has shape {:?}, but config.json makes it {shape:?}", info.shape)));
        }
        let (from, to) = info.data_offsets;
        let bytes = bytes.get(data + from..data + to).ok_or_else(|| wrong("is cut off".to_owned()))?;
        let values: Vec<f32> = match info.dtype {
            Dtype::F64 => numbers(bytes, |b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => numbers(bytes, f32::from_le_bytes),
            Dtype::F16 => numbers(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => numbers(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            other => return Err(wrong(format!("is of type {other:?}; f64, f32, f16 and bf16 are read"))),
        };
        if !values.iter().all(|x| x.is_finite()) {
            return Err(wrong("holds values that are not finite".to_owned()));
        }
        self.parameters += values.len();
        Ok(values)
    }

    /// Whether there is a tensor of this name that was not taken yet.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Values taken so far.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Checks that every tensor was taken.
    ///
    /// # Errors
    /// Tensors that the network has no place for: it is another one than config.json says.
    pub fn all_taken(&self) -> Result<(), ModelError> {
        let Some((name, (file, _))) = self.tensors.first_key_value() else { return Ok(()) };
        let problem = format!(
            "{} tensors have no place in the network of config.json, the first is {name}",
            self.tensors.len()
        );
        let cure = "check that config.json belongs to these weights; only plain ConvNeXt and ConvNeXt V2 \
                    classifiers can be imported";
        Err(ModelError::new(&self.files[*file].origin, problem, cure))
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn read(bytes: &[u8]) -> Result<Weights, ModelError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Weights::read(&[file.path().to_owned()])
    }

    fn file(dtype: Dtype, shape: Vec<usize>, bytes: &[u8]) -> Vec<u8> {
        let view = TensorView::new(dtype, shape, bytes).unwrap();
        safetensors::tensor::serialize([("x", view)], None).unwrap()
    }

    #[test]
    fn every_precision_becomes_f32() {
        let expected = [1.0, -0.5, 3.140_625];
        let f64s: Vec<u8> = expected.iter().flat_map(|x: &f32| f64::from(*x).to_le_bytes()).collect();
        let f32s: Vec<u8> = expected.iter().flat_map(|x| x.to_le_bytes()).collect();
        let f16s: Vec<u8> = expected.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let bf16s: Vec<u8> = expected.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        let all = [(Dtype::F64, f64s), (Dtype::F32, f32s), (Dtype::F16, f16s), (Dtype::BF16, bf16s)];
        for (dtype, bytes) in all {
            let mut weights = read(&file(dtype, vec![3, 1], &bytes)).unwrap();
            assert!(weights.all_taken().unwrap_err().problem.contains('x'), "not taken yet");
            assert_eq!(weights.take("x", &[3, 1]).unwrap(), expected, "{dtype:?}");
            assert_eq!((weights.all_taken(), weights.parameters()), (Ok(()), 3));
            assert!(weights.take("x", &[3, 1]).unwrap_err().problem.contains("missing"), "taken twice");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let good = file(Dtype::F32, vec![2], &[0; 8]);
        let problem = |bytes: &[u8], shape: &[usize]| match read(bytes) {
            Ok(mut weights) => weights.take("x", shape).unwrap_err().problem,
            Err(error) => error.problem,
        };
        assert!(read(&good).unwrap().take("x", &[2]).is_ok());
        assert!(problem(&good, &[1, 2]).contains("has shape [2], but config.json makes it [1, 2]"));
        assert!(problem(&good[..good.len() - 1], &[2]).contains("no whole safetensors file"));
        assert!(problem(&good[..5], &[2]).contains("no whole safetensors file"));
        assert!(problem(&[], &[2]).contains("0 bytes"));
        assert!(problem(&file(Dtype::I32, vec![2], &[0; 8]), &[2]).contains("type I32"));
        let infinite = f32::INFINITY.to_le_bytes().repeat(2);
        assert!(problem(&file(Dtype::F32, vec![2], &infinite), &[2]).contains("not finite"));
        let gone = Weights::read(&[PathBuf::from("/nowhere/model.safetensors")]).unwrap_err();
        assert!(gone.to_string().contains("/nowhere/model.safetensors: can't be read"), "{gone}");
    }
}

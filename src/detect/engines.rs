//! Engines in their order: the next one takes over from one that fails, and that is said.

use std::collections::VecDeque;
use std::sync::Arc;

use super::engine::{Detector, EngineChoice};
use super::onnxruntime::{OnnxRuntime, library};
use super::provider::{Capacity, Provider};
use super::tract::Tract;
use super::trial::{self, Trial};
use crate::model::{Model, ModelError};

/// One way to run a model on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// ONNX Runtime on this; `true`: only if it is faster than the CPU.
    OnnxRuntime(Provider, bool),
    Tract,
}

impl Step {
    /// A card's driver can fail at any time, and for no fault of the model's.
    fn is_card(self) -> bool {
        matches!(self, Self::OnnxRuntime(provider, _) if provider.is_card())
    }
}

/// The steps of a choice, in their order. Cards that the library doesn't offer are left out, unless
/// they were asked for by name: then their failure is told.
pub(super) fn steps(choice: EngineChoice) -> VecDeque<Step> {
    let cpu = Step::OnnxRuntime(Provider::Cpu, false);
    let offered = |provider: &Provider| library().is_ok_and(|library| library.offers(*provider));
    // TensorRT compiles a model for minutes each time that it is opened.
    let cards = [Provider::Cuda, Provider::DirectMl, Provider::CoreMl].into_iter().filter(offered);
    let cards = cards.map(|provider| Step::OnnxRuntime(provider, true));
    match choice {
        EngineChoice::Auto => cards.chain([cpu, Step::Tract]).collect(),
        EngineChoice::Guest => [cpu, Step::Tract].into(),
        EngineChoice::OnnxRuntime => cards.chain([cpu]).collect(),
        EngineChoice::On(Provider::Cpu) => [cpu].into(),
        EngineChoice::On(card) => [Step::OnnxRuntime(card, false), cpu, Step::Tract].into(),
        EngineChoice::Tract => [Step::Tract].into(),
    }
}

/// Opens one step; a card must agree with the CPU.
pub(super) fn open_step(model: &Model, step: Step) -> Result<Box<dyn Detector>, ModelError> {
    match step {
        Step::Tract => Ok(Box::new(Tract::open(model)?)),
        Step::OnnxRuntime(Provider::Cpu, _) => Ok(Box::new(OnnxRuntime::open(model, Provider::Cpu)?)),
        Step::OnnxRuntime(card, must_be_faster) => {
            let mut detector = OnnxRuntime::open(model, card)?;
            let mut cpu = OnnxRuntime::open(model, Provider::Cpu)?;
            let trial = Trial::new(model);
            trial.agrees(model, &trial.logits(&mut cpu)?, &trial.logits(&mut detector)?).map_err(
                |apart| {
                    let problem = format!("{} disagrees with the CPU: {apart}", card.title());
                    ModelError::new(&model.origin, problem, "choose the engine `cpu`, and report it")
                },
            )?;
            if must_be_faster {
                let (of_cpu, of_card) = (trial.pace(&mut cpu)?, trial.pace(&mut detector)?);
                if of_card > of_cpu {
                    let ms = trial::milliseconds;
                    let problem = format!(
                        "{} is slower here: {} ms a window, the CPU {}",
                        card.title(),
                        ms(of_card),
                        ms(of_cpu)
                    );
                    return Err(ModelError::new(&model.origin, problem, "name it to have it all the same"));
                }
            }
            Ok(Box::new(detector))
        }
    }
}

/// Opens a step of a model.
pub(super) type Open = Box<dyn FnMut(&Model, Step) -> Result<Box<dyn Detector>, ModelError> + Send>;

/// The engine in use, and those that are left.
pub(super) struct Engines {
    model: Arc<Model>,
    open: Open,
    step: Step,
    detector: Box<dyn Detector>,
    left: VecDeque<Step>,
    /// What failed before, and why.
    failures: Vec<String>,
    note: Option<String>,
}

impl Engines {
    /// Opens the first of `steps` that can be opened; `failures` is what is to be told besides.
    ///
    /// # Errors
    /// None could be opened, or the model doesn't fit.
    pub fn open(
        model: &Arc<Model>,
        mut steps: VecDeque<Step>,
        mut failures: Vec<String>,
        mut open: Open,
    ) -> Result<Self, ModelError> {
        let (step, detector) = next(model, &mut steps, &mut failures, &mut open)?;
        let note = note(&failures, &*detector);
        Ok(Self { model: model.clone(), open, step, detector, left: steps, failures, note })
    }

    /// Takes the next engine, as this one failed.
    fn replace(&mut self, error: ModelError) -> Result<(), ModelError> {
        if !self.step.is_card() {
            return Err(error);
        }
        tell(&mut self.failures, error.problem);
        let (step, detector) = next(&self.model, &mut self.left, &mut self.failures, &mut self.open)?;
        self.note = note(&self.failures, &*detector);
        self.step = step;
        // A lost card's session would call its driver once more to be closed.
        std::mem::forget(std::mem::replace(&mut self.detector, detector));
        Ok(())
    }
}

/// Opens the next step that can be opened.
fn next(
    model: &Model,
    steps: &mut VecDeque<Step>,
    failures: &mut Vec<String>,
    open: &mut Open,
) -> Result<(Step, Box<dyn Detector>), ModelError> {
    loop {
        let Some(step) = steps.pop_front() else {
            let cure = "choose the engine `auto`; `bonafide doctor` says what there is";
            return Err(ModelError::new(&model.origin, failures.join("; "), cure));
        };
        match open(model, step) {
            Ok(detector) => return Ok((step, detector)),
            // What a processor can't read is broken, unless the library isn't even here.
            Err(error) if steps.is_empty() || !step.is_card() && library().is_ok() => return Err(error),
            Err(error) => {
                let told = format!("{} ({})", error.problem, error.cure);
                tell(failures, if step.is_card() { told } else { error.problem });
            }
        }
    }
}

/// Once: the same library is missed at each step.
fn tell(failures: &mut Vec<String>, told: String) {
    if !failures.contains(&told) {
        failures.push(told);
    }
}

fn note(failures: &[String], detector: &dyn Detector) -> Option<String> {
    let embedded = detector.engine().starts_with("tract");
    let engine = if embedded { "the embedded engine" } else { detector.engine() };
    (!failures.is_empty()).then(|| format!("using {engine}: {}", failures.join("; ")))
}

impl Detector for Engines {
    fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
        loop {
            match self.detector.logits(input) {
                Ok(logits) => return Ok(logits),
                Err(error) => self.replace(error)?,
            }
        }
    }

    fn logits_of(&mut self, inputs: &[&[f32]]) -> Result<Vec<[f32; 2]>, ModelError> {
        loop {
            match self.detector.logits_of(inputs) {
                Ok(logits) => return Ok(logits),
                Err(error) => self.replace(error)?,
            }
        }
    }

    fn capacity(&self) -> Capacity {
        self.detector.capacity()
    }

    fn engine(&self) -> &str {
        self.detector.engine()
    }

    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges so many windows, then fails for good.
    struct Failing {
        left: usize,
        name: &'static str,
    }

    impl Detector for Failing {
        fn logits(&mut self, input: &[f32]) -> Result<[f32; 2], ModelError> {
            let lost = || ModelError::new("card", "device lost", "restart");
            self.left = self.left.checked_sub(1).ok_or_else(lost)?;
            Ok([input[0], -input[0]])
        }

        fn engine(&self) -> &str {
            self.name
        }
    }

    const STEPS: [Step; 3] = [
        Step::OnnxRuntime(Provider::Cuda, true),
        Step::OnnxRuntime(Provider::DirectMl, true),
        Step::OnnxRuntime(Provider::Cpu, false),
    ];

    /// Engines of which the cards judge so many windows each; `None`: can't be opened.
    fn engines(cuda: Option<usize>, directml: Option<usize>, cpu: usize) -> Result<Engines, ModelError> {
        let open = move |_: &Model, step| {
            let (left, name) = match step {
                Step::OnnxRuntime(Provider::Cuda, _) => (cuda, "cuda"),
                Step::OnnxRuntime(Provider::DirectMl, _) => (directml, "directml"),
                _ => (Some(cpu), "cpu"),
            };
            let left = left.ok_or_else(|| ModelError::new("x", format!("no {name} here"), "buy one"))?;
            Ok(Box::new(Failing { left, name }) as Box<dyn Detector>)
        };
        Engines::open(&Model::embedded()?, STEPS.into(), vec![], Box::new(open))
    }

    #[test]
    fn a_lost_card_loses_no_window_and_is_told() {
        let mut engines = engines(Some(3), Some(2), usize::MAX).unwrap();
        assert_eq!((engines.engine(), engines.note()), ("cuda", None));
        let mut by = Vec::new();
        for i in 0..9 {
            let x = i as f32;
            assert_eq!(engines.logits(&[x]).unwrap(), [x, -x]);
            by.push(engines.engine().to_owned());
        }
        assert_eq!(by, ["cuda", "cuda", "cuda", "directml", "directml", "cpu", "cpu", "cpu", "cpu"]);
        assert_eq!(engines.note(), Some("using cpu: device lost"));
    }

    #[test]
    fn windows_that_were_together_on_a_lost_card_are_all_judged() {
        let mut engines = engines(Some(2), None, usize::MAX).unwrap();
        let inputs: Vec<[f32; 1]> = (0..5).map(|i| [i as f32]).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(|input| &input[..]).collect();
        let logits = engines.logits_of(&inputs).unwrap();
        assert_eq!(logits, inputs.iter().map(|input| [input[0], -input[0]]).collect::<Vec<_>>());
        assert_eq!(engines.note(), Some("using cpu: device lost; no directml here (buy one)"));
    }

    #[test]
    fn what_can_not_be_opened_is_told_and_the_processor_does_not_fail_silently() {
        let mut found = engines(None, None, 1).unwrap();
        assert_eq!(found.engine(), "cpu");
        assert_eq!(found.note(), Some("using cpu: no cuda here (buy one); no directml here (buy one)"));
        assert!(found.logits(&[1.0]).is_ok());
        // A model that fails on a processor fails: nothing is left that would do better.
        assert_eq!(found.logits(&[1.0]).unwrap_err().problem, "device lost");
    }

    #[test]
    fn no_card_is_taken_into_a_process_of_somebody_else() {
        assert!(steps(EngineChoice::Guest).iter().all(|step| !step.is_card()));
        assert_eq!(steps(EngineChoice::Auto).back(), Some(&Step::Tract));
        let named = steps(EngineChoice::On(Provider::Cuda));
        assert_eq!(named, [Step::OnnxRuntime(Provider::Cuda, false), STEPS[2], Step::Tract]);
    }
}

//! What ONNX Runtime can run a model on, and how many windows are best run together there.

/// An execution provider of ONNX Runtime, in the order in which they are tried.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Provider {
    /// NVIDIA's compiler; takes minutes to open a model, so only where it is asked for by name.
    TensorRt,
    /// NVIDIA cards.
    Cuda,
    /// Any card on Windows.
    DirectMl,
    /// Apple's cards.
    CoreMl,
    /// The processor, on one thread.
    Cpu,
}

/// How windows are best given to an engine. The one place where it is decided whether windows that
/// wait run together: `bonafide model bench` measures an engine with any number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Windows that run together; 1: together is no faster than one by one.
    pub at_once: usize,
    /// Copies of the engine that are worth opening: a processor has cores, a card is one.
    pub copies: usize,
}

/// Bytes of a small model: the default has 4.5 MB and takes 2.9 ms for a window alone, 2.1 with three others;
/// ConvNeXt-Tiny has 111 MB and takes 175 ms, and 179.
const SMALL: usize = 16 << 20;

impl Capacity {
    /// A processor: a window fills a core, so windows run one by one, and on as many cores as there are.
    pub const PROCESSOR: Self = Self { at_once: 1, copies: usize::MAX };
    /// A processor with a small network, which spends a third of a window's time on reading its weights and between
    /// its operators: few windows share that, and none waits long.
    pub const SMALL: Self = Self { at_once: 4, copies: usize::MAX };
    /// A card, which a single window leaves idle for the most part.
    pub const CARD: Self = Self { at_once: 64, copies: 1 };
    /// A server: few enough windows for a request of some MB; one travels while another is judged.
    pub const SERVER: Self = Self { at_once: 16, copies: 2 };
}

impl Provider {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::TensorRt, Self::Cuda, Self::DirectMl, Self::CoreMl, Self::Cpu];

    /// Its name among options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::DirectMl => "directml",
            Self::CoreMl => "coreml",
            Self::Cpu => "cpu",
        }
    }

    /// Its name as its makers write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::TensorRt => "TensorRT",
            Self::Cuda => "CUDA",
            Self::DirectMl => "DirectML",
            Self::CoreMl => "CoreML",
            Self::Cpu => "CPU",
        }
    }

    /// Whether it is a card, which can be lost and whose driver is foreign code in this process.
    pub fn is_card(self) -> bool {
        self != Self::Cpu
    }

    /// See [`Capacity`]; of a model that takes any number of windows and whose file has so many bytes.
    pub fn capacity(self, bytes: usize) -> Capacity {
        match self.is_card() {
            true => Capacity::CARD,
            false if bytes <= SMALL => Capacity::SMALL,
            false => Capacity::PROCESSOR,
        }
    }
}

//! A VST3 host in the test's own process: it loads no file and needs no system library.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod com;

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;

use com::{Application, Changes, Edit, Events, Handler, LinuxApplication, Log, Stream};
use vst3::Steinberg::Vst::ParameterInfo_::ParameterFlags_ as Flags;
use vst3::Steinberg::Vst::ProcessContext_::StatesAndFlags_ as TransportState;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;
use vst3::{ComPtr, ComWrapper, Interface};

/// What stands in buffers that a plugin has not written to.
const UNTOUCHED: f32 = 12_345.0;

/// The factory of the plugin that is linked into this test.
pub fn factory() -> ComPtr<IPluginFactory3> {
    // SAFETY: what the entry point returns is a factory, or null.
    let factory = unsafe { ComPtr::from_raw(bonafide::plugin::vst3::GetPluginFactory().cast()) };
    let factory: ComPtr<IPluginFactory> = factory.expect("a factory");
    factory.cast().expect("IPluginFactory3")
}

/// A parameter as the plugin describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub id: ParamID,
    pub title: String,
    pub flags: i32,
    pub steps: i32,
    pub default: f64,
    pub unit: i32,
}

impl Parameter {
    pub fn is_automatable(&self) -> bool {
        self.flags & Flags::kCanAutomate != 0
    }

    pub fn is_read_only(&self) -> bool {
        self.flags & Flags::kIsReadOnly != 0
    }

    pub fn is_hidden(&self) -> bool {
        self.flags & Flags::kIsHidden != 0
    }

    pub fn is_bypass(&self) -> bool {
        self.flags & Flags::kIsBypass != 0
    }
}

/// Where the transport stands at a block's first sample.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    pub playing: bool,
    pub samples: i64,
}

/// A block to process; the rest of the host's life is [`Default`].
#[derive(Clone, Copy, Default)]
pub struct Block<'a> {
    pub inputs: &'a [&'a [f32]],
    /// As many outputs as inputs, if it doesn't say.
    pub outputs: Option<usize>,
    /// Outputs lie where inputs do.
    pub in_place: bool,
    pub transport: Option<Transport>,
    /// Parameters and values that the host plays back.
    pub changes: &'a [(ParamID, f64)],
    /// Passes null instead of lists and process context.
    pub bare: bool,
}

/// A change that the plugin has put out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub id: ParamID,
    pub offset: i32,
    pub value: f64,
}

/// A MIDI controller that the plugin has put out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    pub channel: i8,
    pub number: u8,
    pub value: i8,
    pub offset: i32,
}

/// What came out of a block.
#[derive(Clone, Debug, Default)]
pub struct Processed {
    pub outputs: Vec<Vec<f32>>,
    pub points: Vec<Point>,
    pub controllers: Vec<Controller>,
    /// Events of other kinds.
    pub other_events: usize,
}

/// An instance of the plugin and the host around it. Dropped, it ends as a good host ends it.
pub struct Vst3Instance {
    pub component: ComPtr<IComponent>,
    pub controller: ComPtr<IEditController>,
    pub processor: ComPtr<IAudioProcessor>,
    /// Its application object, if that has a run loop.
    pub run_loop: Option<ComWrapper<LinuxApplication>>,
    handler: ComWrapper<Handler>,
    active: AtomicBool,
    /// Bits of the sample rate.
    rate: AtomicU64,
    parameters: Vec<Parameter>,
}

impl Vst3Instance {
    /// In a host without a run loop.
    pub fn create() -> Self {
        let application = ComWrapper::new(Application);
        Self::within(&application.to_com_ptr().unwrap(), None)
    }

    /// In a host with a run loop.
    pub fn create_with_run_loop() -> Self {
        let application = ComWrapper::new(LinuxApplication::default());
        Self::within(&application.to_com_ptr().unwrap(), Some(application))
    }

    fn within(application: &ComPtr<FUnknown>, run_loop: Option<ComWrapper<LinuxApplication>>) -> Self {
        let component = create_component();
        let controller: ComPtr<IEditController> = component.cast().expect("one object for both");
        let handler = ComWrapper::new(Handler::default());
        let handler_pointer = handler.to_com_ptr::<IComponentHandler>().unwrap();
        // SAFETY: the host's objects; the plugin counts its references.
        unsafe {
            assert_eq!(component.initialize(application.as_ptr()), kResultOk);
            assert_eq!(controller.setComponentHandler(handler_pointer.as_ptr()), kResultOk);
        }
        let parameters = describe(&controller);
        Self {
            processor: component.cast().expect("IAudioProcessor"),
            component,
            controller,
            run_loop,
            handler,
            active: AtomicBool::new(false),
            rate: AtomicU64::new(0),
            parameters,
        }
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub fn parameter(&self, title: &str) -> &Parameter {
        let found = self.parameters.iter().find(|parameter| parameter.title == title);
        found.unwrap_or_else(|| panic!("no parameter {title}"))
    }

    pub fn id(&self, title: &str) -> ParamID {
        self.parameter(title).id
    }

    pub fn get(&self, title: &str) -> f64 {
        // SAFETY: by value.
        unsafe { self.controller.getParamNormalized(self.id(title)) }
    }

    pub fn set(&self, title: &str, normalized: f64) {
        // SAFETY: by value.
        let result = unsafe { self.controller.setParamNormalized(self.id(title), normalized) };
        assert_eq!(result, kResultOk, "{title}");
    }

    /// Sets a parameter by what a user would type.
    pub fn set_text(&self, title: &str, text: &str) {
        let value = self.parse(title, text).unwrap_or_else(|| panic!("{title} doesn't take {text}"));
        self.set(title, value);
    }

    /// How a normalised value reads.
    pub fn text(&self, title: &str, normalized: f64) -> String {
        let mut text = [0; 128];
        // SAFETY: a buffer of 128 characters.
        let result = unsafe { self.controller.getParamStringByValue(self.id(title), normalized, &mut text) };
        assert_eq!(result, kResultOk, "{title}");
        string(&text)
    }

    /// The normalised value of a text.
    pub fn parse(&self, title: &str, text: &str) -> Option<f64> {
        let mut text: Vec<_> = text.encode_utf16().chain([0]).collect();
        let mut value = f64::NAN;
        // SAFETY: a text that ends with 0.
        let result =
            unsafe { self.controller.getParamValueByString(self.id(title), text.as_mut_ptr(), &mut value) };
        (result == kResultOk).then_some(value)
    }

    /// What the plugin has asked the component handler for since the last call.
    pub fn take_edits(&self) -> Vec<(ThreadId, Edit)> {
        std::mem::take(&mut *self.handler.edits.lock().unwrap())
    }

    /// The component handler's log: held by nobody else as soon as nobody holds the handler.
    pub fn log(&self) -> Log {
        self.handler.edits.clone()
    }

    /// Sets `channels` channels in and out; whether the plugin takes them.
    pub fn set_channels(&self, channels: u32) -> bool {
        let arrangement = match channels {
            1 => SpeakerArr::kMono,
            n => (1 << n) - 1,
        };
        self.arrange(arrangement, arrangement)
    }

    pub fn arrange(&self, mut input: SpeakerArrangement, mut output: SpeakerArrangement) -> bool {
        // SAFETY: one arrangement a bus.
        unsafe { self.processor.setBusArrangements(&mut input, 1, &mut output, 1) == kResultTrue }
    }

    /// Speaker arrangements in and out.
    pub fn arrangements(&self) -> [SpeakerArrangement; 2] {
        [BusDirections_::kInput, BusDirections_::kOutput].map(|direction| {
            let mut arrangement = 0;
            // SAFETY: the host's variable.
            let result = unsafe { self.processor.getBusArrangement(direction as _, 0, &mut arrangement) };
            assert_eq!(result, kResultOk);
            arrangement
        })
    }

    pub fn setup(&self, rate: f64, max_block: usize, offline: bool) -> tresult {
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
        let mode = if offline { ProcessModes_::kOffline } else { ProcessModes_::kRealtime };
        let mut setup = ProcessSetup {
            processMode: mode as i32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            maxSamplesPerBlock: max_block as i32,
            sampleRate: rate,
        };
        // SAFETY: the host's structure.
        unsafe { self.processor.setupProcessing(&mut setup) }
    }

    /// Ready for blocks at `rate`.
    pub fn start(&self, rate: f64) {
        assert_eq!(self.setup(rate, 8192, false), kResultOk);
        self.activate();
    }

    /// As [`start`](Self::start), to render offline.
    pub fn start_offline(&self, rate: f64) {
        assert_eq!(self.setup(rate, 8192, true), kResultOk);
        self.activate();
    }

    pub fn activate(&self) {
        // SAFETY: by value.
        unsafe {
            for direction in [BusDirections_::kInput, BusDirections_::kOutput] {
                self.component.activateBus(MediaTypes_::kAudio as _, direction as _, 0, 1);
            }
            assert_eq!(self.component.setActive(1), kResultOk);
            self.processor.setProcessing(1);
        }
        self.active.store(true, Ordering::Relaxed);
    }

    pub fn deactivate(&self) {
        // SAFETY: by value.
        unsafe {
            self.processor.setProcessing(0);
            assert_eq!(self.component.setActive(0), kResultOk);
        }
        self.active.store(false, Ordering::Relaxed);
    }

    /// Processes a block, and checks that the plugin wrote nowhere but where it may.
    pub fn process(&self, block: Block) -> Processed {
        let len = block.inputs.first().map_or(0, |input| input.len());
        let count = block.outputs.unwrap_or(block.inputs.len());
        // One sample more than the plugin is told of.
        let guarded = |input: &&[f32]| [input, &[UNTOUCHED][..]].concat();
        let mut inputs: Vec<Vec<f32>> = block.inputs.iter().map(guarded).collect();
        let mut outputs = vec![vec![UNTOUCHED; len + 1]; count];
        let mut from: Vec<*mut f32> = inputs.iter_mut().map(|x| x.as_mut_ptr()).collect();
        let mut to: Vec<*mut f32> = outputs.iter_mut().map(|x| x.as_mut_ptr()).collect();
        if block.in_place {
            to.iter_mut().zip(&from).for_each(|(to, from)| *to = *from);
        }
        let (mut input, mut output) = (bus(&mut from), bus(&mut to));
        let (played, said) = (ComWrapper::new(Changes::default()), ComWrapper::new(Changes::default()));
        block.changes.iter().for_each(|(id, value)| played.add(*id, 0, *value));
        let events = ComWrapper::new(Events::default());
        let mut context = context(block.transport, f64::from_bits(self.rate.load(Ordering::Relaxed)));
        let [played_pointer, said_pointer] =
            [&played, &said].map(|changes| changes.to_com_ptr::<IParameterChanges>().unwrap());
        let events_pointer = events.to_com_ptr::<IEventList>().unwrap();
        let lists = !block.bare;
        let given = |list: *mut IParameterChanges| if lists { list } else { ptr::null_mut() };
        let mut data = ProcessData {
            processMode: ProcessModes_::kRealtime as i32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            numSamples: len as i32,
            numInputs: 1,
            numOutputs: 1,
            inputs: &mut input,
            outputs: &mut output,
            inputParameterChanges: given(played_pointer.as_ptr()),
            outputParameterChanges: given(said_pointer.as_ptr()),
            inputEvents: ptr::null_mut(),
            outputEvents: if lists { events_pointer.as_ptr() } else { ptr::null_mut() },
            processContext: if lists && block.transport.is_some() { &mut context } else { ptr::null_mut() },
        };
        // SAFETY: all that it points to outlives the call.
        assert_eq!(unsafe { self.processor.process(&mut data) }, kResultOk);
        for (i, buffer) in inputs.iter().chain(&outputs).enumerate() {
            assert_eq!(buffer[len], UNTOUCHED, "buffer {i} was overrun");
        }
        for (before, after) in block.inputs.iter().zip(&inputs) {
            assert!(same_bits(before, &after[..len]), "an input was changed");
        }
        if block.in_place {
            outputs.iter_mut().zip(inputs).for_each(|(output, input)| *output = input);
        }
        outputs.iter_mut().for_each(|output| output.truncate(len));
        let points = said.points().into_iter().map(|(id, offset, value)| Point { id, offset, value });
        let mut processed = Processed { outputs, points: points.collect(), ..Processed::default() };
        for event in events.events.lock().unwrap().iter() {
            if event.r#type != Event_::EventTypes_::kLegacyMIDICCOutEvent as u16 {
                processed.other_events += 1;
                continue;
            }
            // SAFETY: its type says so.
            let LegacyMIDICCOutEvent { controlNumber: number, channel, value, .. } =
                unsafe { event.__field0.midiCCOut };
            processed.controllers.push(Controller { channel, number, value, offset: event.sampleOffset });
        }
        processed
    }

    /// As hosts show what a plugin has put out: each point is set on the main thread.
    pub fn echo(&self, processed: &Processed) {
        for point in &processed.points {
            // SAFETY: by value.
            unsafe { self.controller.setParamNormalized(point.id, point.value) };
        }
    }

    pub fn save(&self) -> Vec<u8> {
        let stream = ComWrapper::new(Stream::default());
        // SAFETY: the host's stream.
        let result = unsafe { self.component.getState(stream.to_com_ptr().unwrap().as_ptr()) };
        assert_eq!(result, kResultOk);
        stream.bytes()
    }

    pub fn load(&self, state: &[u8]) -> bool {
        let stream = ComWrapper::new(Stream::of(state));
        // SAFETY: the host's stream.
        unsafe { self.component.setState(stream.to_com_ptr().unwrap().as_ptr()) == kResultOk }
    }
}

impl Drop for Vst3Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if self.active.load(Ordering::Relaxed) {
            self.deactivate();
        }
        // SAFETY: null takes the handler back.
        unsafe {
            assert_eq!(self.controller.setComponentHandler(ptr::null_mut()), kResultOk);
            assert_eq!(self.component.terminate(), kResultOk);
        }
    }
}

/// An instance that was not initialised.
pub fn create_component() -> ComPtr<IComponent> {
    let (factory, mut object) = (factory(), ptr::null_mut::<c_void>());
    let class = classes().remove(0).cid;
    // SAFETY: identifiers of 16 bytes; on success the object is what was asked for.
    unsafe {
        let result =
            factory.createInstance(class.as_ptr().cast(), IComponent::IID.as_ptr().cast(), &mut object);
        assert_eq!(result, kResultOk);
        ComPtr::from_raw(object.cast()).expect("a component")
    }
}

/// What the factory offers.
pub fn classes() -> Vec<PClassInfo2> {
    let factory = factory();
    // SAFETY: all fields may be zero; the factory fills them in.
    unsafe {
        let class = |index| {
            let mut info: PClassInfo2 = std::mem::zeroed();
            assert_eq!(factory.getClassInfo2(index, &mut info), kResultOk);
            info
        };
        (0..factory.countClasses()).map(class).collect()
    }
}

fn describe(controller: &ComPtr<IEditController>) -> Vec<Parameter> {
    // SAFETY: all fields may be zero; the plugin fills them in.
    unsafe {
        let parameter = |index| {
            let mut info: ParameterInfo = std::mem::zeroed();
            assert_eq!(controller.getParameterInfo(index, &mut info), kResultOk);
            Parameter {
                id: info.id,
                title: string(&info.title),
                flags: info.flags,
                steps: info.stepCount,
                default: info.defaultNormalizedValue,
                unit: info.unitId,
            }
        };
        (0..controller.getParameterCount()).map(parameter).collect()
    }
}

/// A bus of these channels.
pub fn bus(channels: &mut [*mut f32]) -> AudioBusBuffers {
    AudioBusBuffers {
        numChannels: channels.len() as i32,
        silenceFlags: 0,
        __field0: AudioBusBuffers__type0 { channelBuffers32: channels.as_mut_ptr() },
    }
}

fn context(transport: Option<Transport>, rate: f64) -> ProcessContext {
    // SAFETY: all fields may be zero.
    let mut context: ProcessContext = unsafe { std::mem::zeroed() };
    if let Some(transport) = transport {
        context.state = if transport.playing { TransportState::kPlaying as uint32 } else { 0 };
        context.projectTimeSamples = transport.samples;
    }
    context.sampleRate = rate;
    context
}

/// Equal to the bit: NaN and negative zero too.
pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Text of a buffer that ends with 0.
pub fn string(text: &[TChar]) -> String {
    let text: Vec<u16> = text.iter().copied().take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&text)
}

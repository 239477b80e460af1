//! A plugin in VST3 as an audio thread sees it, on the vst3 crate alone: nothing here allocates
//! once it is started.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::ffi::c_void;
use std::ptr;

use super::processor::{Processor, RATE};
use ::vst3::Steinberg::Vst::*;
use ::vst3::Steinberg::*;
use ::vst3::{Class, ComPtr, ComWrapper, Interface};
use std::cell::Cell;

/// One parameter's changes: one point, which is overwritten.
#[derive(Default)]
struct Queue {
    id: Cell<ParamID>,
    value: Cell<f64>,
    points: Cell<usize>,
}

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id.get()
    }
    unsafe fn getPointCount(&self) -> int32 {
        1
    }
    unsafe fn getPoint(&self, _: int32, offset: *mut int32, value: *mut ParamValue) -> tresult {
        // SAFETY: the plugin's variables.
        unsafe { (*offset, *value) = (0, self.value.get()) };
        kResultOk
    }
    unsafe fn addPoint(&self, _: int32, _: ParamValue, _: *mut int32) -> tresult {
        self.points.set(self.points.get() + 1);
        kResultOk
    }
}

/// All of a block's changes: one queue, whatever the parameter.
struct Changes(ComPtr<IParamValueQueue>);

impl Class for Changes {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for Changes {
    unsafe fn getParameterCount(&self) -> int32 {
        1
    }
    unsafe fn getParameterData(&self, _: int32) -> *mut IParamValueQueue {
        self.0.as_ptr()
    }
    unsafe fn addParameterData(&self, _: *const ParamID, _: *mut int32) -> *mut IParamValueQueue {
        self.0.as_ptr()
    }
}

pub struct Vst3 {
    component: ComPtr<IComponent>,
    processor: ComPtr<IAudioProcessor>,
    incoming: (ComWrapper<Queue>, ComPtr<IParameterChanges>),
    outgoing: (ComWrapper<Queue>, ComPtr<IParameterChanges>),
}

// SAFETY: a host may process on any one thread.
unsafe impl Send for Vst3 {}

fn changes() -> (ComWrapper<Queue>, ComPtr<IParameterChanges>) {
    let queue = ComWrapper::new(Queue::default());
    let changes = ComWrapper::new(Changes(queue.to_com_ptr().unwrap()));
    (queue, changes.to_com_ptr().unwrap())
}

pub fn started() -> Vst3 {
    // SAFETY: the factory is this program's own, and used as VST3 says.
    unsafe {
        let factory = bonafide::plugin::vst3::GetPluginFactory().cast::<IPluginFactory>();
        let factory = ComPtr::from_raw(factory).unwrap();
        let mut class: PClassInfo = std::mem::zeroed();
        assert_eq!(factory.getClassInfo(0, &mut class), kResultOk);
        let mut object = ptr::null_mut();
        let made =
            factory.createInstance(class.cid.as_ptr().cast(), IComponent::IID.as_ptr().cast(), &mut object);
        assert_eq!(made, kResultOk);
        let component = ComPtr::from_raw(object.cast::<IComponent>()).unwrap();
        let processor: ComPtr<IAudioProcessor> = component.cast().unwrap();
        assert_eq!(component.initialize(ptr::null_mut()), kResultOk);
        let mut setup = ProcessSetup {
            processMode: ProcessModes_::kRealtime as int32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as int32,
            maxSamplesPerBlock: 8192,
            sampleRate: RATE,
        };
        assert_eq!(processor.setupProcessing(&mut setup), kResultOk);
        assert_eq!(component.setActive(1), kResultOk);
        assert_eq!(processor.setProcessing(1), kResultOk);
        Vst3 { component, processor, incoming: changes(), outgoing: changes() }
    }
}

impl Vst3 {
    /// What a main thread does with the editor.
    pub fn editor(&self, parent: u32) -> impl FnOnce() + use<> {
        let controller: ComPtr<IEditController> = self.component.cast().unwrap();
        move || {
            // SAFETY: the plugin lives as long as the process, and this is its main thread.
            unsafe {
                let view = controller.createView(c"editor".as_ptr());
                let view = ComPtr::from_raw(view).unwrap();
                let parent = parent as usize as *mut c_void;
                let attached = view.attached(parent, kPlatformTypeX11EmbedWindowID);
                assert_eq!(attached, kResultOk, "NO EDITOR");
                // Open until the process ends.
                std::mem::forget(view);
            }
        }
    }
}

impl Processor for Vst3 {
    fn process(&mut self, [left, right]: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize {
        self.incoming.0.id.set(id);
        self.incoming.0.value.set(value);
        self.outgoing.0.points.set(0);
        let mut pointers = [left.as_mut_ptr(), right.as_mut_ptr()];
        // SAFETY: structures of numbers and pointers.
        let (mut bus, mut context, mut data): (AudioBusBuffers, ProcessContext, ProcessData) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        bus.numChannels = 2;
        bus.__field0.channelBuffers32 = pointers.as_mut_ptr();
        let mut output = bus;
        context.state = ProcessContext_::StatesAndFlags_::kPlaying as uint32;
        (context.sampleRate, context.projectTimeSamples) = (RATE, (seconds * RATE) as i64);
        (data.numSamples, data.numInputs, data.numOutputs) = (left.len() as int32, 1, 1);
        (data.inputs, data.outputs, data.processContext) = (&mut bus, &mut output, &mut context);
        data.inputParameterChanges = self.incoming.1.as_ptr();
        data.outputParameterChanges = self.outgoing.1.as_ptr();
        // SAFETY: an active plugin, and a block as VST3 says.
        assert_eq!(unsafe { self.processor.process(&mut data) }, kResultOk);
        self.outgoing.0.points.get()
    }
}

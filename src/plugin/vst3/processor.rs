//! The audio thread's side.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringbuf::traits::Producer;
use vst3::ComRef;
use vst3::Steinberg::Vst::ProcessContext_::StatesAndFlags_ as Transport;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;

use super::component::{Component, guarded};
use crate::plugin::audio::Position;
use crate::plugin::edits::{Edit, EditSender, Table, number};
use crate::plugin::outputs::{Tell, Teller, Values};
use crate::plugin::params::{OutputMode, StateValue};
use crate::plugin::passage::{self, Channels};

/// What waits to be told to the host.
pub struct Outbox {
    teller: Teller,
    /// To the main thread, where alone lanes may be moved.
    lanes: EditSender,
}

impl Outbox {
    pub fn new(lanes: EditSender) -> Self {
        Self { teller: Teller::default(), lanes }
    }
}

impl IAudioProcessorTrait for Component {
    unsafe fn setBusArrangements(
        &self,
        inputs: *mut SpeakerArrangement,
        num_ins: int32,
        outputs: *mut SpeakerArrangement,
        num_outs: int32,
    ) -> tresult {
        // SAFETY: as the host called us.
        unsafe { self.arrange(inputs, num_ins, outputs, num_outs) }
    }

    unsafe fn getBusArrangement(&self, d: BusDirection, i: int32, a: *mut SpeakerArrangement) -> tresult {
        // SAFETY: as the host called us.
        unsafe { self.arrangement(d, i, a) }
    }

    unsafe fn canProcessSampleSize(&self, size: int32) -> tresult {
        if size == SymbolicSampleSizes_::kSample32 as int32 { kResultTrue } else { kResultFalse }
    }

    unsafe fn getLatencySamples(&self) -> uint32 {
        0
    }

    unsafe fn getTailSamples(&self) -> uint32 {
        0
    }

    unsafe fn setupProcessing(&self, setup: *mut ProcessSetup) -> tresult {
        // SAFETY: as the host called us. Twice, as nice-plug notes the mode only after it has
        // used the one before.
        guarded(|| unsafe {
            let first = self.inner.setupProcessing(setup);
            if first == kResultOk { self.inner.setupProcessing(setup) } else { first }
        })
    }

    unsafe fn setProcessing(&self, state: TBool) -> tresult {
        if let Some(mut outbox) = self.outbox.try_lock() {
            let Outbox { teller, lanes } = &mut *outbox;
            teller.forget();
            if state == 0 {
                // No block will say so any more: a lane that stayed touched would be written to
                // the end of the project.
                let nothing = Values::none(StateValue::WarmingUp);
                teller.tell(&nothing, OutputMode::Off, false, |tell| send_to_lane(lanes, tell));
            }
        }
        // SAFETY: as the host called us.
        guarded(|| unsafe { self.inner.setProcessing(state) })
    }

    unsafe fn process(&self, data: *mut ProcessData) -> tresult {
        // SAFETY: the host's, valid or null.
        let Some(data) = (unsafe { data.as_ref() }) else { return kInvalidArgument };
        if data.symbolicSampleSize != SymbolicSampleSizes_::kSample32 as int32 {
            return kInvalidArgument;
        }
        // SAFETY: the host's buffers are as it says.
        let channels = unsafe { pass(data) };
        // A panic would take the host with it. The sound has passed already.
        let _ = catch_unwind(AssertUnwindSafe(|| self.analyse(data, &channels)));
        kResultOk
    }
}

impl Component {
    fn analyse(&self, data: &ProcessData, channels: &Channels) {
        // SAFETY: the host's list, valid or null.
        unsafe { apply_changes(data.inputParameterChanges, &self.table) };
        // SAFETY: the host's, valid or null.
        let position = position(unsafe { data.processContext.as_ref() });
        let told = self.instance.process(channels.all(), position).filter(|_| data.numSamples > 0);
        let (Some((values, rolling)), Some(mut outbox)) = (told, self.outbox.try_lock()) else { return };
        let Outbox { teller, lanes } = &mut *outbox;
        let mode = self.instance.params.output.mode.value();
        let last = data.numSamples - 1;
        let mut released = false;
        teller.tell(&values, mode, rolling, |tell| match tell {
            // SAFETY: the host's list, valid or null.
            Tell::Meter(output, value) => unsafe {
                change(data.outputParameterChanges, number(output.id()), value, last)
            },
            Tell::Touch(_) | Tell::Move(..) => send_to_lane(lanes, tell),
            Tell::Release(_) => {
                released = true;
                send_to_lane(lanes, tell)
            }
            // SAFETY: the host's list, valid or null.
            Tell::Controller(controller, value) => unsafe {
                send_controller(data.outputEvents, controller, value, last)
            },
        });
        if released {
            // Where only the meters' echo fetches edits, a release mustn't wait for the next score:
            // once the transport has stopped there may be none.
            teller.forget();
        }
    }
}

/// Says whether there was room.
fn send_to_lane(lanes: &mut EditSender, tell: Tell) -> bool {
    let edit = match tell {
        Tell::Touch(output) => Edit::Begin(number(output.id())),
        Tell::Move(output, value, _) => Edit::Set(number(output.id()), value),
        Tell::Release(output) => Edit::End(number(output.id())),
        Tell::Meter(..) | Tell::Controller(..) => return false,
    };
    lanes.try_push(edit).is_ok()
}

/// # Safety
/// `data` is a host's, its buffers as it says.
unsafe fn pass<'a>(data: &ProcessData) -> Channels<'a> {
    let len = usize::try_from(data.numSamples).unwrap_or(0);
    // SAFETY: the first of the host's buses, if there is one.
    let bus =
        |buses: *mut AudioBusBuffers, count: int32| unsafe { if count > 0 { buses.as_mut() } else { None } };
    let pointers = |bus: &AudioBusBuffers| {
        // SAFETY: 32-bit samples, as was checked.
        let pointers = unsafe { bus.__field0.channelBuffers32 };
        let count = usize::try_from(bus.numChannels).unwrap_or(0);
        if pointers.is_null() || count == 0 {
            return &[][..];
        }
        // SAFETY: one pointer a channel.
        unsafe { std::slice::from_raw_parts(pointers.cast_const(), count) }
    };
    let (input, output) = (bus(data.inputs, data.numInputs), bus(data.outputs, data.numOutputs));
    let inputs = input.as_deref().map_or(&[][..], pointers);
    let outputs = output.as_deref().map_or(&[][..], pointers);
    if let (Some(input), Some(output)) = (input, output) {
        output.silenceFlags = input.silenceFlags;
    }
    // SAFETY: the host's buffers hold `numSamples` samples each; VST3 lets input and output be the
    // same buffer, or separate ones.
    unsafe { passage::pass(inputs, outputs, len) }
}

/// Takes each parameter's last value of the block.
///
/// # Safety
/// `changes` is null or valid.
unsafe fn apply_changes(changes: *mut IParameterChanges, table: &Table) {
    // SAFETY: valid or null, and so are the queues; the host says how many there are.
    unsafe {
        let Some(changes) = ComRef::from_raw(changes) else { return };
        for i in 0..changes.getParameterCount() {
            let Some(queue) = ComRef::from_raw(changes.getParameterData(i)) else { continue };
            let (mut offset, mut value) = (0, 0.0);
            let points = queue.getPointCount();
            if points > 0 && queue.getPoint(points - 1, &mut offset, &mut value) == kResultOk {
                table.set(queue.getParameterId(), value);
            }
        }
    }
}

fn position(context: Option<&ProcessContext>) -> Position {
    let Some(context) = context else { return Position::default() };
    let playing = context.state & Transport::kPlaying as uint32 != 0;
    let seconds = context.projectTimeSamples as f64 / context.sampleRate;
    Position { playing: Some(playing), seconds: seconds.is_finite().then_some(seconds) }
}

/// # Safety
/// `changes` is null (some hosts pass none with some blocks) or valid.
unsafe fn change(changes: *mut IParameterChanges, id: ParamID, value: f32, at: int32) -> bool {
    let (mut queue_index, mut point_index) = (0, 0);
    // SAFETY: valid or null; a host may also have no queue left.
    unsafe {
        ComRef::from_raw(changes)
            .and_then(|changes| ComRef::from_raw(changes.addParameterData(&id, &mut queue_index)))
            .is_some_and(|queue| queue.addPoint(at, value.into(), &mut point_index) == kResultOk)
    }
}

/// # Safety
/// `events` is null or valid.
unsafe fn send_controller(events: *mut IEventList, controller: u8, value: u8, at: int32) -> bool {
    // SAFETY: valid or null; all fields of an event may be zero.
    unsafe {
        let Some(events) = ComRef::from_raw(events) else { return false };
        let mut event: Event = std::mem::zeroed();
        event.sampleOffset = at;
        event.r#type = Event_::EventTypes_::kLegacyMIDICCOutEvent as uint16;
        event.__field0.midiCCOut =
            LegacyMIDICCOutEvent { controlNumber: controller, channel: 0, value: value as _, value2: 0 };
        events.addEvent(&mut event) == kResultOk
    }
}

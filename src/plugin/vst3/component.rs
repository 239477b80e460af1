//! Component and edit controller in one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nice_plug::wrapper::vst3::Wrapper;
use try_lock::TryLock;
use vst3::Steinberg::Vst::CString;
use vst3::Steinberg::Vst::ChannelContext::*;
use vst3::Steinberg::Vst::ParameterInfo_::ParameterFlags_ as Flags;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;
use vst3::{Class, ComWrapper};

use super::main_thread::{Attach, MainThread};
use super::processor::Outbox;
use super::state;
use super::view::View;
use crate::plugin::edits::Table;
use crate::plugin::instance::Instance;
use crate::plugin::{Bonafide, just_born};

/// One instance as the host holds it.
pub struct Component {
    pub(super) inner: Wrapper<Bonafide>,
    pub(super) instance: Arc<Instance>,
    pub(super) table: Arc<Table>,
    pub(super) main_thread: ComWrapper<MainThread>,
    /// Used by the thread that processes.
    pub(super) outbox: TryLock<Outbox>,
    /// Speaker arrangements that the host has set, input and output; nice-plug knows only counts.
    arrangements: [AtomicU64; 2],
}

impl Class for Component {
    // Without MIDI input there is no use for IMidiMapping and INoteExpressionController.
    type Interfaces =
        (IComponent, IEditController, IAudioProcessor, IProcessContextRequirements, IUnitInfo, IInfoListener);
}

impl Component {
    pub fn new() -> Self {
        let inner = Wrapper::new();
        let instance = just_born();
        let table = Arc::new(Table::new(instance.params.clone()));
        let (main_thread, lanes) = MainThread::new(&instance, &table);
        Self {
            inner,
            instance,
            table,
            main_thread,
            outbox: TryLock::new(Outbox::new(lanes)),
            arrangements: [const { AtomicU64::new(SpeakerArr::kStereo) }; 2],
        }
    }
}

/// No panic may reach the host.
pub(super) fn guarded(run: impl FnOnce() -> tresult) -> tresult {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(kInternalError)
}

macro_rules! forward { ($t:ident { $(fn $f:ident($($a:ident: $ty:ty),*) -> $r:ty;)* }) => {
    $(unsafe fn $f(&self, $($a: $ty),*) -> $r {
        // SAFETY: as the host called us.
        unsafe { $t::$f(&self.inner, $($a),*) }
    })*
} }

macro_rules! forward_guarded { ($t:ident { $(fn $f:ident($($a:ident: $ty:ty),*);)* }) => {
    $(unsafe fn $f(&self, $($a: $ty),*) -> tresult {
        // SAFETY: as the host called us.
        guarded(|| unsafe { $t::$f(&self.inner, $($a),*) })
    })*
} }

impl IPluginBaseTrait for Component {
    unsafe fn initialize(&self, context: *mut FUnknown) -> tresult {
        // SAFETY: the host's object, valid or null.
        unsafe { self.main_thread.attach(context) };
        // SAFETY: as the host called us.
        guarded(|| unsafe { self.inner.initialize(context) })
    }

    unsafe fn terminate(&self) -> tresult {
        self.main_thread.detach();
        // SAFETY: as the host called us.
        guarded(|| unsafe { self.inner.terminate() })
    }
}

impl IComponentTrait for Component {
    forward! { IComponentTrait { fn getBusCount(t: MediaType, d: BusDirection) -> int32; } }
    forward_guarded! { IComponentTrait {
        fn getControllerClassId(id: *mut TUID);
        fn setIoMode(m: IoMode);
        fn getBusInfo(t: MediaType, d: BusDirection, i: int32, b: *mut BusInfo);
        fn getRoutingInfo(i: *mut RoutingInfo, o: *mut RoutingInfo);
        fn activateBus(t: MediaType, d: BusDirection, i: int32, s: TBool);
        fn setActive(s: TBool);
        fn getState(s: *mut IBStream);
    } }

    unsafe fn setState(&self, stream: *mut IBStream) -> tresult {
        guarded(|| {
            // SAFETY: the host's stream, valid or null.
            let result = unsafe { state::load(&*self.instance.params, stream) };
            self.instance.refresh();
            result
        })
    }
}

impl IEditControllerTrait for Component {
    forward! { IEditControllerTrait {
        fn getParameterCount() -> int32;
        fn normalizedParamToPlain(id: ParamID, v: ParamValue) -> ParamValue;
        fn plainParamToNormalized(id: ParamID, v: ParamValue) -> ParamValue;
        fn getParamNormalized(id: ParamID) -> ParamValue;
    } }
    forward_guarded! { IEditControllerTrait {
        fn setComponentState(s: *mut IBStream);
        fn setState(s: *mut IBStream);
        fn getState(s: *mut IBStream);
        fn getParamStringByValue(id: ParamID, v: ParamValue, s: *mut String128);
    } }

    unsafe fn getParamValueByString(&self, id: ParamID, text: *mut TChar, value: *mut ParamValue) -> tresult {
        if value.is_null() {
            return kInvalidArgument;
        }
        let mut parsed = f64::NAN;
        // SAFETY: as the host called us.
        let result = guarded(|| unsafe { self.inner.getParamValueByString(id, text, &mut parsed) });
        // "nan" is a number to Rust, but no value.
        if result == kResultOk && parsed.is_nan() {
            return kResultFalse;
        }
        if result == kResultOk {
            // SAFETY: checked for null.
            unsafe { *value = parsed };
        }
        result
    }

    unsafe fn getParameterInfo(&self, index: int32, info: *mut ParameterInfo) -> tresult {
        // nice-plug panics at index == count.
        // SAFETY: as the host called us.
        if info.is_null() || index < 0 || index >= unsafe { self.inner.getParameterCount() } {
            return kInvalidArgument;
        }
        // SAFETY: as the host called us.
        let result = guarded(|| unsafe { self.inner.getParameterInfo(index, info) });
        // SAFETY: checked for null.
        let info = unsafe { &mut *info };
        let output = self.table.get(info.id).and_then(|entry| entry.output);
        if result == kResultOk && output.is_some_and(|output| output.is_meter()) {
            info.flags &= !(Flags::kCanAutomate | Flags::kIsHidden) as int32;
            info.flags |= Flags::kIsReadOnly as int32;
        }
        result
    }

    /// Also how hosts echo the meters on their main thread, which is an occasion to bring edits.
    unsafe fn setParamNormalized(&self, id: ParamID, value: ParamValue) -> tresult {
        if self.table.get(id).is_none() {
            return kInvalidArgument;
        }
        self.table.set(id, value);
        self.main_thread.pump();
        kResultOk
    }

    unsafe fn setComponentHandler(&self, handler: *mut IComponentHandler) -> tresult {
        // SAFETY: the host's object, valid or null.
        unsafe { self.main_thread.set_handler(handler) };
        // SAFETY: as the host called us.
        guarded(|| unsafe { self.inner.setComponentHandler(handler) })
    }

    unsafe fn createView(&self, name: FIDString) -> *mut IPlugView {
        View::create(name, &self.instance, &self.main_thread)
    }
}

impl Component {
    /// Remembers what nice-plug has accepted.
    pub(super) unsafe fn arrange(
        &self,
        inputs: *mut SpeakerArrangement,
        num_ins: int32,
        outputs: *mut SpeakerArrangement,
        num_outs: int32,
    ) -> tresult {
        if inputs.is_null() || outputs.is_null() || num_ins != 1 || num_outs != 1 {
            return kResultFalse;
        }
        // SAFETY: checked for null; one bus each.
        let (input, output) = unsafe { (*inputs, *outputs) };
        // Sound passes channel by channel: no speaker becomes another.
        if input != output {
            return kResultFalse;
        }
        // SAFETY: as the host called us.
        let result = guarded(|| unsafe { self.inner.setBusArrangements(inputs, num_ins, outputs, num_outs) });
        if result == kResultOk {
            for (known, set) in self.arrangements.iter().zip([input, output]) {
                known.store(set, Ordering::Relaxed);
            }
        }
        result
    }

    pub(super) unsafe fn arrangement(
        &self,
        direction: BusDirection,
        index: int32,
        arrangement: *mut SpeakerArrangement,
    ) -> tresult {
        let known = match direction {
            d if d == BusDirections_::kInput as BusDirection => &self.arrangements[0],
            d if d == BusDirections_::kOutput as BusDirection => &self.arrangements[1],
            _ => return kInvalidArgument,
        };
        if index != 0 || arrangement.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: checked for null.
        unsafe { *arrangement = known.load(Ordering::Relaxed) };
        kResultOk
    }
}

impl IProcessContextRequirementsTrait for Component {
    unsafe fn getProcessContextRequirements(&self) -> uint32 {
        use IProcessContextRequirements_::Flags_ as Need;
        (Need::kNeedTransportState | Need::kNeedProjectTimeMusic) as uint32
    }
}

impl IUnitInfoTrait for Component {
    forward! { IUnitInfoTrait {
        fn getUnitCount() -> int32;
        fn getProgramListCount() -> int32;
        fn getSelectedUnit() -> UnitID;
    } }
    forward_guarded! { IUnitInfoTrait {
        fn getUnitInfo(i: int32, u: *mut UnitInfo);
        fn getProgramListInfo(i: int32, p: *mut ProgramListInfo);
        fn getProgramName(l: ProgramListID, i: int32, n: *mut String128);
        fn getProgramInfo(l: ProgramListID, i: int32, a: CString, v: *mut String128);
        fn hasProgramPitchNames(l: ProgramListID, i: int32);
        fn getProgramPitchName(l: ProgramListID, i: int32, p: int16, n: *mut String128);
        fn selectUnit(u: UnitID);
        fn getUnitByBus(t: MediaType, d: BusDirection, b: int32, c: int32, u: *mut UnitID);
        fn setUnitProgramData(l: int32, p: int32, d: *mut IBStream);
    } }
}

impl IInfoListenerTrait for Component {
    forward_guarded! { IInfoListenerTrait { fn setChannelContextInfos(l: *mut IAttributeList); } }
}

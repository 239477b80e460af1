//! What a host hands to a plugin: objects of its own, each behind an interface of VST3.
#![allow(non_snake_case, reason = "the names are VST3's")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use vst3::Steinberg::Linux::*;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;
use vst3::{Class, ComPtr, ComRef, ComWrapper};

/// What a plugin has asked a component handler for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    Begin(ParamID),
    Perform(ParamID, f64),
    End(ParamID),
    Restart(i32),
}

/// Edits and the threads that they came from.
pub type Log = Arc<Mutex<Vec<(ThreadId, Edit)>>>;

/// Notes each edit.
#[derive(Default)]
pub struct Handler {
    pub edits: Log,
}

impl Handler {
    fn note(&self, edit: Edit) -> tresult {
        self.edits.lock().unwrap().push((std::thread::current().id(), edit));
        kResultOk
    }
}

impl Class for Handler {
    type Interfaces = (IComponentHandler,);
}

impl IComponentHandlerTrait for Handler {
    unsafe fn beginEdit(&self, id: ParamID) -> tresult {
        self.note(Edit::Begin(id))
    }

    unsafe fn performEdit(&self, id: ParamID, value: ParamValue) -> tresult {
        self.note(Edit::Perform(id, value))
    }

    unsafe fn endEdit(&self, id: ParamID) -> tresult {
        self.note(Edit::End(id))
    }

    unsafe fn restartComponent(&self, flags: int32) -> tresult {
        self.note(Edit::Restart(flags))
    }
}

/// A host without a run loop, as on macOS and Windows.
pub struct Application;

impl Class for Application {
    type Interfaces = (IHostApplication,);
}

fn host_name(name: *mut String128) -> tresult {
    // SAFETY: the plugin's buffer of 128 characters, valid or null.
    let Some(name) = (unsafe { name.as_mut() }) else { return kInvalidArgument };
    name.iter_mut().zip("Test host\0".encode_utf16()).for_each(|(to, from)| *to = from);
    kResultOk
}

impl IHostApplicationTrait for Application {
    unsafe fn getName(&self, name: *mut String128) -> tresult {
        host_name(name)
    }

    unsafe fn createInstance(&self, _: *mut TUID, _: *mut TUID, _: *mut *mut c_void) -> tresult {
        kNotImplemented
    }
}

/// A host on Linux, whose application object is a frame for editors and a run loop too. The loop
/// runs when the test says so.
#[derive(Default)]
pub struct LinuxApplication {
    timers: Mutex<Vec<ComPtr<ITimerHandler>>>,
    sizes: Mutex<Vec<(i32, i32)>>,
}

impl LinuxApplication {
    /// Fires each timer once.
    pub fn fire_timers(&self) {
        // A timer may add or remove timers.
        let timers = self.timers.lock().unwrap().clone();
        for timer in timers {
            // SAFETY: registered, and not yet taken back.
            unsafe { timer.onTimer() };
        }
    }

    pub fn timers(&self) -> usize {
        self.timers.lock().unwrap().len()
    }

    /// The last width and height that an editor has asked for.
    pub fn asked_size(&self) -> Option<(i32, i32)> {
        self.sizes.lock().unwrap().last().copied()
    }
}

impl Class for LinuxApplication {
    type Interfaces = (IHostApplication, IPlugFrame, IRunLoop);
}

impl IHostApplicationTrait for LinuxApplication {
    unsafe fn getName(&self, name: *mut String128) -> tresult {
        host_name(name)
    }

    unsafe fn createInstance(&self, _: *mut TUID, _: *mut TUID, _: *mut *mut c_void) -> tresult {
        kNotImplemented
    }
}

impl IPlugFrameTrait for LinuxApplication {
    unsafe fn resizeView(&self, view: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the plugin's view and rectangle, valid or null.
        let (Some(view), Some(wanted)) = (unsafe { ComRef::from_raw(view) }, unsafe { size.as_ref() }) else {
            return kInvalidArgument;
        };
        self.sizes.lock().unwrap().push((wanted.right - wanted.left, wanted.bottom - wanted.top));
        // SAFETY: as above.
        unsafe { view.onSize(size) }
    }
}

impl IRunLoopTrait for LinuxApplication {
    unsafe fn registerEventHandler(&self, _: *mut IEventHandler, _: FileDescriptor) -> tresult {
        kNotImplemented
    }

    unsafe fn unregisterEventHandler(&self, _: *mut IEventHandler) -> tresult {
        kNotImplemented
    }

    unsafe fn registerTimer(&self, timer: *mut ITimerHandler, _: TimerInterval) -> tresult {
        // SAFETY: the plugin's timer, valid or null.
        let Some(timer) = (unsafe { ComRef::from_raw(timer) }) else { return kInvalidArgument };
        self.timers.lock().unwrap().push(timer.to_com_ptr());
        kResultOk
    }

    unsafe fn unregisterTimer(&self, timer: *mut ITimerHandler) -> tresult {
        self.timers.lock().unwrap().retain(|known| known.as_ptr() != timer);
        kResultOk
    }
}

/// The changes of one parameter in one block.
pub struct Queue {
    id: ParamID,
    points: Mutex<Vec<(i32, f64)>>,
}

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id
    }

    unsafe fn getPointCount(&self) -> int32 {
        self.points.lock().unwrap().len() as i32
    }

    unsafe fn getPoint(&self, index: int32, offset: *mut int32, value: *mut ParamValue) -> tresult {
        let points = self.points.lock().unwrap();
        let Some(point) = usize::try_from(index).ok().and_then(|index| points.get(index)) else {
            return kInvalidArgument;
        };
        // SAFETY: the plugin's variables.
        unsafe { (*offset, *value) = *point };
        kResultOk
    }

    unsafe fn addPoint(&self, offset: int32, value: ParamValue, index: *mut int32) -> tresult {
        let mut points = self.points.lock().unwrap();
        points.push((offset, value));
        // SAFETY: the plugin's variable, valid or null.
        if let Some(index) = unsafe { index.as_mut() } {
            *index = points.len() as i32 - 1;
        }
        kResultOk
    }
}

/// The changes of all parameters in one block.
#[derive(Default)]
pub struct Changes {
    queues: Mutex<Vec<(ComWrapper<Queue>, ComPtr<IParamValueQueue>)>>,
}

impl Changes {
    pub fn add(&self, id: ParamID, offset: i32, value: f64) {
        let at = self.queue(id);
        self.queues.lock().unwrap()[at].0.points.lock().unwrap().push((offset, value));
    }

    /// Parameter, offset and value of each point.
    pub fn points(&self) -> Vec<(ParamID, i32, f64)> {
        let mut all = Vec::new();
        for (queue, _) in self.queues.lock().unwrap().iter() {
            all.extend(
                queue.points.lock().unwrap().iter().map(|(offset, value)| (queue.id, *offset, *value)),
            );
        }
        all
    }

    fn queue(&self, id: ParamID) -> usize {
        let mut queues = self.queues.lock().unwrap();
        queues.iter().position(|(queue, _)| queue.id == id).unwrap_or_else(|| {
            let queue = ComWrapper::new(Queue { id, points: Mutex::default() });
            let pointer = queue.to_com_ptr().unwrap();
            queues.push((queue, pointer));
            queues.len() - 1
        })
    }
}

impl Class for Changes {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for Changes {
    unsafe fn getParameterCount(&self) -> int32 {
        self.queues.lock().unwrap().len() as i32
    }

    unsafe fn getParameterData(&self, index: int32) -> *mut IParamValueQueue {
        let queues = self.queues.lock().unwrap();
        let queue = usize::try_from(index).ok().and_then(|index| queues.get(index));
        queue.map_or(std::ptr::null_mut(), |(_, pointer)| pointer.as_ptr())
    }

    unsafe fn addParameterData(&self, id: *const ParamID, index: *mut int32) -> *mut IParamValueQueue {
        // SAFETY: the plugin's variable.
        let at = self.queue(unsafe { *id });
        // SAFETY: the plugin's variable, valid or null.
        if let Some(index) = unsafe { index.as_mut() } {
            *index = at as i32;
        }
        self.queues.lock().unwrap()[at].1.as_ptr()
    }
}

/// The events of one block.
#[derive(Default)]
pub struct Events {
    pub events: Mutex<Vec<Event>>,
}

impl Class for Events {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for Events {
    unsafe fn getEventCount(&self) -> int32 {
        self.events.lock().unwrap().len() as i32
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Event) -> tresult {
        let events = self.events.lock().unwrap();
        let Some(found) = usize::try_from(index).ok().and_then(|index| events.get(index)) else {
            return kInvalidArgument;
        };
        // SAFETY: the plugin's variable.
        unsafe { *event = *found };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        // SAFETY: the plugin's event.
        self.events.lock().unwrap().push(unsafe { *event });
        kResultOk
    }
}

/// Bytes to read and write.
#[derive(Default)]
pub struct Stream {
    data: Mutex<(Vec<u8>, usize)>,
    /// Refuses everything, like a full disk.
    pub broken: AtomicBool,
}

impl Stream {
    pub fn of(bytes: &[u8]) -> Self {
        Self { data: Mutex::new((bytes.to_vec(), 0)), ..Self::default() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.data.lock().unwrap().0.clone()
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

impl IBStreamTrait for Stream {
    unsafe fn read(&self, buffer: *mut c_void, wanted: int32, read: *mut int32) -> tresult {
        if self.is_broken() {
            return kResultFalse;
        }
        let mut data = self.data.lock().unwrap();
        let (bytes, at) = &mut *data;
        let count = usize::try_from(wanted).unwrap_or(0).min(bytes.len() - *at);
        // SAFETY: the plugin's buffer holds as many bytes as it wants.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().add(*at), buffer.cast(), count) };
        *at += count;
        // SAFETY: the plugin's variable, valid or null.
        if let Some(read) = unsafe { read.as_mut() } {
            *read = count as i32;
        }
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, count: int32, written: *mut int32) -> tresult {
        if self.is_broken() {
            return kResultFalse;
        }
        let mut data = self.data.lock().unwrap();
        // SAFETY: the plugin's buffer holds as many bytes as it says.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count as usize) };
        data.0.extend_from_slice(bytes);
        data.1 = data.0.len();
        // SAFETY: the plugin's variable, valid or null.
        if let Some(written) = unsafe { written.as_mut() } {
            *written = count;
        }
        kResultOk
    }

    unsafe fn seek(&self, offset: int64, from: int32, position: *mut int64) -> tresult {
        if self.is_broken() {
            return kResultFalse;
        }
        let mut data = self.data.lock().unwrap();
        let len = data.0.len() as i64;
        let base = [0, data.1 as i64, len][from.clamp(0, 2) as usize];
        data.1 = (base + offset).clamp(0, len) as usize;
        // SAFETY: the plugin's variable, valid or null.
        if let Some(position) = unsafe { position.as_mut() } {
            *position = data.1 as i64;
        }
        kResultOk
    }

    unsafe fn tell(&self, position: *mut int64) -> tresult {
        // SAFETY: the plugin's variable.
        unsafe { *position = self.data.lock().unwrap().1 as i64 };
        kResultOk
    }
}

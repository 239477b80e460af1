//! Edits on the host's main thread, the only one on which VST3 allows them.
//!
//! The editor (on X11 it runs on a thread of its own) and the audio thread (the lanes of automation
//! mode) put edits into queues. They are taken out whenever the host calls on the main thread: by
//! its run loop where it has one, else when it echoes a meter, which follows on each new score.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::ThreadId;

use nice_plug::context::PluginApi;
use parking_lot::Mutex;
use ringbuf::traits::Consumer;
use vst3::Steinberg::FUnknown;
use vst3::Steinberg::Vst::{IComponentHandler, IComponentHandlerTrait};
use vst3::{Class, ComPtr, ComRef, ComWrapper};

use crate::plugin::edits::{Edit, EditReceiver, EditSender, EditorContext, Table, edit_queue};
use crate::plugin::instance::Instance;

#[cfg(all(unix, not(target_os = "macos")))]
use vst3::Steinberg::Linux::{IRunLoop, IRunLoopTrait, ITimerHandler, ITimerHandlerTrait};

/// How often the run loop looks for edits, ms: a drag looks smooth.
#[cfg(all(unix, not(target_os = "macos")))]
const TIMER_MS: u64 = 20;

/// The main thread's end of the queues.
pub struct MainThread {
    id: Mutex<ThreadId>,
    state: Mutex<State>,
    #[cfg(all(unix, not(target_os = "macos")))]
    run_loop: Mutex<Option<ComPtr<IRunLoop>>>,
}

struct State {
    handler: Option<ComPtr<IComponentHandler>>,
    receivers: [EditReceiver; 2],
    /// Does what the open window asks for.
    window: Option<Rc<dyn Fn()>>,
}

#[cfg(all(unix, not(target_os = "macos")))]
impl Class for MainThread {
    type Interfaces = (ITimerHandler,);
}
#[cfg(not(all(unix, not(target_os = "macos"))))]
impl Class for MainThread {
    type Interfaces = ();
}

impl MainThread {
    /// The end of the thread that creates `instance`, which is the main thread, and the audio
    /// thread's end.
    pub fn new(instance: &Arc<Instance>, table: &Arc<Table>) -> (ComWrapper<Self>, EditSender) {
        let (from_editor, editor) = edit_queue();
        let (from_audio, audio) = edit_queue();
        let state = State { handler: None, receivers: [editor, audio], window: None };
        let main_thread = ComWrapper::new(Self {
            id: Mutex::new(std::thread::current().id()),
            state: Mutex::new(state),
            #[cfg(all(unix, not(target_os = "macos")))]
            run_loop: Mutex::new(None),
        });
        let ask = Ask(main_thread.clone());
        let context = EditorContext::create(PluginApi::Vst3, table.clone(), from_editor, move || ask.pump());
        let _ = instance.context.set(context);
        (main_thread, from_audio)
    }

    /// # Safety
    /// `handler` is null or valid.
    pub unsafe fn set_handler(&self, handler: *mut IComponentHandler) {
        // SAFETY: as above.
        self.state.lock().handler = unsafe { ComRef::from_raw(handler) }.map(|handler| handler.to_com_ptr());
    }

    /// What to call, besides bringing edits, while a window is open.
    pub fn set_window(&self, window: Option<Rc<dyn Fn()>>) {
        self.state.lock().window = window;
    }

    /// Takes this thread for the host's main thread: a host that creates its plugins elsewhere
    /// shows their editors here.
    pub fn adopt(&self) {
        *self.id.lock() = std::thread::current().id();
    }

    /// Brings all waiting edits to the host and does what the window asks, if this is the main thread.
    pub fn pump(&self) {
        if std::thread::current().id() != *self.id.lock() {
            return;
        }
        let mut state = self.state.lock();
        let mut edits = Vec::new();
        for receiver in &mut state.receivers {
            edits.extend(receiver.pop_iter());
        }
        let (handler, window) = (state.handler.clone(), state.window.clone());
        // The host may call back from within an edit, or a window's request.
        drop(state);
        if let Some(window) = window {
            window();
        }
        // Without a handler nobody wants to know.
        let Some(handler) = handler else { return };
        for edit in edits {
            // SAFETY: the host's handler, on the main thread.
            unsafe {
                match edit {
                    Edit::Begin(id) => handler.beginEdit(id),
                    Edit::Set(id, value) => handler.performEdit(id, value.into()),
                    Edit::End(id) => handler.endEdit(id),
                };
            }
        }
    }
}

/// How the editor asks for its edits to be brought. Where it runs on the main thread (macOS,
/// Windows) that happens at once; else the timer does it.
struct Ask(ComWrapper<MainThread>);

// SAFETY: nothing but `pump` is called, which locks what it touches and, on any thread but the main
// thread, calls nothing of the host's.
unsafe impl Send for Ask {}
// SAFETY: as above.
unsafe impl Sync for Ask {}

impl Ask {
    fn pump(&self) {
        self.0.pump();
    }
}

/// What needs the object as the host sees it.
pub trait Attach {
    /// Uses the run loop of `host`, if it has one and none is in use; says whether it does now.
    ///
    /// # Safety
    /// `host` is null or valid.
    unsafe fn attach(&self, host: *mut FUnknown) -> bool;

    /// Lets the run loop go.
    fn detach(&self);
}

#[cfg(all(unix, not(target_os = "macos")))]
impl Attach for ComWrapper<MainThread> {
    unsafe fn attach(&self, host: *mut FUnknown) -> bool {
        // SAFETY: as above.
        let run_loop = unsafe { ComRef::from_raw(host) }.and_then(|host| host.cast::<IRunLoop>());
        let (Some(run_loop), Some(timer)) = (run_loop, self.as_com_ref::<ITimerHandler>()) else {
            return false;
        };
        let mut attached = self.run_loop.lock();
        if attached.is_some() {
            return false;
        }
        // SAFETY: the host's run loop, on the main thread.
        let registered = unsafe { run_loop.registerTimer(timer.as_ptr(), TIMER_MS) };
        if registered == vst3::Steinberg::kResultOk {
            *attached = Some(run_loop);
        }
        attached.is_some()
    }

    fn detach(&self) {
        let Some(run_loop) = self.run_loop.lock().take() else { return };
        if let Some(timer) = self.as_com_ref::<ITimerHandler>() {
            // SAFETY: the host's run loop, on the main thread.
            unsafe { run_loop.unregisterTimer(timer.as_ptr()) };
        }
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
impl Attach for ComWrapper<MainThread> {
    unsafe fn attach(&self, _host: *mut FUnknown) -> bool {
        false
    }

    fn detach(&self) {}
}

#[cfg(all(unix, not(target_os = "macos")))]
impl ITimerHandlerTrait for MainThread {
    unsafe fn onTimer(&self) {
        self.pump();
    }
}

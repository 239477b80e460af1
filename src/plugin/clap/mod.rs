//! CLAP: a `clap_plugin` of our own around nice-plug's.
//!
//! It is a copy of nice-plug's with the same `plugin_data`, so nice-plug's functions and extensions
//! work when they are handed ours. What nice-plug can't do is replaced: `process`, `params`.

mod entry;
mod events;
mod extensions;

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use clap_sys::ext::gui::CLAP_EXT_GUI;
use clap_sys::ext::params::*;
use clap_sys::ext::state::{CLAP_EXT_STATE, clap_plugin_state};
use clap_sys::host::clap_host;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::*;
use nice_plug::context::PluginApi;
use nice_plug::wrapper::clap::Wrapper;
use try_lock::TryLock;

use super::edits::{EditReceiver, EditorContext, Table, edit_queue};
use super::instance::Instance;
use super::outputs::Teller;
use super::passage::{self, Channels};
use super::{Bonafide, just_born};
use events::{EventSink, Inbox};

pub use entry::clap_entry;

/// One instance as the host holds it.
#[repr(C)]
struct Shim {
    /// First: the host's `*const clap_plugin` is a `*const Shim`.
    outer: clap_plugin,
    host: *const clap_host,
    inner: *const clap_plugin,
    inner_params: *const clap_plugin_params,
    params: clap_plugin_params,
    inner_state: *const clap_plugin_state,
    state: clap_plugin_state,
    instance: Arc<Instance>,
    table: Arc<Table>,
    /// Used by whichever thread the host processes or flushes on; never by two at a time.
    outbox: TryLock<Outbox>,
}

/// What waits to be told to the host.
struct Outbox {
    teller: Teller,
    edits: EditReceiver,
}

impl Shim {
    /// # Safety
    /// `host` is valid and outlives the plugin.
    unsafe fn create(host: *const clap_host) -> *const clap_plugin {
        // SAFETY: `host` is valid. The reference that is leaked here is given back by nice-plug's
        // own `destroy`.
        let inner: *const clap_plugin =
            unsafe { (*Arc::into_raw(Wrapper::<Bonafide>::new(host))).clap_plugin.as_ptr() };
        let instance = just_born();
        // SAFETY: just made.
        let mut outer = unsafe { *inner };
        // SAFETY: nice-plug's own function, which needs nothing of the host for these.
        let extension =
            |id: &CStr| unsafe { outer.get_extension.map_or(ptr::null(), |get| get(inner, id.as_ptr())) };
        let inner_params = extension(CLAP_EXT_PARAMS).cast::<clap_plugin_params>();
        let inner_state = extension(CLAP_EXT_STATE).cast::<clap_plugin_state>();
        // SAFETY: null, or alive as long as `inner`.
        let copies = unsafe { (inner_params.as_ref().copied(), inner_state.as_ref().copied()) };
        let (Some(mut params), Some(mut state)) = copies else { return ptr::null() };
        state.load = Some(Self::load);
        params.get_info = Some(Self::get_info);
        params.get_value = Some(Self::get_value);
        params.text_to_value = Some(Self::text_to_value);
        params.flush = Some(Self::flush);
        outer.destroy = Some(Self::destroy);
        outer.start_processing = Some(Self::start_processing);
        outer.process = Some(Self::process);
        outer.get_extension = Some(Self::get_extension);
        let table = Arc::new(Table::new(instance.params.clone()));
        let (sender, edits) = edit_queue();
        let flush = FlushRequest(host);
        let context = EditorContext::create(PluginApi::Clap, table.clone(), sender, move || flush.send());
        let _ = instance.context.set(context);
        let outbox = TryLock::new(Outbox { teller: Teller::default(), edits });
        let this =
            Self { outer, host, inner, inner_params, params, inner_state, state, instance, table, outbox };
        Box::into_raw(Box::new(this)).cast()
    }

    /// # Safety
    /// `plugin` came from [`create`](Self::create) and was not destroyed.
    unsafe fn of<'a>(plugin: *const clap_plugin) -> &'a Self {
        // SAFETY: as above, and `outer` comes first.
        unsafe { &*plugin.cast() }
    }

    unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
        // SAFETY: the host calls this once, last.
        let this = unsafe { Box::from_raw(plugin.cast_mut().cast::<Self>()) };
        let inner = this.inner;
        // Nothing of ours holds the instance any more when nice-plug's half lets it go.
        drop(this);
        // SAFETY: `inner` is nice-plug's own, alive until this call.
        unsafe { (*inner).destroy.inspect(|destroy| destroy(inner)) };
    }

    unsafe extern "C" fn start_processing(plugin: *const clap_plugin) -> bool {
        // SAFETY: the host's pointer is ours.
        let this = unsafe { Self::of(plugin) };
        if let Some(mut outbox) = this.outbox.try_lock() {
            outbox.teller.forget();
        }
        // SAFETY: as the host called us.
        unsafe { (*this.inner).start_processing.is_some_and(|start| start(this.inner)) }
    }

    unsafe extern "C" fn get_extension(plugin: *const clap_plugin, id: *const c_char) -> *const c_void {
        // SAFETY: the host's pointer is ours.
        let this = unsafe { Self::of(plugin) };
        // SAFETY: the host's string, checked for null.
        let name = if id.is_null() { c"" } else { unsafe { CStr::from_ptr(id) } };
        if name == CLAP_EXT_PARAMS {
            return ptr::from_ref(&this.params).cast();
        }
        if name == CLAP_EXT_STATE {
            return ptr::from_ref(&this.state).cast();
        }
        // nice-plug's editor panics in a host that can't be asked for a size.
        if name == CLAP_EXT_GUI && !this.host_has_gui() {
            return ptr::null();
        }
        // SAFETY: as the host called us.
        unsafe { (*this.inner).get_extension.map_or(ptr::null(), |get| get(this.inner, id)) }
    }

    unsafe extern "C" fn process(
        plugin: *const clap_plugin,
        process: *const clap_process,
    ) -> clap_process_status {
        // SAFETY: the host's pointer is ours.
        let this = unsafe { Self::of(plugin) };
        // SAFETY: valid or null.
        let Some(process) = (unsafe { process.as_ref() }) else { return CLAP_PROCESS_ERROR };
        // SAFETY: the host's buffers are as it says.
        let channels = unsafe { pass(process) };
        // A panic would take the host with it. The sound has passed already.
        let _ = catch_unwind(AssertUnwindSafe(|| this.analyse(process, &channels)));
        // Analysis goes on in silence too: the state says that there is no speech.
        CLAP_PROCESS_CONTINUE
    }

    fn analyse(&self, process: &clap_process, channels: &Channels) {
        let len = process.frames_count as usize;
        // SAFETY: the host's lists are valid or null.
        let (inbox, sink) = unsafe { (Inbox::new(process.in_events), EventSink::new(process.out_events)) };
        // SAFETY: valid or null.
        let mut position = events::position(unsafe { process.transport.as_ref() });
        let mut from = 0;
        for event in inbox.events() {
            if let Some((at, moved)) = event.transport() {
                // The transport moves within the block: what lies before belongs to the old place.
                let at = (at as usize).clamp(from, len);
                if at > from {
                    self.instance.process(channels.part(from, at).all(), position);
                }
                (from, position) = (at, moved);
            }
            event.apply(&self.table);
        }
        let told = self.instance.process(channels.part(from, len).all(), position);
        let Some(mut outbox) = self.outbox.try_lock() else { return };
        outbox.send_edits(&self.table, &sink);
        if let Some((values, rolling)) = told.filter(|_| len > 0 && sink.is_open()) {
            let mode = self.instance.params.output.mode.value();
            let last = process.frames_count - 1;
            outbox.teller.tell(&values, mode, rolling, |tell| sink.tell(tell, last));
        }
    }
}

impl Outbox {
    fn send_edits(&mut self, table: &Table, sink: &EventSink) {
        use ringbuf::traits::Consumer;
        // Without a list they wait for the next one.
        while sink.is_open()
            && let Some(edit) = self.edits.try_pop()
        {
            sink.edit(edit, table);
        }
    }
}

/// # Safety
/// `process` is a host's, its buffers as it says.
unsafe fn pass<'a>(process: &clap_process) -> Channels<'a> {
    let ports = |ports: *const clap_sys::audio_buffer::clap_audio_buffer, count: u32| {
        // SAFETY: the first of `count` ports.
        if count == 0 { None } else { unsafe { ports.as_ref() } }
    };
    let pointers = |port: &clap_sys::audio_buffer::clap_audio_buffer| {
        if port.data32.is_null() {
            return &[][..];
        }
        // SAFETY: one pointer a channel.
        unsafe { std::slice::from_raw_parts(port.data32.cast_const(), port.channel_count as usize) }
    };
    let input = ports(process.audio_inputs, process.audio_inputs_count);
    let output = ports(process.audio_outputs, process.audio_outputs_count);
    if let (Some(input), Some(_)) = (input, output) {
        // SAFETY: the host's own, valid for this call; constant channels stay constant.
        unsafe { (*process.audio_outputs).constant_mask = input.constant_mask };
    }
    let (inputs, outputs) = (input.map_or(&[][..], pointers), output.map_or(&[][..], pointers));
    // SAFETY: the host's buffers hold `frames_count` samples each; CLAP lets input and output be
    // the same buffer, or separate ones.
    unsafe { passage::pass(inputs, outputs, process.frames_count as usize) }
}

/// Asks a host to fetch edits.
struct FlushRequest(*const clap_host);

// SAFETY: `request_flush` is thread-safe, and the host outlives the plugin and with it the editor.
unsafe impl Send for FlushRequest {}
// SAFETY: as above.
unsafe impl Sync for FlushRequest {}

impl FlushRequest {
    fn send(&self) {
        // SAFETY: the host outlives the plugin. Extensions may be asked for once `init` was called,
        // and an editor is opened after it.
        unsafe {
            let Some(get) = (*self.0).get_extension else { return };
            let params = get(self.0, CLAP_EXT_PARAMS.as_ptr()).cast::<clap_host_params>();
            if let Some(request) = params.as_ref().and_then(|params| params.request_flush) {
                request(self.0);
            }
        }
    }
}

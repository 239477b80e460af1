//! A plugin in CLAP as an audio thread sees it, on clap-sys alone: nothing here allocates once it
//! is started.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::ffi::{CStr, c_void};
use std::ptr;

use super::processor::{Processor, RATE};
use bonafide::plugin::clap::clap_entry;
use clap_sys::audio_buffer::clap_audio_buffer;
use clap_sys::events::*;
use clap_sys::ext::gui::*;
use clap_sys::factory::plugin_factory::{CLAP_PLUGIN_FACTORY_ID, clap_plugin_factory};
use clap_sys::fixedpoint::CLAP_SECTIME_FACTOR;
use clap_sys::host::clap_host;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process};
use clap_sys::version::CLAP_VERSION;

static HOST: clap_host = clap_host {
    clap_version: CLAP_VERSION,
    host_data: ptr::null_mut(),
    name: c"real-time".as_ptr(),
    vendor: c"".as_ptr(),
    url: c"".as_ptr(),
    version: c"1".as_ptr(),
    get_extension: Some(get_extension),
    request_restart: Some(request),
    request_process: Some(request),
    request_callback: Some(request),
};

static HOST_GUI: clap_host_gui = clap_host_gui {
    resize_hints_changed: Some(request),
    request_resize: Some(request_resize),
    request_show: Some(refuse),
    request_hide: Some(refuse),
    closed: Some(closed),
};

unsafe extern "C" fn request_resize(_: *const clap_host, _: u32, _: u32) -> bool {
    false
}

unsafe extern "C" fn refuse(_: *const clap_host) -> bool {
    false
}

unsafe extern "C" fn closed(_: *const clap_host, _: bool) {}

unsafe extern "C" fn get_extension(_: *const clap_host, id: *const std::ffi::c_char) -> *const c_void {
    // SAFETY: the plugin's string.
    if unsafe { CStr::from_ptr(id) } == CLAP_EXT_GUI { (&raw const HOST_GUI).cast() } else { ptr::null() }
}

impl Clap {
    /// What a main thread does with the editor.
    pub fn editor(&self, parent: u32) -> impl FnOnce() + use<> {
        let plugin = self.0;
        move || {
            // SAFETY: the plugin lives as long as the process, and this is its main thread.
            unsafe {
                let gui = (*plugin).get_extension.unwrap()(plugin, CLAP_EXT_GUI.as_ptr());
                let gui = &*gui.cast::<clap_plugin_gui>();
                assert!(gui.create.unwrap()(plugin, CLAP_WINDOW_API_X11.as_ptr(), false), "NO EDITOR");
                let specific = clap_window_handle { x11: parent.into() };
                let window = clap_window { api: CLAP_WINDOW_API_X11.as_ptr(), specific };
                assert!(gui.set_parent.unwrap()(plugin, &window));
                gui.show.unwrap()(plugin);
            }
        }
    }
}

unsafe extern "C" fn request(_: *const clap_host) {}

pub struct Clap(pub *const clap_plugin);

// SAFETY: a host may process on any one thread.
unsafe impl Send for Clap {}

impl Drop for Clap {
    fn drop(&mut self) {
        // SAFETY: a started plugin, ended as CLAP says.
        unsafe {
            (*self.0).stop_processing.unwrap()(self.0);
            (*self.0).deactivate.unwrap()(self.0);
            (*self.0).destroy.unwrap()(self.0);
        }
    }
}

pub fn started() -> Clap {
    // SAFETY: the entry is this program's own, and used as CLAP says.
    unsafe {
        assert!(clap_entry.init.unwrap()(c"".as_ptr()));
        let factory = clap_entry.get_factory.unwrap()(CLAP_PLUGIN_FACTORY_ID.as_ptr());
        let factory = factory.cast::<clap_plugin_factory>();
        let plugin = (*factory).create_plugin.unwrap()(factory, &HOST, c"org.bonafide.bonafide".as_ptr());
        assert!((*plugin).init.unwrap()(plugin));
        assert!((*plugin).activate.unwrap()(plugin, RATE, 1, 8192));
        assert!((*plugin).start_processing.unwrap()(plugin));
        Clap(plugin)
    }
}

unsafe extern "C" fn size(_: *const clap_input_events) -> u32 {
    1
}

unsafe extern "C" fn get(list: *const clap_input_events, _: u32) -> *const clap_event_header {
    // SAFETY: the context is an event that outlives the list.
    unsafe { (*list).ctx.cast() }
}

unsafe extern "C" fn push(list: *const clap_output_events, _: *const clap_event_header) -> bool {
    // SAFETY: the context is a counter that outlives the list.
    unsafe { *(*list).ctx.cast::<usize>() += 1 };
    true
}

fn header<T>(type_: u16) -> clap_event_header {
    let space_id = CLAP_CORE_EVENT_SPACE_ID;
    clap_event_header { size: size_of::<T>() as u32, time: 0, space_id, type_, flags: 0 }
}

impl Processor for Clap {
    fn is_clap(&self) -> bool {
        true
    }

    fn process(&mut self, [left, right]: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize {
        let event = clap_event_param_value {
            header: header::<clap_event_param_value>(CLAP_EVENT_PARAM_VALUE),
            param_id: id,
            cookie: ptr::null_mut(),
            note_id: -1,
            port_index: -1,
            channel: -1,
            key: -1,
            value,
        };
        // SAFETY: a structure of numbers.
        let mut transport: clap_event_transport = unsafe { std::mem::zeroed() };
        transport.header = header::<clap_event_transport>(CLAP_EVENT_TRANSPORT);
        transport.flags = CLAP_TRANSPORT_HAS_SECONDS_TIMELINE | CLAP_TRANSPORT_IS_PLAYING;
        transport.song_pos_seconds = (seconds * CLAP_SECTIME_FACTOR as f64) as i64;
        let mut said = 0_usize;
        let incoming = clap_input_events {
            ctx: ptr::from_ref(&event).cast_mut().cast(),
            size: Some(size),
            get: Some(get),
        };
        let outgoing = clap_output_events { ctx: ptr::from_mut(&mut said).cast(), try_push: Some(push) };
        let mut pointers = [left.as_mut_ptr(), right.as_mut_ptr()];
        let buffer = || clap_audio_buffer {
            data32: ptr::null_mut(),
            data64: ptr::null_mut(),
            channel_count: 2,
            latency: 0,
            constant_mask: 0,
        };
        let (mut input, mut output) = (buffer(), buffer());
        (input.data32, output.data32) = (pointers.as_mut_ptr(), pointers.as_mut_ptr());
        let process = clap_process {
            steady_time: -1,
            frames_count: left.len() as u32,
            transport: &transport,
            audio_inputs: &input,
            audio_outputs: &mut output,
            audio_inputs_count: 1,
            audio_outputs_count: 1,
            in_events: &incoming,
            out_events: &outgoing,
        };
        // SAFETY: a started plugin, and a block as CLAP says.
        let status = unsafe { (*self.0).process.unwrap()(self.0, &process) };
        assert_ne!(status, CLAP_PROCESS_ERROR);
        said
    }
}

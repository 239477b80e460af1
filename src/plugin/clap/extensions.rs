//! Extensions that nice-plug has, corrected where it errs or can't.

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap_sys::events::{clap_input_events, clap_output_events};
use clap_sys::ext::gui::CLAP_EXT_GUI;
use clap_sys::ext::params::*;
use clap_sys::plugin::clap_plugin;
use clap_sys::stream::clap_istream;

use super::Shim;
use super::events::{EventSink, Inbox};

impl Shim {
    pub(super) fn host_has_gui(&self) -> bool {
        // SAFETY: the host outlives the plugin, and is asked on the main thread.
        unsafe {
            (*self.host).get_extension.is_some_and(|get| !get(self.host, CLAP_EXT_GUI.as_ptr()).is_null())
        }
    }

    pub(super) unsafe extern "C" fn get_info(
        plugin: *const clap_plugin,
        index: u32,
        info: *mut clap_param_info,
    ) -> bool {
        // SAFETY: the host's pointer is ours, and the extension lives as long.
        let (this, inner) = unsafe {
            let this = Self::of(plugin);
            (this, &*this.inner_params)
        };
        // nice-plug panics at index == count.
        // SAFETY: as the host called us.
        if info.is_null() || index >= unsafe { inner.count.map_or(0, |count| count(plugin)) } {
            return false;
        }
        // SAFETY: as the host called us.
        if !unsafe { inner.get_info.is_some_and(|get| get(plugin, index, info)) } {
            return false;
        }
        // SAFETY: checked for null, and filled in just now.
        let info = unsafe { &mut *info };
        if let Some(output) = this.table.get(info.id).and_then(|entry| entry.output) {
            info.flags &= !CLAP_PARAM_IS_MODULATABLE;
            if output.is_meter() {
                info.flags &= !(CLAP_PARAM_IS_AUTOMATABLE | CLAP_PARAM_IS_HIDDEN);
                info.flags |= CLAP_PARAM_IS_READONLY;
            }
        }
        true
    }

    pub(super) unsafe extern "C" fn get_value(plugin: *const clap_plugin, id: u32, value: *mut f64) -> bool {
        // SAFETY: the host's pointer is ours, and the extension lives as long.
        let (this, inner) = unsafe {
            let this = Self::of(plugin);
            (this, &*this.inner_params)
        };
        // SAFETY: as the host called us.
        if value.is_null() || !unsafe { inner.get_value.is_some_and(|get| get(plugin, id, value)) } {
            return false;
        }
        // nice-plug counts steps in single precision; a host that cuts 2.9999998 would show another.
        if this.table.get(id).is_some_and(|entry| entry.steps > 1.0) {
            // SAFETY: checked for null, and filled in just now.
            unsafe { *value = (*value).round() };
        }
        true
    }

    pub(super) unsafe extern "C" fn text_to_value(
        plugin: *const clap_plugin,
        id: u32,
        text: *const c_char,
        value: *mut f64,
    ) -> bool {
        // SAFETY: the host's pointer is ours, and the extension lives as long.
        let inner = unsafe { &*Self::of(plugin).inner_params };
        // SAFETY: as the host called us; the value, where it is true, was filled in.
        // "nan" is a number to Rust, but no value.
        unsafe {
            !value.is_null()
                && inner.text_to_value.is_some_and(|parse| parse(plugin, id, text, value))
                && !(*value).is_nan()
        }
    }

    pub(super) unsafe extern "C" fn load(plugin: *const clap_plugin, stream: *const clap_istream) -> bool {
        // SAFETY: the host's pointer is ours, and the extension lives as long.
        let this = unsafe { Self::of(plugin) };
        // SAFETY: as the host called us.
        let loaded = unsafe { (*this.inner_state).load.is_some_and(|load| load(plugin, stream)) };
        let _ = catch_unwind(AssertUnwindSafe(|| this.instance.refresh()));
        loaded
    }

    /// Parameters without sound.
    pub(super) unsafe extern "C" fn flush(
        plugin: *const clap_plugin,
        incoming: *const clap_input_events,
        outgoing: *const clap_output_events,
    ) {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the host's pointer is ours, and its lists are valid or null.
            let (this, inbox, sink) =
                unsafe { (Self::of(plugin), Inbox::new(incoming), EventSink::new(outgoing)) };
            for event in inbox.events() {
                event.apply(&this.table);
            }
            if let Some(mut outbox) = this.outbox.try_lock() {
                outbox.send_edits(&this.table, &sink);
            }
        }));
    }
}

//! Parameter changes on their way to the host.
//!
//! nice-plug would send those of the editor from whatever thread the editor runs on, which on X11
//! isn't the host's main thread, and those of the host through a worker that a busy editor makes
//! panic. So they take this way instead: wait-free queues, emptied where the format wants it.

use std::sync::Arc;

use nice_plug::context::PluginApi;
use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::params::Params;
use nice_plug::prelude::{ParamPtr, PluginState};
use parking_lot::Mutex;
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::outputs::Output;

/// Edits that may wait; a drag makes one a frame.
const CAPACITY: usize = 1024;

/// A step of a change, as hosts want to hear of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    /// A hand is on the parameter with this number.
    Begin(u32),
    /// It was moved to this normalised value.
    Set(u32, f32),
    /// The hand is off.
    End(u32),
}

/// Where edits are put in.
pub type EditSender = HeapProd<Edit>;

/// Where they come out, in order.
pub type EditReceiver = HeapCons<Edit>;

/// A queue of edits.
pub fn edit_queue() -> (EditSender, EditReceiver) {
    HeapRb::new(CAPACITY).split()
}

/// The number by which hosts know a parameter: nice-plug's own hash of its identifier, which its
/// wrappers use too.
pub const fn number(id: &str) -> u32 {
    let (bytes, mut hash, mut i) = (id.as_bytes(), 0_u32, 0);
    while i < bytes.len() {
        hash = hash.wrapping_mul(31).wrapping_add(bytes[i] as u32);
        i += 1;
    }
    hash & !(1 << 31)
}

/// A parameter as a host sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    number: u32,
    param: ParamPtr,
    /// CLAP counts the steps of a stepped parameter; 1 for a continuous one.
    pub steps: f64,
    /// The plugin's own word, if it is one.
    pub output: Option<Output>,
}

/// All parameters by number.
pub struct Table {
    entries: Vec<Entry>,
    /// Keeps alive what the entries point to.
    params: Arc<dyn Params>,
}

impl Table {
    /// A table of `params`.
    pub fn new(params: Arc<dyn Params>) -> Self {
        let entry = |(id, param, _): (String, ParamPtr, String)| Entry {
            number: number(&id),
            param,
            // SAFETY: the parameters live as long as `params`.
            steps: unsafe { param.step_count() }.map_or(1.0, |steps| steps as f64),
            output: Output::ALL.into_iter().find(|output| output.id() == id),
        };
        let mut entries: Vec<_> = params.param_map().into_iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.number);
        Self { entries, params }
    }

    /// The parameter with this number. Real-time safe.
    pub fn get(&self, number: u32) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.entries.get(at)
    }

    fn number(&self, param: ParamPtr) -> Option<u32> {
        self.entries.iter().find(|entry| entry.param == param).map(|entry| entry.number)
    }

    /// A host sets a parameter. What it writes to an output, and what is no number, is ignored.
    /// Real-time safe, unlike nice-plug's own way, which wakes a thread.
    pub fn set(&self, number: u32, normalized: f64) {
        let Some(entry) = self.get(number).filter(|entry| entry.output.is_none()) else { return };
        if normalized.is_finite() {
            // SAFETY: the parameters live as long as the table.
            unsafe { entry.param._internal_set_normalized_value(normalized as f32) };
        }
    }

    /// A host modulates a parameter by an offset; as [`set`](Self::set).
    pub fn modulate(&self, number: u32, offset: f64) {
        let Some(entry) = self.get(number).filter(|entry| entry.output.is_none()) else { return };
        if offset.is_finite() {
            // SAFETY: the parameters live as long as the table.
            unsafe { entry.param._internal_modulate_value(offset as f32) };
        }
    }
}

/// The editor's way to the host, in place of nice-plug's.
pub struct EditorContext {
    api: PluginApi,
    table: Arc<Table>,
    edits: Mutex<EditSender>,
    /// Asks the host to fetch the edits; from any thread.
    ask: Box<dyn Fn() + Send + Sync>,
}

impl EditorContext {
    /// A context that puts edits into `edits` and then calls `ask`.
    pub fn create(
        api: PluginApi,
        table: Arc<Table>,
        edits: EditSender,
        ask: impl Fn() + Send + Sync + 'static,
    ) -> GuiContext {
        GuiContext::new(Arc::new(Self { api, table, edits: Mutex::new(edits), ask: Box::new(ask) }))
    }

    fn send(&self, param: ParamPtr, edit: impl FnOnce(u32) -> Edit) {
        let Some(number) = self.table.number(param) else { return };
        // A host that fetches nothing for a thousand edits hears of the last ones when it asks
        // for the values.
        let _ = self.edits.lock().try_push(edit(number));
        (self.ask)();
    }
}

impl GuiContextInner for EditorContext {
    fn plugin_api(&self) -> PluginApi {
        self.api
    }

    unsafe fn raw_begin_set_parameter(&self, param: ParamPtr) {
        self.send(param, Edit::Begin);
    }

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        if let Some(number) = self.table.number(param) {
            self.table.set(number, normalized.into());
        }
        self.send(param, |number| Edit::Set(number, normalized));
    }

    unsafe fn raw_end_set_parameter(&self, param: ParamPtr) {
        self.send(param, Edit::End);
    }

    // The editor has no presets of its own and asks for no restart, so these have no caller.

    fn get_state(&self) -> PluginState {
        PluginState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            params: Default::default(),
            fields: self.table.params.serialize_fields(),
        }
    }

    fn set_state(&self, state: PluginState) {
        self.table.params.deserialize_fields(&state.fields);
    }

    fn request_restart(&self) {}
}

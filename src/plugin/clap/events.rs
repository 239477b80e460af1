//! CLAP's events, in and out.

use std::ptr;

use clap_sys::events::*;
use clap_sys::fixedpoint::CLAP_SECTIME_FACTOR;

use crate::plugin::audio::Position;
use crate::plugin::edits::{Edit, Table, number};
use crate::plugin::outputs::{At, Tell};

/// A host's list of events.
pub struct Inbox<'a>(Option<&'a clap_input_events>);

/// An event in it.
pub struct Event<'a>(&'a clap_event_header);

impl<'a> Inbox<'a> {
    /// # Safety
    /// `list` is null, or valid as long as `'a`.
    pub unsafe fn new(list: *const clap_input_events) -> Self {
        // SAFETY: as above.
        Self(unsafe { list.as_ref() })
    }

    /// CLAP's own events, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> {
        let list = self.0;
        // SAFETY: a valid list's functions may be called.
        let count = list.and_then(|list| list.size.map(|size| unsafe { size(list) })).unwrap_or(0);
        (0..count).filter_map(move |i| {
            let list = list?;
            // SAFETY: `i` is below the count; the event lives as long as the list.
            let header = unsafe { list.get.map_or(ptr::null(), |get| get(list, i)).as_ref() }?;
            (header.space_id == CLAP_CORE_EVENT_SPACE_ID).then_some(Event(header))
        })
    }
}

impl Event<'_> {
    /// The event as a `T`, if it has that type and is large enough.
    ///
    /// # Safety
    /// Events of type `type_` are a `T`.
    unsafe fn get<T>(&self, type_: u16) -> Option<&T> {
        let fits = self.0.type_ == type_ && self.0.size as usize >= size_of::<T>();
        // SAFETY: as above.
        fits.then(|| unsafe { &*ptr::from_ref(self.0).cast() })
    }

    /// Sets or modulates the parameter that it is about.
    pub fn apply(&self, table: &Table) {
        // SAFETY: CLAP says that these types are these structures.
        let (value, modulation) = unsafe {
            (
                self.get::<clap_event_param_value>(CLAP_EVENT_PARAM_VALUE),
                self.get::<clap_event_param_mod>(CLAP_EVENT_PARAM_MOD),
            )
        };
        let steps = |id| table.get(id).map_or(1.0, |entry| entry.steps);
        if let Some(event) = value {
            table.set(event.param_id, event.value / steps(event.param_id));
        }
        if let Some(event) = modulation {
            table.modulate(event.param_id, event.amount / steps(event.param_id));
        }
    }

    /// When and where to the transport moves, if that is what it says.
    pub fn transport(&self) -> Option<(u32, Position)> {
        // SAFETY: CLAP says that this type is this structure.
        let event = unsafe { self.get::<clap_event_transport>(CLAP_EVENT_TRANSPORT) }?;
        Some((self.0.time, position(Some(event))))
    }
}

/// Where a transport stands.
pub fn position(transport: Option<&clap_event_transport>) -> Position {
    let Some(transport) = transport else { return Position::default() };
    let is = |flag| transport.flags & flag != 0;
    let seconds = transport.song_pos_seconds as f64 / CLAP_SECTIME_FACTOR as f64;
    Position {
        playing: Some(is(CLAP_TRANSPORT_IS_PLAYING)),
        seconds: is(CLAP_TRANSPORT_HAS_SECONDS_TIMELINE).then_some(seconds),
    }
}

/// A host's list for what the plugin says.
pub struct EventSink<'a>(Option<&'a clap_output_events>);

impl EventSink<'_> {
    /// # Safety
    /// `list` is null, or valid as long as this.
    pub unsafe fn new(list: *const clap_output_events) -> Self {
        // SAFETY: as above.
        Self(unsafe { list.as_ref() })
    }

    /// Whether there is a list.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Says something about a block whose last sample is `last`.
    pub fn tell(&self, tell: Tell, last: u32) -> bool {
        let time = |at| if at == At::Begin { 0 } else { last };
        match tell {
            // Never recorded and never an edit: a project is not changed by being listened to.
            Tell::Meter(output, value) => {
                self.value(number(output.id()), output.plain(value), last, CLAP_EVENT_DONT_RECORD)
            }
            Tell::Move(output, value, at) => {
                self.value(number(output.id()), output.plain(value), time(at), 0)
            }
            Tell::Touch(output) => self.gesture(number(output.id()), CLAP_EVENT_PARAM_GESTURE_BEGIN, 0),
            Tell::Release(output) => self.gesture(number(output.id()), CLAP_EVENT_PARAM_GESTURE_END, last),
            Tell::Controller(controller, value) => self.push(&clap_event_midi {
                header: header::<clap_event_midi>(CLAP_EVENT_MIDI, last, 0),
                port_index: 0,
                data: [0xb0, controller, value],
            }),
        }
    }

    /// Passes on an edit of the user's.
    pub fn edit(&self, edit: Edit, table: &Table) -> bool {
        match edit {
            Edit::Begin(id) => self.gesture(id, CLAP_EVENT_PARAM_GESTURE_BEGIN, 0),
            Edit::End(id) => self.gesture(id, CLAP_EVENT_PARAM_GESTURE_END, 0),
            Edit::Set(id, value) => {
                let steps = table.get(id).map_or(1.0, |entry| entry.steps);
                self.value(id, f64::from(value) * steps, 0, CLAP_EVENT_IS_LIVE)
            }
        }
    }

    fn value(&self, param_id: u32, value: f64, time: u32, flags: u32) -> bool {
        self.push(&clap_event_param_value {
            header: header::<clap_event_param_value>(CLAP_EVENT_PARAM_VALUE, time, flags),
            param_id,
            cookie: ptr::null_mut(),
            note_id: -1,
            port_index: -1,
            channel: -1,
            key: -1,
            value,
        })
    }

    fn gesture(&self, param_id: u32, type_: u16, time: u32) -> bool {
        let header = header::<clap_event_param_gesture>(type_, time, 0);
        self.push(&clap_event_param_gesture { header, param_id })
    }

    /// `T` begins with a header that tells its type and size.
    fn push<T>(&self, event: &T) -> bool {
        let Some((list, push)) = self.0.and_then(|list| Some((list, list.try_push?))) else {
            return false;
        };
        // SAFETY: a valid list's function, and an event that begins with its header.
        unsafe { push(list, ptr::from_ref(event).cast()) }
    }
}

fn header<T>(type_: u16, time: u32, flags: u32) -> clap_event_header {
    clap_event_header { size: size_of::<T>() as u32, time, space_id: CLAP_CORE_EVENT_SPACE_ID, type_, flags }
}

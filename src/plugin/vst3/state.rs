//! A project's settings, as the host brings them.
//!
//! Read here and not by nice-plug, which on any thread but the one that created the instance leaves
//! a task to a worker shared by all instances: if the instance goes first, that ends the worker, and
//! the last instance to go then panics where no panic may be, and takes the host with it.

use nice_plug::params::persist::deserialize_field;
use nice_plug::plugin::{ParamValue, PluginState};
use nice_plug::prelude::*;
use vst3::ComRef;
use vst3::Steinberg::{IBStream, IBStreamTrait, kInvalidArgument, kResultFalse, kResultOk, tresult};

use crate::plugin::Bonafide;

/// Far more than all settings take, bytes.
const LIMIT: usize = 1 << 20;

/// Sets `params` to what `stream` holds from here to its end.
///
/// # Safety
/// `stream` is null or valid.
pub unsafe fn load(params: &impl Params, stream: *mut IBStream) -> tresult {
    // SAFETY: as above.
    let Some(stream) = (unsafe { ComRef::from_raw(stream) }) else { return kInvalidArgument };
    let Some(text) = read(stream) else { return kResultFalse };
    let Ok(mut state) = deserialize_field::<PluginState>(&text) else { return kResultFalse };
    Bonafide::filter_state(&mut state);
    for (id, param, _) in params.param_map() {
        if let Some(value) = state.params.get(&id) {
            // SAFETY: the parameter lives as long as `params`.
            unsafe { set(param, value) };
        }
    }
    params.deserialize_fields(&state.fields);
    kResultOk
}

fn read(stream: ComRef<IBStream>) -> Option<String> {
    let (mut bytes, mut chunk) = (Vec::new(), [0_u8; 4096]);
    loop {
        let mut count = 0;
        // SAFETY: as many bytes as the chunk has. At the end some hosts say that they failed, and
        // others don't: what counts is the count.
        unsafe { stream.read(chunk.as_mut_ptr().cast(), chunk.len() as i32, &mut count) };
        match chunk.get(..usize::try_from(count).unwrap_or(0)) {
            Some([]) => return String::from_utf8(bytes).ok(),
            Some(part) if bytes.len() < LIMIT => bytes.extend(part),
            _ => return None,
        }
    }
}

/// Sets a parameter within its range; a value of another kind, or none, leaves it as it is.
///
/// # Safety
/// The parameter is alive.
unsafe fn set(param: ParamPtr, value: &ParamValue) {
    // SAFETY: as above.
    unsafe {
        let normalized = match (param, value) {
            (ParamPtr::FloatParam(_), ParamValue::F32(x)) if x.is_finite() => param.preview_normalized(*x),
            (ParamPtr::BoolParam(_), ParamValue::Bool(on)) => f32::from(u8::from(*on)),
            (ParamPtr::EnumParam(choice), ParamValue::String(id)) => {
                (*choice).set_from_id(id);
                return;
            }
            _ => return,
        };
        param._internal_set_normalized_value(normalized);
    }
}

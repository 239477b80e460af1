//! What a host finds in the file.

use std::ffi::c_void;

use nice_plug::wrapper::vst3::PluginInfo;
use vst3::Steinberg::*;
use vst3::{Class, ComWrapper};

use super::component::Component;
use crate::plugin::Bonafide;

struct Factory(PluginInfo);

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

/// Writes what there is about the only class, if it was asked about.
fn describe<T>(index: int32, info: *mut T, describe: impl FnOnce() -> T) -> tresult {
    if index != 0 || info.is_null() {
        return kInvalidArgument;
    }
    // SAFETY: the host's structure, checked for null.
    unsafe { *info = describe() };
    kResultOk
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        describe(0, info, || self.0.create_factory_info())
    }

    unsafe fn countClasses(&self) -> int32 {
        1
    }

    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        describe(index, info, || self.0.create_class_info())
    }

    unsafe fn createInstance(&self, cid: FIDString, iid: FIDString, object: *mut *mut c_void) -> tresult {
        if cid.is_null() || iid.is_null() || object.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: class identifiers are 16 bytes; checked for null.
        if unsafe { &*cid.cast::<[u8; 16]>() } != self.0.cid {
            return kInvalidArgument;
        }
        let Ok(component) = std::panic::catch_unwind(|| ComWrapper::new(Component::new())) else {
            return kInternalError;
        };
        let Some(unknown) = component.as_com_ref::<FUnknown>() else { return kNoInterface };
        // SAFETY: the object just made, and an interface identifier of 16 bytes.
        unsafe { ((*(*unknown.as_ptr()).vtbl).queryInterface)(unknown.as_ptr(), iid.cast(), object) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        describe(index, info, || self.0.create_class_info_2())
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        describe(index, info, || self.0.create_class_info_unicode())
    }

    unsafe fn setHostContext(&self, _: *mut FUnknown) -> tresult {
        kResultOk
    }
}

/// VST3's entry point.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    ComWrapper::new(Factory(PluginInfo::for_plugin::<Bonafide>()))
        .to_com_ptr::<IPluginFactory>()
        .map_or(std::ptr::null_mut(), |factory| factory.into_raw().cast())
}

/// Called by hosts on Linux when they load the file.
#[cfg(all(unix, not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleEntry(_: *mut c_void) -> bool {
    true
}

/// Called by hosts on Linux before they unload the file.
#[cfg(all(unix, not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleExit() -> bool {
    true
}

/// Called by hosts on macOS when they load the file.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleEntry(_: *mut c_void) -> bool {
    true
}

/// Called by hosts on macOS before they unload the file.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleExit() -> bool {
    true
}

/// Called by hosts on Windows when they load the file.
#[cfg(windows)]
#[unsafe(no_mangle)]
pub extern "system" fn InitDll() -> bool {
    true
}

/// Called by hosts on Windows before they unload the file.
#[cfg(windows)]
#[unsafe(no_mangle)]
pub extern "system" fn ExitDll() -> bool {
    true
}

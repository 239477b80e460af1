//! The editor's window in a VST3 host.
//!
//! Ours and not nice-plug's, whose worker thread looks at the window that the main thread opens and
//! closes; here only the main thread ever does.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::ffi::{CStr, c_ulong, c_void};
use std::num::NonZeroIsize;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

use nice_plug::editor::dpi::{NativeSize, Size};
use nice_plug::editor::{
    Editor, EditorHandle, HostCallbacks, HostMainThreadCaller, HostMethods, ParentWindowHandle, SpawnedEditor,
};
use nice_plug_egui::EguiEditorHandle;
use vst3::Steinberg::IPlugViewContentScaleSupport_::ScaleFactor;
use vst3::Steinberg::*;
use vst3::{Class, ComPtr, ComRef, ComWrapper};

use super::component::guarded;
use super::main_thread::{Attach, MainThread};
use crate::plugin::instance::Instance;
use crate::plugin::window::EditorWindow;

/// A window that the host shows, or may show.
pub struct View {
    editor: EditorWindow,
    instance: Arc<Instance>,
    main_thread: ComWrapper<MainThread>,
    window: Rc<RefCell<Option<SpawnedEditor<EguiEditorHandle>>>>,
    frame: Rc<RefCell<Option<ComPtr<IPlugFrame>>>>,
    /// This view as the host knows it.
    this: Cell<*mut IPlugView>,
    /// The frame's run loop is in use.
    attached: Cell<bool>,
    scale: Cell<Option<f64>>,
}

impl Class for View {
    type Interfaces = (IPlugView, IPlugViewContentScaleSupport);
}

#[cfg(all(unix, not(target_os = "macos")))]
const PLATFORM: FIDString = kPlatformTypeX11EmbedWindowID;
#[cfg(target_os = "macos")]
const PLATFORM: FIDString = kPlatformTypeNSView;
#[cfg(windows)]
const PLATFORM: FIDString = kPlatformTypeHWND;

impl View {
    /// A view of the kind `name` for the host to own; null if there is none of that kind.
    pub fn create(
        name: FIDString,
        instance: &Arc<Instance>,
        main_thread: &ComWrapper<MainThread>,
    ) -> *mut IPlugView {
        if !same(name, c"editor".as_ptr()) {
            return ptr::null_mut();
        }
        main_thread.adopt();
        let Some(editor) = EditorWindow::new(instance) else { return ptr::null_mut() };
        let view = ComWrapper::new(Self {
            editor,
            instance: instance.clone(),
            main_thread: main_thread.clone(),
            window: Rc::default(),
            frame: Rc::default(),
            this: Cell::new(ptr::null_mut()),
            attached: Cell::new(false),
            scale: Cell::new(None),
        });
        let for_host = view.to_com_ptr::<IPlugView>().map_or(ptr::null_mut(), ComPtr::into_raw);
        view.this.set(for_host);
        for_host
    }

    /// The window's size, or the one that it will open at.
    fn size(&self) -> NativeSize<u32> {
        let open = self.window.try_borrow().ok().and_then(|window| Some(window.as_ref()?.window.size()));
        match open {
            Some(size) => NativeSize::from_logical_or_physical(size.logical, size.physical),
            None => self.editor.opening_size(self.scale.get().unwrap_or(1.0)),
        }
    }

    /// Runs `with` the open window; `kResultFalse` without one.
    fn open(&self, with: impl FnOnce(&SpawnedEditor<EguiEditorHandle>) -> tresult) -> tresult {
        // The host may call from within a call.
        let Ok(window) = self.window.try_borrow() else { return kResultFalse };
        window.as_ref().map_or(kResultFalse, |window| guarded(|| with(window)))
    }
}

/// How the window asks the host for another size, on the main thread.
struct Sizes {
    view: *mut IPlugView,
    frame: Rc<RefCell<Option<ComPtr<IPlugFrame>>>>,
}

impl HostCallbacks for Sizes {
    fn request_resize(&mut self, size: Size, scale: f64) -> Result<(), Box<dyn Error>> {
        let frame = self.frame.borrow().clone().ok_or("the host gave the editor no frame")?;
        let mut wanted = rectangle(NativeSize::from_size(size, scale));
        // SAFETY: the host's frame; the view is alive, as it owns the window that owns this.
        let answer = unsafe { frame.resizeView(self.view, &mut wanted) };
        if answer == kResultOk { Ok(()) } else { Err("the host refused another size".into()) }
    }

    fn destroyed(&mut self) {}
}

/// On X11 the window's thread can't call the main thread, which looks for its requests whenever it
/// looks for edits.
struct Polled;

impl HostMainThreadCaller for Polled {
    fn call_main_thread(&mut self) {}
}

/// Whether two of the host's strings are the same; null is like nothing.
fn same(a: FIDString, b: FIDString) -> bool {
    // SAFETY: C strings, checked for null.
    !a.is_null() && !b.is_null() && unsafe { CStr::from_ptr(a) == CStr::from_ptr(b) }
}

impl IPlugViewTrait for View {
    unsafe fn isPlatformTypeSupported(&self, platform: FIDString) -> tresult {
        if same(platform, PLATFORM) { kResultTrue } else { kResultFalse }
    }

    unsafe fn attached(&self, parent: *mut c_void, platform: FIDString) -> tresult {
        let Ok(mut window) = self.window.try_borrow_mut() else { return kResultFalse };
        if window.is_some() || parent.is_null() || !same(platform, PLATFORM) {
            return kResultFalse;
        }
        let Some(parent) = parent_window(parent) else { return kInvalidArgument };
        guarded(|| {
            let Some(context) = self.instance.context.get().cloned() else { return kResultFalse };
            let host = HostMethods {
                callbacks: Box::new(Sizes { view: self.this.get(), frame: self.frame.clone() }),
                main_thread_caller: Box::new(Polled),
            };
            match self.editor.spawn(Some(parent), false, self.scale.get(), context, Some(host)) {
                Ok(spawned) if spawned.handle.show(&spawned.window).is_ok() => {
                    *window = Some(spawned);
                    let window = Rc::downgrade(&self.window);
                    self.main_thread.set_window(Some(Rc::new(move || {
                        let Some(window) = window.upgrade() else { return };
                        let Ok(window) = window.try_borrow() else { return };
                        let Some(open) = window.as_ref() else { return };
                        open.handle.host_main_thread_callback(&open.window);
                    })));
                    kResultOk
                }
                _ => kResultFalse,
            }
        })
    }

    unsafe fn removed(&self) -> tresult {
        let Ok(mut window) = self.window.try_borrow_mut() else { return kResultFalse };
        let open = window.take();
        drop(window);
        let was_open = open.is_some();
        if was_open {
            self.main_thread.set_window(None);
        }
        let closed = guarded(|| {
            drop(open);
            kResultOk
        });
        self.main_thread.pump();
        if was_open { closed } else { kResultFalse }
    }

    unsafe fn onWheel(&self, _: f32) -> tresult {
        kResultFalse
    }

    unsafe fn onKeyDown(&self, _: char16, _: int16, _: int16) -> tresult {
        kResultFalse
    }

    unsafe fn onKeyUp(&self, _: char16, _: int16, _: int16) -> tresult {
        kResultFalse
    }

    unsafe fn getSize(&self, size: *mut ViewRect) -> tresult {
        if size.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: checked for null.
        unsafe { *size = rectangle(self.size()) };
        kResultOk
    }

    unsafe fn onSize(&self, size: *mut ViewRect) -> tresult {
        // SAFETY: the host's, valid or null.
        let Some(size) = (unsafe { size.as_ref() }).and_then(native_size) else { return kInvalidArgument };
        self.open(|window| match window.handle.set_size(size, &window.window) {
            Ok(()) => kResultOk,
            Err(_) => kResultFalse,
        })
    }

    unsafe fn onFocus(&self, _: TBool) -> tresult {
        kResultFalse
    }

    unsafe fn setFrame(&self, frame: *mut IPlugFrame) -> tresult {
        if self.attached.take() {
            self.main_thread.detach();
        }
        // SAFETY: the host's, valid or null.
        *self.frame.borrow_mut() = unsafe { ComRef::from_raw(frame) }.map(|frame| frame.to_com_ptr());
        // SAFETY: as above.
        self.attached.set(unsafe { self.main_thread.attach(frame.cast()) });
        kResultOk
    }

    unsafe fn canResize(&self) -> tresult {
        if self.editor.resize_hint().can_resize { kResultTrue } else { kResultFalse }
    }

    unsafe fn checkSizeConstraint(&self, rect: *mut ViewRect) -> tresult {
        // SAFETY: the host's, valid or null.
        let Some(rect) = (unsafe { rect.as_mut() }) else { return kInvalidArgument };
        let Some(size) = native_size(rect) else { return kResultFalse };
        let hint = self.editor.resize_hint();
        let scale = self.scale.get().unwrap_or(1.0);
        let fitting = hint.adjust_size(size, self.size(), scale);
        (rect.right, rect.bottom) = (rect.left + fitting.width as i32, rect.top + fitting.height as i32);
        kResultTrue
    }
}

impl IPlugViewContentScaleSupportTrait for View {
    unsafe fn setContentScaleFactor(&self, factor: ScaleFactor) -> tresult {
        if !(factor.is_finite() && factor > 0.0) {
            return kInvalidArgument;
        }
        self.scale.set(Some(factor.into()));
        let _ = self.open(|window| {
            let _ = window.handle.set_fallback_scale_factor(factor.into(), &window.window);
            kResultOk
        });
        kResultOk
    }
}

fn rectangle(size: NativeSize<u32>) -> ViewRect {
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    ViewRect { left: 0, top: 0, right: side(size.width), bottom: side(size.height) }
}

fn native_size(rect: &ViewRect) -> Option<NativeSize<u32>> {
    let side = |from: i32, to: i32| u32::try_from(to.checked_sub(from)?).ok().filter(|side| *side > 0);
    Some(NativeSize { width: side(rect.left, rect.right)?, height: side(rect.top, rect.bottom)? })
}

fn parent_window(parent: *mut c_void) -> Option<ParentWindowHandle> {
    if cfg!(target_os = "macos") {
        NonNull::new(parent).map(ParentWindowHandle::AppKitNsView)
    } else if cfg!(windows) {
        NonZeroIsize::new(parent as isize).map(ParentWindowHandle::Win32Hwnd)
    } else {
        Some(ParentWindowHandle::XlibWindow(parent as c_ulong))
    }
}

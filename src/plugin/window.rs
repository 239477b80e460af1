//! The editor's window, as nice-plug opens it.

use std::error::Error;
use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::NativeSize;
use nice_plug::editor::{Editor, HostMethods, ParentWindowHandle, ResizeHint, SpawnedEditor};
use nice_plug_egui::{EguiEditor, EguiEditorHandle, EguiEditorState};

use super::editor::{self, App, Link};
use super::instance::Instance;

/// The editor of one instance; open or not.
pub struct EditorWindow {
    egui: EguiEditor<App>,
    state: Arc<EguiEditorState>,
    instance: Arc<Instance>,
}

impl EditorWindow {
    /// The editor of `instance`, closed.
    pub fn new(instance: &Arc<Instance>) -> Option<Self> {
        let (resetting, loading, logging) = (instance.clone(), instance.clone(), instance.clone());
        let moving = instance.clone();
        let state = editor::state(&instance.params);
        let link = Link {
            params: instance.params.clone(),
            monitor: instance.monitor.clone(),
            reset: Arc::new(move || resetting.reset()),
            set_model: Arc::new(move |manifest| loading.set_model(manifest)),
            set_log: Arc::new(move |folder| logging.set_log(folder)),
            set_engine: Arc::new(move |engine| moving.set_engine(&engine)),
        };
        Some(Self { egui: editor::create(link, state.clone())?, state, instance: instance.clone() })
    }

    /// The size that the window opens at where the host's scale is `scale`.
    pub fn opening_size(&self, scale: f64) -> NativeSize<u32> {
        zoomed(NativeSize::from_size(self.state.logical_size().into(), scale), self.state.user_scale_factor())
    }
}

impl Editor for EditorWindow {
    type Handle = EguiEditorHandle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Self::Handle>, Box<dyn Error>> {
        let context = self.instance.context.get().cloned().unwrap_or(context);
        let spawned = self.egui.spawn(parent, wait_for_parent, fallback_scale_factor, context, host);
        keep_graphics_driver();
        spawned
    }

    fn size(&self) -> NativeSize<u32> {
        zoomed(self.egui.size(), self.state.user_scale_factor())
    }

    fn resize_hint(&self) -> ResizeHint {
        self.egui.resize_hint()
    }
}

/// egui's size counts in zoomed points; the window's does not.
fn zoomed(size: NativeSize<u32>, zoom: f32) -> NativeSize<u32> {
    let side = |side: u32| (side as f32 * zoom).round() as u32;
    NativeSize { width: side(size.width), height: side(size.height) }
}

/// Closing a window unloads the graphics driver, and Mesa's (22.3, software) leaves something behind
/// that runs when the host exits, in code that is gone by then: the host crashes at its end. So the
/// driver stays. Its file is found among those that are loaded, as it has many names.
#[cfg(target_os = "linux")]
fn keep_graphics_driver() {
    use libloading::os::unix::{Library, RTLD_NOW};
    /// From dlfcn.h: only if it is loaded, and from then on for good.
    const NOLOAD_NODELETE: std::ffi::c_int = 0x4 | 0x1000;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| format!("/{path}")));
    let drivers: std::collections::BTreeSet<String> =
        files.filter(|file| file.ends_with("_dri.so") || file.contains("libgallium")).collect();
    for driver in drivers {
        // SAFETY: it is loaded, so no initialiser runs.
        let _ = unsafe { Library::open(Some(driver), RTLD_NOW | NOLOAD_NODELETE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_graphics_driver() {}

//! The editor's window, as nice-plug opens it.

use std::error::Error;
use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::NativeSize;
use nice_plug::editor::{Editor, HostMethods, ParentWindowHandle, ResizeHint, SpawnedEditor};
use nice_plug_egui::{EguiEditor, EguiEditorHandle};

use super::editor::{self, App, Link};
use super::instance::Instance;

/// The editor of one instance; open or not.
pub struct EditorWindow {
    egui: EguiEditor<App>,
    instance: Arc<Instance>,
}

impl EditorWindow {
    /// The editor of `instance`, closed.
    pub fn new(instance: &Arc<Instance>) -> Option<Self> {
        let (resetting, loading) = (instance.clone(), instance.clone());
        let egui = editor::create(Link {
            params: instance.params.clone(),
            monitor: instance.monitor.clone(),
            reset: Arc::new(move || resetting.reset()),
            set_model: Arc::new(move |manifest| loading.set_model(manifest)),
        })?;
        Some(Self { egui, instance: instance.clone() })
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
        self.egui.spawn(parent, wait_for_parent, fallback_scale_factor, context, host)
    }

    fn size(&self) -> NativeSize<u32> {
        self.egui.size()
    }

    fn resize_hint(&self) -> ResizeHint {
        self.egui.resize_hint()
    }
}

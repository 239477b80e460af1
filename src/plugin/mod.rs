//! The plugin: one engine, two formats, an editor.
//!
//! ```text
//! host ── clap/, vst3/ ──┐ blocks, parameters, events        (each format's ABI)
//!                        ▼
//!        instance.rs ── audio.rs, offline.rs ──▶ engine      (the audio thread)
//!             │    ▲         └─▶ outputs.rs ──▶ host         (score, alert, state)
//!             │    └──── edits.rs ◀── editor/                (the user's hand)
//!             └─▶ recorder.rs ─▶ monitor.rs ─▶ editor/       (the inference thread)
//!                      └─▶ log/ ─▶ a file                      (a thread of its own)
//! ```
//!
//! nice-plug keeps what belongs to a host's main thread: parameters, state, layouts, the editor's
//! window. `process()` is ours in both formats: nice-plug's takes a mutex with each block, wakes a
//! thread with each automated parameter, and can't write parameters at all.

pub mod audio;
pub mod clap;
pub mod editor;
pub mod edits;
pub mod instance;
pub mod log;
pub mod machine;
pub mod monitor;
pub mod offline;
pub mod outputs;
pub mod params;
pub mod passage;
pub mod recorder;
pub mod vst3;
pub mod window;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::sync::Arc;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use audio::Position;
use instance::{Host, Instance};
use outputs::Output;
use params::BonafideParams;
use window::EditorWindow;

thread_local! {
    /// The instance that this thread created last, on its way from nice-plug's wrapper, which
    /// keeps it to itself, to the format that asked the wrapper for it.
    static BORN: RefCell<Option<Arc<Instance>>> = const { RefCell::new(None) };
}

/// The plugin as nice-plug knows it.
pub struct Bonafide {
    instance: Arc<Instance>,
}

impl Default for Bonafide {
    fn default() -> Self {
        let instance = Arc::<Instance>::default();
        BORN.set(Some(instance.clone()));
        Self { instance }
    }
}

/// The instance within the wrapper that this thread has just made.
fn just_born() -> Arc<Instance> {
    BORN.take().unwrap_or_default()
}

impl Drop for Bonafide {
    fn drop(&mut self) {
        self.instance.close();
    }
}

/// As many channels out as in; stereo first, as the one that hosts take by default.
const LAYOUTS: [AudioIOLayout; 16] = {
    let mut layouts = [AudioIOLayout::const_default(); 16];
    let mut i = 0;
    while i < 16 {
        let channels = match i {
            0 => 2,
            1 => 1,
            _ => i as u32 + 1,
        };
        layouts[i].main_input_channels = NonZeroU32::new(channels);
        layouts[i].main_output_channels = NonZeroU32::new(channels);
        i += 1;
    }
    layouts
};

impl Plugin for Bonafide {
    const NAME: &'static str = "Bonafide";
    const VENDOR: &'static str = "Bonafide";
    const URL: &'static str = "https://bonafide.example";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &LAYOUTS;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;

    type Editor = EditorWindow;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.instance.params.clone()
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<EditorWindow> {
        EditorWindow::new(&self.instance)
    }

    /// What the plugin says is no setting; a project that holds it loads all the same. Numbers are
    /// brought into their parameter's range, as nice-plug takes them as they come: at a threshold of
    /// 1e30 nothing would ever alert.
    fn filter_state(state: &mut PluginState) {
        for output in Output::ALL {
            state.params.remove(output.id());
        }
        let params = BonafideParams::default();
        for (id, param, _) in params.param_map() {
            let Some(ParamValue::F32(value)) = state.params.get_mut(&id) else { continue };
            // SAFETY: `params` outlives this loop.
            *value = unsafe { param.preview_plain(param.preview_normalized(*value)) };
        }
    }

    fn activate(
        &mut self,
        _: &AudioIOLayout,
        config: &BufferConfig,
        _: &mut impl ActivateContext<Self>,
    ) -> bool {
        let offline = config.process_mode == ProcessMode::Offline;
        self.instance.activate(Host { rate: config.sample_rate.into(), offline });
        true
    }

    fn deactivate(&mut self) {
        self.instance.deactivate();
    }

    fn reset(&mut self) {
        self.instance.cut();
    }

    /// For nice-plug's standalone host alone; the formats' shims call the instance themselves.
    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let transport = context.transport();
        let position = Position { playing: Some(transport.playing), seconds: transport.pos_seconds() };
        self.instance.process(buffer.as_slice_immutable(), position);
        ProcessStatus::KeepAlive
    }
}

impl ClapPlugin for Bonafide {
    const CLAP_ID: &'static str = "org.bonafide.bonafide";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("Tells, live, whether a voice is a person or a machine");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::Analyzer,
        ClapFeature::Utility,
        ClapFeature::Mono,
        ClapFeature::Stereo,
        ClapFeature::Surround,
    ];
}

impl Vst3Plugin for Bonafide {
    const VST3_CLASS_ID: [u8; 16] = *b"BonafideVoiceTel";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Fx, Vst3SubCategory::Analyzer, Vst3SubCategory::Tools];
}

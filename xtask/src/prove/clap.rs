//! A CLAP host of a few calls: loads the plugin from its file, as a DAW does, and streams sound.

use anyhow::{Context, Result, anyhow, bail};
use clack_extensions::params::{ParamInfoBuffer, PluginParams};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;
use clack_host::utils::ClapId;
use std::collections::HashMap;
use std::path::Path;

/// Samples a block.
pub const BLOCK: usize = 512;

struct Shared;

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {}
}

struct Host;

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = ();
    type AudioProcessor<'a> = ();
}

/// The plugin, loaded, ready to render offline.
pub struct Plugin {
    instance: PluginInstance<Host>,
    params: PluginParams,
    ids: HashMap<String, ClapId>,
    pub title: String,
}

/// A parameter's identifier.
pub type Id = ClapId;

impl Plugin {
    pub fn load(path: &Path) -> Result<Self> {
        // SAFETY: our own plugin, built and copied just now.
        let entry = unsafe { PluginEntry::load(path) }.context("it does not load as a library")?;
        let factory = entry.get_plugin_factory().context("it offers no plugins")?;
        let descriptor = factory.plugin_descriptors().next().context("it lists no plugin")?;
        let id = descriptor.id().context("the plugin has no identifier")?;
        let text = |text: Option<&std::ffi::CStr>| text.unwrap_or_default().to_string_lossy().into_owned();
        let title = format!("{} {}", text(descriptor.name()), text(descriptor.version()));
        let host = HostInfo::new("cargo xtask install", "Bonafide", "", env!("CARGO_PKG_VERSION"))?;
        let mut instance = PluginInstance::new(|_| Shared, |_| (), &entry, id, &host)
            .context("the plugin can't be instantiated")?;

        let plugin = instance.plugin_handle();
        let render: PluginRender = plugin.get_extension().context("the plugin knows no offline rendering")?;
        render.set(&plugin, RenderMode::Offline).context("the plugin refuses to render offline")?;
        let params: PluginParams = plugin.get_extension().context("the plugin has no parameters")?;
        let mut ids = HashMap::new();
        for index in 0..params.count(&plugin) {
            let mut buffer = ParamInfoBuffer::new();
            if let Some(info) = params.get_info(&plugin, index, &mut buffer) {
                ids.insert(String::from_utf8_lossy(info.name).into_owned(), info.id);
            }
        }
        Ok(Self { instance, params, ids, title })
    }

    pub fn id(&self, name: &str) -> Result<Id> {
        self.ids.get(name).copied().with_context(|| format!("the plugin has no parameter {name:?}"))
    }

    pub fn value(&mut self, id: Id) -> Result<f64> {
        let value = self.params.get_value(&self.instance.plugin_handle(), id);
        value.context("the plugin does not say a parameter's value")
    }

    pub fn text(&mut self, id: Id, value: f64) -> Result<String> {
        let mut buffer = [0; 256];
        let plugin = self.instance.plugin_handle();
        let text = self.params.value_to_text(&plugin, id, value, &mut buffer);
        let text = text.map_err(|_| anyhow!("the plugin has no words for a parameter's value {value}"))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Streams what `read` gives, in stereo, until it gives nothing. After each block, `told` gets
    /// the position in seconds and the values that the plugin has told. Sound that doesn't come
    /// out as it went in is an error.
    pub fn stream(
        &mut self,
        rate: u32,
        mut read: impl FnMut(&mut [Vec<f32>; 2]) -> Result<usize> + Send,
        mut told: impl FnMut(f64, &[(Id, f64)]) + Send,
    ) -> Result<()> {
        let configuration = PluginAudioConfiguration {
            sample_rate: rate.into(),
            min_frames_count: 1,
            max_frames_count: BLOCK as u32,
        };
        let stopped = self.instance.activate(|_, _| (), configuration);
        let stopped = stopped.context("the plugin can't be activated")?;
        let audio = move || -> Result<_> {
            let mut processor =
                stopped.start_processing().map_err(|_| anyhow!("the plugin does not start"))?;
            let mut block = Block::default();
            let mut position = 0_u64;
            let mut run = || -> Result<()> {
                loop {
                    let frames = read(&mut block.input)?;
                    if frames == 0 {
                        return Ok(());
                    }
                    let values = block.process(&mut processor, frames, position)?;
                    position += frames as u64;
                    let seconds = position as f64 / f64::from(rate);
                    if !block.passed(frames) {
                        bail!("the plugin altered the sound before {seconds:.3} s");
                    }
                    told(seconds, &values);
                }
            };
            let result = run();
            Ok((processor.stop_processing(), result))
        };
        // A host's audio thread is not its main thread.
        let (stopped, result) = std::thread::scope(|scope| scope.spawn(audio).join())
            .map_err(|_| anyhow!("the audio thread panicked: see above"))??;
        self.instance.deactivate(stopped);
        result
    }
}

/// The buffers of one block.
struct Block {
    input: [Vec<f32>; 2],
    output: [Vec<f32>; 2],
    input_ports: AudioPorts,
    output_ports: AudioPorts,
    events: EventBuffer,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            input: [vec![0.0; BLOCK], vec![0.0; BLOCK]],
            output: [vec![0.0; BLOCK], vec![0.0; BLOCK]],
            input_ports: AudioPorts::with_capacity(2, 1),
            output_ports: AudioPorts::with_capacity(2, 1),
            events: EventBuffer::with_capacity(16),
        }
    }
}

impl Block {
    /// Has the plugin process `frames` samples; returns the values that it told.
    fn process(
        &mut self,
        processor: &mut StartedPluginAudioProcessor<Host>,
        frames: usize,
        position: u64,
    ) -> Result<Vec<(Id, f64)>> {
        // What the plugin does not write is no sound at all.
        self.output.iter_mut().for_each(|channel| channel.fill(f32::NAN));
        let input = self.input.iter_mut().map(|channel| InputChannel::variable(&mut channel[..frames]));
        let input = AudioPortBufferType::f32_input_only(input);
        let input = self.input_ports.with_input_buffers([AudioPortBuffer { latency: 0, channels: input }]);
        let output = self.output.iter_mut().map(|channel| &mut channel[..frames]);
        let output = AudioPortBufferType::f32_output_only(output);
        let mut output =
            self.output_ports.with_output_buffers([AudioPortBuffer { latency: 0, channels: output }]);
        self.events.clear();
        let mut told = self.events.as_output();
        processor
            .process(&input, &mut output, &InputEvents::empty(), &mut told, Some(position), None)
            .context("the plugin failed to process a block")?;
        let values = self.events.iter().filter_map(|event| {
            let event = event.as_event::<ParamValueEvent>()?;
            Some((event.param_id()?, event.value()))
        });
        Ok(values.collect())
    }

    /// Whether the sound came out as it went in, to the bit.
    fn passed(&self, frames: usize) -> bool {
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        let same = |(input, output): (&Vec<f32>, &Vec<f32>)| input[..frames].iter().zip(output).all(same);
        self.input.iter().zip(&self.output).all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_in_one_channel_is_seen() {
        let mut block = Block::default();
        assert!(block.passed(BLOCK));
        block.output[1][7] = -0.0;
        assert!(block.passed(7) && !block.passed(8));
    }
}

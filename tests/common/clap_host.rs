//! A small CLAP host in process, on clack-host.
#![allow(dead_code, reason = "each test binary uses its own part")]

use bonafide::plugin::clap::clap_entry;
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::latency::PluginLatency;
use clack_extensions::params::*;
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::event_types::*;
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{EventFlags, EventHeader, Pckn};
use clack_host::extensions::{Extension, PluginExtensionSide};
use clack_host::prelude::*;
use clack_host::utils::{BeatTime, ClapId, SecondsTime};

pub struct Shared;

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {}
}

pub struct Main;

impl MainThreadHandler<'_> for Main {}

pub struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = Main;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Shared) {
        builder.register::<HostParams>().register::<HostGui>();
    }
}

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}
    fn request_resize(&self, _: GuiSize) -> Result<(), HostError> {
        Ok(())
    }
    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn closed(&self, _: bool) {}
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

impl HostParamsImplMainThread for Main {
    fn rescan(&self, _: ParamRescanFlags) {}
    fn clear(&self, _: ClapId, _: ParamClearFlags) {}
}

/// A parameter as the plugin describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub id: u32,
    pub name: String,
    pub module: String,
    pub flags: ParamInfoFlags,
    pub range: [f64; 3],
}

/// What the plugin said with a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    Value { id: u32, value: f64, time: u32, recorded: bool },
    Begin(u32),
    End(u32),
    Midi([u8; 3]),
}

/// Where the transport is.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    pub playing: bool,
    pub seconds: f64,
}

impl Transport {
    pub fn event(self, time: u32) -> TransportEvent {
        let mut flags = TransportFlags::HAS_SECONDS_TIMELINE;
        flags.set(TransportFlags::IS_PLAYING, self.playing);
        TransportEvent {
            header: EventHeader::new_core(time, EventFlags::empty()),
            flags,
            song_pos_beats: BeatTime::from_int(0),
            song_pos_seconds: SecondsTime::from_float(self.seconds),
            tempo: 120.0,
            tempo_inc: 0.0,
            loop_start_beats: BeatTime::from_int(0),
            loop_end_beats: BeatTime::from_int(0),
            loop_start_seconds: SecondsTime::from_float(0.0),
            loop_end_seconds: SecondsTime::from_float(0.0),
            bar_start: BeatTime::from_int(0),
            bar_number: 0,
            time_signature_numerator: 4,
            time_signature_denominator: 4,
        }
    }
}

/// One instance, active or not.
pub struct Host {
    instance: PluginInstance<Handlers>,
    processor: Option<StartedPluginAudioProcessor<Handlers>>,
    steady: u64,
    pub transport: Option<Transport>,
    pub rate: f64,
}

pub fn entry() -> PluginEntry {
    // SAFETY: the entry is this program's own.
    unsafe { PluginEntry::load_from_raw(&clap_entry, c"bonafide").unwrap() }
}

impl Host {
    /// An instance with two channels.
    pub fn new() -> Self {
        Self::of(&entry())
    }

    /// An instance of the plugin in a file.
    pub fn of(entry: &PluginEntry) -> Self {
        let id = {
            let factory = entry.get_plugin_factory().unwrap();
            factory.plugin_descriptors().next().unwrap().id().unwrap().to_owned()
        };
        let info = HostInfo::new("test", "Bonafide", "", "1").unwrap();
        let instance = PluginInstance::<Handlers>::new(|_| Shared, |_| Main, entry, &id, &info).unwrap();
        Self { instance, processor: None, steady: 0, transport: None, rate: 48_000.0 }
    }

    /// An instance that is processing.
    pub fn started(rate: f64) -> Self {
        let mut host = Self::new();
        host.start(rate);
        host
    }

    pub fn extension<T: Extension<ExtensionSide = PluginExtensionSide>>(&mut self) -> T {
        self.instance.plugin_handle().get_extension().unwrap()
    }

    pub fn with_handle<T>(&mut self, run: impl FnOnce(&PluginMainThreadHandle) -> T) -> T {
        run(&self.instance.plugin_handle())
    }

    pub fn latency(&mut self) -> u32 {
        let latency: PluginLatency = self.extension();
        latency.get(&self.instance.plugin_handle())
    }

    pub fn select_channels(&mut self, channels: usize) {
        let configs: PluginAudioPortsConfig = self.extension();
        let handle = self.instance.plugin_handle();
        let found = (0..configs.count(&handle)).find_map(|i| {
            let mut buffer = AudioPortsConfigBuffer::new();
            let config = configs.get(&handle, i, &mut buffer)?;
            let main = config.main_input?;
            (main.channel_count as usize == channels).then_some(config.id)
        });
        configs.select(&handle, found.expect("a layout of that many channels")).unwrap();
    }

    pub fn set_offline(&mut self, offline: bool) {
        let render: PluginRender = self.extension();
        let mode = if offline { RenderMode::Offline } else { RenderMode::Realtime };
        render.set(&self.instance.plugin_handle(), mode).unwrap();
    }

    pub fn start(&mut self, rate: f64) {
        let config =
            PluginAudioConfiguration { sample_rate: rate, min_frames_count: 1, max_frames_count: 20_000 };
        let stopped = self.instance.activate(|_, _| (), config).unwrap();
        self.processor = Some(stopped.start_processing().ok().unwrap());
        (self.rate, self.steady) = (rate, 0);
    }

    pub fn stop(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.stop_processing());
        }
    }

    pub fn reset(&mut self) {
        self.processor.as_mut().unwrap().reset();
    }

    pub fn params(&mut self) -> Vec<Param> {
        let params: PluginParams = self.extension();
        let handle = self.instance.plugin_handle();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (0..params.count(&handle))
            .map(|i| {
                let mut buffer = ParamInfoBuffer::new();
                let info = params.get_info(&handle, i, &mut buffer).unwrap();
                Param {
                    id: info.id.get(),
                    name: text(info.name),
                    module: text(info.module),
                    flags: info.flags,
                    range: [info.min_value, info.default_value, info.max_value],
                }
            })
            .collect()
    }

    pub fn id(&mut self, name: &str) -> u32 {
        self.params().into_iter().find(|p| p.name == name).expect(name).id
    }

    pub fn value(&mut self, id: u32) -> f64 {
        let params: PluginParams = self.extension();
        params.get_value(&self.instance.plugin_handle(), ClapId::new(id)).unwrap()
    }

    /// Sets a parameter without sound, as a host does while it isn't processing.
    pub fn set(&mut self, id: u32, value: f64) {
        let event = [ParamValueEvent::new(0, ClapId::new(id), Pckn::match_all(), value)];
        match &mut self.processor {
            Some(_) => drop(self.process_with(&[&[], &[]], &event)),
            None => {
                let params: PluginParams = self.extension();
                let mut out = EventBuffer::new();
                params.flush(
                    &mut self.instance.inactive_plugin_handle().unwrap(),
                    &InputEvents::from_buffer(&event),
                    &mut OutputEvents::from_buffer(&mut out),
                );
            }
        }
    }

    pub fn save(&mut self) -> Vec<u8> {
        let (state, mut blob): (PluginState, _) = (self.extension(), Vec::new());
        state.save(&self.instance.plugin_handle(), &mut blob).unwrap();
        blob
    }

    pub fn load(&mut self, mut blob: &[u8]) -> bool {
        let state: PluginState = self.extension();
        state.load(&self.instance.plugin_handle(), &mut blob).is_ok()
    }

    /// Processes a block; the output must be the input, to the bit.
    pub fn process(&mut self, channels: &[&[f32]]) -> Vec<Said> {
        self.process_with::<ParamValueEvent>(channels, &[])
    }

    pub fn process_with<E: AsRef<clack_host::events::UnknownEvent>>(
        &mut self,
        channels: &[&[f32]],
        events: &[E],
    ) -> Vec<Said> {
        let mut incoming = EventBuffer::new();
        events.iter().for_each(|event| incoming.push(event.as_ref()));
        self.run(channels, &incoming)
    }

    pub fn run(&mut self, channels: &[&[f32]], incoming: &EventBuffer) -> Vec<Said> {
        let len = channels.first().map_or(0, |c| c.len());
        let mut input: Vec<Vec<f32>> = channels.iter().map(|c| c.to_vec()).collect();
        let mut output = vec![vec![f32::NAN; len]; channels.len()];
        let mut said = EventBuffer::with_capacity(64);
        let (mut ins, mut outs) = (AudioPorts::with_capacity(16, 1), AudioPorts::with_capacity(16, 1));
        {
            let inputs = ins.with_input_buffers([AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_input_only(input.iter_mut().map(InputChannel::variable)),
            }]);
            let mut outputs = outs.with_output_buffers([AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_output_only(output.iter_mut().map(|c| c.as_mut_slice())),
            }]);
            let transport = self.transport.map(|transport| transport.event(0));
            self.processor
                .as_mut()
                .unwrap()
                .process(
                    &inputs,
                    &mut outputs,
                    &incoming.as_input(),
                    &mut said.as_output(),
                    Some(self.steady),
                    transport.as_ref(),
                )
                .unwrap();
        }
        self.steady += len as u64;
        if let Some(transport) = self.transport.as_mut().filter(|transport| transport.playing) {
            transport.seconds += len as f64 / self.rate;
        }
        for (given, got) in channels.iter().zip(&output) {
            assert!(
                given.iter().map(|x| x.to_bits()).eq(got.iter().map(|x| x.to_bits())),
                "sound was altered"
            );
        }
        said.iter().filter_map(heard).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn heard(event: &clack_host::events::UnknownEvent) -> Option<Said> {
    Some(match event.as_core_event()? {
        CoreEventSpace::ParamValue(event) => Said::Value {
            id: event.param_id()?.get(),
            value: event.value(),
            time: event.header().time(),
            recorded: !event.header().flags().contains(EventFlags::DONT_RECORD),
        },
        CoreEventSpace::ParamGestureBegin(event) => Said::Begin(event.param_id()?.get()),
        CoreEventSpace::ParamGestureEnd(event) => Said::End(event.param_id()?.get()),
        CoreEventSpace::Midi(event) => Said::Midi(event.data()),
        _ => return None,
    })
}

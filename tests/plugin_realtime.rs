//! `process()` of the whole plugin, in both formats: no allocation, no lock that could wait, no
//! system call, with the editor closed and open.

mod common;
#[cfg(target_os = "linux")]
#[path = "common/screen.rs"]
mod screen;

use std::ffi::{CStr, c_void};
use std::process::{Command, Output};
use std::ptr;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use bonafide::plugin::edits::number;
use common::speech_like;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const RATE: f64 = 48_000.0;
const BLOCKS: [usize; 9] = [1, 7, 32, 64, 511, 512, 1024, 8192, 0];

/// A plugin as the audio thread of a host sees it. Nothing here allocates.
trait Processor: Send {
    /// Processes both channels, sets the parameter `id` to `value` and moves the transport; returns
    /// how many parameter changes the plugin told.
    fn process(&mut self, sound: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize;

    /// Counts a choice in steps, not from 0 to 1.
    fn is_clap(&self) -> bool {
        false
    }
}

mod clap {
    use super::*;
    use bonafide::plugin::clap::clap_entry;
    use clap_sys::audio_buffer::clap_audio_buffer;
    use clap_sys::events::*;
    use clap_sys::ext::gui::*;
    use clap_sys::factory::plugin_factory::{CLAP_PLUGIN_FACTORY_ID, clap_plugin_factory};
    use clap_sys::fixedpoint::CLAP_SECTIME_FACTOR;
    use clap_sys::host::clap_host;
    use clap_sys::plugin::clap_plugin;
    use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process};
    use clap_sys::version::CLAP_VERSION;

    static HOST: clap_host = clap_host {
        clap_version: CLAP_VERSION,
        host_data: ptr::null_mut(),
        name: c"real-time".as_ptr(),
        vendor: c"".as_ptr(),
        url: c"".as_ptr(),
        version: c"1".as_ptr(),
        get_extension: Some(get_extension),
        request_restart: Some(request),
        request_process: Some(request),
        request_callback: Some(request),
    };

    static HOST_GUI: clap_host_gui = clap_host_gui {
        resize_hints_changed: Some(request),
        request_resize: Some(request_resize),
        request_show: Some(refuse),
        request_hide: Some(refuse),
        closed: Some(closed),
    };

    unsafe extern "C" fn request_resize(_: *const clap_host, _: u32, _: u32) -> bool {
        false
    }

    unsafe extern "C" fn refuse(_: *const clap_host) -> bool {
        false
    }

    unsafe extern "C" fn closed(_: *const clap_host, _: bool) {}

    unsafe extern "C" fn get_extension(_: *const clap_host, id: *const std::ffi::c_char) -> *const c_void {
        // SAFETY: the plugin's string.
        if unsafe { CStr::from_ptr(id) } == CLAP_EXT_GUI { (&raw const HOST_GUI).cast() } else { ptr::null() }
    }

    impl Clap {
        /// What a main thread does with the editor.
        pub fn editor(&self, parent: u32) -> impl FnOnce() + use<> {
            let plugin = self.0;
            move || {
                // SAFETY: the plugin lives as long as the process, and this is its main thread.
                unsafe {
                    let gui = (*plugin).get_extension.unwrap()(plugin, CLAP_EXT_GUI.as_ptr());
                    let gui = &*gui.cast::<clap_plugin_gui>();
                    assert!(gui.create.unwrap()(plugin, CLAP_WINDOW_API_X11.as_ptr(), false), "NO EDITOR");
                    let specific = clap_window_handle { x11: parent.into() };
                    let window = clap_window { api: CLAP_WINDOW_API_X11.as_ptr(), specific };
                    assert!(gui.set_parent.unwrap()(plugin, &window));
                    gui.show.unwrap()(plugin);
                }
            }
        }
    }

    unsafe extern "C" fn request(_: *const clap_host) {}

    pub struct Clap(pub *const clap_plugin);

    // SAFETY: a host may process on any one thread.
    unsafe impl Send for Clap {}

    pub fn started() -> Clap {
        // SAFETY: the entry is this program's own, and used as CLAP says.
        unsafe {
            assert!(clap_entry.init.unwrap()(c"".as_ptr()));
            let factory = clap_entry.get_factory.unwrap()(CLAP_PLUGIN_FACTORY_ID.as_ptr());
            let factory = factory.cast::<clap_plugin_factory>();
            let plugin = (*factory).create_plugin.unwrap()(factory, &HOST, c"org.bonafide.bonafide".as_ptr());
            assert!((*plugin).init.unwrap()(plugin));
            assert!((*plugin).activate.unwrap()(plugin, RATE, 1, 8192));
            assert!((*plugin).start_processing.unwrap()(plugin));
            Clap(plugin)
        }
    }

    unsafe extern "C" fn size(_: *const clap_input_events) -> u32 {
        1
    }

    unsafe extern "C" fn get(list: *const clap_input_events, _: u32) -> *const clap_event_header {
        // SAFETY: the context is an event that outlives the list.
        unsafe { (*list).ctx.cast() }
    }

    unsafe extern "C" fn push(list: *const clap_output_events, _: *const clap_event_header) -> bool {
        // SAFETY: the context is a counter that outlives the list.
        unsafe { *(*list).ctx.cast::<usize>() += 1 };
        true
    }

    fn header<T>(type_: u16) -> clap_event_header {
        let space_id = CLAP_CORE_EVENT_SPACE_ID;
        clap_event_header { size: size_of::<T>() as u32, time: 0, space_id, type_, flags: 0 }
    }

    impl Processor for Clap {
        fn is_clap(&self) -> bool {
            true
        }

        fn process(&mut self, [left, right]: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize {
            let event = clap_event_param_value {
                header: header::<clap_event_param_value>(CLAP_EVENT_PARAM_VALUE),
                param_id: id,
                cookie: ptr::null_mut(),
                note_id: -1,
                port_index: -1,
                channel: -1,
                key: -1,
                value,
            };
            // SAFETY: a structure of numbers.
            let mut transport: clap_event_transport = unsafe { std::mem::zeroed() };
            transport.header = header::<clap_event_transport>(CLAP_EVENT_TRANSPORT);
            transport.flags = CLAP_TRANSPORT_HAS_SECONDS_TIMELINE | CLAP_TRANSPORT_IS_PLAYING;
            transport.song_pos_seconds = (seconds * CLAP_SECTIME_FACTOR as f64) as i64;
            let mut said = 0_usize;
            let incoming = clap_input_events {
                ctx: ptr::from_ref(&event).cast_mut().cast(),
                size: Some(size),
                get: Some(get),
            };
            let outgoing = clap_output_events { ctx: ptr::from_mut(&mut said).cast(), try_push: Some(push) };
            let mut pointers = [left.as_mut_ptr(), right.as_mut_ptr()];
            let buffer = || clap_audio_buffer {
                data32: ptr::null_mut(),
                data64: ptr::null_mut(),
                channel_count: 2,
                latency: 0,
                constant_mask: 0,
            };
            let (mut input, mut output) = (buffer(), buffer());
            (input.data32, output.data32) = (pointers.as_mut_ptr(), pointers.as_mut_ptr());
            let process = clap_process {
                steady_time: -1,
                frames_count: left.len() as u32,
                transport: &transport,
                audio_inputs: &input,
                audio_outputs: &mut output,
                audio_inputs_count: 1,
                audio_outputs_count: 1,
                in_events: &incoming,
                out_events: &outgoing,
            };
            // SAFETY: a started plugin, and a block as CLAP says.
            let status = unsafe { (*self.0).process.unwrap()(self.0, &process) };
            assert_ne!(status, CLAP_PROCESS_ERROR);
            said
        }
    }
}

mod vst3 {
    use super::*;
    use ::vst3::Steinberg::Vst::*;
    use ::vst3::Steinberg::*;
    use ::vst3::{Class, ComPtr, ComWrapper, Interface};
    use std::cell::Cell;

    /// One parameter's changes: one point, which is overwritten.
    #[derive(Default)]
    struct Queue {
        id: Cell<ParamID>,
        value: Cell<f64>,
        points: Cell<usize>,
    }

    impl Class for Queue {
        type Interfaces = (IParamValueQueue,);
    }

    impl IParamValueQueueTrait for Queue {
        unsafe fn getParameterId(&self) -> ParamID {
            self.id.get()
        }
        unsafe fn getPointCount(&self) -> int32 {
            1
        }
        unsafe fn getPoint(&self, _: int32, offset: *mut int32, value: *mut ParamValue) -> tresult {
            // SAFETY: the plugin's variables.
            unsafe { (*offset, *value) = (0, self.value.get()) };
            kResultOk
        }
        unsafe fn addPoint(&self, _: int32, _: ParamValue, _: *mut int32) -> tresult {
            self.points.set(self.points.get() + 1);
            kResultOk
        }
    }

    /// All of a block's changes: one queue, whatever the parameter.
    struct Changes(ComPtr<IParamValueQueue>);

    impl Class for Changes {
        type Interfaces = (IParameterChanges,);
    }

    impl IParameterChangesTrait for Changes {
        unsafe fn getParameterCount(&self) -> int32 {
            1
        }
        unsafe fn getParameterData(&self, _: int32) -> *mut IParamValueQueue {
            self.0.as_ptr()
        }
        unsafe fn addParameterData(&self, _: *const ParamID, _: *mut int32) -> *mut IParamValueQueue {
            self.0.as_ptr()
        }
    }

    pub struct Vst3 {
        component: ComPtr<IComponent>,
        processor: ComPtr<IAudioProcessor>,
        incoming: (ComWrapper<Queue>, ComPtr<IParameterChanges>),
        outgoing: (ComWrapper<Queue>, ComPtr<IParameterChanges>),
    }

    // SAFETY: a host may process on any one thread.
    unsafe impl Send for Vst3 {}

    fn changes() -> (ComWrapper<Queue>, ComPtr<IParameterChanges>) {
        let queue = ComWrapper::new(Queue::default());
        let changes = ComWrapper::new(Changes(queue.to_com_ptr().unwrap()));
        (queue, changes.to_com_ptr().unwrap())
    }

    pub fn started() -> Vst3 {
        // SAFETY: the factory is this program's own, and used as VST3 says.
        unsafe {
            let factory = bonafide::plugin::vst3::GetPluginFactory().cast::<IPluginFactory>();
            let factory = ComPtr::from_raw(factory).unwrap();
            let mut class: PClassInfo = std::mem::zeroed();
            assert_eq!(factory.getClassInfo(0, &mut class), kResultOk);
            let mut object = ptr::null_mut();
            let made = factory.createInstance(
                class.cid.as_ptr().cast(),
                IComponent::IID.as_ptr().cast(),
                &mut object,
            );
            assert_eq!(made, kResultOk);
            let component = ComPtr::from_raw(object.cast::<IComponent>()).unwrap();
            let processor: ComPtr<IAudioProcessor> = component.cast().unwrap();
            assert_eq!(component.initialize(ptr::null_mut()), kResultOk);
            let mut setup = ProcessSetup {
                processMode: ProcessModes_::kRealtime as int32,
                symbolicSampleSize: SymbolicSampleSizes_::kSample32 as int32,
                maxSamplesPerBlock: 8192,
                sampleRate: RATE,
            };
            assert_eq!(processor.setupProcessing(&mut setup), kResultOk);
            assert_eq!(component.setActive(1), kResultOk);
            assert_eq!(processor.setProcessing(1), kResultOk);
            Vst3 { component, processor, incoming: changes(), outgoing: changes() }
        }
    }

    impl Vst3 {
        /// What a main thread does with the editor.
        pub fn editor(&self, parent: u32) -> impl FnOnce() + use<> {
            let controller: ComPtr<IEditController> = self.component.cast().unwrap();
            move || {
                // SAFETY: the plugin lives as long as the process, and this is its main thread.
                unsafe {
                    let view = controller.createView(c"editor".as_ptr());
                    let view = ComPtr::from_raw(view).unwrap();
                    let parent = parent as usize as *mut c_void;
                    let attached = view.attached(parent, kPlatformTypeX11EmbedWindowID);
                    assert_eq!(attached, kResultOk, "NO EDITOR");
                    // Open until the process ends.
                    std::mem::forget(view);
                }
            }
        }
    }

    impl Processor for Vst3 {
        fn process(&mut self, [left, right]: [&mut [f32]; 2], id: u32, value: f64, seconds: f64) -> usize {
            self.incoming.0.id.set(id);
            self.incoming.0.value.set(value);
            self.outgoing.0.points.set(0);
            let mut pointers = [left.as_mut_ptr(), right.as_mut_ptr()];
            // SAFETY: structures of numbers and pointers.
            let (mut bus, mut context, mut data): (AudioBusBuffers, ProcessContext, ProcessData) =
                unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
            bus.numChannels = 2;
            bus.__field0.channelBuffers32 = pointers.as_mut_ptr();
            let mut output = bus;
            context.state = ProcessContext_::StatesAndFlags_::kPlaying as uint32;
            (context.sampleRate, context.projectTimeSamples) = (RATE, (seconds * RATE) as i64);
            (data.numSamples, data.numInputs, data.numOutputs) = (left.len() as int32, 1, 1);
            (data.inputs, data.outputs, data.processContext) = (&mut bus, &mut output, &mut context);
            data.inputParameterChanges = self.incoming.1.as_ptr();
            data.outputParameterChanges = self.outgoing.1.as_ptr();
            // SAFETY: an active plugin, and a block as VST3 says.
            assert_eq!(unsafe { self.processor.process(&mut data) }, kResultOk);
            self.outgoing.0.points.get()
        }
    }
}

/// Twenty seconds of sound in blocks of all sizes, with parameters that move, jumps, and NaN.
fn live(processor: &mut dyn Processor, sound: &mut [Vec<f32>; 2], slowly: bool) -> usize {
    let (mut from, mut said) = (0, 0);
    for i in 0..2000 {
        let len = BLOCKS[i % BLOCKS.len()];
        if from + len > sound[0].len() {
            from = 0;
        }
        let [left, right] = sound;
        let (left, right) = (&mut left[from..from + len], &mut right[from..from + len]);
        let seconds = if i % 97 == 0 { 1000.0 } else { from as f64 / RATE };
        // All output modes in turn, and settings that take effect at once.
        let (id, value) = match i % 50 {
            0 => (const { number("output") }, (i / 50 % 4) as f64 / if processor.is_clap() { 1.0 } else { 3.0 }),
            1 => (const { number("channel") }, 0.0),
            2..10 => (const { number("hop") }, (i % 10) as f64 / 10.0),
            _ => (const { number("threshold") }, (i % 10) as f64 / 10.0),
        };
        said += processor.process([left, right], id, value, seconds);
        from += len;
        if slowly {
            // Time for the inference, so that there is something to be said.
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }
    said
}

fn sound() -> [Vec<f32>; 2] {
    let mut sound = [speech_like(48_000, 6.0, 1), speech_like(48_000, 6.0, 2)];
    sound[1][500] = f32::NAN;
    sound
}

/// Under the guard only the plugin runs: sleeping is the host's.
#[test]
fn allocates_nothing() {
    let mut sound = sound();
    let processors: [Box<dyn Processor>; 2] = [Box::new(clap::started()), Box::new(vst3::started())];
    for mut processor in processors {
        let mut said = live(&mut *processor, &mut sound, true);
        assert_no_alloc(|| said += live(&mut *processor, &mut sound, false));
        assert_eq!(violation_count(), 0);
        assert!(said > 3, "it had something to say");
    }
}

#[cfg(target_os = "linux")]
mod system_calls {
    use super::*;
    use crate::screen::{Screen, Window};
    use std::os::unix::process::ExitStatusExt;

    /// Runs one of this file's tests alone in a child process, with `display` if there is one.
    fn child(test: &str, display: &str) -> Output {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", test, "--ignored", "--test-threads=1", "--nocapture"];
        let mut command = Command::new(program);
        command.args(arguments).env("BONAFIDE_UNDER_SECCOMP", "1").env("DISPLAY", display);
        command.output().unwrap()
    }

    /// From here on this thread may only end the process; other threads go on as they like.
    fn allow_only_exit() {
        use seccompiler::{SeccompAction, SeccompFilter};
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let rules = [(libc::SYS_exit_group, vec![])].into_iter().collect();
        let filter =
            SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
    }

    /// An audio thread that may do nothing but compute, while the main thread opens the editor.
    fn guarded(mut processor: impl Processor + 'static, wake: bool, open_editor: impl FnOnce()) -> ! {
        let mut sound = sound();
        // The model opens and the first scores are there before the door closes.
        live(&mut processor, &mut sound, true);
        open_editor();
        let sleeper = std::thread::spawn(std::thread::park);
        let thread = std::thread::spawn(move || {
            allow_only_exit();
            for _ in 0..40 {
                std::hint::black_box(live(&mut processor, &mut sound, false));
            }
            if wake {
                sleeper.thread().unpark();
            }
            // SAFETY: ends the process at once; nothing is left to clean up.
            unsafe { libc::_exit(42) }
        });
        let _ = thread.join();
        unreachable!("the thread ends the process");
    }

    fn is_child() -> bool {
        std::env::var_os("BONAFIDE_UNDER_SECCOMP").is_some()
    }

    fn makes_none(test: &str) {
        let output = child(test, "");
        assert_eq!(output.status.code(), Some(42), "a system call killed it: {output:?}");
    }

    /// The same with the editor open, where one can be opened.
    fn makes_none_with_editor(test: &str) {
        let Some(screen) = Screen::start() else {
            eprintln!("skipped: no Xvfb (Debian: apt install xvfb libegl1 libgl1-mesa-dri)");
            return;
        };
        let output = child(test, &screen.display);
        if String::from_utf8_lossy(&output.stderr).contains("NO EDITOR") {
            eprintln!("skipped: the editor can't be opened here");
            return;
        }
        assert_eq!(output.status.code(), Some(42), "a system call killed it: {output:?}");
    }

    #[test]
    fn clap_makes_none() {
        makes_none("system_calls::guarded_clap");
    }

    #[test]
    fn vst3_makes_none() {
        makes_none("system_calls::guarded_vst3");
    }

    #[test]
    fn clap_with_its_editor_open_makes_none() {
        makes_none_with_editor("system_calls::guarded_clap_editor");
    }

    #[test]
    fn vst3_with_its_editor_open_makes_none() {
        makes_none_with_editor("system_calls::guarded_vst3_editor");
    }

    #[test]
    fn the_guard_can_fail() {
        let output = child("system_calls::guarded_wake_up", "");
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "a wake-up must be noticed: {output:?}");
    }

    #[test]
    #[ignore = "run by clap_makes_none in a process of its own"]
    fn guarded_clap() {
        if is_child() {
            guarded(clap::started(), false, || {});
        }
    }

    #[test]
    #[ignore = "run by vst3_makes_none in a process of its own"]
    fn guarded_vst3() {
        if is_child() {
            guarded(vst3::started(), false, || {});
        }
    }

    #[test]
    #[ignore = "run by clap_with_its_editor_open_makes_none in a process of its own"]
    fn guarded_clap_editor() {
        if is_child() {
            let (plugin, window) = (clap::started(), Window::open(960, 600));
            let open = plugin.editor(window.id);
            guarded(plugin, false, || {
                open();
                while window.colours() < 20 {
                    std::thread::yield_now();
                }
            });
        }
    }

    #[test]
    #[ignore = "run by vst3_with_its_editor_open_makes_none in a process of its own"]
    fn guarded_vst3_editor() {
        if is_child() {
            let (plugin, window) = (vst3::started(), Window::open(960, 600));
            let open = plugin.editor(window.id);
            guarded(plugin, false, || {
                open();
                while window.colours() < 20 {
                    std::thread::yield_now();
                }
            });
        }
    }

    #[test]
    #[ignore = "run by the_guard_can_fail in a process of its own"]
    fn guarded_wake_up() {
        if is_child() {
            guarded(clap::started(), true, || {});
        }
    }
}

//! The editor's window in both formats, on a screen in memory. Where Xvfb or OpenGL is missing the
//! tests say that they skip.
#![cfg(target_os = "linux")]

#[path = "common/clap_host.rs"]
mod clap_host;
mod common;
#[path = "common/screen.rs"]
mod screen;
#[path = "common/vst3_host/mod.rs"]
mod vst3_host;

use std::process::Output;
use std::time::{Duration, Instant};

use clack_extensions::gui::{GuiApiType, GuiConfiguration, GuiSize, PluginGui, Window as ClapWindow};
use clap_host::Host;
use common::{child, speech_like};
use screen::{Screen, Window};
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;
use vst3::{ComPtr, Interface};
use vst3_host::Vst3Instance;

/// Runs one of this file's tests alone in a child process with a screen; `None` without a screen.
fn on_screen(test: &str) -> Option<Output> {
    let Some(screen) = Screen::start() else {
        eprintln!("skipped: no Xvfb (Debian: apt install xvfb libegl1 libgl1-mesa-dri)");
        return None;
    };
    Some(child(test, &[("DISPLAY", &screen.display)]))
}

fn passes_on_screen(test: &str) {
    let Some(output) = on_screen(test) else { return };
    let text =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if text.contains("NO EDITOR") {
        eprintln!("skipped: the editor can't be opened here (libegl1, libx11-xcb1, libxkbcommon-x11-0?)");
        return;
    }
    assert!(output.status.success(), "{}: {text}", output.status);
}

#[test]
fn clap_editor_shows_the_score_and_leaves_nothing_behind() {
    passes_on_screen("clap_editor");
}

#[test]
fn vst3_editor_opens_and_closes_while_everything_else_goes_on() {
    passes_on_screen("vst3_editor");
}

#[test]
fn a_vst3_host_gives_the_editor_the_size_that_it_asks_for() {
    passes_on_screen("vst3_sizes");
}

/// An editor that can't be opened is a machine without OpenGL, but only the first time.
fn opened(result: bool, times_before: usize) -> bool {
    if !result && times_before == 0 {
        println!("NO EDITOR");
        return false;
    }
    assert!(result, "the editor opened {times_before} times and then no more");
    true
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "run by clap_editor_shows_the_score_and_leaves_nothing_behind"]
fn clap_editor() {
    let window = Window::open(960, 600);
    let mut host = Host::started(48_000.0);
    let gui: PluginGui = host.extension();
    let config = GuiConfiguration { api_type: GuiApiType::X11, is_floating: false };
    let sound = speech_like(48_000, 3.0, 1);
    let mut threads_closed = 0;
    for times in 0..12 {
        let open = host.with_handle(|plugin| {
            assert!(gui.is_api_supported(plugin, config));
            gui.create(plugin, config).is_ok()
        });
        if !opened(open, times) {
            return;
        }
        host.with_handle(|plugin| {
            let size = gui.get_size(plugin).unwrap();
            assert!(size.width >= 640 && size.height >= 400, "{size:?}");
            assert!(gui.can_resize(plugin));
            // SAFETY: the window lives longer than the editor in it.
            unsafe { gui.set_parent(plugin, ClapWindow::from_x11_handle(window.id.into())).unwrap() };
            let _ = gui.show(plugin);
            let small = gui.adjust_size(plugin, GuiSize { width: 1, height: 1 });
            assert!(small.is_none_or(|size| size.width >= 640), "{small:?}");
            let _ = gui.set_size(plugin, GuiSize { width: 800, height: 500 });
        });
        host.process(&[&sound, &sound]);
        wait_for("the editor to draw", || window.colours() > 20);
        host.with_handle(|plugin| gui.destroy(plugin));
        if times == 1 {
            threads_closed = threads();
        }
    }
    wait_for("the editors' threads to end", || threads() <= threads_closed);
}

/// What aborted hosts of nice-plug's own VST3 editor: parameters and states from another thread
/// while the window opens and closes.
#[test]
#[ignore = "run by vst3_editor_opens_and_closes_while_everything_else_goes_on"]
fn vst3_editor() {
    let window = Window::open(960, 600);
    // SAFETY: the factory is this program's own, and used as VST3 says.
    unsafe {
        let factory = bonafide::plugin::vst3::GetPluginFactory().cast::<IPluginFactory>();
        let factory = ComPtr::from_raw(factory).unwrap();
        let mut class: PClassInfo = std::mem::zeroed();
        assert_eq!(factory.getClassInfo(0, &mut class), kResultOk);
        let mut object = std::ptr::null_mut();
        let iid = IComponent::IID;
        factory.createInstance(class.cid.as_ptr().cast(), iid.as_ptr().cast(), &mut object);
        let component = ComPtr::from_raw(object.cast::<IComponent>()).unwrap();
        assert_eq!(component.initialize(std::ptr::null_mut()), kResultOk);
        let controller: ComPtr<IEditController> = component.cast().unwrap();
        let shared = Shared(controller.clone());
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (shared, stop) = (&shared, &stop);
            scope.spawn(move || {
                let threshold = bonafide::plugin::edits::number("threshold");
                let mut i = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    i += 1;
                    shared.0.setParamNormalized(threshold, f64::from(i % 100) / 100.0);
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
            for times in 0..15 {
                let view = ComPtr::from_raw(controller.createView(c"editor".as_ptr())).unwrap();
                assert_eq!(view.isPlatformTypeSupported(kPlatformTypeX11EmbedWindowID), kResultTrue);
                assert_eq!(view.canResize(), kResultTrue);
                let parent = window.id as usize as *mut std::ffi::c_void;
                let attached = view.attached(parent, kPlatformTypeX11EmbedWindowID) == kResultOk;
                if !opened(attached, times) {
                    break;
                }
                assert_ne!(view.attached(parent, kPlatformTypeX11EmbedWindowID), kResultOk, "once");
                let mut size = ViewRect { left: 0, top: 0, right: 10, bottom: 10 };
                assert_eq!(view.checkSizeConstraint(&mut size), kResultTrue);
                assert!(size.right >= 640 && size.bottom >= 400);
                assert_eq!(view.onSize(&mut size), kResultOk);
                if times % 5 == 0 {
                    wait_for("the editor to draw", || window.colours() > 20);
                }
                assert_eq!(view.removed(), kResultOk);
                assert_ne!(view.removed(), kResultOk, "once");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        component.terminate();
    }
}

/// The project's size when it is read after the window was made.
#[test]
#[ignore = "run by a_vst3_host_gives_the_editor_the_size_that_it_asks_for"]
fn vst3_sizes() {
    let window = Window::open(1200, 800);
    let instance = Vst3Instance::create_with_run_loop();
    let host = instance.run_loop.as_ref().unwrap();
    let parent = window.id as usize as *mut std::ffi::c_void;
    let project = instance.save();
    let size_of = |view: &ComPtr<IPlugView>| {
        let mut size = ViewRect { left: 0, top: 0, right: 0, bottom: 0 };
        // SAFETY: the host's own rectangle.
        unsafe { assert_eq!(view.getSize(&mut size), kResultOk) };
        (size.right, size.bottom)
    };
    let new_view = || {
        let frame = host.to_com_ptr::<IPlugFrame>().unwrap();
        // SAFETY: a C string; the view is the host's to release.
        unsafe {
            let view = ComPtr::from_raw(instance.controller.createView(c"editor".as_ptr())).unwrap();
            assert_eq!(view.setFrame(frame.as_ptr()), kResultOk);
            view
        }
    };
    // SAFETY: views and windows are used as VST3 says.
    unsafe {
        let view = new_view();
        if !opened(view.attached(parent, kPlatformTypeX11EmbedWindowID) == kResultOk, 0) {
            return;
        }
        let mut wider = ViewRect { left: 0, top: 0, right: 1000, bottom: 700 };
        assert_eq!(view.onSize(&mut wider), kResultOk);
        wait_for("the project to keep the size", || instance.save() != project);
        assert_eq!(size_of(&view), (1000, 700));
        assert_eq!(view.removed(), kResultOk);

        let view = new_view();
        assert_eq!(size_of(&view), (1000, 700));
        let scaled: ComPtr<IPlugViewContentScaleSupport> = view.cast().unwrap();
        assert_eq!(scaled.setContentScaleFactor(2.0), kResultOk);
        assert_eq!(size_of(&view), (2000, 1400), "before it is opened");
        assert_eq!(scaled.setContentScaleFactor(1.0), kResultOk);
        assert!(instance.load(&project));
        assert_eq!(view.attached(parent, kPlatformTypeX11EmbedWindowID), kResultOk);
        let asked = |size| {
            host.fire_timers();
            host.asked_size() == Some(size)
        };
        wait_for("the editor to ask for the project's size", || asked((960, 600)));
        assert_eq!(size_of(&view), (960, 600));
        assert_eq!(view.removed(), kResultOk);
        assert_eq!(size_of(&view), (960, 600), "which it opens at again");
        assert_eq!(view.setFrame(std::ptr::null_mut()), kResultOk);
    }
}

struct Shared(ComPtr<IEditController>);

// SAFETY: hosts call `setParamNormalized` from wherever they like.
unsafe impl Sync for Shared {}

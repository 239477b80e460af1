//! Sound passes, bit for bit, whatever else happens.

use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;

use crate::common::noise;
use crate::vst3_host::{Block, Vst3Instance, bus, same_bits};

/// Noise with everything in it that is not sound.
fn nasty(len: usize, seed: u32) -> Vec<f32> {
    let odd = [
        f32::NAN,
        f32::from_bits(0xffc0_1234),
        f32::from_bits(0x7f80_0001),
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN_POSITIVE / 3.0,
        f32::from_bits(1),
        -0.0,
        f32::MAX,
        1e30,
    ];
    let mut sound = noise(len, seed);
    for (i, x) in sound.iter_mut().enumerate() {
        if i % 5 == seed as usize % 5 {
            *x = odd[i / 5 % odd.len()];
        }
    }
    sound
}

fn slices(sound: &[Vec<f32>], len: usize) -> Vec<&[f32]> {
    sound.iter().map(|channel| &channel[..len]).collect()
}

#[test]
fn output_is_input_to_the_bit() {
    let sound: Vec<_> = (0..16).map(|channel| nasty(8192, channel)).collect();
    let instance = Vst3Instance::create();
    for channels in 1..=16 {
        assert!(instance.set_channels(channels as u32), "{channels} channels");
        instance.start(48_000.0);
        for in_place in [false, true] {
            for len in [0, 1, 7, 64, 441, 1024, 8192] {
                let inputs = slices(&sound[..channels], len);
                let processed = instance.process(Block { inputs: &inputs, in_place, ..Block::default() });
                let passed = inputs.iter().zip(&processed.outputs).all(|(a, b)| same_bits(a, b));
                assert!(passed, "{channels} channels, {len} samples, in place: {in_place}");
            }
        }
        instance.deactivate();
    }
}

#[test]
fn there_is_no_delay_and_no_tail() {
    let instance = Vst3Instance::create();
    for rate in [44_100.0, 192_000.0] {
        instance.start(rate);
        // SAFETY: by value.
        let found = unsafe { (instance.processor.getLatencySamples(), instance.processor.getTailSamples()) };
        assert_eq!(found, (0, 0));
        instance.deactivate();
    }
}

#[test]
fn outputs_without_an_input_are_silent() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let sound: Vec<_> = (0..3).map(|channel| nasty(64, channel)).collect();
    for (inputs, outputs) in [(1, 2), (2, 5), (0, 2), (3, 1), (2, 0)] {
        let inputs = slices(&sound[..inputs], 64);
        let block = Block { inputs: &inputs, outputs: Some(outputs), ..Block::default() };
        let processed = instance.process(block);
        for (i, output) in processed.outputs.iter().enumerate() {
            match inputs.get(i) {
                Some(input) => assert!(same_bits(input, output)),
                None => assert!(output.iter().all(|x| x.to_bits() == 0)),
            }
        }
    }
}

#[test]
fn sound_passes_before_activation_and_after() {
    let instance = Vst3Instance::create();
    let sound = nasty(441, 1);
    let passes = || {
        let processed = instance.process(Block { inputs: &[&sound, &sound], ..Block::default() });
        processed.outputs.iter().all(|output| same_bits(output, &sound))
    };
    assert!(passes(), "never set up");
    assert_eq!(instance.setup(48_000.0, 512, false), kResultOk);
    assert!(passes(), "not active");
    instance.activate();
    assert!(passes());
    instance.deactivate();
    assert!(passes(), "no longer active");
}

#[test]
fn sound_passes_at_rates_that_cannot_be_judged() {
    let instance = Vst3Instance::create();
    let sound = nasty(441, 2);
    for rate in [0.0, -48_000.0, 1.0, 1e9, f64::NAN, f64::INFINITY] {
        instance.start(rate);
        let processed = instance.process(Block { inputs: &[&sound], ..Block::default() });
        assert!(same_bits(&processed.outputs[0], &sound));
        assert_eq!(instance.text("State", instance.get("State")), "Error", "{rate} Hz");
        instance.deactivate();
    }
    instance.start(48_000.0);
    instance.process(Block { inputs: &[&sound], ..Block::default() });
    assert_eq!(instance.text("State", instance.get("State")), "Warming up", "a good rate mends it");
}

#[test]
fn bypass_passes_sound_and_judges_nothing() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    instance.set("Bypass", 1.0);
    let sound = nasty(441, 3);
    let processed = instance.process(Block { inputs: &[&sound, &sound], ..Block::default() });
    assert!(processed.outputs.iter().all(|output| same_bits(output, &sound)));
    assert!(processed.points.iter().any(|p| p.id == instance.id("State") && p.value == crate::BYPASSED));
}

#[test]
fn speakers_are_what_the_host_has_set() {
    use SpeakerArr::*;
    let instance = Vst3Instance::create();
    assert_eq!(instance.arrangements(), [kStereo; 2], "hosts take stereo by default");
    // 16 channels that have no name, too.
    for arrangement in [kMono, kStereo, k30Music, k51, k71Music, k71Cine, k71_4, 0xffff] {
        assert!(instance.arrange(arrangement, arrangement), "{arrangement:#x}");
        assert_eq!(instance.arrangements(), [arrangement; 2]);
        assert_eq!(bus_channels(&instance), [arrangement.count_ones() as i32; 2]);
    }
    for (input, output) in [(kStereo, kMono), (kMono, kStereo), (k71Music, k71Cine), (0, 0), (k222, k222)] {
        assert!(!instance.arrange(input, output), "{input:#x} to {output:#x}");
        assert_eq!(instance.arrangements(), [0xffff; 2], "as before");
    }
    // SAFETY: null is to be refused, and so are other numbers of buses than one.
    unsafe {
        let mut one = [kStereo; 2];
        let (one, null) = (one.as_mut_ptr(), std::ptr::null_mut());
        for (inputs, ins, outputs, outs) in
            [(null, 1, one, 1), (one, 1, null, 1), (one, 2, one, 1), (one, 0, one, 0)]
        {
            let result = instance.processor.setBusArrangements(inputs, ins, outputs, outs);
            assert_ne!(result, kResultTrue);
        }
        let mut arrangement = 0;
        assert_ne!(instance.processor.getBusArrangement(0, 1, &mut arrangement), kResultOk);
        assert_ne!(instance.processor.getBusArrangement(2, 0, &mut arrangement), kResultOk);
        assert_ne!(instance.processor.getBusArrangement(0, 0, null), kResultOk);
    }
}

fn bus_channels(instance: &Vst3Instance) -> [i32; 2] {
    [BusDirections_::kInput, BusDirections_::kOutput].map(|direction| {
        // SAFETY: all fields may be zero; the plugin fills them in.
        unsafe {
            let mut info: BusInfo = std::mem::zeroed();
            let media = MediaTypes_::kAudio as MediaType;
            assert_eq!(instance.component.getBusInfo(media, direction as _, 0, &mut info), kResultOk);
            info.channelCount
        }
    })
}

/// All that a host may leave out, and some that it may not.
#[test]
fn nothing_that_is_missing_crashes() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let sound = noise(64, 1);
    let processed = instance.process(Block { inputs: &[&sound, &sound], bare: true, ..Block::default() });
    assert!(same_bits(&processed.outputs[1], &sound), "no lists, no context");

    let mut left = sound.clone();
    let mut out = [vec![1.0_f32; 64], vec![1.0; 64]];
    let mut to = [out[0].as_mut_ptr(), out[1].as_mut_ptr()];
    let mut half = [left.as_mut_ptr(), std::ptr::null_mut()];
    let mut none = [std::ptr::null_mut(); 2];
    let (mut half, mut none, mut to) = (bus(&mut half), bus(&mut none), bus(&mut to));
    let mut no_list = bus(&mut []);
    (no_list.numChannels, no_list.__field0.channelBuffers32) = (2, std::ptr::null_mut());
    let null = std::ptr::null_mut();
    // SAFETY: all fields may be zero; the buses outlive the calls.
    unsafe {
        let process = |inputs, ins, outputs, outs, samples| {
            let mut data: ProcessData = std::mem::zeroed();
            (data.inputs, data.numInputs, data.outputs, data.numOutputs) = (inputs, ins, outputs, outs);
            data.numSamples = samples;
            instance.processor.process(&mut data)
        };
        let buses: [*mut AudioBusBuffers; 4] = [&mut half, &mut none, &mut no_list, null];
        for inputs in buses {
            for outputs in [&mut to as *mut AudioBusBuffers, &mut none, &mut no_list, null] {
                for (ins, outs) in [(1, 1), (0, 1), (1, 0), (0, 0)] {
                    for samples in [64, 1, 0, -1] {
                        assert_eq!(process(inputs, ins, outputs, outs, samples), kResultOk);
                    }
                }
            }
        }
        assert_eq!(process(&mut half, 1, &mut to, 1, 64), kResultOk);
        assert_ne!(instance.processor.process(std::ptr::null_mut()), kResultOk);
        assert_ne!(instance.processor.setupProcessing(std::ptr::null_mut()), kResultOk);
        let mut data: ProcessData = std::mem::zeroed();
        data.symbolicSampleSize = SymbolicSampleSizes_::kSample64 as i32;
        assert_ne!(instance.processor.process(&mut data), kResultOk, "never offered");
        assert_ne!(instance.processor.canProcessSampleSize(data.symbolicSampleSize), kResultTrue);
    }
    assert!(same_bits(&out[0], &sound));
    assert!(out[1].iter().all(|x| *x == 0.0), "its input is null");
}

//! What a host reads before it plays anything.

use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;

use crate::vst3_host::{self, Vst3Instance};

fn ascii(text: &[i8]) -> String {
    text.iter().map(|c| *c as u8).take_while(|c| *c != 0).map(char::from).collect()
}

#[test]
fn class_id_and_categories_are_frozen() {
    let classes = vst3_host::classes();
    let [class] = &classes[..] else { panic!("{} classes", classes.len()) };
    let id = *b"BonafideVoiceTel";
    assert_eq!(class.cid.map(|byte| byte as u8), id, "projects refer to it");
    assert_eq!(ascii(&class.name), "Bonafide");
    assert_eq!(ascii(&class.category), "Audio Module Class");
    assert_eq!(ascii(&class.subCategories), "Fx|Analyzer|Tools");
    assert_eq!(ascii(&class.version), env!("CARGO_PKG_VERSION"));
}

#[test]
fn other_classes_and_interfaces_are_refused() {
    let factory = vst3_host::factory();
    let mut object = std::ptr::null_mut();
    let known = vst3_host::classes()[0].cid;
    let (unknown, no_interface) = ([7_u8; 16], [9_u8; 16]);
    // SAFETY: identifiers of 16 bytes, or null.
    unsafe {
        let component = <IComponent as vst3::Interface>::IID;
        let create = |class: *const i8, interface: *const i8, object: &mut *mut _| {
            factory.createInstance(class, interface, object)
        };
        assert_ne!(create(unknown.as_ptr().cast(), component.as_ptr().cast(), &mut object), kResultOk);
        assert_ne!(create(known.as_ptr().cast(), no_interface.as_ptr().cast(), &mut object), kResultOk);
        assert_ne!(create(std::ptr::null(), component.as_ptr().cast(), &mut object), kResultOk);
        assert!(object.is_null());
        let mut info: PClassInfo = std::mem::zeroed();
        assert_ne!(factory.getClassInfo(1, &mut info), kResultOk);
        assert_ne!(factory.getClassInfo(-1, &mut info), kResultOk);
        assert_ne!(factory.getClassInfo(0, std::ptr::null_mut()), kResultOk);
    }
}

#[test]
fn meters_are_read_only_and_visible_and_the_rest_can_be_automated() {
    let instance = Vst3Instance::create();
    for title in ["Score", "Alert", "State"] {
        let meter = instance.parameter(title);
        assert!(meter.is_read_only() && !meter.is_hidden() && !meter.is_automatable(), "{title}");
    }
    let settings = ["Threshold", "Hold", "Hop", "Channel", "Gate Trim", "Reset", "Output Mode", "Bypass"];
    for title in settings.iter().chain(&["Score Lane", "Alert Lane"]) {
        let parameter = instance.parameter(title);
        assert!(parameter.is_automatable() && !parameter.is_read_only() && !parameter.is_hidden(), "{title}");
    }
    let bypasses: Vec<_> = instance.parameters().iter().filter(|p| p.is_bypass()).map(|p| &p.title).collect();
    assert_eq!(bypasses, ["Bypass"]);
}

#[test]
fn parameters_are_frozen() {
    let instance = Vst3Instance::create();
    let mut found: Vec<_> =
        instance.parameters().iter().map(|p| (p.title.as_str(), p.id, p.steps, p.default)).collect();
    found.sort_by_key(|parameter| parameter.0);
    // Java's string hash of the identifiers in params.rs.
    let hash =
        |id: &str| id.bytes().fold(0_u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) & !(1 << 31);
    let expected = [
        ("Alert", "alert", 1, 0.0),
        ("Alert Lane", "alert_lane", 1, 0.0),
        ("Bypass", "bypass", 1, 0.0),
        ("Channel", "channel", 3, 0.0),
        ("Gate Trim", "gate", 0, 0.5),
        ("Hold", "hold", 0, 1.0 / 6.0),
        ("Hop", "hop", 0, 0.4 / 1.9),
        ("Output Mode", "output", 3, 1.0 / 3.0),
        ("Reset", "reset", 1, 0.0),
        ("Score", "score", 0, 0.5),
        ("Score Lane", "score_lane", 0, 0.5),
        ("State", "state", 7, 0.0),
        ("Threshold", "threshold", 0, 0.5),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, (title, id, steps, default)) in found.into_iter().zip(expected) {
        assert_eq!((found.0, found.1), (title, hash(id)));
        assert_eq!(found.2, steps, "{title}");
        assert!((found.3 - default).abs() < 1e-6, "{title}: {}", found.3);
    }
}

#[test]
fn a_parameter_beyond_the_last_is_refused() {
    let instance = Vst3Instance::create();
    let count = instance.parameters().len() as i32;
    // SAFETY: all fields may be zero; null is to be refused.
    unsafe {
        let mut info: ParameterInfo = std::mem::zeroed();
        for index in [-1, count, count + 1, i32::MAX, i32::MIN] {
            assert_ne!(instance.controller.getParameterInfo(index, &mut info), kResultOk, "{index}");
        }
        assert_ne!(instance.controller.getParameterInfo(0, std::ptr::null_mut()), kResultOk);
        assert_ne!(instance.controller.setParamNormalized(1, 0.5), kResultOk);
        assert_ne!(instance.controller.getParamStringByValue(1, 0.5, &mut [0; 128]), kResultOk);
    }
}

#[test]
fn parameters_are_in_groups() {
    let instance = Vst3Instance::create();
    let units: vst3::ComPtr<IUnitInfo> = instance.component.cast().expect("IUnitInfo");
    let group = |title: &str| instance.parameter(title).unit;
    // SAFETY: all fields may be zero; the plugin fills them in.
    unsafe {
        let mut found = Vec::new();
        for index in 0..units.getUnitCount() {
            let mut info: UnitInfo = std::mem::zeroed();
            assert_eq!(units.getUnitInfo(index, &mut info), kResultOk);
            found.push((info.id, vst3_host::string(&info.name)));
        }
        let id = |name: &str| found.iter().find(|unit| unit.1 == name).map(|unit| unit.0);
        assert_eq!(Some(group("Score")), id("Output"));
        assert_eq!(Some(group("Output Mode")), id("Output"));
        assert_eq!(Some(group("Threshold")), id("Detection"));
        assert_eq!(group("Bypass"), kRootUnitId);
        let mut info: UnitInfo = std::mem::zeroed();
        assert_ne!(units.getUnitInfo(found.len() as i32, &mut info), kResultOk);
        assert_ne!(units.getUnitInfo(-1, &mut info), kResultOk);
    }
}

#[test]
fn values_read_as_a_user_would_write_them() {
    let instance = Vst3Instance::create();
    let text = |title, value| instance.text(title, value);
    assert_eq!((text("Score", 0.0), text("Score", 1.0)), ("0.1 %".into(), "99.9 %".into()));
    assert_eq!(text("Score", 0.123), "12.3 %");
    assert_eq!(text("Threshold", 0.5), "50 %");
    assert_eq!((text("Hold", 1.0), text("Hold", 0.0)), ("until reset".into(), "0.0 s".into()));
    let states = [
        "Warming up",
        "No speech",
        "Too little evidence",
        "Scored",
        "Stale",
        "Overloaded",
        "Error",
        "Bypassed",
    ];
    for (i, state) in states.into_iter().enumerate() {
        assert_eq!(text("State", i as f64 / 7.0), state);
    }
    for (i, mode) in ["Off", "Meter", "Automation", "MIDI"].into_iter().enumerate() {
        assert_eq!(text("Output Mode", i as f64 / 3.0), mode);
        assert_eq!(instance.parse("Output Mode", mode), Some(i as f64 / 3.0).map(|x| f64::from(x as f32)));
    }
}

#[test]
fn texts_are_understood() {
    let instance = Vst3Instance::create();
    let near = |title, text, value: f64| {
        let parsed = instance.parse(title, text).unwrap_or_else(|| panic!("{title}: {text}"));
        assert!((parsed - value).abs() < 1e-5, "{title}: {text} is {parsed}");
    };
    for text in ["50 %", "50%", "50"] {
        near("Threshold", text, 0.5);
        near("Score", text, 0.5);
    }
    near("Hold", "until reset", 1.0);
    near("Hold", "30 s", 0.5);
    near("Gate Trim", "-30 dB", 0.0);
    near("Hop", "2.00 s", 1.0);
    near("Channel", "Loudest", 1.0);
    near("Threshold", "1000 %", 1.0);
    for title in ["Threshold", "Hold", "Hop", "Channel"] {
        for text in ["", "?", "%", "nan", "NaN %", "\u{1f600}"] {
            assert_eq!(instance.parse(title, text), None, "{title}: {text:?} is no value");
        }
    }
}

#[test]
fn each_text_leads_back_to_its_value() {
    let instance = Vst3Instance::create();
    for parameter in instance.parameters() {
        let steps = if parameter.steps == 0 { 999 } else { parameter.steps };
        for step in 0..=steps {
            let text = instance.text(&parameter.title, f64::from(step) / f64::from(steps));
            let value = instance.parse(&parameter.title, &text);
            let again = value.map(|value| instance.text(&parameter.title, value));
            assert_eq!(again.as_ref(), Some(&text), "{}", parameter.title);
        }
    }
}

//! Logs: whatever is changed is found, and whatever happens while they are written is survived.
#![cfg(feature = "onnx")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bonafide::evidence::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const RATE: f64 = 16_000.0;
const STEP: u64 = 800;

fn header(source: &str) -> Header {
    Header {
        format: Header::FORMAT,
        program: "test".to_owned(),
        source: source.to_owned(),
        rate: Some(RATE),
        channels: Some(1),
        ..Header::default()
    }
}

fn reading(i: u64) -> ReadingRecord {
    let llr = i as f32 / 3.0 - 2.0;
    ReadingRecord { state: "scored".to_owned(), p_spoof: Some(0.5), llr: Some(llr) }
}

fn window(i: u64, audio: Option<Span>) -> WindowRecord {
    let (start_s, end_s) = (i as f64 * 0.05, (i + 1) as f64 * 0.05);
    WindowRecord { start_s, end_s, reading: reading(i), speech_s: 1.5, audio, ..WindowRecord::default() }
}

fn stream(log: &mut Log, windows: u64, seed: u32) {
    let sound = common::noise((windows * STEP) as usize, seed);
    let mut digest = AudioDigest::new();
    for i in 0..windows {
        digest.push(&[&sound[(i * STEP) as usize..((i + 1) * STEP) as usize]]);
        log.window(window(i, Some(digest.span((i + 1) * STEP)))).unwrap();
        if i == 3 {
            let event = Event::Stall { for_s: 2.5 };
            log.event(EventRecord { position: Some(4 * STEP), time: Some(now()), event }).unwrap();
        }
    }
    let (audio, whole) = (Some(digest.span(u64::MAX)), Some(digest.whole()));
    log.end(End { windows, integrated: reading(9), audio, whole, ..End::default() }).unwrap();
}

/// Three streams, closed.
fn write(path: &Path, seed: u32) -> Hash {
    let mut log = Log::open(path, &header("one")).unwrap();
    stream(&mut log, 6, seed);
    log.next(&header("two \u{1b}[31m\n<script>")).unwrap();
    stream(&mut log, 5, seed + 1);
    log.next(&header("three")).unwrap();
    stream(&mut log, 2, seed + 2);
    log.seal().unwrap()
}

fn log_bytes(seed: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    write(&path, seed);
    fs::read(path).unwrap()
}

/// Whether it holds and was closed; or the line of the fault.
fn holds(bytes: &[u8]) -> Result<bool, u64> {
    let mut reader = LogReader::new(bytes);
    for line in reader.by_ref() {
        line.map_err(|fault| {
            assert!(fault.line > 0 && !fault.to_string().is_empty());
            fault.line
        })?;
    }
    let tail = reader.tail();
    Ok(tail.sealed && !tail.unended && tail.torn == 0)
}

fn tail(path: &Path) -> Tail {
    let bytes = fs::read(path).unwrap();
    let mut reader = LogReader::new(&bytes[..]);
    reader.by_ref().for_each(|line| drop(line.unwrap()));
    reader.tail()
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// What somebody may do to a log, at places given as shares of it.
#[derive(Clone, Debug)]
enum Tampering {
    Byte(f64, u8),
    Bit(f64, u8),
    Digit(f64, u8),
    RemoveLine(f64),
    MoveLine(f64, f64),
    RepeatLine(f64, f64),
    Foreign(f64, f64),
    Cut(f64),
    CutLines(f64),
    DropFirst(f64),
    Insert(f64, Vec<u8>),
    Append(Vec<u8>),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let at = || 0.0..1.0_f64;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, x)| Tampering::Byte(at, x)),
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Tampering::Bit(at, bit)),
        3 => (at(), b'0'..=b'9').prop_map(|(at, x)| Tampering::Digit(at, x)),
        1 => at().prop_map(Tampering::RemoveLine),
        1 => (at(), at()).prop_map(|(from, to)| Tampering::MoveLine(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Tampering::RepeatLine(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Tampering::Foreign(from, to)),
        1 => at().prop_map(Tampering::Cut),
        1 => at().prop_map(Tampering::CutLines),
        1 => at().prop_map(Tampering::DropFirst),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, x)| Tampering::Insert(at, x)),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Tampering::Append),
    ]
}

fn tampered(bytes: &[u8], foreign: &[u8], how: &Tampering) -> Vec<u8> {
    let place = |share: f64, len: usize| (share * len as f64) as usize;
    let mut changed = bytes.to_vec();
    let mut list = lines(bytes);
    let n = list.len();
    match how {
        Tampering::Byte(at, x) => changed[place(*at, bytes.len())] = *x,
        Tampering::Bit(at, bit) => changed[place(*at, bytes.len())] ^= 1 << bit,
        Tampering::Digit(at, x) => {
            let from = place(*at, bytes.len());
            if let Some(digit) = changed[from..].iter_mut().find(|x| x.is_ascii_digit()) {
                *digit = *x;
            }
        }
        Tampering::Cut(at) => changed.truncate(place(*at, bytes.len())),
        Tampering::Insert(at, x) => {
            let at = place(*at, bytes.len());
            changed.splice(at..at, x.iter().copied());
        }
        Tampering::Append(x) => changed.extend(x),
        _ => {
            match how {
                Tampering::RemoveLine(at) => drop(list.remove(place(*at, n))),
                Tampering::MoveLine(from, to) => {
                    let line = list.remove(place(*from, n));
                    list.insert(place(*to, n), line);
                }
                Tampering::RepeatLine(from, to) => {
                    let line = list[place(*from, n)].clone();
                    list.insert(place(*to, n + 1), line);
                }
                Tampering::Foreign(from, to) => {
                    let other = lines(foreign);
                    list[place(*to, n)] = other[place(*from, other.len())].clone();
                }
                Tampering::CutLines(at) => list.truncate(place(*at, n)),
                Tampering::DropFirst(at) => drop(list.drain(..place(*at, n))),
                _ => unreachable!(),
            }
            changed = list.concat();
        }
    }
    changed
}

#[test]
fn whatever_is_changed_is_found() {
    let (log, foreign) = (log_bytes(1), log_bytes(7));
    assert_eq!(holds(&log), Ok(true));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    let found = std::cell::RefCell::new(BTreeMap::<&str, u32>::new());
    runner
        .run(&tampering(), |how| {
            let changed = tampered(&log, &foreign, &how);
            if changed == log {
                return Ok(());
            }
            let outcome = holds(&changed);
            prop_assert_ne!(outcome, Ok(true));
            let kind = if outcome.is_err() { "named by their line" } else { "found not closed" };
            *found.borrow_mut().entry(kind).or_default() += 1;
            Ok(())
        })
        .unwrap();
    let found = found.into_inner();
    println!("{found:?}");
    assert!(found["named by their line"] > 7_000 && found["found not closed"] > 100, "{found:?}");
}

/// Who knows the format can make the hashes fit again; then the rest must be sound, or be told.
fn rehashed(list: &[Vec<u8>]) -> Vec<u8> {
    let mut prev = "0".repeat(64);
    let mut out = Vec::new();
    for line in list {
        let mut text = String::from_utf8_lossy(line).trim_end_matches('\n').replace('\n', " ");
        if let Some(at) = text.find("\"prev\":\"").map(|at| at + 8)
            && text.get(at..at + 64).is_some()
        {
            text.replace_range(at..at + 64, &prev);
        }
        prev = Hash::of(text.as_bytes()).to_string();
        out.extend(text.bytes().chain([b'\n']));
    }
    out
}

#[test]
fn logs_of_liars_are_an_error_or_a_log() {
    let log = lines(&log_bytes(1));
    let words = prop::sample::select(vec![
        "null",
        "-1",
        "18446744073709551615",
        "1e308",
        "-1e-308",
        "\"\"",
        "[]",
        "{}",
        "true",
        "0",
        "\"seal\"",
        "\"\\u0000\"",
    ]);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let counts = std::cell::Cell::new((0, 0, 0));
    runner
        .run(&(0.0..1.0_f64, 0.0..1.0_f64, words), |(line, field, word)| {
            let mut list = log.clone();
            let at = (line * list.len() as f64) as usize;
            let text = String::from_utf8(list[at].clone()).unwrap();
            let colons: Vec<_> = text.match_indices("\":").map(|(at, _)| at + 2).collect();
            let from = colons[(field * colons.len() as f64) as usize];
            let to = text[from..].find([',', '}']).map_or(text.len(), |to| from + to);
            list[at] = format!("{}{word}{}", &text[..from], &text[to..]).into_bytes();
            let bytes = rehashed(&list);
            let (mut errors, mut held, mut reopened) = counts.get();
            match holds(&bytes) {
                Ok(_) => held += 1,
                Err(_) => errors += 1,
            }
            // Going on with it is an error or works, and harms nothing that was there.
            if errors % 10 == 0 {
                fs::write(&path, &bytes).unwrap();
                reopened += u32::from(Log::open(&path, &header("again")).is_ok());
                prop_assert!(fs::read(&path).unwrap().starts_with(&bytes));
            }
            counts.set((errors, held, reopened));
            Ok(())
        })
        .unwrap();
    let (errors, held, reopened) = counts.get();
    println!("{errors} errors, {held} logs with another meaning, {reopened} gone on with");
    assert!(errors > 1_000 && held > 1_000 && reopened > 100);
}

#[test]
fn every_sample_is_covered_once() {
    let sound = common::noise(20_000, 3);
    let spans = |sound: &[f32], block: usize| {
        let mut digest = AudioDigest::new();
        let mut spans: Vec<Span> = Vec::new();
        for block in sound.chunks(block) {
            digest.push(&[block]);
            if digest.heard() > 9_000 && spans.is_empty() {
                spans.extend([4_000, 4_500, 9_000].map(|to| digest.span(to)));
            }
        }
        spans.push(digest.span(u64::MAX));
        (spans, digest.whole())
    };
    let (original, whole) = spans(&sound, 512);
    assert_eq!(spans(&sound, 333).0, original);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
    runner
        .run(&(0..20_000_usize, 1..=u32::MAX), |(at, bits)| {
            let mut changed = sound.clone();
            changed[at] = f32::from_bits(changed[at].to_bits() ^ bits);
            let (found, other) = spans(&changed, 512);
            prop_assert_ne!(other, whole);
            for (a, b) in original.iter().zip(&found) {
                prop_assert_eq!(a.sha256 == b.sha256, !(a.from..a.to).contains(&(at as u64)));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_log_goes_on_wherever_its_program_was_killed() {
    let log = log_bytes(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    for cut in (20..log.len()).step_by(37).chain([log.len()]) {
        fs::write(&path, &log[..cut]).unwrap();
        let whole = log[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut again = Log::open(&path, &header("again")).unwrap();
        stream(&mut again, 5, 9);
        let hash = again.seal().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(&log[..whole]), "what was there stays");
        assert_eq!(holds(&bytes), Ok(true), "cut at {cut}");
        assert_eq!(tail(&path).hash, hash);
        let torn = LogReader::new(&bytes[..]).find_map(|line| match line.unwrap().record {
            Record::Header(header) if header.source == "again" => Some(header.torn),
            _ => None,
        });
        let expected = (whole < cut).then(|| String::from_utf8_lossy(&log[whole..cut]).into_owned());
        assert_eq!(torn, Some(expected), "what was torn is kept, cut at {cut}");
    }
}

#[test]
fn a_rotated_log_goes_on_in_the_next_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("log.jsonl"), folder.path().join("log.jsonl.1"));
    let mut log = Log::open(&path, &header("radio")).unwrap();
    let sound = common::noise(4_000, 1);
    let mut digest = AudioDigest::new();
    digest.push(&[&sound]);
    log.window(window(0, Some(digest.span(800)))).unwrap();
    log.reopen().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2, "still in its place: nothing happens");
    fs::rename(&path, &old).unwrap();
    log.window(window(1, Some(digest.span(1_600)))).unwrap();
    log.reopen().unwrap();
    log.window(window(2, Some(digest.span(2_400)))).unwrap();
    let (audio, whole) = (Some(digest.span(u64::MAX)), Some(digest.whole()));
    log.end(End { audio, whole, ..End::default() }).unwrap();
    log.seal().unwrap();
    let (first, second) = (tail(&old), tail(&path));
    assert!(first.sealed && first.unended && first.follows.is_none());
    assert!(second.sealed && !second.unended);
    assert_eq!(second.follows, Some(first.hash));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"opening\":\"rotated\"") && text.contains("\"position\":1600"), "{text}");
}

#[test]
fn what_can_not_be_written_to_is_said() {
    fn is_send<T: Send>() {}
    is_send::<(Log, AudioDigest)>();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let problem = |path: &Path| Log::open(path, &header("x")).unwrap_err().to_string();
    let _held = Log::open(&at("held"), &header("x")).unwrap();
    assert!(problem(&at("held")).contains("another program"), "{}", problem(&at("held")));
    assert!(problem(&at("no/where")).contains("make the folder"), "{}", problem(&at("no/where")));
    for (name, bytes) in [("notes", &b"dear diary"[..]), ("lines", b"dear\ndiary\n"), ("binary", &[255; 99])]
    {
        fs::write(at(name), bytes).unwrap();
        assert!(problem(&at(name)).contains("what to do"), "{}", problem(&at(name)));
        assert_eq!(fs::read(at(name)).unwrap(), bytes, "nobody's file is harmed");
    }
    if cfg!(target_os = "linux") {
        let full = problem(Path::new("/dev/full"));
        assert!(full.contains("No space left") && full.contains("make room"), "{full}");
    }
}

/// A limit on the file's size stops a write in the middle, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "limits the whole process: run by the test below"]
fn child_with_a_full_disk() {
    let limit = |bytes: u64| {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: a plain system call with a valid pointer; the signal becomes an error of `write`.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
    };
    let path = std::path::PathBuf::from(std::env::var("BONAFIDE_TEST_LOG").unwrap());
    let mut log = Log::open(&path, &header("radio")).unwrap();
    let mut lost = 0;
    for i in 0..30 {
        match i {
            5 => limit(fs::metadata(&path).unwrap().len() + 100),
            12 => limit(libc::RLIM_INFINITY),
            // Room for nothing at all, in a new file.
            20 => {
                limit(10);
                fs::rename(&path, path.with_extension("old")).unwrap();
                assert!(log.reopen().is_err());
            }
            24 => limit(libc::RLIM_INFINITY),
            // A stream whose end is lost, and the next one's begin with it.
            26 => {
                limit(1);
                assert!(log.end(End::default()).is_err() && log.next(&header("next")).is_err());
                limit(libc::RLIM_INFINITY);
            }
            _ => {}
        }
        lost += u32::from(log.window(window(i, None)).is_err());
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "never a torn record");
    }
    assert_eq!(lost, 7 + 4);
    log.end(End::default()).unwrap();
    log.seal().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_records_and_says_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let output = common::child("child_with_a_full_disk", &[("BONAFIDE_TEST_LOG", path.to_str().unwrap())]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (old, new) = (tail(&path.with_extension("old")), tail(&path));
    assert_eq!(old.unwritten, 7);
    // Four windows, the old file's seal, the first stream's end.
    assert_eq!(new.unwritten, 6);
    assert_eq!(new.follows, Some(old.hash));
    assert!(new.sealed && !old.sealed);
}

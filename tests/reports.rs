//! `bonafide scan --format … --output …` and `bonafide report`, as their users call them.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::speech_like;
use serde_json::Value;

/// Every kind of name that could harm whoever reads it somewhere.
const HOSTILE: [&str; 6] = [
    "a\u{1b}[2J\nb.wav",
    "<img src=x onerror=alert(1)>.wav",
    "=HYPERLINK(\"evil\",\"x\").wav",
    "\"quote', &amp; {{ 7 * 7 }}.wav",
    "gpj.\u{202e}vaw.wav",
    "-rf.wav",
];

fn bonafide(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bonafide")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

fn said(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder of sounds, and one for results that isn't there yet, within one that goes.
fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (sounds, out) = (folder.path().join("sounds"), folder.path().join("out"));
    fs::create_dir(&sounds).unwrap();
    (folder, sounds, out)
}

fn voice(folder: &Path, name: &str, seconds: f64, seed: u32) -> PathBuf {
    let path = folder.join(name);
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(&path, spec).unwrap();
    speech_like(16_000, seconds, seed).iter().for_each(|x| wav.write_sample((x * 32_000.0) as i16).unwrap());
    wav.finalize().unwrap();
    path
}

/// Loads nothing, runs nothing (but the index its own script, by its hash), and names nothing unescaped.
fn assert_alone(page: &str) {
    assert!(page.contains("default-src 'none'"), "{page}");
    let fetching =
        ["http:", "https:", "//www", "src=\"", "@import", "url(", "<link", "<iframe", "<object", "<base"];
    // An SVG names its language by an address that nobody fetches.
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in fetching {
        assert!(!page.contains(word), "{word}: {}", &page[page.find(word).unwrap()..][..200]);
    }
    for (at, _) in page.match_indices("href=\"") {
        let to = &page[at + 6..];
        assert!(to.starts_with("data:image/png;base64,") || to.starts_with("files&#x2f;"), "{}", &to[..60]);
    }
    assert!(!page.contains("<img src=x") && !page.contains("onerror=alert(1)>"));
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
}

#[test]
fn a_folder_of_hostile_names_is_safe_everywhere() {
    let (_folder, sounds, out) = folders();
    for (name, seed) in HOSTILE.iter().zip(1..) {
        voice(&sounds, name, 3.0, seed);
    }
    fs::write(sounds.join("<script>broken.wav"), "no sound").unwrap();
    let formats = "text,json,csv,audacity,reaper,html,log";
    let output = bonafide(&["scan", "--format", formats, "--output", text(&out), text(&sounds)]);
    assert_eq!(code(&output), 2, "{}", said(&output));
    assert!(!said(&output).contains('\u{1b}'));

    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let index = read("index.html");
    assert_alone(&index);
    assert!(index.contains("&lt;img src=x onerror"), "names are shown");
    let pages: Vec<_> = fs::read_dir(out.join("files")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(pages.len(), 7 * 3);
    for page in &pages {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)), "{name}");
        if name.ends_with(".html") {
            assert_alone(&fs::read_to_string(page).unwrap());
            assert!(index.contains(&format!("href=\"files&#x2f;{name}\"")));
        }
    }
    let table = read("scores.csv");
    assert_eq!(csv::Reader::from_reader(table.as_bytes()).records().count(), 7);
    for row in csv::Reader::from_reader(table.as_bytes()).records() {
        let path = row.unwrap()[0].to_owned();
        assert!(!path.starts_with(['=', '+', '-', '@']) && !path.contains(['\u{1b}', '\n']), "{path}");
    }
    let paths: Vec<_> = read("scores.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    for name in HOSTILE {
        assert!(
            paths.contains(&sounds.join(name).to_str().unwrap().to_owned()),
            "JSON keeps names as they are"
        );
    }
    assert!(!read("scores.txt").contains('\u{1b}'));
    let log = out.join("scan.log.jsonl");
    let output = bonafide(&["verify", text(&log), "--audio", text(&sounds.join(HOSTILE[0]))]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(!said(&output).contains('\u{1b}'));
    // Formulas begin a cell when a name is given alone.
    let table = Command::new(env!("CARGO_BIN_EXE_bonafide"))
        .args(["scan", "--format", "csv", "--", HOSTILE[2], HOSTILE[5]])
        .current_dir(&sounds)
        .output()
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("\n\"'=HYPERLINK") && table.contains("\n'-rf.wav,"), "{table}");
}

#[test]
fn a_scan_goes_on_where_it_was_and_sees_what_changed() {
    let (_folder, sounds, out) = folders();
    let files: Vec<_> = (0..4).map(|i| voice(&sounds, &format!("{i}.wav"), 3.0, i)).collect();
    let scan = |more: &[&str]| {
        bonafide(&[&["scan", "-f", "csv,html", "-o", text(&out), text(&sounds)], more].concat())
    };
    let kept = |output: &Output| {
        let said = said(output);
        let line =
            said.lines().find_map(|line| line.split_once("of audio; ")).map(|(_, rest)| rest.to_owned());
        line.map_or(0, |rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap())
    };
    let first = scan(&[]);
    assert!(code(&first) < 2, "{}", said(&first));
    assert_eq!(kept(&first), 0);
    let index = fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(kept(&scan(&[])), 4);
    assert_eq!(fs::read_to_string(out.join("index.html")).unwrap(), index, "the same pages again");

    // Another date alone is no other file; the same date and length with other bytes is not looked at
    // twice, which is what every such tool does.
    fs::File::options()
        .write(true)
        .open(&files[0])
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(kept(&scan(&[])), 4);
    voice(&sounds, "1.wav", 3.0, 99);
    assert_eq!(kept(&scan(&[])), 3, "a changed file is judged again");
    let page = fs::read_dir(out.join("files")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(page).unwrap();
    assert_eq!(kept(&scan(&[])), 3, "a page that is gone is made again");
    assert_eq!(kept(&scan(&["--hop", "1"])), 0, "other settings are other scores");
    assert_eq!(kept(&scan(&["--hop", "1"])), 4);

    // Stopped in the middle of a line.
    let state = out.join(".bonafide-scan.jsonl");
    let bytes = fs::read(&state).unwrap();
    fs::write(&state, &bytes[..bytes.len() - 30]).unwrap();
    assert_eq!(kept(&scan(&["--hop", "1"])), 3);
    assert_eq!(kept(&scan(&["--hop", "1"])), 4);
    fs::write(&state, "not ours\n{\"stamp\":{}}\n").unwrap();
    assert_eq!(kept(&scan(&[])), 0);
    // A folder within the scanned one is not scanned for its results.
    let inside = sounds.join("results");
    let output = bonafide(&["scan", "-o", text(&inside), text(&sounds)]);
    assert!(said(&output).contains("files: 4,"), "{}", said(&output));
}

#[test]
fn labels_are_what_audacity_and_reaper_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 4.0, 1);
    let labels = bonafide(&["scan", "--format", "audacity", text(&file)]);
    let labels = String::from_utf8(labels.stdout).unwrap();
    let mut end = 0.0;
    for line in labels.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [from, to] = [0, 1].map(|i: usize| fields[i].parse::<f64>().unwrap());
        assert!((from - end).abs() < 1e-6 && to > from && fields.len() == 3, "{line}");
        end = to;
    }
    assert!((end - 4.0).abs() < 0.02, "{labels}");
    let regions = folder.path().join("regions.csv");
    let output = bonafide(&["scan", "--format", "reaper", "-o", text(&regions), text(&file)]);
    assert!(code(&output) < 2, "{}", said(&output));
    let regions = fs::read_to_string(regions).unwrap();
    assert!(regions.starts_with("#,Name,Start,End,Length,Color\nR1,"), "{regions}");
    assert!(regions.lines().last().unwrap().starts_with("M1,peak "), "{regions}");
}

#[test]
fn a_report_of_a_file_and_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice <b>.wav", 6.0, 1);
    let at = |name: &str| folder.path().join(name);
    let output = bonafide(&["report", text(&file), "-o", text(&at("file.html"))]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let page = fs::read_to_string(at("file.html")).unwrap();
    assert_alone(&page);
    for expected in
        ["data:image/png;base64,", "voice &lt;b&gt;.wav", "What this can’t know", "bonafide-small", "accuse"]
    {
        assert!(page.contains(expected), "{expected}");
    }
    // Its peak is the scan's, also where percentages are 99 more than once.
    let scanned = said(&bonafide(&["scan", "--log", text(&at("log.jsonl")), text(&file)]));
    let (_, peak) = scanned.split_once("peak ").expect("speech");
    let peak = peak.lines().next().unwrap().trim();
    assert!(page.contains(peak), "{peak}");
    let of_log = |more: &[&str]| {
        let page = at("log.html");
        let output = bonafide(&[&["report", text(&at("log.jsonl")), "-o", text(&page)], more].concat());
        (code(&output), said(&output), fs::read_to_string(page).unwrap_or_default())
    };
    let (code_of, said_of, page) = of_log(&[]);
    assert_eq!(code_of, 0, "{said_of}");
    assert_alone(&page);
    assert!(page.contains("A log holds no sound") && !page.contains("data:image/png"));
    assert!(of_log(&["--audio", text(&file)]).2.contains("data:image/png"));
    let other = voice(folder.path(), "other.wav", 6.0, 2);
    assert!(of_log(&["--audio", text(&other)]).1.contains("not the audio"));
    // A log that doesn't hold has no report.
    let log = fs::read_to_string(at("log.jsonl")).unwrap();
    fs::write(at("log.jsonl"), log.replacen("\"windows\":", "\"windows\":1", 1)).unwrap();
    let (code_of, said_of, _) = of_log(&[]);
    assert!(code_of == 2 && said_of.contains("the log does not hold"), "{said_of}");
    fs::write(at("log.jsonl"), log).unwrap();
    bonafide(&["scan", "--log", text(&at("log.jsonl")), text(&other)]);
    assert!(of_log(&[]).1.contains("--stream 1 to 2"));
    let (code_of, said_of, page) = of_log(&["--stream", "2"]);
    assert!(code_of == 0 && page.contains("other.wav"), "{said_of}");
}

#[test]
fn what_can_not_be_written_is_said_and_what_was_done_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 3.0, 1);
    let gone = folder.path().join("gone/report.html");
    let output = bonafide(&["report", text(&file), "-o", text(&gone)]);
    assert!(code(&output) == 2 && said(&output).contains("what to do"), "{}", said(&output));
    let output = bonafide(&["scan", "-f", "html", text(&file), text(&file)]);
    assert!(code(&output) == 2 && said(&output).contains("--output FOLDER"), "{}", said(&output));
    let output = bonafide(&["scan", "-f", "log", text(&file)]);
    assert!(code(&output) == 2 && said(&output).contains("--output FILE"), "{}", said(&output));
    let file_as_folder = bonafide(&["scan", "-f", "html,csv", "-o", text(&file), text(&file)]);
    assert!(said(&file_as_folder).contains("a folder is needed"), "{}", said(&file_as_folder));
}

#[test]
fn what_is_in_no_log_was_not_done() {
    let (folder, sounds, out) = folders();
    let logs = folder.path().join("logs");
    (0..2).for_each(|i| drop(voice(&sounds, &format!("{i}.wav"), 3.0, i)));
    let log = logs.join("scan.jsonl");
    let scan = || bonafide(&["scan", "-o", text(&out), "--log", text(&log), text(&sounds)]);
    let held = || bonafide(&["verify", text(&log)]);
    let nowhere = scan();
    assert!(code(&nowhere) == 2 && said(&nowhere).contains("the same command goes on"), "{}", said(&nowhere));
    fs::create_dir(&logs).unwrap();
    assert!(code(&scan()) < 2);
    assert!(said(&held()).contains("streams: 2,"), "{}", said(&held()));
    assert!(said(&scan()).contains("2 files were judged before"));
    fs::remove_file(&log).unwrap();
    assert!(code(&scan()) < 2);
    assert!(said(&held()).contains("streams: 2,"), "a log that is gone is written again: {}", said(&held()));
}

#[test]
fn what_could_not_be_read_is_tried_again() {
    let (_folder, sounds, out) = folders();
    voice(&sounds, "voice.wav", 3.0, 1);
    fs::write(sounds.join("noise.wav"), "no sound").unwrap();
    for before in ["with problems: 1", "1 files were judged before"] {
        let output = bonafide(&["scan", "-o", text(&out), text(&sounds)]);
        assert!(code(&output) == 2 && said(&output).contains(before), "{}", said(&output));
    }
}

/// Names in Latin-1, as in old archives: not to be told apart by what a terminal shows of them.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_utf_8_stay_two() {
    use std::os::unix::ffi::OsStrExt;
    let (_folder, sounds, out) = folders();
    for (i, name) in [&b"M\xfcller.wav"[..], b"M\xf6ller.wav"].into_iter().enumerate() {
        let made = voice(&sounds, "voice.wav", 3.0, i as u32);
        fs::rename(made, sounds.join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    let scan = || bonafide(&["scan", "-f", "html,json", "-o", text(&out), text(&sounds)]);
    assert!(code(&scan()) < 2);
    assert_eq!(fs::read_dir(out.join("files")).unwrap().count(), 2);
    let table = fs::read_to_string(out.join("scores.jsonl")).unwrap();
    assert!(table.contains(r"M\\xfcller.wav") && table.contains(r"M\\xf6ller.wav"), "{table}");
    assert!(said(&scan()).contains("2 files were judged before"));
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = voice(folder.path(), "voice.wav", 3.0, 1);
    let (page, link) = (folder.path().join("page.html"), folder.path().join("latest.html"));
    fs::write(&page, "old").unwrap();
    std::os::unix::fs::symlink(&page, &link).unwrap();
    assert_eq!(code(&bonafide(&["report", text(&file), "-o", text(&link)])), 0);
    assert!(link.is_symlink() && fs::read_to_string(&page).unwrap().contains("</html>"));
    let shown = bonafide(&["report", text(&file), "-o", "/dev/stdout"]);
    assert!(code(&shown) == 0 && said(&shown).contains("</html>"), "{}", said(&shown));
}

/// A limit on the size of files stops the second, longer page, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_a_scan_that_goes_on_later() {
    let (_folder, sounds, out) = folders();
    (0..3).for_each(|i| drop(voice(&sounds, &format!("{i}.wav"), 3.0, i)));
    let first = bonafide(&["scan", "-f", "csv,html", "-o", text(&out), text(&sounds)]);
    assert!(code(&first) < 2, "{}", said(&first));
    voice(&sounds, "long.wav", 30.0, 5);
    let limited = |kilobytes: &str| {
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        let mut shell = Command::new("bash");
        shell.args(["-c", script, "bash", kilobytes, env!("CARGO_BIN_EXE_bonafide")]);
        shell.args(["scan", "-f", "csv,html", "-o", text(&out), text(&sounds)]).output().unwrap()
    };
    let output = limited("16");
    assert_eq!(code(&output), 2, "{}", said(&output));
    assert!(
        said(&output).contains("can't be written") && said(&output).contains("what to do"),
        "{}",
        said(&output)
    );
    let leftovers = fs::read_dir(out.join("files"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".bonafide-"));
    assert_eq!(leftovers.count(), 0, "nothing half-written is left");
    assert_eq!(fs::read_dir(out.join("files")).unwrap().count(), 3, "what was done is kept");
    let again = limited("unlimited");
    assert!(said(&again).contains("3 files were judged before"), "{}", said(&again));
}

/// Shows a page in headless Chromium; what it complains of, such as a breach of the page's own policy.
fn complaints(page: &Path, picture: &Path) -> Option<String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    })?;
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--window-size=1100,900",
    ]);
    command.arg(format!("--screenshot={}", text(picture))).arg(format!("file://{}", text(page)));
    let output = command.output().unwrap();
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(lines.lines().filter(|line| line.contains("CONSOLE")).collect())
}

#[test]
fn pages_render_in_a_browser() {
    let (folder, sounds, out) = folders();
    voice(&sounds, "voice.wav", 6.0, 1);
    bonafide(&["scan", "-o", text(&out), text(&sounds)]);
    let page = fs::read_dir(out.join("files")).unwrap().next().unwrap().unwrap().path();
    for page in [&out.join("index.html"), &page] {
        let picture = folder.path().join("page.png");
        let Some(said) = complaints(page, &picture) else {
            println!("skipped: no Chromium is here to render the pages (Debian: apt install chromium)");
            return;
        };
        assert_eq!(said, "", "{}", page.display());
        assert!(fs::metadata(&picture).unwrap().len() > 10_000, "an empty picture");
    }
    // The check itself: a page that breaks its policy is complained of.
    let broken = folder.path().join("broken.html");
    let index = fs::read_to_string(out.join("index.html")).unwrap();
    fs::write(&broken, index.replace("</main>", "</main><script>document.title = 1</script>")).unwrap();
    assert!(
        complaints(&broken, &folder.path().join("page.png")).unwrap().contains("Content Security Policy")
    );
}

/// What three jobs judged, each for itself, is what one scan says.
#[test]
fn jobs_share_an_archive_and_a_scan_merges_them() {
    let (folder, sounds, out) = folders();
    let names: Vec<String> = (0..7).map(|i| format!("{i}.wav")).collect();
    names.iter().zip(1..).for_each(|(name, seed)| _ = voice(&sounds, name, 3.0, seed));
    let scan = |out: &Path, more: &[&str]| {
        let output = bonafide(&[&["scan", "-f", "csv,log", "-o", text(out), text(&sounds)], more].concat());
        assert!(code(&output) < 2, "{}", said(&output));
        said(&output)
    };
    let files = |said: &str| -> usize {
        let line = said.lines().find_map(|line| line.strip_prefix("files: ")).unwrap();
        line.split(',').next().unwrap().parse().unwrap()
    };
    let mut judged = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        judged.push(files(&scan(&out, &["--shard", shard])));
    }
    assert_eq!(judged.iter().sum::<usize>(), 7, "{judged:?}");
    assert!(!out.join("index.html").exists(), "one job doesn't know what the others found");
    let merged = scan(&out, &[]);
    assert!(merged.contains("7 files were judged before"), "{merged}");
    let alone = folder.path().join("alone");
    scan(&alone, &[]);
    for table in ["scores.csv", "index.html"] {
        let [merged, alone] = [&out, &alone].map(|out| fs::read_to_string(out.join(table)).unwrap());
        assert_eq!(merged, alone, "{table}");
    }
    for i in 1..=3 {
        let log = out.join(format!("scan-{i}-of-3.log.jsonl"));
        if judged[i - 1] > 0 {
            assert_eq!(code(&bonafide(&["verify", text(&log)])), 0);
        }
    }
    // Lines need no folder: their parts are put together by `cat`.
    let lines = |more: &[&str]| {
        let output = bonafide(&[&["scan", "--json", text(&sounds)], more].concat());
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut parts = [lines(&["--shard", "1/2"]), lines(&["--shard", "2/2"])].concat();
    let mut all = lines(&[]);
    parts.sort();
    all.sort();
    assert_eq!(parts, all);
    assert_eq!(code(&bonafide(&["scan", "--shard", "3/2", text(&sounds)])), 2);
}

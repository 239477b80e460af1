//! Files' names from streams'.

use crate::evidence::Hash;

/// Names of devices on Windows, whatever follows behind a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A file's name from a stream's: readable, safe on every system, and never that of another stream.
pub fn file_name(stream: &str) -> String {
    const LONGEST: usize = 48;
    let plain = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
    let device = DEVICES.contains(&stream)
        || stream.len() == 4 && (stream.starts_with("com") || stream.starts_with("lpt"));
    if (1..=LONGEST).contains(&stream.len()) && stream.chars().all(|c| plain(&c)) && !device {
        return format!("{stream}.jsonl");
    }
    let last = stream.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let readable: String = last.chars().map(|c| if plain(&c) { c } else { '_' }).take(LONGEST).collect();
    let hash = Hash::of(stream.as_bytes()).to_string();
    format!("{readable}-{}.jsonl", &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_safe_and_stay_apart() {
        assert_eq!(file_name("line-1"), "line-1.jsonl");
        let odd =
            ["Line-1", "a/line-1", "b/line-1", "..", "", "con", "lpt1", "a\u{1b}[2J\n", &"x".repeat(300)];
        let files: Vec<String> = odd.iter().map(|name| file_name(name)).collect();
        for (i, file) in files.iter().enumerate() {
            assert!(file.len() < 80 && !file.starts_with('.') && !files[..i].contains(file), "{file}");
            let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            assert!(file.chars().all(safe) && !file.starts_with("con."), "{file}");
        }
        assert!(files[1].starts_with("line-1-"), "{}", files[1]);
    }
}

//! Which of two classes is the machine.

use crate::model::{Label, ModelError};

/// Beginnings of words that mean a person; `BONAFIDE_WORDS` are whole words.
const BONAFIDE_STEMS: [&str; 7] = ["bonafid", "bona", "real", "human", "genuin", "authent", "natural"];
const BONAFIDE_WORDS: [&str; 2] = ["original", "person"];
/// The same for a machine.
const SPOOF_STEMS: [&str; 9] =
    ["spoof", "fake", "deepfak", "synth", "generat", "artific", "clone", "cloning", "machine"];
const SPOOF_WORDS: [&str; 6] = ["ai", "deep", "tts", "vc", "forged", "manipulated"];

/// The meaning of two class names in any case: real, bona-fide, human, genuine, authentic … against
/// fake, spoof, deepfake, synthetic, AI-generated ….
///
/// # Errors
/// Names that don't say it, or that both say the same.
pub fn tell_apart(origin: &str, names: &[String; 2]) -> Result<[Label; 2], ModelError> {
    if let [Some(first), Some(second)] = [meaning(&names[0]), meaning(&names[1])]
        && first != second
    {
        return Ok([first, second]);
    }
    let problem = format!("the classes {:?} and {:?} don't say which one is the machine", names[0], names[1]);
    let cure = "say it in their order: `--labels bonafide,spoof` or `--labels spoof,bonafide`";
    Err(ModelError::new(origin, problem, cure))
}

/// What a name says; nothing, if it says both, neither, or a "not".
fn meaning(name: &str) -> Option<Label> {
    let words = words(name);
    if words.iter().any(|word| ["not", "non", "no", "un"].contains(&word.as_str())) {
        return None;
    }
    let says = |stems: &[&str], whole: &[&str]| {
        words
            .iter()
            .any(|word| whole.contains(&word.as_str()) || stems.iter().any(|stem| word.starts_with(stem)))
    };
    let bonafide = says(&BONAFIDE_STEMS, &BONAFIDE_WORDS);
    let spoof = says(&SPOOF_STEMS, &SPOOF_WORDS);
    match (bonafide, spoof) {
        (true, false) => Some(Label::Bonafide),
        (false, true) => Some(Label::Spoof),
        _ => None,
    }
}

/// Lower-case words of `AIGenerated`, `ai_generated`, `AI-generated 1`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase() || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if begins || !c.is_alphabetic() {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `bonafide,spoof` or `spoof,bonafide`, in any of the words above.
///
/// # Errors
/// Anything else, in one sentence.
pub fn parse_labels(text: &str) -> Result<[Label; 2], String> {
    let meanings: Vec<_> = text.split(',').map(meaning).collect();
    match meanings[..] {
        [Some(first), Some(second)] if first != second => Ok([first, second]),
        _ => Err("expected bonafide,spoof or spoof,bonafide".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Bonafide, Spoof};

    fn told(first: &str, second: &str) -> Option<[Label; 2]> {
        tell_apart("config.json", &[first.to_owned(), second.to_owned()]).ok()
    }

    #[test]
    fn class_names_in_use_are_understood() {
        for (bonafide, spoof) in [
            ("real", "fake"),
            ("REAL", "FAKE"),
            ("bonafide", "spoof"),
            ("bona-fide", "spoofed"),
            ("Bona Fide", "Deep Fake"),
            ("human", "ai"),
            ("HumanVoice", "AIVoice"),
            ("genuine_speech", "synthetic_speech"),
            ("authentic", "AI-generated"),
            ("real audio", "deepfake audio"),
            ("natural", "synthesized"),
            ("0_real", "1_fake"),
            ("original", "generated"),
        ] {
            assert_eq!(told(bonafide, spoof), Some([Bonafide, Spoof]), "{bonafide}, {spoof}");
            assert_eq!(told(spoof, bonafide), Some([Spoof, Bonafide]), "{spoof}, {bonafide}");
        }
    }

    #[test]
    fn what_can_not_be_told_apart_is_not_guessed() {
        for (first, second) in [
            ("LABEL_0", "LABEL_1"),
            ("real", "real"),
            ("fake", "spoof"),
            ("real", "LABEL_1"),
            ("not fake", "fake"),
            ("real or fake", "fake"),
            ("fair", "main"),
            ("", ""),
            ("cat", "dog"),
        ] {
            assert_eq!(told(first, second), None, "{first}, {second}");
        }
        let error = tell_apart("config.json", &["LABEL_0".into(), "LABEL_1".into()]).unwrap_err();
        assert!(error.to_string().contains("--labels bonafide,spoof"), "{error}");
    }

    #[test]
    fn the_option_takes_both_orders() {
        assert_eq!(parse_labels("bonafide,spoof"), Ok([Bonafide, Spoof]));
        assert_eq!(parse_labels("Fake, Real"), Ok([Spoof, Bonafide]));
        for wrong in ["", "spoof", "spoof,spoof", "bonafide,spoof,spoof", "a,b"] {
            assert!(parse_labels(wrong).is_err(), "{wrong}");
        }
    }
}

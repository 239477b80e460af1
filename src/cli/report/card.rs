//! The model card in short, from the card itself.

use crate::model::Model;

const CARD: &str = include_str!("../../../models/README.md");

/// What the default model is for, by its card: a paragraph.
pub fn purpose() -> Option<String> {
    let paragraph = section("Use")?.split("\n\n").map(str::trim).find(|text| !text.is_empty())?;
    Some(paragraph.replace('\n', " ").replace("**", ""))
}

/// The default model's figures, by its card, as they were printed.
pub fn figures() -> Option<&'static str> {
    let (_, rest) = section("Figures")?.split_once("```\n")?;
    rest.split_once("\n```").map(|(figures, _)| figures)
}

fn section(name: &str) -> Option<&'static str> {
    let (_, rest) = CARD.split_once(&format!("\n## {name}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

/// What a manifest says of its model, as names and values.
pub fn facts(model: &Model) -> Vec<(&'static str, String)> {
    let manifest = &model.manifest;
    let (front_end, info) = (&manifest.front_end, &manifest.model);
    let window_s = manifest.window.frames as f64 / front_end.frame_rate();
    let rate = f64::from(front_end.sample_rate) / 1000.0;
    let n_bands: usize = front_end.banks().map(|bank| bank.n_mels).sum();
    vec![
        ("What it is", info.description.clone()),
        (
            "What it hears",
            format!(
                "windows of {window_s:.2} s, {n_bands} bands up to {:.1} kHz, at {rate} kHz",
                front_end.f_max / 1000.0
            ),
        ),
        ("Evidence for a verdict", format!("at least {} s of speech", manifest.evidence.min_speech_s)),
        ("Licence", info.licence.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_has_what_a_report_quotes() {
        assert!(purpose().is_some_and(|text| text.len() > 100), "models/README.md: a paragraph under ## Use");
        assert!(
            figures().is_some_and(|text| text.contains("equal error rate")),
            "models/README.md: ## Figures"
        );
    }
}

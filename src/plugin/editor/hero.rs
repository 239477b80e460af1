//! The large display: the verdict in a word and a number, and the alert lamp, to be read from
//! across the room.

use egui::{Color32, CornerRadius, Painter, Rect, Stroke, StrokeKind, pos2, vec2};

use super::theme::{self, Sign};
use super::verdict::{Verdict, Zones};
use super::words;
use crate::plugin::monitor::Status;
use crate::rt::{Alert, Reading, State};

/// What the display says.
#[derive(Clone, Debug, PartialEq)]
pub enum Face {
    /// A verdict and its probability of spoof.
    Verdict(Verdict, f32),
    /// Why there is none: a sign, a headline, and what it means.
    Nothing(Sign, &'static str, String),
}

impl Face {
    /// What is to be said of `reading`.
    pub fn of(reading: Reading, zones: Zones, paused: bool, status: &Status) -> Self {
        if paused {
            return Self::Nothing(Sign::Pause, "PAUSED", "Sound passes, nothing is judged".to_owned());
        }
        if reading.state == State::Scored && reading.llr.is_finite() {
            let p = words::probability(reading.llr);
            return Self::Verdict(zones.verdict(p), p);
        }
        if reading.state == State::WarmingUp && status.engine.is_empty() && status.error.is_none() {
            return Self::Nothing(Sign::Nothing, "LOADING", "The model is being opened".to_owned());
        }
        let (title, detail) = words::absence(reading.state);
        let sign = match reading.state {
            State::Error | State::Overloaded => Sign::Warning,
            _ => Sign::Nothing,
        };
        if reading.state == State::Stale && reading.llr.is_finite() {
            let last = words::percent(words::probability(reading.llr));
            return Self::Nothing(sign, title, format!("{detail}; the last was {last}"));
        }
        Self::Nothing(sign, title, detail.to_owned())
    }

    fn sign(&self) -> (Sign, Color32) {
        match self {
            Self::Verdict(verdict, _) => {
                let sign = match verdict {
                    Verdict::BonaFide => Sign::Tick,
                    Verdict::Uncertain => Sign::Doubt,
                    Verdict::Spoof => Sign::Warning,
                };
                (sign, verdict.colour())
            }
            Self::Nothing(Sign::Warning, ..) => (Sign::Warning, theme::TEXT),
            Self::Nothing(sign, ..) => (*sign, theme::TEXT_DIM),
        }
    }
}

/// Draws the display with the reading's name `source` as its title.
pub fn show(painter: &Painter, rect: Rect, face: &Face, source: &str, alert: Alert) {
    let inner = theme::card(painter, rect);
    if alert.active {
        let radius = CornerRadius::same(theme::CARD_RADIUS);
        painter.rect_filled(rect, radius, theme::faded(theme::SPOOF, 0.10));
        painter.rect_stroke(rect, radius, Stroke::new(2.0, theme::SPOOF), StrokeKind::Inside);
    }
    let title = theme::title(painter, source);
    let title_height = title.size().y;
    painter.galley(inner.min, title, theme::TEXT_DIM);

    let lamp_height = (0.155 * rect.height()).clamp(24.0, 96.0);
    let lamp_rect = Rect::from_min_max(pos2(inner.left(), inner.bottom() - lamp_height), inner.max);
    let top = inner.top() + title_height + 2.0;
    let middle = Rect::from_min_max(pos2(inner.left(), top), pos2(inner.right(), lamp_rect.top() - 6.0));
    word_and_number(painter, middle, face);
    let has_cause = matches!(face, Face::Verdict(Verdict::Spoof, _));
    lamp(painter, lamp_rect, alert, has_cause);
}

fn word_and_number(painter: &Painter, rect: Rect, face: &Face) {
    let (sign, colour) = face.sign();
    let word_size = (0.30 * rect.height()).min(0.17 * rect.width());
    let word = match face {
        Face::Verdict(verdict, _) => verdict.word(),
        Face::Nothing(_, title, _) => title,
    };
    let sign_size = 0.92 * word_size;
    let text_left = rect.left() + sign_size + 0.36 * word_size;
    let galley = theme::fitted(painter, word, word_size, rect.right() - text_left - 4.0, colour);
    let (number, detail) = match face {
        Face::Verdict(_, p) => (Some(words::percent_parts(*p)), "probability of spoof"),
        Face::Nothing(_, _, detail) => (None, detail.as_str()),
    };
    let detail_size = (0.085 * rect.height()).clamp(11.0, 34.0);
    let wrapped = painter.layout(detail.to_owned(), theme::font(detail_size), theme::TEXT_DIM, rect.width());
    let number_size = if number.is_some() { (0.56 * rect.height()).min(0.40 * rect.width()) } else { 0.0 };
    // The font's line is higher than its digits: what is visible of a number is less.
    let number_height = 0.92 * number_size;
    let gap = if number.is_some() { 0.0 } else { 10.0 };
    let total = galley.size().y + gap + number_height + wrapped.size().y;
    let mut y = rect.top() + (0.5 * (rect.height() - total)).max(0.0);

    let line = y + 0.5 * galley.size().y;
    theme::sign(painter, sign, pos2(rect.left() + 0.54 * sign_size, line), sign_size, colour, theme::CARD);
    y += galley.size().y + gap;
    theme::bold(painter, theme::middle_left(&galley, pos2(text_left, line)), &galley, colour);
    if let Some((relation, whole)) = number {
        let text = format!("{relation}{whole}");
        let digits = theme::fitted(painter, &text, number_size, 0.74 * rect.width(), theme::TEXT);
        let unit = theme::line(painter, "%", 0.42 * digits.size().y, theme::TEXT_DIM);
        let centre = y + 0.5 * number_height;
        let pos = theme::middle_left(&digits, pos2(rect.left() - 0.04 * number_size, centre));
        let baseline = pos.y + 0.79 * digits.size().y;
        let unit_x = pos.x + digits.size().x + 0.05 * number_size;
        theme::bold(painter, pos, &digits, theme::TEXT);
        painter.galley(pos2(unit_x, baseline - 0.79 * unit.size().y), unit, theme::TEXT_DIM);
    }
    y += number_height;
    painter.galley(pos2(rect.left(), y), wrapped, theme::TEXT_DIM);
}

/// The alert lamp: bright while an alert is on, an empty frame when one was, dark otherwise. An alert
/// outlasts its cause, and says so: it may stand beside "bona fide".
fn lamp(painter: &Painter, rect: Rect, alert: Alert, has_cause: bool) {
    let radius = CornerRadius::same(theme::RADIUS);
    let (text, colour, ground) = match alert {
        Alert { active: true, .. } => {
            painter.rect_filled(rect, radius, theme::SPOOF);
            (if has_cause { "ALERT" } else { "ALERT, HELD" }, theme::BACKGROUND, theme::SPOOF)
        }
        Alert { latched: true, .. } => {
            let inside = rect.shrink(1.0);
            theme::hatch(painter, inside, 9.0, Stroke::new(2.0, theme::faded(theme::SPOOF, 0.16)));
            painter.rect_stroke(rect, radius, Stroke::new(2.0, theme::SPOOF), StrokeKind::Inside);
            ("THERE WAS AN ALERT", theme::SPOOF, theme::CARD)
        }
        Alert { .. } => {
            painter.rect(rect, radius, theme::WELL, Stroke::new(1.0, theme::EDGE), StrokeKind::Inside);
            ("NO ALERT", theme::TEXT_FAINT, theme::WELL)
        }
    };
    let size = (0.46 * rect.height()).clamp(11.0, 44.0);
    let size = if alert.active { 1.15 * size } else { size };
    let mut galley = theme::caption(painter, text, size, colour);
    let lit = alert.active || alert.latched;
    let room = rect.width() - if lit { 2.2 * size + 16.0 } else { 16.0 };
    if galley.size().x > room {
        galley = theme::caption(painter, text, size * room / galley.size().x, colour);
    }
    let lead = if lit { 1.5 * size } else { 0.0 };
    let left = rect.center().x - 0.5 * (galley.size().x + lead);
    if lit {
        theme::sign(painter, Sign::Warning, pos2(left + 0.5 * size, rect.center().y), size, colour, ground);
    }
    let pos = theme::middle_left(&galley, pos2(left + lead, rect.center().y));
    if alert.active {
        theme::bold(painter, pos, &galley, colour);
    } else {
        painter.galley(pos + vec2(0.0, 0.5), galley, colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_a_number_without_a_score() {
        let zones = Zones::of_threshold(0.5);
        let status = Status { engine: "tract".to_owned(), ..Status::default() };
        for state in State::ALL {
            for llr in [f32::NAN, 1.0] {
                let face = Face::of(Reading { state, llr }, zones, false, &status);
                let scored = state == State::Scored && llr.is_finite();
                assert_eq!(matches!(face, Face::Verdict(..)), scored, "{state:?} {llr}");
            }
        }
        let paused = Face::of(Reading { state: State::Scored, llr: 1.0 }, zones, true, &status);
        assert!(matches!(paused, Face::Nothing(_, "PAUSED", _)));
    }

    #[test]
    fn what_is_awaited_is_said() {
        let zones = Zones::of_threshold(0.5);
        let title = |status: &Status| match Face::of(Reading::default(), zones, false, status) {
            Face::Nothing(_, title, _) => title,
            Face::Verdict(..) => "",
        };
        assert_eq!(title(&Status::default()), "LOADING");
        assert_eq!(title(&Status { engine: "tract".to_owned(), ..Status::default() }), "WARMING UP");
    }
}

//! Where everything is: two columns of cards between a header and a footer.

use egui::{Rect, pos2, vec2};

use super::settings;

/// The window's width from which the settings stand beside the cards, not over them.
const DOCKED_FROM: f32 = 1100.0;

/// A rectangle for each part.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Name and buttons.
    pub header: Rect,
    /// The large display.
    pub hero: Rect,
    /// The bars.
    pub meter: Rect,
    /// What the model sees.
    pub spectrogram: Rect,
    /// The history.
    pub timeline: Rect,
    /// One for each notice.
    pub notices: Vec<Rect>,
    /// Engine, model, counts.
    pub footer: Rect,
    /// The settings, if open.
    pub settings: Rect,
}

/// Between cards, and around them.
fn gap(window: Rect) -> f32 {
    (0.014 * window.width()).clamp(8.0, 16.0)
}

impl Layout {
    /// How wide notices are in `window`.
    pub fn notice_width(window: Rect) -> f32 {
        window.width() - 2.0 * gap(window)
    }

    /// The parts' places in `window`, with small things enlarged by `scale` and notices of these
    /// heights.
    pub fn of(window: Rect, scale: f32, settings_open: bool, notice_heights: &[f32]) -> Self {
        let gap = gap(window);
        let inner = window.shrink2(vec2(gap, 0.0));
        let header_height = scale * (0.075 * window.height()).clamp(40.0, 56.0);
        let (header, rest) = inner.split_top_bottom_at_y(inner.top() + header_height);
        let (mut rest, footer) = rest.split_top_bottom_at_y(rest.bottom() - 30.0 * scale);
        let mut notices = Vec::with_capacity(notice_heights.len());
        for height in notice_heights.iter().rev() {
            let (above, notice) = rest.split_top_bottom_at_y(rest.bottom() - height);
            notices.push(notice);
            rest = above.with_max_y(above.bottom() - 0.75 * gap);
        }
        notices.reverse();
        let settings = rest.with_min_x(rest.right() - settings::WIDTH);
        if settings_open && window.width() >= DOCKED_FROM {
            rest.max.x = settings.left() - gap;
        }
        let column = (0.345 * rest.width()).clamp(200.0, 980.0);
        let row = (0.5 * rest.height() - 0.5 * gap).max(0.0);
        let split = pos2(rest.left() + column, rest.top() + row);
        Self {
            header,
            hero: Rect::from_min_max(rest.min, split),
            meter: Rect::from_min_max(pos2(split.x + gap, rest.top()), pos2(rest.right(), split.y)),
            spectrogram: Rect::from_min_max(pos2(rest.left(), split.y + gap), pos2(split.x, rest.bottom())),
            timeline: Rect::from_min_max(split + vec2(gap, gap), rest.max),
            notices,
            footer,
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use egui::Pos2;

    use super::*;

    #[test]
    fn parts_fill_the_window_and_do_not_overlap() {
        for (width, height) in [(640.0, 400.0), (960.0, 600.0), (1600.0, 900.0), (3840.0, 2160.0)] {
            for open in [false, true] {
                let window = Rect::from_min_size(Pos2::ZERO, vec2(width, height));
                let layout = Layout::of(window, 1.0, open, &[30.0, 46.0]);
                let mut parts = vec![layout.header, layout.hero, layout.meter, layout.spectrogram];
                parts.extend([layout.timeline, layout.footer]);
                parts.extend(&layout.notices);
                if open && width >= DOCKED_FROM {
                    parts.push(layout.settings);
                }
                for (i, part) in parts.iter().enumerate() {
                    assert!(window.contains_rect(*part) && part.is_positive(), "{width}: {i} {part:?}");
                    for other in &parts[i + 1..] {
                        let shared = part.intersect(*other);
                        assert!(!shared.is_positive(), "{width}: {part:?} and {other:?}");
                    }
                }
                assert_eq!(layout.notices.iter().map(Rect::height).collect::<Vec<_>>(), [30.0, 46.0]);
                assert!((layout.notices[0].width() - Layout::notice_width(window)).abs() < 0.01);
            }
        }
    }
}

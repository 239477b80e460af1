//! Colours, type and the few shapes that everything is made of.
//!
//! Blue and orange instead of green and red, so that colour-blind eyes tell them apart; wherever a
//! colour means something, a word, a shape or a pattern says it too.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat};
use egui::{
    Color32, Context, CornerRadius, FontId, Galley, Margin, Painter, Pos2, Rect, Shape, Stroke, StrokeKind,
    Vec2, pos2, vec2,
};

/// Behind everything.
pub const BACKGROUND: Color32 = Color32::from_rgb(12, 14, 19);
/// A card's surface.
pub const CARD: Color32 = Color32::from_rgb(20, 24, 31);
/// A card's edge, and lines on cards.
pub const EDGE: Color32 = Color32::from_rgb(38, 44, 55);
/// What is sunk into a card: plots, bars, fields.
pub const WELL: Color32 = Color32::from_rgb(10, 12, 16);
/// What can be pressed.
pub const RAISED: Color32 = Color32::from_rgb(33, 39, 49);
/// The same, under the pointer.
pub const RAISED_HOVER: Color32 = Color32::from_rgb(46, 54, 67);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(234, 238, 244);
/// Labels and explanations; 7:1 on a card.
pub const TEXT_DIM: Color32 = Color32::from_rgb(160, 170, 185);
/// Axes and idle things; 5:1 on a card.
pub const TEXT_FAINT: Color32 = Color32::from_rgb(132, 142, 157);
/// A person.
pub const BONA_FIDE: Color32 = Color32::from_rgb(92, 174, 248);
/// Neither.
pub const UNCERTAIN: Color32 = Color32::from_rgb(218, 208, 184);
/// A machine.
pub const SPOOF: Color32 = Color32::from_rgb(255, 146, 62);
/// Handles and selected controls: of no verdict's colour.
pub const CONTROL: Color32 = Color32::from_rgb(150, 164, 188);

/// Corner radius of cards.
pub const CARD_RADIUS: u8 = 10;
/// Corner radius of controls.
pub const RADIUS: u8 = 6;

/// A colour made more transparent.
pub fn faded(colour: Color32, opacity: f32) -> Color32 {
    colour.gamma_multiply(opacity)
}

/// Sets egui's own widgets (text field, tooltips, scroll bars) to match.
pub fn install(ctx: &Context) {
    ctx.set_theme(egui::Theme::Dark);
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = vec2(8.0, 8.0);
        style.spacing.scroll.floating = true;
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.4;
        let visuals = &mut style.visuals;
        visuals.override_text_color = Some(TEXT);
        visuals.panel_fill = BACKGROUND;
        visuals.window_fill = CARD;
        visuals.window_stroke = Stroke::new(1.0, EDGE);
        visuals.extreme_bg_color = WELL;
        visuals.selection.bg_fill = Color32::from_rgb(52, 70, 98);
        visuals.selection.stroke = Stroke::new(1.5, TEXT);
        visuals.menu_corner_radius = CornerRadius::same(RADIUS);
        let widgets = &mut visuals.widgets;
        for widget in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active, &mut widgets.open] {
            widget.corner_radius = CornerRadius::same(RADIUS);
            widget.bg_stroke = Stroke::new(1.0, EDGE);
            widget.expansion = 0.0;
        }
        widgets.noninteractive.bg_stroke = Stroke::new(1.0, EDGE);
        style.spacing.menu_margin = Margin::same(10);
    });
}

/// A card; its content goes into the rectangle that comes back.
pub fn card(painter: &Painter, rect: Rect) -> Rect {
    painter.rect(rect, CornerRadius::same(CARD_RADIUS), CARD, Stroke::new(1.0, EDGE), StrokeKind::Inside);
    let padding = (0.045 * rect.height()).clamp(9.0, 18.0);
    rect.shrink2(vec2(padding + 4.0, padding))
}

/// Draws the ground of a plot.
pub fn plot(painter: &Painter, rect: Rect) {
    painter.rect(rect, CornerRadius::same(4), WELL, Stroke::new(1.0, EDGE), StrokeKind::Outside);
}

/// The font; egui can't bear sizes below zero, which parts of a tiny window may come to.
pub fn font(size: f32) -> FontId {
    FontId::proportional(size.max(1.0))
}

/// Text in one line.
pub fn line(painter: &Painter, text: &str, size: f32, colour: Color32) -> Arc<Galley> {
    painter.layout_no_wrap(text.to_owned(), font(size), colour)
}

/// How much larger than usual what is small is in a large window.
pub fn scale(ctx: &Context) -> f32 {
    let size = ctx.content_rect().size();
    (size.x / 1280.0).min(size.y / 800.0).clamp(1.0, 1.8)
}

/// A card's title.
pub fn title(painter: &Painter, text: &str) -> Arc<Galley> {
    caption(painter, text, 11.5 * scale(painter.ctx()), TEXT_DIM)
}

/// What stands along an axis.
pub fn axis(painter: &Painter, text: &str) -> Arc<Galley> {
    line(painter, text, 10.5 * scale(painter.ctx()), TEXT_FAINT)
}

/// A short text of its own.
pub fn label(painter: &Painter, text: &str, colour: Color32) -> Arc<Galley> {
    line(painter, text, 12.0 * scale(painter.ctx()), colour)
}

/// Capitals, spaced.
pub fn caption(painter: &Painter, text: &str, size: f32, colour: Color32) -> Arc<Galley> {
    let format = TextFormat { extra_letter_spacing: 0.09 * size, ..TextFormat::simple(font(size), colour) };
    painter.layout_job(LayoutJob::single_section(text.to_owned(), format))
}

/// The largest line of at most `size` that is no wider than `width`.
pub fn fitted(painter: &Painter, text: &str, size: f32, width: f32, colour: Color32) -> Arc<Galley> {
    let galley = line(painter, text, size, colour);
    if galley.size().x <= width {
        return galley;
    }
    let smaller = (size * width / galley.size().x.max(1.0)).floor().max(8.0);
    line(painter, text, smaller, colour)
}

/// Draws a large text bold. The only proportional font is a light one, too thin to be read from
/// across a room; drawn again a little to the right, its stems get thicker.
pub fn bold(painter: &Painter, pos: Pos2, galley: &Arc<Galley>, colour: Color32) {
    let pixel = 1.0 / painter.pixels_per_point();
    let passes = (0.03 * galley.size().y / pixel).round().max(1.0) as usize;
    for pass in 0..=passes {
        painter.galley(pos + vec2(pass as f32 * pixel, 0.0), Arc::clone(galley), colour);
    }
}

/// Slanted lines all over `rect`, on one grid for the whole window, so that neighbours join.
pub fn hatch(painter: &Painter, rect: Rect, spacing: f32, stroke: Stroke) {
    if !rect.is_positive() {
        return;
    }
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let mut sum = ((rect.left() + rect.top()) / spacing).floor() * spacing;
    while sum < rect.right() + rect.bottom() {
        let from = pos2(sum - rect.bottom(), rect.bottom());
        let to = pos2(sum - rect.top(), rect.top());
        painter.line_segment([from, to], stroke);
        sum += spacing;
    }
}

/// A dashed line.
pub fn dashed(painter: &Painter, from: Pos2, to: Pos2, stroke: Stroke) {
    painter.extend(Shape::dashed_line(&[from, to], stroke, 5.0, 4.0));
}

/// A ring around what has the keyboard.
pub fn focus_ring(painter: &Painter, rect: Rect) {
    let radius = CornerRadius::same(RADIUS + 2);
    painter.rect_stroke(rect.expand(2.0), radius, Stroke::new(1.5, TEXT), StrokeKind::Outside);
}

/// `galley`'s place with its middle left at `pos`.
pub fn middle_left(galley: &Galley, pos: Pos2) -> Pos2 {
    pos - vec2(0.0, 0.5 * galley.size().y)
}

/// `galley`'s place with its middle right at `pos`.
pub fn middle_right(galley: &Galley, pos: Pos2) -> Pos2 {
    pos - vec2(galley.size().x, 0.5 * galley.size().y)
}

/// `galley`'s place with its middle at `pos`.
pub fn middle(galley: &Galley, pos: Pos2) -> Pos2 {
    pos - 0.5 * galley.size()
}

/// A sign of the verdict's or state's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A disc with a tick.
    Tick,
    /// A ring with a question mark's dot and bar.
    Doubt,
    /// A triangle with an exclamation mark.
    Warning,
    /// Two bars.
    Pause,
    /// An empty, dashed ring.
    Nothing,
}

/// Draws a sign of `size` (its diameter) around `centre`.
pub fn sign(painter: &Painter, sign: Sign, centre: Pos2, size: f32, colour: Color32, ground: Color32) {
    // Dashes of no length would never come to the end of their line.
    if size < 2.0 {
        return;
    }
    let r = 0.5 * size;
    let at = |x: f32, y: f32| centre + r * Vec2::new(x, y);
    let stroke = Stroke::new(0.2 * r, ground);
    match sign {
        Sign::Tick => {
            painter.circle_filled(centre, r, colour);
            painter.line(vec![at(-0.42, 0.04), at(-0.1, 0.36), at(0.46, -0.32)], stroke);
        }
        Sign::Doubt => {
            painter.circle_stroke(centre, 0.9 * r, Stroke::new(0.2 * r, colour));
            painter.line_segment([at(-0.36, 0.0), at(0.36, 0.0)], Stroke::new(0.2 * r, colour));
        }
        Sign::Warning => {
            let corners = vec![at(0.0, -0.95), at(1.05, 0.85), at(-1.05, 0.85)];
            painter.add(Shape::convex_polygon(corners, colour, Stroke::new(0.12 * r, colour)));
            painter.line_segment([at(0.0, -0.38), at(0.0, 0.28)], stroke);
            painter.circle_filled(at(0.0, 0.58), 0.12 * r, ground);
        }
        Sign::Pause => {
            for x in [-0.38, 0.38] {
                let bar = Rect::from_center_size(at(x, 0.0), r * vec2(0.36, 1.5));
                painter.rect_filled(bar, 0.08 * r, colour);
            }
        }
        Sign::Nothing => {
            let ring: Vec<_> = (0..=48)
                .map(|i| centre + 0.9 * r * Vec2::angled(i as f32 / 48.0 * std::f32::consts::TAU))
                .collect();
            painter.extend(Shape::dashed_line(&ring, Stroke::new(0.14 * r, colour), 0.3 * r, 0.26 * r));
        }
    }
}

//! Three bars, as on a loudness meter, and the threshold across them.

use egui::{
    Color32, CornerRadius, CursorIcon, Mesh, Painter, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use nice_plug::prelude::{FloatParam, Param, ParamSetter};

use super::columns::score;
use super::verdict::Zones;
use super::{theme, widgets, words};
use crate::rt::{Reading, Scores, State};

/// Which reading the large display shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The last window.
    Momentary,
    /// The last 10 s, which alerts go by.
    #[default]
    ShortTerm,
    /// Since reset.
    Integrated,
}

impl Source {
    /// All of them, quickest first.
    pub const ALL: [Self; 3] = [Self::Momentary, Self::ShortTerm, Self::Integrated];

    /// Its name and the stretch of sound that it is about.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Momentary => ("Momentary", "last 2 s"),
            Self::ShortTerm => ("Short-term", "last 10 s"),
            Self::Integrated => ("Integrated", "since reset"),
        }
    }

    /// The reading of that name.
    pub fn reading(self, scores: &Scores) -> Reading {
        match self {
            Self::Momentary => scores.momentary,
            Self::ShortTerm => scores.short_term,
            Self::Integrated => scores.integrated,
        }
    }
}

/// What the meter shows.
pub struct Meter<'a> {
    /// The readings.
    pub scores: &'a Scores,
    /// Where verdicts change.
    pub zones: Zones,
    /// Nothing is judged.
    pub paused: bool,
}

impl Meter<'_> {
    /// Draws the meter; a press on a bar makes it the large display's source, the threshold can be
    /// dragged.
    pub fn show(
        &self,
        ui: &Ui,
        rect: Rect,
        source: &mut Source,
        threshold: &FloatParam,
        setter: &ParamSetter,
    ) {
        let inner = theme::card(ui.painter(), rect);
        let painter = ui.painter();
        let title = theme::title(painter, "PROBABILITY OF SPOOF");
        let title_width = title.size().x;
        let top = inner.top() + title.size().y + 0.03 * rect.height();

        let scale_height = (0.085 * rect.height()).clamp(16.0, 44.0);
        let label_width = (0.17 * inner.width()).clamp(72.0, 260.0);
        let value_width = (0.15 * inner.width()).clamp(62.0, 230.0);
        let bars = Rect::from_min_max(
            pos2(inner.left() + label_width, top),
            pos2(inner.right() - value_width, inner.bottom() - scale_height),
        );
        let row_height = bars.height() / 3.0;
        for (i, row_source) in Source::ALL.into_iter().enumerate() {
            let y = bars.top() + i as f32 * row_height;
            let row =
                Rect::from_min_max(pos2(inner.left() - 8.0, y), pos2(inner.right() + 8.0, y + row_height));
            let row = row.shrink2(vec2(0.0, 2.0));
            let bar =
                Rect::from_x_y_ranges(bars.x_range(), row.y_range()).shrink2(vec2(0.0, 0.2 * row_height));
            if self.row(ui, row, bar, row_source, *source == row_source) {
                *source = row_source;
            }
        }
        self.scale(painter, Rect::from_min_max(bars.left_bottom(), pos2(bars.right(), inner.bottom())));
        let lane = Rect::from_min_max(pos2(bars.left(), inner.top()), bars.max);
        let handle = self.threshold(ui, lane, threshold, setter);
        // The title makes room for the handle; what the bars are, the scale says too.
        let (left, right) = (inner.left(), inner.right() - title_width);
        if handle.left() > left + title_width + 10.0 {
            painter.galley(pos2(left, inner.top()), title, theme::TEXT_DIM);
        } else if handle.right() < right - 10.0 {
            painter.galley(pos2(right, inner.top()), title, theme::TEXT_DIM);
        }
    }

    /// One bar with its name and value; says whether it was pressed.
    fn row(&self, ui: &Ui, row: Rect, bar: Rect, source: Source, chosen: bool) -> bool {
        let (name, stretch) = source.name();
        let id = ui.scope_id().with(name);
        let response = ui.interact(row, id, Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, name));
        let response = response.on_hover_text("Shows this reading large");
        let painter = ui.painter();
        if chosen || response.hovered() {
            let fill = theme::faded(theme::RAISED, if chosen { 0.75 } else { 0.4 });
            painter.rect_filled(row, CornerRadius::same(theme::RADIUS), fill);
        }
        if response.has_focus() {
            theme::focus_ring(painter, row.shrink(2.0));
        }
        let size = (0.26 * row.height()).clamp(12.0, 34.0);
        let left = row.left() + 8.0;
        let colour = if chosen { theme::TEXT } else { theme::TEXT_DIM };
        let title = theme::fitted(painter, name, size, bar.left() - left - 6.0, colour);
        let about = theme::fitted(painter, stretch, 0.82 * size, bar.left() - left - 6.0, theme::TEXT_FAINT);
        let top = row.center().y - 0.5 * (title.size().y + about.size().y);
        let about_top = top + title.size().y;
        painter.galley(pos2(left, top), title, colour);
        painter.galley(pos2(left, about_top), about, theme::TEXT_FAINT);

        let reading = source.reading(self.scores);
        let right = pos2(row.right() - 8.0, row.center().y);
        let p = score(reading).filter(|_| !self.paused).map(words::probability);
        match p {
            Some(p) => {
                let shown = ui.ctx().animate_value_with_time(id.with("p"), p, 0.18);
                self.bar(painter, bar, shown);
                let room = row.right() - 8.0 - bar.right() - 8.0;
                let text = words::percent(p);
                let galley = theme::fitted(painter, &text, 1.9 * size, room, theme::TEXT);
                painter.galley(theme::middle_right(&galley, right), galley, theme::TEXT);
            }
            None => {
                let reason = if self.paused { "paused" } else { words::state(reading.state) };
                empty_bar(painter, bar, reason);
                let stale = reading.state == State::Stale && reading.llr.is_finite() && !self.paused;
                let text =
                    if stale { words::percent(words::probability(reading.llr)) } else { "–".to_owned() };
                let galley = theme::line(painter, &text, 1.4 * size, theme::TEXT_FAINT);
                painter.galley(theme::middle_right(&galley, right), galley, theme::TEXT_FAINT);
            }
        }
        response.clicked()
    }

    fn bar(&self, painter: &Painter, bar: Rect, p: f32) {
        let radius = CornerRadius::same(4);
        painter.rect(bar, radius, theme::WELL, Stroke::new(1.0, theme::EDGE), StrokeKind::Inside);
        let well = bar.shrink(2.0);
        let x = egui::lerp(well.x_range(), p);
        zones_mesh(painter, well, well.right(), self.zones, 0.10);
        zones_mesh(painter, well, x, self.zones, 0.85);
        let spoof_x = egui::lerp(well.x_range(), self.zones.spoof);
        if x > spoof_x {
            // Stripes, so that orange isn't told by its colour alone.
            let striped = Rect::from_min_max(pos2(spoof_x, well.top()), pos2(x, well.bottom()));
            theme::hatch(painter, striped, 8.0, Stroke::new(2.0, theme::faded(theme::BACKGROUND, 0.35)));
        }
        let cap_x = (x - 3.0).max(well.left());
        let cap = Rect::from_x_y_ranges(cap_x..=cap_x + 3.0, well.y_range());
        painter.rect_filled(cap, 1.0, theme::TEXT);
    }

    /// Percents below the bars, and what their ends mean.
    fn scale(&self, painter: &Painter, rect: Rect) {
        let size = (0.55 * rect.height()).clamp(10.0, 20.0);
        for quarter in 0..=4 {
            let x = egui::lerp(rect.x_range(), 0.25 * quarter as f32);
            painter.vline(x, rect.top()..=rect.top() + 4.0, Stroke::new(1.0, theme::TEXT_FAINT));
            let (text, colour) = match quarter {
                0 => ("bona fide".to_owned(), theme::BONA_FIDE),
                4 => ("spoof".to_owned(), theme::SPOOF),
                _ => (format!("{} %", 25 * quarter), theme::TEXT_FAINT),
            };
            let galley = theme::line(painter, &text, size, colour);
            let align = 0.25 * quarter as f32 * galley.size().x;
            painter.galley(pos2(x - align, rect.bottom() - galley.size().y), galley, colour);
        }
    }

    /// The threshold: a line across all bars with a handle on top, whose place is returned.
    fn threshold(&self, ui: &Ui, lane: Rect, threshold: &FloatParam, setter: &ParamSetter) -> Rect {
        let painter = ui.painter();
        let well = lane.shrink2(vec2(2.0, 0.0));
        let x = egui::lerp(well.x_range(), threshold.value());
        let text = format!("threshold {}", words::percent(threshold.value()));
        let galley = theme::label(painter, &text, theme::BACKGROUND);
        let size = galley.size() + vec2(14.0, 4.0);
        let centre_x = x.min(lane.right() - 0.5 * size.x).max(lane.left() + 0.5 * size.x);
        let handle = Rect::from_center_size(pos2(centre_x, lane.top() + 0.5 * size.y - 3.0), size);
        let line = Rect::from_x_y_ranges(x - 5.0..=x + 5.0, handle.bottom()..=lane.bottom());

        let id = ui.scope_id().with("threshold");
        let grip = ui.interact(line, id.with("line"), Sense::DRAG);
        let response = ui.interact(handle, id, Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::slider(true, f64::from(threshold.value()), "Threshold"));
        for response in [&grip, &response] {
            // The line stays where it was held, however far from it that was.
            let off = id.with("held off by");
            if let Some(pos) =
                ui.input(|input| input.pointer.press_origin()).filter(|_| response.drag_started())
            {
                ui.data_mut(|data| data.insert_temp(off, pos.x - x));
            }
            let off: f32 = ui.data(|data| data.get_temp(off)).unwrap_or_default();
            let p = |pos: Pos2| ((pos.x - off - well.left()) / well.width().max(1.0)).clamp(0.0, 1.0);
            widgets::drag(ui, response, setter, threshold, |pos| threshold.preview_normalized(p(pos)));
        }
        let held = [&grip, &response].iter().any(|response| response.hovered() || response.dragged());
        if held {
            ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        let colour = if held { Color32::WHITE } else { theme::TEXT };
        let width = if held { 2.5 } else { 1.5 };
        painter.vline(x, handle.bottom()..=lane.bottom() + 3.0, Stroke::new(width, colour));
        painter.rect_filled(handle, CornerRadius::same(4), colour);
        painter.galley(theme::middle(&galley, handle.center()), galley, theme::BACKGROUND);
        if response.has_focus() {
            theme::focus_ring(painter, handle);
        }
        handle
    }
}

/// Blue, sand, orange from left to right until `x`, each over its zone.
fn zones_mesh(painter: &Painter, well: Rect, x: f32, zones: Zones, opacity: f32) {
    let at = |p: f32| egui::lerp(well.x_range(), p.clamp(0.0, 1.0));
    let blend = 0.025;
    let stops = [
        (0.0, theme::BONA_FIDE),
        (zones.uncertain - blend, theme::BONA_FIDE),
        (zones.uncertain + blend, theme::UNCERTAIN),
        (zones.spoof - blend, theme::UNCERTAIN),
        (zones.spoof, theme::SPOOF),
        (1.0, theme::SPOOF),
    ];
    let mut mesh = Mesh::default();
    let mut from = well.left();
    for pair in stops.windows(2) {
        let to = at(pair[1].0).max(from);
        let base = mesh.vertices.len() as u32;
        for (x, colour) in [(from, pair[0].1), (to, pair[1].1)] {
            mesh.colored_vertex(pos2(x, well.top()), theme::faded(colour, opacity));
            mesh.colored_vertex(pos2(x, well.bottom()), theme::faded(colour, opacity));
        }
        mesh.add_triangle(base, base + 1, base + 2);
        mesh.add_triangle(base + 1, base + 2, base + 3);
        from = to;
    }
    let clip = Rect::from_min_max(well.min, pos2(x, well.bottom()));
    painter.with_clip_rect(clip.intersect(painter.clip_rect())).add(Shape::mesh(mesh));
}

/// A bar without a score: hatched, with the reason on it.
fn empty_bar(painter: &Painter, bar: Rect, reason: &str) {
    let radius = CornerRadius::same(4);
    painter.rect(bar, radius, theme::WELL, Stroke::new(1.0, theme::EDGE), StrokeKind::Inside);
    theme::hatch(painter, bar.shrink(1.0), 8.0, Stroke::new(1.0, theme::EDGE));
    let size = (0.62 * bar.height()).clamp(11.0, 16.0);
    let galley = theme::fitted(painter, reason, size, bar.width() - 24.0, theme::TEXT_DIM);
    // Off the middle, where the threshold usually is.
    let pos = theme::middle_left(&galley, pos2(bar.left() + 12.0, bar.center().y));
    let ground = Rect::from_min_size(pos, galley.size()).expand2(vec2(6.0, 0.0)).intersect(bar.shrink(1.0));
    painter.rect_filled(ground, 0.0, theme::WELL);
    painter.galley(pos, galley, theme::TEXT_DIM);
}

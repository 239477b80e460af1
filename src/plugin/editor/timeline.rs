//! The scrolling timeline: verdicts, alerts, gaps and the reasons for silence.

use std::f32::consts::TAU;

use egui::epaint::{PathStroke, TextShape};
use egui::{CornerRadius, Mesh, Painter, Rect, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

use super::axis::{self, SPANS};
use super::columns::{self, Column};
use super::live::Live;
use super::verdict::Zones;
use super::{legend, theme, tooltip, words};
use crate::rt::State;

/// Closest that windows may be on the screen to be drawn as a dot each.
const DOT_DISTANCE: f32 = 2.4;

/// Draws the timeline; `span` is an index into [`SPANS`].
pub fn show(ui: &Ui, rect: Rect, live: &Live, zones: Zones, span: &mut usize) {
    let inner = theme::card(ui.painter(), rect);
    let head = legend::show(ui, inner, span);
    let axis_height = 16.0;
    let plot = Rect::from_min_max(
        pos2(inner.left() + 30.0, head + 8.0),
        pos2(inner.right(), inner.bottom() - axis_height),
    );
    if plot.width() < 40.0 || plot.height() < 20.0 {
        return;
    }
    let span_s = SPANS[(*span).min(SPANS.len() - 1)].0;
    let view = View { plot, to_s: live.edge_s().max(span_s), span_s, zones };
    view.grid(ui.painter(), live);
    let bin_s = span_s / f64::from(plot.width());
    let columns = columns::columns(&live.points, view.to_s - span_s, view.to_s, bin_s);
    let painter = ui.painter().with_clip_rect(plot.intersect(ui.clip_rect()));
    view.stretches(&painter, &columns);
    view.threshold(&painter);
    view.momentary(&painter, &columns);
    view.short_term(&painter, &columns);
    view.alert_tabs(&painter, &columns);
    if live.points.is_empty() {
        let galley = theme::line(&painter, "Verdicts appear here as sound is heard", 13.0, theme::TEXT_DIM);
        painter.galley(theme::middle(&galley, plot.center()), galley, theme::TEXT_DIM);
    }
    let response = ui.interact(plot, ui.scope_id().with("plot"), Sense::hover());
    if let Some(pos) = response.hover_pos() {
        let heard_s = view.time(pos.x);
        // Not where nothing was judged: a tooltip about something else would mislead.
        let near = |heard: f64| (view.x(heard) - pos.x).abs() < 24.0 || (heard - heard_s).abs() < 2.5;
        if let Some(point) = columns::nearest(&live.points, heard_s).filter(|point| near(point.heard_s)) {
            painter.vline(view.x(point.heard_s), plot.y_range(), Stroke::new(1.0, theme::TEXT_DIM));
            tooltip::show(ui, pos, plot, point, zones);
        }
    }
}

/// What is in view and where.
struct View {
    plot: Rect,
    to_s: f64,
    span_s: f64,
    zones: Zones,
}

impl View {
    fn x(&self, heard_s: f64) -> f32 {
        let from_right = ((self.to_s - heard_s) / self.span_s) as f32;
        self.plot.right() - from_right * self.plot.width()
    }

    fn time(&self, x: f32) -> f64 {
        self.to_s - f64::from((self.plot.right() - x) / self.plot.width()) * self.span_s
    }

    fn y(&self, p: f32) -> f32 {
        egui::lerp(self.plot.bottom()..=self.plot.top(), p)
    }

    fn grid(&self, painter: &Painter, live: &Live) {
        let plot = self.plot;
        painter.rect(
            plot,
            CornerRadius::same(4),
            theme::WELL,
            Stroke::new(1.0, theme::EDGE),
            StrokeKind::Outside,
        );
        let quarters = if plot.height() > 110.0 { 4 } else { 2 };
        for i in 0..=quarters {
            let p = i as f32 / quarters as f32;
            let y = self.y(p);
            if i > 0 && i < quarters {
                painter.hline(plot.x_range(), y, Stroke::new(1.0, theme::faded(theme::EDGE, 0.6)));
            }
            let galley = theme::line(painter, &format!("{:.0}", 100.0 * p), 10.5, theme::TEXT_FAINT);
            let y = y.clamp(plot.top() + 4.0, plot.bottom() - 4.0);
            painter.galley(
                theme::middle_right(&galley, pos2(plot.left() - 6.0, y)),
                galley,
                theme::TEXT_FAINT,
            );
        }
        let min_step_s = self.span_s * f64::from(78.0 / plot.width());
        for tick in axis::ticks(&live.points, self.to_s - self.span_s, self.to_s, min_step_s) {
            let x = self.x(tick.heard_s);
            painter.vline(x, plot.y_range(), Stroke::new(1.0, theme::faded(theme::EDGE, 0.6)));
            let galley = theme::line(painter, &words::clock(tick.label_s), 10.5, theme::TEXT_FAINT);
            let left =
                (x - 0.5 * galley.size().x).min(plot.right() - galley.size().x).max(plot.left() - 24.0);
            painter.galley(pos2(left, plot.bottom() + 4.0), galley, theme::TEXT_FAINT);
        }
    }

    fn threshold(&self, painter: &Painter) {
        let y = self.y(self.zones.spoof);
        let stroke = Stroke::new(1.0, theme::faded(theme::TEXT, 0.75));
        theme::dashed(painter, pos2(self.plot.left(), y), pos2(self.plot.right(), y), stroke);
    }

    /// Shades alerts, hatches what has no score, and opens gaps.
    fn stretches(&self, painter: &Painter, columns: &[Column]) {
        let same = |a: &Column, b: &Column| !b.after_gap && a.unscored == b.unscored;
        for stretch in columns.chunk_by(same) {
            if let (Some(state), Some(first), Some(last)) =
                (stretch[0].unscored, stretch.first(), stretch.last())
            {
                self.unscored(painter, self.span(first.from_s, last.to_s), state);
            }
        }
        for stretch in columns.chunk_by(|a, b| !b.after_gap && a.alert == b.alert) {
            if let (true, Some(first), Some(last)) = (stretch[0].alert, stretch.first(), stretch.last()) {
                let area = self.span(first.from_s, last.to_s);
                painter.rect_filled(area, 0.0, theme::faded(theme::SPOOF, 0.13));
                let strip = Rect::from_min_size(area.min, vec2(area.width(), 4.0));
                painter.rect_filled(strip, 0.0, theme::SPOOF);
            }
        }
        for pair in columns.windows(2).filter(|pair| pair[1].after_gap) {
            let gap = self.span(pair[0].to_s, pair[1].from_s);
            let stroke = Stroke::new(1.0, theme::TEXT_FAINT);
            let edge =
                |x: f32| Shape::dashed_line(&[pos2(x, gap.top()), pos2(x, gap.bottom())], stroke, 2.0, 4.0);
            painter.rect_filled(gap, 0.0, theme::CARD);
            painter.extend(edge(gap.left()));
            if gap.width() > 3.0 {
                painter.extend(edge(gap.right()));
            }
        }
    }

    /// Says "alert" where one begins, above everything else.
    fn alert_tabs(&self, painter: &Painter, columns: &[Column]) {
        for stretch in columns.chunk_by(|a, b| !b.after_gap && a.alert == b.alert) {
            let (true, Some(first), Some(last)) = (stretch[0].alert, stretch.first(), stretch.last()) else {
                continue;
            };
            let area = self.span(first.from_s, last.to_s).intersect(self.plot);
            let galley = theme::caption(painter, "ALERT", 10.0, theme::BACKGROUND);
            let tab = Rect::from_min_size(area.min, galley.size() + vec2(12.0, 3.0));
            if area.width() > tab.width() + 6.0 {
                painter.rect_filled(tab, CornerRadius { se: 4, ..CornerRadius::ZERO }, theme::SPOOF);
                painter.galley(theme::middle(&galley, tab.center()), galley, theme::BACKGROUND);
            }
        }
    }

    fn span(&self, from_s: f64, to_s: f64) -> Rect {
        Rect::from_x_y_ranges(self.x(from_s)..=self.x(to_s), self.plot.y_range())
    }

    fn unscored(&self, painter: &Painter, area: Rect, state: State) {
        let area = area.intersect(self.plot);
        theme::hatch(painter, area, 9.0, Stroke::new(1.0, theme::faded(theme::TEXT_FAINT, 0.4)));
        let galley = theme::line(painter, words::state(state), 11.0, theme::TEXT_DIM);
        let size = galley.size() + vec2(10.0, 2.0);
        if area.width() > size.x + 4.0 {
            let ground = Rect::from_center_size(pos2(area.center().x, area.bottom() - 14.0), size);
            painter.rect_filled(ground, 3.0, theme::WELL);
            painter.galley(theme::middle(&galley, ground.center()), galley, theme::TEXT_DIM);
        } else if area.width() > size.y && area.height() > size.x + 8.0 {
            // Upwards where it is too narrow to be written across.
            let centre = pos2(area.center().x, area.bottom() - 4.0 - 0.5 * size.x);
            let ground = Rect::from_center_size(centre, vec2(size.y, size.x));
            painter.rect_filled(ground, 3.0, theme::WELL);
            let corner = centre + vec2(-0.5 * galley.size().y, 0.5 * galley.size().x);
            painter.add(TextShape::new(corner, galley, theme::TEXT_DIM).with_angle(-0.25 * TAU));
        }
    }

    /// The line of the last 10 s, over a glow of the verdict's colour.
    fn short_term(&self, painter: &Painter, columns: &[Column]) {
        let joined =
            |a: &Column, b: &Column| !b.after_gap && a.short_term.is_some() && b.short_term.is_some();
        for stretch in columns.chunk_by(joined) {
            let mut line = Vec::with_capacity(2 * stretch.len());
            for column in stretch {
                let Some((first, second)) = column.short_term else { continue };
                let (from, to) = (self.x(column.from_s), self.x(column.to_s));
                if first != second {
                    line.push(pos2(0.5 * (from + to), self.y(words::probability(first))));
                }
                line.push(pos2(to, self.y(words::probability(second))));
            }
            self.glow(painter, &line);
            let (plot, zones) = (self.plot, self.zones);
            let colour = move |_: Rect, pos: egui::Pos2| {
                zones.verdict((plot.bottom() - pos.y) / plot.height()).colour()
            };
            painter.add(Shape::line(line, PathStroke::new_uv(2.2, colour)));
        }
    }

    fn glow(&self, painter: &Painter, line: &[egui::Pos2]) {
        let mut mesh = Mesh::default();
        for (i, point) in line.iter().enumerate() {
            let p = (self.plot.bottom() - point.y) / self.plot.height();
            let colour = self.zones.verdict(p).colour();
            mesh.colored_vertex(*point, theme::faded(colour, 0.22));
            mesh.colored_vertex(pos2(point.x, self.plot.bottom()), theme::faded(colour, 0.02));
            if let Some(base) = (2 * i as u32).checked_sub(2) {
                mesh.add_triangle(base, base + 1, base + 2);
                mesh.add_triangle(base + 1, base + 2, base + 3);
            }
        }
        painter.add(Shape::mesh(mesh));
    }

    /// The last window's values: dots (diamonds for spoof) while there is room, else bars from the
    /// lowest to the highest.
    fn momentary(&self, painter: &Painter, columns: &[Column]) {
        let distance = self.plot.width() / columns.len().max(1) as f32;
        let radius = (0.4 * distance).clamp(1.3, 2.8);
        let mut mesh = Mesh::default();
        for column in columns {
            let Some((low, high)) = column.momentary else { continue };
            let (low, high) = (words::probability(low), words::probability(high));
            let (x, top, colour) = (self.x(column.to_s), self.y(high), self.zones.verdict(high).colour());
            if distance < DOT_DISTANCE {
                let rect = Rect::from_x_y_ranges(x - 0.6..=x + 0.6, top - 1.0..=self.y(low) + 1.0);
                mesh.add_colored_rect(rect, theme::faded(colour, 0.3));
            } else if high >= self.zones.spoof {
                let r = 1.5 * radius;
                let corners =
                    [(0.0, -r), (r, 0.0), (0.0, r), (-r, 0.0)].map(|(dx, dy)| pos2(x + dx, top + dy));
                painter.add(Shape::convex_polygon(corners.to_vec(), colour, Stroke::new(0.8, theme::WELL)));
            } else {
                painter.circle(pos2(x, top), radius, colour, Stroke::new(0.8, theme::WELL));
            }
        }
        painter.add(Shape::mesh(mesh));
    }
}

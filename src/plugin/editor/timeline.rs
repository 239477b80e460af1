//! The scrolling timeline: verdicts, alerts, gaps and the reasons for silence.

use std::f32::consts::TAU;

use egui::epaint::{PathStroke, TextShape};
use egui::{CornerRadius, Mesh, Painter, Rect, Sense, Shape, Stroke, Ui, pos2, vec2};

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
    let scale = theme::scale(ui.ctx());
    let plot = Rect::from_min_max(
        pos2(inner.left() + 30.0 * scale, head + 8.0),
        pos2(inner.right(), inner.bottom() - 16.0 * scale),
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
    view.reasons(&painter, &columns);
    view.alert_tabs(&painter, &columns);
    if live.points.is_empty() {
        let galley = theme::label(&painter, "Verdicts appear here as sound is heard", theme::TEXT_DIM);
        painter.rect_filled(
            Rect::from_center_size(plot.center(), galley.size() + vec2(24.0, 8.0)),
            4.0,
            theme::WELL,
        );
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
        theme::plot(painter, plot);
        let quarters = if plot.height() > 110.0 { 4 } else { 2 };
        for i in 0..=quarters {
            let p = i as f32 / quarters as f32;
            let y = self.y(p);
            if i > 0 && i < quarters {
                painter.hline(plot.x_range(), y, Stroke::new(1.0, theme::faded(theme::EDGE, 0.6)));
            }
            let galley = theme::axis(painter, &format!("{:.0}", 100.0 * p));
            let y = y.clamp(plot.top() + 4.0, plot.bottom() - 4.0);
            painter.galley(
                theme::middle_right(&galley, pos2(plot.left() - 6.0, y)),
                galley,
                theme::TEXT_FAINT,
            );
        }
        let min_step_s = self.span_s * f64::from(78.0 * theme::scale(painter.ctx()) / plot.width());
        for tick in axis::ticks(&live.points, self.to_s - self.span_s, self.to_s, min_step_s) {
            let x = self.x(tick.heard_s);
            painter.vline(x, plot.y_range(), Stroke::new(1.0, theme::faded(theme::EDGE, 0.6)));
            let galley = theme::axis(painter, &words::clock(tick.label_s));
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
        for (_, area) in self.unscored(columns) {
            theme::hatch(painter, area, 9.0, Stroke::new(1.0, theme::faded(theme::TEXT_FAINT, 0.4)));
        }
        for area in self.alerts(columns) {
            painter.rect_filled(area, 0.0, theme::faded(theme::SPOOF, 0.13));
            let strip = Rect::from_min_size(area.min, vec2(area.width(), 4.0));
            painter.rect_filled(strip, 0.0, theme::SPOOF);
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

    /// The stretches with an alert.
    fn alerts(&self, columns: &[Column]) -> impl Iterator<Item = Rect> {
        let stretches = columns.chunk_by(|a, b| !b.after_gap && a.alert == b.alert);
        stretches.filter_map(|stretch| {
            let (first, last) = (stretch.first().filter(|first| first.alert)?, stretch.last()?);
            Some(self.span(first.from_s, last.to_s).intersect(self.plot))
        })
    }

    /// Says "alert" where one begins, above everything else.
    fn alert_tabs(&self, painter: &Painter, columns: &[Column]) {
        let galley = theme::caption(painter, "ALERT", 10.0 * theme::scale(painter.ctx()), theme::BACKGROUND);
        for area in self.alerts(columns) {
            let tab = Rect::from_min_size(area.min, galley.size() + vec2(12.0, 3.0));
            if area.width() > tab.width() + 6.0 {
                painter.rect_filled(tab, CornerRadius { se: 4, ..CornerRadius::ZERO }, theme::SPOOF);
                painter.galley(theme::middle(&galley, tab.center()), galley.clone(), theme::BACKGROUND);
            }
        }
    }

    fn span(&self, from_s: f64, to_s: f64) -> Rect {
        Rect::from_x_y_ranges(self.x(from_s)..=self.x(to_s), self.plot.y_range())
    }

    /// The stretches without a score.
    fn unscored(&self, columns: &[Column]) -> impl Iterator<Item = (State, Rect)> {
        let stretches = columns.chunk_by(|a, b| !b.after_gap && a.unscored == b.unscored);
        stretches.filter_map(|stretch| {
            let (first, last) = (stretch.first()?, stretch.last()?);
            Some((first.unscored?, self.span(first.from_s, last.to_s).intersect(self.plot)))
        })
    }

    /// Says why there is no score, above everything else.
    fn reasons(&self, painter: &Painter, columns: &[Column]) {
        for (state, area) in self.unscored(columns) {
            let galley = theme::label(painter, words::state(state), theme::TEXT_DIM);
            let size = galley.size() + vec2(10.0, 2.0);
            let across = area.width() > size.x + 4.0;
            if !across && (area.width() < size.y || area.height() < size.x + 16.0) {
                continue;
            }
            // Upwards where it is too narrow to be written across.
            let size = if across { size } else { size.yx() };
            let ground =
                Rect::from_center_size(pos2(area.center().x, area.top() + 12.0 + 0.5 * size.y), size);
            painter.rect_filled(ground, 3.0, theme::WELL);
            if across {
                painter.galley(theme::middle(&galley, ground.center()), galley, theme::TEXT_DIM);
            } else {
                let corner = ground.center() + 0.5 * vec2(-galley.size().y, galley.size().x);
                painter.add(TextShape::new(corner, galley, theme::TEXT_DIM).with_angle(-0.25 * TAU));
            }
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
        let radius = (0.4 * distance).clamp(1.3, 2.8 * theme::scale(painter.ctx()));
        let mut mesh = Mesh::default();
        for column in columns {
            let Some((low, high)) = column.momentary else { continue };
            let (low, high) = (words::probability(low), words::probability(high));
            let (x, top, colour) = (self.x(column.to_s), self.y(high), self.zones.verdict(high).colour());
            if distance < DOT_DISTANCE {
                let rect = Rect::from_x_y_ranges(x - 0.6..=x + 0.6, top - 1.0..=self.y(low) + 1.0);
                // Strokes of many windows are many and must let the line through.
                let opacity = if low < high { 0.3 } else { 0.6 };
                mesh.add_colored_rect(rect, theme::faded(colour, opacity));
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

//! Icons on buttons, drawn from lines so that they are sharp at any size.

use std::f32::consts::TAU;

use egui::{Color32, Painter, Pos2, Rect, Stroke, Vec2, vec2};

/// A picture on a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// Two bars.
    Pause,
    /// A triangle to the right.
    Play,
    /// An arrow in a circle.
    Reset,
    /// Faders.
    Settings,
    /// A cross.
    Close,
    /// Two sheets.
    Copy,
    /// An arrow into a tray.
    Save,
}

/// Draws `icon` in a square of `size` around `centre`.
pub fn draw(painter: &Painter, icon: Icon, centre: Pos2, size: f32, colour: Color32) {
    let r = 0.5 * size;
    let at = |x: f32, y: f32| centre + r * vec2(x, y);
    let stroke = Stroke::new(0.2 * r, colour);
    let segment = |from: (f32, f32), to: (f32, f32)| {
        painter.line_segment([at(from.0, from.1), at(to.0, to.1)], stroke);
    };
    match icon {
        Icon::Pause => {
            for x in [-0.4, 0.4] {
                let bar = Rect::from_center_size(at(x, 0.0), r * vec2(0.36, 1.5));
                painter.rect_filled(bar, 0.1 * r, colour);
            }
        }
        Icon::Play => {
            let corners = vec![at(-0.5, -0.8), at(0.85, 0.0), at(-0.5, 0.8)];
            painter.add(egui::Shape::convex_polygon(corners, colour, Stroke::NONE));
        }
        Icon::Reset => {
            let arc =
                (0..=28).map(|i| centre + 0.78 * r * Vec2::angled(0.04 * TAU + i as f32 / 28.0 * 0.8 * TAU));
            painter.line(arc.collect(), stroke);
            let tip = vec![at(0.2, -1.05), at(0.86, -0.62), at(0.16, -0.24)];
            painter.add(egui::Shape::convex_polygon(tip, colour, Stroke::NONE));
        }
        Icon::Settings => {
            for (y, knob) in [(-0.62, 0.3), (0.0, -0.35), (0.62, 0.1)] {
                segment((-0.9, y), (0.9, y));
                painter.circle_filled(at(knob, y), 0.26 * r, colour);
            }
        }
        Icon::Close => {
            segment((-0.6, -0.6), (0.6, 0.6));
            segment((-0.6, 0.6), (0.6, -0.6));
        }
        Icon::Copy => {
            let sheet = |x: f32, y: f32| Rect::from_center_size(at(x, y), r * vec2(1.1, 1.3));
            let middle = egui::StrokeKind::Middle;
            painter.rect_stroke(sheet(-0.22, -0.22), 0.15 * r, stroke, middle);
            painter.rect_stroke(sheet(0.25, 0.25), 0.15 * r, stroke, middle);
        }
        Icon::Save => {
            segment((0.0, -0.9), (0.0, 0.3));
            painter.line(vec![at(-0.42, -0.1), at(0.0, 0.34), at(0.42, -0.1)], stroke);
            painter.line(vec![at(-0.85, 0.3), at(-0.85, 0.85), at(0.85, 0.85), at(0.85, 0.3)], stroke);
        }
    }
}

//! The figure: probability over time, waveform, spectrogram, as one SVG.
//!
//! Its colours are names: `report.css` gives each a value for light, dark and paper by the attribute
//! that plotters writes, so one figure serves all three.

use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::picture::Picture;
use super::story::{Point, Story};
use crate::cli::segments::{Kind, cells};
use crate::cli::text::clock;
use crate::detect::probability;

const WIDTH: u32 = 2000;
const PANEL: u32 = 470;
const WAVE: u32 = 170;
const SPECTROGRAM: u32 = 330;
const AXIS: u32 = 66;
const LEFT: u32 = 100;
const RIGHT: u32 = 20;

/// Most windows drawn; of more, the highest of each group.
const MAX_CELLS: usize = 1000;

const INK: RGBColor = RGBColor(1, 1, 1);
const MUTED: RGBColor = RGBColor(1, 1, 2);
const GRID: RGBColor = RGBColor(1, 1, 3);
const SPOOF: RGBColor = RGBColor(1, 1, 4);
const BONAFIDE: RGBColor = RGBColor(1, 1, 5);
const QUIET: RGBColor = RGBColor(1, 1, 6);
const WAVE_INK: RGBColor = RGBColor(1, 1, 7);
const ALERT: RGBColor = RGBColor(1, 1, 8);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Problem = DrawingAreaErrorKind<std::io::Error>;

/// Draws a story; the sound only where there is a picture of it.
pub fn draw(story: &Story, picture: Option<&Picture>) -> Result<String, String> {
    let duration_s = story.duration_s().max(0.1);
    let extra = if picture.is_some() { WAVE + SPECTROGRAM } else { 0 };
    let height = PANEL + extra + AXIS;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let (top, rest) = root.split_vertically(PANEL);
        let drawn = percentages(&top, story, duration_s).and_then(|()| match picture {
            Some(picture) => {
                let (middle, rest) = rest.split_vertically(WAVE);
                wave(&middle, picture).and_then(|()| {
                    let (_, axis_area) = rest.split_vertically(SPECTROGRAM);
                    axis(&axis_area, duration_s)
                })
            }
            None => axis(&rest, duration_s),
        });
        drawn.and_then(|()| root.present()).map_err(|error| format!("the figure can't be drawn: {error}"))?;
    }
    if let Some(picture) = picture {
        let image = format!(
            "<image x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             href=\"data:image/png;base64,{}\"/>\n</svg>",
            PANEL + WAVE,
            WIDTH - LEFT - RIGHT,
            SPECTROGRAM,
            BASE64_STANDARD.encode(&picture.png)
        );
        svg = svg.replacen("</svg>", &image, 1);
    }
    // The page says how large it is.
    let size = format!("<svg width=\"{WIDTH}\" height=\"{height}\"");
    Ok(svg.replacen(&size, "<svg role=\"img\" aria-label=\"Probability of spoof over time\"", 1))
}

fn percentages(area: &Area, story: &Story, duration_s: f64) -> Result<(), Problem> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(24)
        .margin_bottom(18)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .build_cartesian_2d(Axis::time(duration_s), Axis::probability())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(TRANSPARENT)
        .y_label_style(("sans-serif", 27).into_font().color(&MUTED))
        .draw()?;
    let threshold = f64::from(story.header.settings.threshold.clamp(0.0, 1.0));
    let alerts = story.alerts();
    let (grouped, bounds) = grouped(&story.points);
    for (point, (from, to)) in grouped.iter().zip(&bounds) {
        let kind = Kind::of(point, threshold as f32);
        let (height, style) = match (kind, point.p) {
            (Kind::Spoof, Some(p)) => (f64::from(p), SPOOF.filled()),
            (_, Some(p)) => (f64::from(p), BONAFIDE.filled()),
            _ => (0.02, QUIET.filled()),
        };
        chart.draw_series([Rectangle::new([(*from, 0.0), (*to, height)], style)])?;
        if alerts && point.alert {
            chart.draw_series([Rectangle::new([(*from, 0.985), (*to, 1.0)], ALERT.filled())])?;
        }
    }
    let line = [(0.0, threshold), (duration_s, threshold)];
    chart.draw_series(DashedLineSeries::new(line, 12, 10, INK.stroke_width(3)))?;
    // Broken where there is no reading.
    for run in grouped.split(|point| point.short_term.is_none()) {
        let line =
            run.iter().filter_map(|point| Some((point.end_s, f64::from(probability(point.short_term?)))));
        chart.draw_series(LineSeries::new(line, INK.stroke_width(6)))?;
    }
    Ok(())
}

/// Windows and the time that each speaks for, at most [`MAX_CELLS`].
fn grouped(points: &[Point]) -> (Vec<Point>, Vec<(f64, f64)>) {
    let cells: Vec<_> = cells(points).collect();
    let size = points.len().div_ceil(MAX_CELLS).max(1);
    let highest = |group: &[Point]| {
        let p = |point: &Point| point.p.unwrap_or(-1.0);
        group.iter().copied().max_by(|a, b| p(a).total_cmp(&p(b)))
    };
    let bounds = |group: &[(f64, f64)]| Some((group.first()?.0, group.last()?.1));
    (points.chunks(size).filter_map(highest).collect(), cells.chunks(size).filter_map(bounds).collect())
}

fn wave(area: &Area, picture: &Picture) -> Result<(), Problem> {
    let peak = picture.wave.iter().fold(1e-6_f32, |peak, (low, high)| peak.max(-low).max(*high));
    let mut chart = ChartBuilder::on(area)
        .margin_top(8)
        .margin_bottom(14)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .build_cartesian_2d(0.0..picture.wave.len() as f32, -peak..peak)?;
    let upper = picture.wave.iter().enumerate().map(|(x, (_, high))| (x as f32, *high));
    let lower = picture.wave.iter().enumerate().rev().map(|(x, (low, _))| (x as f32, *low));
    chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), WAVE_INK.filled())])?;
    Ok(())
}

fn axis(area: &Area, duration_s: f64) -> Result<(), Problem> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(12)
        .margin_right(RIGHT)
        .margin_left(LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, AXIS - 14)
        .build_cartesian_2d(Axis::time(duration_s), Axis::probability())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(TRANSPARENT)
        .x_label_style(("sans-serif", 27).into_font().color(&MUTED))
        .draw()?;
    Ok(())
}

/// An axis from 0, with its places and their labels.
struct Axis {
    to: f64,
    places: Vec<f64>,
    label: fn(f64) -> String,
}

impl Axis {
    fn time(duration_s: f64) -> Self {
        Self { to: duration_s, places: ticks(duration_s), label: tick }
    }

    fn probability() -> Self {
        Self { to: 1.0, places: vec![0.0, 0.25, 0.5, 0.75, 1.0], label: |p| format!("{:.0} %", p * 100.0) }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        low + (value / self.to * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.places.clone() }
    }

    fn range(&self) -> Range<f64> {
        0.0..self.to
    }
}

impl From<Axis> for Range<f64> {
    fn from(axis: Axis) -> Self {
        axis.range()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

/// Places for times: at most a dozen, at round ones.
fn ticks(duration_s: f64) -> Vec<f64> {
    const STEPS: [f64; 17] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0,
        86_400.0,
    ];
    let step = STEPS.into_iter().find(|step| duration_s / step <= 12.0).unwrap_or(duration_s / 10.0);
    (0..=(duration_s / step) as usize).map(|i| i as f64 * step).collect()
}

fn tick(seconds: f64) -> String {
    let text = clock(seconds);
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

//! The report's tables, drawn: one SVG of four panels.

use super::table::Table;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1200, 840);
const INK: RGBColor = RGBColor(40, 44, 52);
const MUTED: RGBColor = RGBColor(120, 126, 138);
const FIRST: RGBColor = RGBColor(30, 110, 190);
const SECOND: RGBColor = RGBColor(214, 96, 40);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Problem = DrawingAreaErrorKind<std::io::Error>;
type Line = (String, Vec<(f64, f64)>);

/// Draws what is there of the tables; a table that wasn't made leaves its panel empty.
pub fn draw(path: &Path, tables: &[Table]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let find = |column: &str| tables.iter().find(|table| table.head.iter().any(|head| head == column));
    let drawn = || -> Result<(), Problem> {
        root.fill(&WHITE)?;
        let panels = root.split_evenly((2, 2));
        if let Some(peers) = find("ms a clip of 2 s") {
            bars(&panels[0], "ms from file to verdict, a clip of 2 s (logarithmic)", peers)?;
        }
        if let Some(streams) = find("streams") {
            for (panel, x, key, value, what) in [
                (&panels[1], "streams", "hop, s", 1.0, "number of streams, at a hop of 1 s"),
                (&panels[2], "hop, s", "streams", 8.0, "hop (s) of 8 streams"),
            ] {
                let line = |column: &str| points(streams, x, column, key, value);
                let dropped: f64 = line("dropped").iter().map(|(_, windows)| windows).sum();
                let title = format!("CPU, % of one core, by {what}; windows dropped: {dropped}");
                lines(panel, &title, &[("CPU".to_owned(), line("CPU, share of one core"))])?;
            }
        }
        if let Some(audio) = find("own p99.9") {
            // kHz times µs of 64 samples: a sixty-fourth of a thousandth.
            let line = |name: &str, column: &str| {
                let points = points(audio, "host rate, kHz", column, "block", 64.0);
                (name.to_owned(), points.into_iter().map(|(khz, us)| (khz, khz * us / 640.0)).collect())
            };
            let title = "audio thread: % of the time that a block of 64 lasts, by host rate (kHz)";
            lines(
                &panels[3],
                title,
                &[line("p99.9, each block at its quickest", "own p99.9"), line("mean", "mean")],
            )?;
        }
        root.present()
    };
    drawn().map_err(|error| anyhow!("{} can't be drawn: {error}", path.display()))
}

/// `y` over `x` where the column `key` is `value`, from left to right.
fn points(table: &Table, x: &str, y: &str, key: &str, value: f64) -> Vec<(f64, f64)> {
    let (x, y, key) = (table.numbers(x), table.numbers(y), table.numbers(key));
    let rows = x.into_iter().zip(y).zip(key).filter(|(_, key)| *key == Some(value));
    let mut points: Vec<(f64, f64)> = rows.filter_map(|((x, y), _)| Some((x?, y?))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn bars(area: &Area, title: &str, table: &Table) -> Result<(), Problem> {
    let values: Vec<f64> = table.numbers("ms a clip of 2 s").into_iter().flatten().collect();
    let longest = values.iter().copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(28)
        .build_cartesian_2d((1.0..2.0 * longest).log_scale(), 0.0..values.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&tenths)
        .label_style(("sans-serif", 14))
        .draw()?;
    for (i, (row, value)) in table.rows.iter().zip(&values).enumerate() {
        let low = (values.len() - 1 - i) as f64;
        let colour = if i == 0 { SECOND } else { FIRST };
        chart.draw_series([Rectangle::new(
            [(1.0, low + 0.1), (value.max(1.02), low + 0.5)],
            colour.filled(),
        )])?;
        let label = format!("{}: {value:.1} ms", row[0]);
        chart.draw_series([Text::new(
            label,
            (1.05, low + 0.85),
            ("sans-serif", 14).into_font().color(&INK),
        )])?;
    }
    Ok(())
}

/// To one decimal, which is left out where it is 0.
fn tenths(value: &f64) -> String {
    ((value * 10.0).round() / 10.0).to_string()
}

/// `series` over the same values of x, which stand side by side.
fn lines(area: &Area, title: &str, series: &[Line]) -> Result<(), Problem> {
    let x: Vec<f64> = series[0].1.iter().map(|(x, _)| *x).collect();
    if x.is_empty() {
        return Ok(());
    }
    let top = series.iter().flat_map(|(_, points)| points).map(|(_, y)| *y).fold(0.0, f64::max);
    let (last, room) = (x.len() as i32, if series.len() > 1 { 1.4 } else { 1.1 }); // for the legend
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18).into_font().color(&INK))
        .margin(16)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(-1..last, 0.0..room * top)?;
    chart
        .configure_mesh()
        .axis_style(MUTED)
        .x_labels(x.len() + 2)
        .x_label_formatter(&|i| {
            usize::try_from(*i).ok().and_then(|i| x.get(i)).map_or(String::new(), f64::to_string)
        })
        .y_label_formatter(&tenths)
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .draw()?;
    for ((name, points), colour) in series.iter().zip([FIRST, SECOND]) {
        let points = || (0..).zip(points.iter().map(|(_, y)| *y));
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], colour.filled()));
        chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    if series.len() == 1 {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.8))
        .draw()
}

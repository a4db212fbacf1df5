//! The look of all pictures: colours that differ for every eye, thin axes, a white ground.

use anyhow::{Error, Result};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged};
use plotters::prelude::*;

/// Okabe and Ito's blue (2008).
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Their vermilion.
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// Their bluish green.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Their sky blue.
pub const SKY: RGBColor = RGBColor(86, 180, 233);
/// Their reddish purple.
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// For what is only there to compare.
pub const GREY: RGBColor = RGBColor(110, 110, 110);

/// A place for drawing on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A chart with plain axes.
pub type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// An SVG of this size, drawn by `paint`.
pub fn svg(size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(wrong)?;
        paint(&area)?;
        area.present().map_err(wrong)?;
    }
    Ok(text)
}

/// plotters' errors borrow what they are about.
pub fn wrong<E: std::fmt::Display>(error: E) -> Error {
    Error::msg(error.to_string())
}

/// A chart over these ranges.
pub fn chart<'a, 'b, X, Y>(
    area: &Area<'b>,
    title: &str,
    x: X,
    y: Y,
) -> Result<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
{
    ChartBuilder::on(area)
        .margin(6)
        .margin_right(14)
        .caption(title, ("sans-serif", 15))
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)
        .map_err(wrong)
}

/// Axes with their names, and a light grid.
pub fn axes<X, Y>(chart: &mut Chart<'_, '_, X, Y>, x: &str, y: &str) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .axis_desc_style(("sans-serif", 13))
        .label_style(("sans-serif", 12))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()
        .map_err(wrong)
}

/// The names of the lines.
pub fn legend<'a, 'b: 'a, X, Y>(
    chart: &mut Chart<'a, 'b, X, Y>,
    position: SeriesLabelPosition,
) -> Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(wrong)
}

/// A line with its name in the legend.
pub fn line<X, Y>(
    chart: &mut Chart<'_, '_, X, Y>,
    name: &str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
) -> Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let style = colour.stroke_width(2);
    let drawn = chart.draw_series(LineSeries::new(points, style)).map_err(wrong)?;
    drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    Ok(())
}

/// A plain range of an axis.
pub fn range(from: f64, to: f64) -> std::ops::Range<f64> {
    from..to
}

/// As few digits as say it.
fn short(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    format!("{rounded}")
}

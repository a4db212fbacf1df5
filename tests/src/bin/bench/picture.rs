//! The rates in Linux's, as a picture: a line for each row, a point for each stack.

use ::tests::draw::{self, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY};
use anyhow::Result;
use plotters::prelude::*;

use crate::results::Who;
use crate::rows::ROWS;
use crate::table::Cell;

const COLOURS: [(Who, RGBColor); 5] = [
    (Who::Limit, GREEN),
    (Who::Tapstack, ORANGE),
    (Who::Queues, SKY),
    (Who::Plain, PURPLE),
    (Who::Smoltcp, BLUE),
];

/// The ends of the axis: what is beyond is drawn there.
const ENDS: (f64, f64) = (0.02, 5.0);

pub(crate) fn draw(cells: &[Cell]) -> Result<String> {
    draw::svg((860, 480), |area| {
        let (left, right) = ENDS;
        let top = ROWS.len() as f64;
        let x = (left..right).log_scale();
        let mut chart = draw::chart(area, "Rates, Linux's own sockets = 1", x, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_y_mesh().light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.12));
        mesh.y_label_formatter(&|_| String::new()).draw().map_err(draw::wrong)?;
        let height = |name: &str| {
            ROWS.iter().position(|row| row.name == name).map_or(0.0, |i| top - i as f64 - 0.5)
        };
        let names = ROWS.iter().map(|row| {
            Text::new(row.name, (left * 1.1, height(row.name) + 0.2), ("sans-serif", 14))
        });
        chart.draw_series(names).map_err(draw::wrong)?;
        draw::line(&mut chart, "linux", GREY, vec![(1.0, 0.0), (1.0, top)])?;
        for (who, colour) in COLOURS {
            let ratios = cells
                .iter()
                .filter(|cell| cell.who == who)
                .filter_map(|cell| Some((height(cell.row.name), cell.ratio?)));
            let ratios: Vec<_> = ratios.collect();
            if ratios.is_empty() {
                continue;
            }
            let ranges = ratios.iter().map(|&(y, ratio)| {
                let ends = [ratio.least, ratio.most].map(|x| (x.clamp(left, right), y));
                PathElement::new(ends.to_vec(), colour.stroke_width(2))
            });
            chart.draw_series(ranges).map_err(draw::wrong)?;
            let dots = ratios.iter().map(|&(y, ratio)| {
                Circle::new((ratio.median.clamp(left, right), y), 5, colour.filled())
            });
            let drawn = chart.draw_series(dots).map_err(draw::wrong)?;
            drawn.label(who.name()).legend(move |at| Circle::new(at, 4, colour.filled()));
        }
        // Where no ratio is.
        draw::legend(&mut chart, SeriesLabelPosition::Coordinate(100, 130))
    })
}

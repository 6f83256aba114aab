//! The frequencies of the classes as bars on a logarithmic scale.

use dp_sims_datasets::{Class, hex};
use maud::{Markup, html};

use super::{grouped, percent};
use crate::check::survey::SplitSurvey;
use crate::svg::{rounded, shortened};

/// Most rows of a single column, which is as wide as the page, and of each of several.
const MAX_SINGLE: usize = 20;
const MAX_ROWS: usize = 48;

/// Sizes in units of the picture, about a pixel each.
const ROW: f64 = 20.0;
const HEAD: f64 = 26.0;
const NAMES: f64 = 150.0;
const VALUES: f64 = 70.0;
const PLOT: f64 = 330.0;
const WIDE_PLOT: f64 = 2.0 * PLOT + NAMES + VALUES;

/// Most characters of a class name in front of its bar.
const MAX_NAME: usize = 21;

/// A class that occurs.
struct Row<'a> {
    class: &'a Class,
    pixels: u64,
    /// Share of all pixels, 0 to 1.
    share: f64,
    images: u64,
    /// Share of all images, 0 to 1.
    image_share: f64,
}

/// Bars for the share of pixels and dots for the share of images, most frequent class first.
pub(super) fn histogram(survey: &SplitSurvey) -> Markup {
    let report = &survey.report;
    let (pixels, images) = (survey.pixels() as f64, survey.sound.len() as f64);
    let counts = report.pixels.iter().zip(&report.images);
    let mut rows: Vec<Row> = survey
        .classes()
        .classes
        .iter()
        .zip(counts)
        .filter(|(_, (_, images))| **images > 0)
        .map(|(class, (&of_class, &with_class))| Row {
            class,
            pixels: of_class,
            share: of_class as f64 / pixels,
            images: with_class,
            image_share: with_class as f64 / images,
        })
        .collect();
    // Stable, so that classes of the same frequency keep their order.
    rows.sort_by_key(|row| std::cmp::Reverse(row.pixels));
    let least = rows.iter().map(|row| row.share).fold(1.0, f64::min);
    let lowest = (least.log10().floor() as i32).clamp(-9, -2);
    let (columns, plot) = match rows.len() {
        0..=MAX_SINGLE => (1, WIDE_PLOT),
        count => (count.div_ceil(MAX_ROWS).max(2), PLOT),
    };
    let height = rows.len().div_ceil(columns).max(1);
    html! {
        p.legend {
            span.bar {} "share of the pixels" span.dot {} "share of the images with the class"
            span.note { "logarithmic scale" }
        }
        div.charts.single[columns == 1] {
            @for rows in rows.chunks(height) { (column(rows, height, lowest, plot)) }
        }
    }
}

/// A column of at most `height` rows on an axis of `plot` units from 10^`lowest` to 1.
fn column(rows: &[Row], height: usize, lowest: i32, plot: f64) -> Markup {
    let width = NAMES + plot + VALUES;
    let bottom = HEAD + ROW * height as f64;
    let place = |share: f64| NAMES + plot * (1.0 - share.log10() / f64::from(lowest)).max(0.0);
    // At most about five ticks, so that their words do not touch.
    let step = usize::try_from(-lowest).unwrap_or(1).div_ceil(5);
    let ticks = (lowest..=0).rev().step_by(step);
    html! {
        svg.chart viewBox={ "0 0 " (width) " " (bottom + 4.0) } role="img"
            aria-label="share of pixels and images by class" {
            @for power in ticks {
                @let x = rounded(place(10_f64.powi(power)));
                line.grid x1=(x) x2=(x) y1=(HEAD - 6.0) y2=(bottom) {}
                text.tick x=(x) y=(HEAD - 12.0) { (tick(power)) }
            }
            @for (index, row) in rows.iter().enumerate() {
                @let top = HEAD + ROW * index as f64;
                @let (middle, end) = (top + ROW / 2.0, place(row.share));
                g {
                    title {
                        (row.class.name) ": " (grouped(row.pixels)) " pixels, "
                        (percent(row.share)) "; " (grouped(row.images)) " images, "
                        (percent(row.image_share))
                    }
                    text.name x=(NAMES - 8.0) y=(middle + 4.0) { (shortened(&row.class.name, MAX_NAME)) }
                    rect.bar x=(NAMES) y=(top + 3.0) width=(rounded((end - NAMES).max(1.0)))
                        height=(ROW - 6.0) fill=(hex(row.class.colour)) {}
                    circle.dot cx=(rounded(place(row.image_share))) cy=(middle) r="3.5" {}
                    text.value x=(width) y=(middle + 4.0) { (percent(row.share)) }
                }
            }
        }
    }
}

/// A power of ten as a percentage.
fn tick(power: i32) -> String {
    match power {
        -2..=0 => format!("{} %", 10_i32.pow((power + 2) as u32)),
        _ => format!("{:.*} %", (-power - 2) as usize, 10_f64.powi(power + 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_names_are_short() {
        assert_eq!(
            [0, -1, -2, -3, -5].map(tick),
            ["100 %", "10 %", "1 %", "0.1 %", "0.001 %"]
        );
        assert_eq!(shortened("dog", MAX_NAME), "dog");
        assert_eq!(
            shortened("a very long name of a class", MAX_NAME),
            "a very long name of…"
        );
        assert_eq!(
            shortened("ÄÖÜäöüßÄÖÜäöüßÄÖÜäöüß", MAX_NAME).chars().count(),
            21
        );
    }
}

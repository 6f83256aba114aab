//! The values of all seeds as a picture.

use maud::{Markup, html};

use dp_sims_dataset_tools::svg::{rounded, shortened};

use super::ReportRow;
use crate::evaluate::heading;
use crate::runtime::units::number;

/// Sizes in units of the picture, about a pixel each.
const ROW: f64 = 26.0;
const NAMES: f64 = 230.0;
const PLOT: f64 = 520.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 8.0;

/// Most characters of a title in front of its line.
const MAX_NAME: usize = 34;

/// A line per row: points for seeds, a bar for the mean and a band for its interval; nothing where there
/// is no value.
pub(super) fn plot(rows: &[&ReportRow], value: &str) -> Markup {
    let shown: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((*row, row.values.get(value)?)))
        .collect();
    let ends = shown.iter().flat_map(|(row, summary)| {
        let half = summary.own.half_width.unwrap_or(0.0);
        let points = row
            .evaluated()
            .filter_map(|run| run.values.get(value).copied());
        points.chain([summary.own.mean - half, summary.own.mean + half])
    });
    let ends: Vec<f64> = ends.filter(|end| end.is_finite()).collect();
    let Some(least) = ends.iter().copied().reduce(f64::min) else {
        return html! {};
    };
    let most = ends.iter().copied().fold(least, f64::max);
    let ticks = ticks(least, most);
    let (least, most) = (
        least.min(ticks[0]),
        most.max(*ticks.last().unwrap_or(&least)),
    );
    let range = if most > least { most - least } else { 1.0 };
    let place = |number: f64| rounded(NAMES + PLOT * ((number - least) / range));
    let bottom = TOP + ROW * shown.len() as f64;
    html! {
        figure.plot {
            figcaption { (heading(value)) }
            svg viewBox={ "0 0 " (NAMES + PLOT + 30.0) " " (bottom + BOTTOM) } role="img"
                aria-label={ (heading(value)) " by row and seed" } {
                @for tick in &ticks {
                    @let x = place(*tick);
                    line.grid x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
                    text.tick x=(x) y=(bottom + 18.0) { (label(*tick, &ticks)) }
                }
                @for (index, (row, summary)) in shown.iter().enumerate() {
                    @let middle = TOP + ROW * (index as f64 + 0.5);
                    @let mean = place(summary.own.mean);
                    text.name x=(NAMES - 14.0) y=(middle + 4.0) { (shortened(&row.title, MAX_NAME)) }
                    @if let Some(half) = summary.own.half_width {
                        @let (left, right) = (place(summary.own.mean - half), place(summary.own.mean + half));
                        rect.band x=(left) y=(middle - 7.0) width=(rounded(right - left)) height="14" {}
                    }
                    line.mean x1=(mean) x2=(mean) y1=(middle - 9.0) y2=(middle + 9.0) {}
                    @for run in row.evaluated() {
                        @if let Some(found) = run.values.get(value).filter(|found| found.is_finite()) {
                            circle.seed cx=(place(*found)) cy=(middle) r="4" {
                                title { (row.title) ", seed " (run.seed) ": " (number(*found)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// About five round numbers between two.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let range = most - least;
    if range.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
        return vec![least];
    }
    let power = 10_f64.powf((range / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| range / step <= 6.0)
        .unwrap_or(10.0 * power);
    let first = (least / step).floor();
    let count = ((most / step).ceil() - first) as usize;
    (0..=count.min(12))
        .map(|index| (first + index as f64) * step)
        .collect()
}

/// A tick in as many decimals as its distance to the next one needs.
fn label(tick: f64, ticks: &[f64]) -> String {
    let step = ticks.get(1).map_or(tick.abs(), |second| second - ticks[0]);
    let decimals = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
    // A negative zero would have a sign.
    format!(
        "{:.decimals$}",
        if tick.abs() < step * 1e-6 { 0.0 } else { tick }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(ticks(3.0, 47.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(ticks(7.0, 7.0), [7.0]);
        assert_eq!(label(20.0, &[10.0, 20.0]), "20");
        assert_eq!(label(0.25, &[0.2, 0.25]), "0.25");
        assert_eq!(label(-1e-17, &[-0.1, 0.0]), "0.0");
        for (least, most) in [(0.471, 0.473), (-3.0, 1200.0), (1e-7, 2e-7)] {
            let found = ticks(least, most);
            assert!(found.len() <= 8, "{found:?}");
            let slack = 1e-9 * most;
            assert!(found[0] <= least + slack && found[found.len() - 1] >= most - slack);
        }
        assert_eq!(ticks(f64::NAN, 1.0).len(), 1);
    }
}

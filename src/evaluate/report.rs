//! An evaluation as one HTML page that needs nothing else.

use std::collections::BTreeSet;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::gallery::Gallery;
use super::results::{ClassValue, Results, Timing, Value};
use crate::config::described;
use crate::runtime::units::number;

mod pictures;

use pictures::pictures;

pub use pictures::embedded;

/// Style of the pages.
pub(crate) const STYLE: &str = include_str!("report/style.css");

/// Digits of a hash that are printed.
const DIGITS: usize = 12;

/// The page. Pictures are those of the gallery, of `[height, width]` pixels.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn page(
    results: &Results,
    gallery: Option<&Gallery>,
    [height, width]: [usize; 2],
) -> Result<String> {
    let pictures = match gallery {
        Some(gallery) => pictures(gallery, width as u32, height as u32)?,
        None => html! {},
    };
    let subject = &results.subject;
    let title = subject
        .experiment
        .clone()
        .unwrap_or_else(|| subject.kind.clone());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – evaluation" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kind { "evaluation under " code { (results.protocol.name) } }
                    h1 { (title) }
                    p {
                        (results.data.images) " of " (results.data.of) " images of "
                        (results.data.dataset) " (" (results.data.split) "), "
                        (results.data.size[0]) "×" (results.data.size[1]) " pixels"
                        @if let Some(step) = subject.step { ", step " (step) }
                    }
                    @if !results.complete {
                        p.warning {
                            "Not the whole protocol: fewer images were used than it asks for, and the \
                             values are not comparable with published ones."
                        }
                    }
                }
                main {
                    (values(results))
                    @if let Some(timing) = &results.timing { (timing_section(timing, results)) }
                    (pictures)
                    @for (metric, classes) in &results.classes { (class_section(metric, classes)) }
                    (provenance(results))
                }
                footer { "Written by " code { "dp-sims evaluate" } " (" (results.software) ")." }
            }
        }
    };
    Ok(page.into_string())
}

/// A row per value, a column per method.
fn values(results: &Results) -> Markup {
    let counted = |name: &&str| *name != "seconds";
    let published = &results.protocol.published;
    let mut names: BTreeSet<&str> = results.values.keys().map(String::as_str).collect();
    for row in published {
        names.extend(row.values.keys().map(String::as_str).filter(counted));
    }
    let methods: Vec<_> = published
        .iter()
        .filter(|row| row.values.keys().any(|name| name != "seconds"))
        .collect();
    html! {
        section {
            h2 { "Values" }
            div.wide {
                table {
                    thead {
                        tr {
                            th { }
                            th.number.own { "this evaluation" }
                            @for method in &methods {
                                th.number {
                                    (method.method) br;
                                    span.source { "Table " (method.table) }
                                }
                            }
                        }
                    }
                    tbody {
                        @for name in &names {
                            tr {
                                th { (heading(name)) }
                                (cell(results.values.get(*name)))
                                @for method in &methods {
                                    td.number {
                                        @match method.values.get(*name) {
                                            Some(value) => { (value) }
                                            None => { "–" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if methods.is_empty() {
                p { "This protocol has no published figures." }
            } @else {
                p { "Published figures are those that the paper prints in its tables." }
            }
        }
    }
}

/// Title, unit and an arrow to where values are better.
pub fn heading(name: &str) -> String {
    let (title, unit, better) = described(name);
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" [{unit}]")
    };
    let arrow = better.map_or("", |more| if more { " ↑" } else { " ↓" });
    format!("{title}{unit}{arrow}")
}

fn cell(value: Option<&Value>) -> Markup {
    html! {
        td.number.own {
            @match value {
                Some(value) => {
                    (number(value.value))
                    @if let Some(error) = value.standard_error {
                        span.source { " ± " (number(error)) }
                    }
                }
                None => { "–" }
            }
        }
    }
}

fn timing_section(timing: &Timing, results: &Results) -> Markup {
    let published: Vec<_> = results
        .protocol
        .published
        .iter()
        .filter_map(|row| Some((row, row.values.get("seconds")?)))
        .collect();
    let giga = |macs: u64| format!("{:.2} G", macs as f64 / 1e9);
    html! {
        section {
            h2 { "Time" }
            p { "On " (results.backend) "; one image, " (timing.runs) " runs after warm-up." }
            table {
                tbody {
                    tr { th { "mean" } td.number { (number(timing.mean_seconds)) " s" } }
                    tr { th { "median" } td.number { (number(timing.median_seconds)) " s" } }
                    tr { th { "95 in 100 below" } td.number { (number(timing.p95_seconds)) " s" } }
                    @for (batch, rate) in &timing.images_per_second {
                        tr {
                            th { "images per second, batch " (batch) }
                            td.number { (number(*rate)) }
                        }
                    }
                    tr { th { "parameters" } td.number { (format!("{:.2} M", timing.parameters as f64 / 1e6)) } }
                    tr { th { "multiply-adds, as published figures count" } td.number { (giga(timing.nominal_macs)) } }
                    tr { th { "multiply-adds, executed" } td.number { (giga(timing.executed_macs)) } }
                    @if let Some(bytes) = timing.peak_memory_bytes {
                        tr { th { "peak memory of the process" } td.number { (bytes >> 20) " MiB" } }
                    }
                    tr { th { "from the checkpoint on disk to the first image" } td.number { (number(timing.start_seconds)) " s" } }
                    @for (row, seconds) in published {
                        tr {
                            th { (row.method) " " span.source { "Table " (row.table) ", the paper's device" } }
                            td.number { (seconds) " s" }
                        }
                    }
                }
            }
        }
    }
}

fn class_section(metric: &str, classes: &[ClassValue]) -> Markup {
    let (title, _, _) = described(metric);
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_string(), |v| format!("{v:.1}"));
    html! {
        section {
            h2 { (title) " by class" }
            table {
                thead {
                    tr {
                        th { "class" }
                        th.number { "pixels" }
                        th.number { "IoU [%]" }
                        th { }
                        th.number { "recognised [%]" }
                    }
                }
                tbody {
                    @for class in classes {
                        tr {
                            td { (class.name) }
                            td.number { (class.pixels) }
                            td.number { (share(class.iou)) }
                            td { div.bar style={ "width:" (format!("{:.1}", class.iou.unwrap_or(0.0))) "px" } {} }
                            td.number { (share(class.accuracy)) }
                        }
                    }
                }
            }
        }
    }
}

fn provenance(results: &Results) -> Markup {
    let short = |hash: &str| hash.chars().take(DIGITS).collect::<String>();
    let protocol = toml::to_string_pretty(&results.protocol).unwrap_or_default();
    let rules = protocol
        .split("[[published]]")
        .next()
        .unwrap_or_default()
        .trim()
        .to_string();
    html! {
        section {
            h2 { "How" }
            table {
                tbody {
                    tr { th { (results.subject.kind) } td { code { (results.subject.path) } @if let Some(k) = results.subject.sample { ", image " (k) " of each label map" } " " code.source { (short(&results.subject.sha256)) } } }
                    tr { th { "label maps and photos" } td { code.source { (short(&results.data.sha256)) } } }
                    @for (part, network) in &results.networks {
                        tr {
                            th { (part) }
                            td {
                                (network.name)
                                @for (file, hash) in &network.files {
                                    br; code { (file) } " " code.source { (short(hash)) }
                                }
                            }
                        }
                    }
                    tr { th { "backend" } td { (results.backend) } }
                    @for (part, seconds) in &results.seconds {
                        tr { th { "seconds, " (part) } td { (format!("{seconds:.1}")) } }
                    }
                }
            }
            details {
                summary { "The protocol" }
                pre { (rules) }
            }
        }
    }
}

#[cfg(test)]
mod tests;

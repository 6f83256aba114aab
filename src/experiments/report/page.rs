//! The report as one HTML page that needs nothing else.

use std::collections::BTreeSet;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::pictures::Exhibition;
use super::plot::plot;
use super::tables::{EXPLAINED, difference_of, printed_of, provenance_of, title, values_of};
use super::{Report, ReportRow, paper_heading, printed, signed_printed, with_interval};
use crate::evaluate::paper::Figure;
use crate::evaluate::{Results, STYLE, embedded, heading};

/// The page.
///
/// # Errors
/// When a picture cannot be encoded.
pub(super) fn page(report: &Report, exhibitions: &[Exhibition]) -> Result<String> {
    let images = exhibitions.iter().map(images).collect::<Result<Vec<_>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title(report)) }
                style { (PreEscaped(STYLE)) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    p.kind {
                        "study " code { (report.name) }
                        @if let Some(table) = report.table { ", Table " (table) " of the paper" }
                    }
                    h1 { (title(report)) }
                    p { (EXPLAINED) }
                    @if let Some(mismatch) = &report.mismatch {
                        p.warning { "Runs do not all mean the same: " (mismatch) "." }
                    }
                    @if is_part(report) {
                        p.warning {
                            "Not the whole protocol: fewer images were judged than it asks for, and the \
                             values are not comparable with published ones."
                        }
                    }
                }
                main {
                    @for (dataset, rows) in report.groups() {
                        section {
                            h2 { (dataset) }
                            (values(report, &rows))
                            @for value in values_of(report, &rows) { (plot(&rows, &value)) }
                            h3 { "How they came about" }
                            (provenance(&rows))
                        }
                    }
                    @if !images.is_empty() {
                        section {
                            h2 { "Images" }
                            p {
                                "The first sample of the last preview, for the same label maps and, where \
                                 seeds are equal, the same noise in every row."
                            }
                            @for block in &images { (block) }
                        }
                    }
                    @if !report.printed.is_empty() { (printed_table(report)) }
                }
                footer { "Written by " code { "dp-sims experiments report" } " (" (Results::software()) ")." }
            }
        }
    };
    Ok(page.into_string())
}

/// Whether a run was judged on a part of what its protocol asks for.
fn is_part(report: &Report) -> bool {
    let runs = report.rows.iter().flat_map(|row| &row.runs);
    runs.into_iter().any(|run| run.complete == Some(false))
}

/// A row per row, columns for our values and for those of the paper.
fn values(report: &Report, rows: &[&ReportRow]) -> Markup {
    let values = values_of(report, rows);
    let of_paper = printed_of(rows);
    let columns = 2 * values.len().max(1);
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th {}
                        th.group colspan=(columns) { "ours" }
                        @if !of_paper.is_empty() {
                            @let shared = of_paper.iter().filter(|value| values.contains(value)).count();
                            th.group colspan=(2 * of_paper.len() + shared) { (paper_title(rows)) }
                        }
                    }
                    tr {
                        th {}
                        @for value in &values {
                            th.number.own.edge { (heading(value)) }
                            th.number { "to first row" }
                        }
                        @if values.is_empty() { th.edge colspan="2" {} }
                        @for value in &of_paper {
                            th.number.edge { (paper_heading(value)) }
                            th.number { "to first row" }
                            @if values.contains(value) { th.number { "ours to paper" } }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th { (row.title) }
                            @match row.missing() {
                                Some(missing) => { td.missing.edge colspan=(columns) { (missing) } }
                                None => { (own_cells(row, &values)) }
                            }
                            @for value in &of_paper {
                                @let found = row.in_paper(rows[0], value);
                                td.number.edge {
                                    @match found { Some((figure, _)) => (printed(value, figure)), None => "–" }
                                }
                                td.number {
                                    @match found.and_then(|(_, difference)| difference) {
                                        Some(difference) => (signed_printed(difference)),
                                        None => "–",
                                    }
                                }
                                @if values.contains(value) {
                                    td.number { (difference_of(row.values.get(value), |own| own.to_paper)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whose figures the paper's columns show.
fn paper_title(rows: &[&ReportRow]) -> String {
    let figures = rows.iter().filter_map(|row| row.paper.as_ref());
    let places: BTreeSet<String> = figures
        .map(|figure| {
            let table = figure.table.map_or_else(
                || figure.note.clone().unwrap_or_default(),
                |table| format!("Table {table}"),
            );
            let dataset = figure.dataset.iter().map(|dataset| format!(", {dataset}"));
            let backbone = figure
                .backbone
                .iter()
                .map(|backbone| format!(", {backbone}"));
            std::iter::once(table)
                .chain(dataset)
                .chain(backbone)
                .collect()
        })
        .collect();
    let places: Vec<String> = places.into_iter().collect();
    format!("the paper ({})", places.join("; "))
}

fn own_cells(row: &ReportRow, values: &[String]) -> Markup {
    html! {
        @for value in values {
            @match row.values.get(value) {
                Some(summary) => {
                    td.number.own.edge { (with_interval(&summary.own)) }
                    td.number { (difference_of(Some(summary), |own| own.to_first)) }
                }
                None => { td.number.own.edge { "–" } td.number { "–" } }
            }
        }
    }
}

fn provenance(rows: &[&ReportRow]) -> Markup {
    let found: Vec<_> = rows.iter().map(|row| (row, provenance_of(row))).collect();
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th {}
                        @for (name, _) in found.iter().take(1).flat_map(|(_, cells)| cells) { th { (name) } }
                    }
                }
                tbody {
                    @for (row, cells) in &found {
                        tr {
                            th { (row.title) }
                            @for (_, cell) in cells { td.text { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// A block of images: label maps and photos above, a line per row.
fn images(exhibition: &Exhibition) -> Result<Markup> {
    let encode = |images: &[image::RgbImage]| -> Result<Vec<String>> {
        images.iter().map(embedded).collect()
    };
    let mut lines = vec![
        ("label maps".to_string(), encode(&exhibition.labels)?),
        ("photos".to_string(), encode(&exhibition.photos)?),
    ];
    for (title, images) in &exhibition.rows {
        lines.push((title.clone(), encode(images)?));
    }
    Ok(html! {
        div.wide {
            table.images {
                @for (title, images) in &lines {
                    tr {
                        th { (title) }
                        @for image in images { td { img src=(image) alt=(title); } }
                    }
                }
            }
        }
    })
}

/// The table as the paper prints it.
fn printed_table(report: &Report) -> Markup {
    let mut names: Vec<&String> = Vec::new();
    for name in report
        .printed
        .iter()
        .flat_map(|figure| figure.values.keys())
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let has = |get: fn(&Figure) -> &Option<String>| report.printed.iter().any(|f| get(f).is_some());
    let (dataset, backbone) = (has(|f| &f.dataset), has(|f| &f.backbone));
    html! {
        section {
            h2 { "Table " (report.table.unwrap_or_default()) " as the paper prints it" }
            div.wide {
                table {
                    thead {
                        tr {
                            th {}
                            @if dataset { th { "dataset" } }
                            @if backbone { th { "backbone" } }
                            @for name in &names { th.number { (paper_heading(name)) } }
                        }
                    }
                    tbody {
                        @for figure in &report.printed {
                            tr {
                                th { (figure.row) }
                                @if dataset { td { (figure.dataset.as_deref().unwrap_or("–")) } }
                                @if backbone { td { (figure.backbone.as_deref().unwrap_or("–")) } }
                                @for name in &names {
                                    td.number {
                                        @match figure.values.get(*name) {
                                            Some(value) => (printed(name, *value)),
                                            None => "–",
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

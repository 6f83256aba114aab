//! The report as Markdown and as comma-separated values.

use std::fmt::Write;

use super::{
    Report, ReportRow, Summary, paper_heading, printed, signed, signed_printed, with_interval,
};
use crate::evaluate::heading;
use crate::runtime::units::duration;

/// The report as Markdown: a table of values per dataset, and one of how they came about.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# {}\n", title(report));
    let _ = writeln!(text, "{}\n", EXPLAINED);
    if let Some(mismatch) = &report.mismatch {
        let _ = writeln!(text, "**Runs do not all mean the same: {mismatch}.**\n");
    }
    for (dataset, rows) in report.groups() {
        let _ = writeln!(text, "## {dataset}\n");
        let values = values_of(report, &rows);
        let of_paper = printed_of(&rows);
        let mut head = vec!["row".to_string()];
        for value in &values {
            head.push(heading(value));
            head.push("to first row".to_string());
        }
        for value in &of_paper {
            head.push(format!("paper: {}", paper_heading(value)));
            head.push("to first row".to_string());
            if values.contains(value) {
                head.push("ours to paper".to_string());
            }
        }
        table_row(&mut text, &head);
        table_row(&mut text, &vec!["---".to_string(); head.len()]);
        for row in &rows {
            let mut cells = vec![row.title.clone()];
            let missing = row.missing();
            for (index, value) in values.iter().enumerate() {
                let summary = row.values.get(value);
                cells.push(match (summary, &missing) {
                    (Some(summary), _) => with_interval(&summary.own),
                    (None, Some(missing)) if index == 0 => missing.clone(),
                    (None, _) => "–".to_string(),
                });
                cells.push(difference_of(summary, |summary| summary.to_first));
            }
            if values.is_empty()
                && let Some(missing) = &missing
            {
                cells[0] = format!("{}: {missing}", row.title);
            }
            for value in &of_paper {
                let found = row.in_paper(rows[0], value);
                cells.push(found.map_or("–".to_string(), |(figure, _)| printed(value, figure)));
                let to_first = found.and_then(|(_, difference)| difference);
                cells.push(to_first.map_or("–".to_string(), signed_printed));
                if values.contains(value) {
                    let summary = row.values.get(value);
                    cells.push(difference_of(summary, |summary| summary.to_paper));
                }
            }
            table_row(&mut text, &cells);
        }
        text.push('\n');
        provenance(&mut text, &rows);
    }
    text
}

/// A difference of a value, or a dash.
pub(super) fn difference_of(
    summary: Option<&Summary>,
    get: impl Fn(&Summary) -> Option<f64>,
) -> String {
    summary
        .and_then(|summary| Some(signed(get(summary)?, summary.own.mean)))
        .unwrap_or_else(|| "–".to_string())
}

/// How numbers are to be read.
pub(super) const EXPLAINED: &str = "Means over seeds with 95 % intervals (Student's t); n = 1 has none. \
    Figures of the paper are of its own datasets and protocol: a difference to them is given only where \
    dataset and metric are the same and the whole protocol was used.";

/// Title of the report.
pub(super) fn title(report: &Report) -> &str {
    if report.title.is_empty() {
        &report.name
    } else {
        &report.title
    }
}

/// Values that a row of a group has, in the order of the report.
pub(super) fn values_of(report: &Report, rows: &[&ReportRow]) -> Vec<String> {
    let has = |value: &&String| rows.iter().any(|row| row.values.contains_key(*value));
    report.values.iter().filter(has).cloned().collect()
}

/// Values that the paper has of a row of a group.
pub(super) fn printed_of(rows: &[&ReportRow]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for figure in rows.iter().filter_map(|row| row.paper.as_ref()) {
        for name in figure.values.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

/// What is said of how the numbers of a row came about, by heading.
pub(super) fn provenance_of(row: &ReportRow) -> [(&'static str, String); 7] {
    let evaluated = row.evaluated().count();
    let seconds: Vec<f64> = row
        .runs
        .iter()
        .filter_map(|run| run.training_seconds)
        .collect();
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let time = if seconds.is_empty() {
        "–".to_string()
    } else {
        duration(mean)
    };
    let whole = row.of_runs(|run| {
        let complete = run.complete?;
        let images = run.images.unwrap_or(0);
        Some(if complete {
            format!("whole ({images} images)")
        } else {
            format!("{images} images only")
        })
    });
    [
        ("seeds", evaluated.to_string()),
        ("steps", row.of_runs(|run| run.step)),
        ("images seen", row.of_runs(|run| run.images_seen)),
        ("training", time),
        ("machine", row.of_runs(|run| run.machine.clone())),
        ("protocol", row.of_runs(|run| run.protocol.clone())),
        ("of the protocol", whole),
    ]
}

fn provenance(text: &mut String, rows: &[&ReportRow]) {
    for (index, row) in rows.iter().enumerate() {
        let found = provenance_of(row);
        if index == 0 {
            let names = found.iter().map(|(name, _)| name.to_string());
            let head: Vec<String> = std::iter::once("row".to_string()).chain(names).collect();
            table_row(text, &head);
            table_row(text, &vec!["---".to_string(); head.len()]);
        }
        let values = found.into_iter().map(|(_, value)| value);
        let cells: Vec<String> = std::iter::once(row.title.clone()).chain(values).collect();
        table_row(text, &cells);
    }
    text.push('\n');
}

fn table_row(text: &mut String, cells: &[String]) {
    let escaped: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
        .collect();
    let _ = writeln!(text, "| {} |", escaped.join(" | "));
}

/// A line per value of a run.
pub(super) fn csv(report: &Report) -> String {
    let mut text =
        "dataset,row,seed,value,number,step,images_seen,training_seconds,images,complete\n"
            .to_string();
    for row in &report.rows {
        for run in &row.runs {
            let shown = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
            for (name, number) in &run.values {
                let seconds = run.training_seconds.map(|seconds| seconds.to_string());
                let complete = run.complete.map(|complete| complete.to_string());
                let cells = [
                    row.dataset.clone(),
                    row.name.clone(),
                    run.seed.to_string(),
                    name.clone(),
                    number.to_string(),
                    shown(run.step),
                    shown(run.images_seen),
                    seconds.unwrap_or_default(),
                    shown(run.images.map(|images| images as u64)),
                    complete.unwrap_or_default(),
                ];
                let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
                let _ = writeln!(text, "{}", cells.join(","));
            }
        }
    }
    text
}

/// A cell of a file of comma-separated values (RFC 4180).
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_string()
    }
}

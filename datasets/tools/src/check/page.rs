//! The surveys of a dataset as one HTML page that needs nothing else.
//!
//! The same files give the same bytes: no time and no order of threads goes into the page. All names
//! are escaped.

use std::path::Path;

use dp_sims_datasets::{Class, hex};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::survey::SplitSurvey;

mod chart;
mod pictures;

use pictures::{Exhibit, exhibits};

/// Most faults of a split that are written out on the page.
const MAX_FAULTS: usize = 200;

/// Most unknown ids of a split in the table of ids.
const MAX_IDS: usize = 64;

/// Most classes that never occur and are named at once; more are folded up.
const MAX_ABSENT: usize = 24;

/// Most bytes that all pictures of the page may take together.
const MAX_PICTURE_BYTES: usize = 1_300_000;

/// The page for a dataset in the folder `root`, a section per split.
///
/// At most about 2 MB: pictures are few and small, long lists are cut.
pub fn page(dataset: &str, root: &Path, surveys: &[SplitSurvey]) -> String {
    let mut left = MAX_PICTURE_BYTES;
    let sections: Vec<Markup> = surveys
        .iter()
        .map(|survey| section(survey, &mut left))
        .collect();
    let faults: u64 = surveys.iter().map(|survey| survey.faults.count).sum();
    let findings: usize = surveys.iter().map(|survey| survey.findings.len()).sum();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (dataset) " – dataset report" }
                style { (PreEscaped(include_str!("page/style.css"))) }
            }
            body {
                header {
                    p.kind { "dataset report" }
                    h1 { (dataset) }
                    p { code { (root.display()) } }
                    (verdict(faults, findings))
                    nav {
                        @for survey in surveys {
                            a.card href={ "#" (survey.split()) } {
                                span.name { (survey.split()) }
                                span.number { (grouped(survey.pairs().len() as u64)) }
                                span { "pairs" }
                                @if survey.faults.is_empty() {
                                    span.good { "no fault" }
                                } @else {
                                    span.bad { (count(survey.faults.count, "fault")) }
                                }
                            }
                        }
                    }
                }
                main { @for section in &sections { (section) } }
                footer { "Written by " code { "dp-sims dataset check" } "." }
            }
        }
    };
    page.into_string()
}

fn verdict(faults: u64, findings: usize) -> Markup {
    html! {
        @if faults > 0 {
            p.verdict.bad { (count(faults, "fault")) ": put them right before training." }
        } @else if findings > 0 {
            p.verdict.warn { "No fault, but something looks odd: read the diagnosis below." }
        } @else {
            p.verdict.good { "No fault. The dataset is ready for training." }
        }
    }
}

fn section(survey: &SplitSurvey, left: &mut usize) -> Markup {
    let sound = survey.sound.len();
    html! {
        section id=(survey.split()) {
            h2 { (survey.split()) }
            p.facts {
                (count(survey.pairs().len() as u64, "pair")) ", "
                (grouped(sound as u64)) " of them without fault, with "
                (grouped(survey.pixels())) " pixels."
                @if sound < survey.pairs().len() { " Only these are counted below." }
            }
            @for finding in &survey.findings {
                div.finding {
                    p { strong { "Diagnosis: " } (rich(&finding.message)) "." }
                    p { strong { "Remedy: " } (rich(&finding.remedy)) "." }
                }
            }
            @if !survey.faults.is_empty() { (faults(survey)) }
            @if sound > 0 {
                h3 { "Classes" }
                (chart::histogram(survey))
                (absent(survey))
                (class_table(survey))
            }
            @for group in exhibits(survey, left) {
                h3 { (group.title) }
                p.note { (group.note) }
                div.exhibits { @for exhibit in &group.exhibits { (figure(exhibit)) } }
            }
        }
    }
}

fn faults(survey: &SplitSurvey) -> Markup {
    let faults = &survey.faults;
    let listed = faults.listed.len().min(MAX_FAULTS);
    html! {
        h3 { "Faults" }
        table {
            thead { tr { th.number { "number" } th { "what" } th { "remedy" } } }
            tbody {
                @for (kind, number) in &faults.by_kind {
                    tr {
                        td.number { (grouped(*number)) }
                        td { (kind.title()) }
                        td { (rich(kind.remedy())) }
                    }
                }
            }
        }
        @if !faults.unknown_ids.is_empty() {
            h4 { "Unknown ids" }
            p.ids {
                @for (id, tally) in faults.unknown_ids.iter().take(MAX_IDS) {
                    span.chip {
                        strong { (id) } " "
                        (grouped(tally.pixels)) " px, " (count(tally.maps, "map"))
                    }
                }
                @if faults.unknown_ids.len() > MAX_IDS {
                    " and " (faults.unknown_ids.len() - MAX_IDS) " more"
                }
            }
        }
        details open[listed <= 20] {
            summary {
                @if (listed as u64) < faults.count {
                    "The first " (listed) " of " (grouped(faults.count)) " faults"
                } @else {
                    "All " (count(faults.count, "fault"))
                }
            }
            ol.faults {
                @for fault in &faults.listed[..listed] {
                    li { (rich(&fault.message)) }
                }
            }
        }
    }
}

/// A text with what stands between backticks as code.
fn rich(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn absent(survey: &SplitSurvey) -> Markup {
    let absent = survey.absent();
    let ending = if absent.len() == 1 { "s" } else { "" };
    let words = format!(
        "{} never occur{ending}",
        count(absent.len() as u64, "class")
    );
    html! {
        @if absent.len() > MAX_ABSENT {
            details { summary { (words) } p.note { (absent.join(", ")) } }
        } @else if !absent.is_empty() {
            p.note { (words) ": " (absent.join(", ")) "." }
        }
    }
}

fn class_table(survey: &SplitSurvey) -> Markup {
    let classes = &survey.classes().classes;
    let report = &survey.report;
    let (pixels, images) = (survey.pixels().max(1), survey.sound.len().max(1));
    let cells = |index: usize, class: &Class| {
        let (of_class, with_class) = (report.pixels[index], report.images[index]);
        html! {
            tr.absent[with_class == 0] {
                td.number { (index) }
                td { (swatch(class)) (class.name) @if class.thing { span.thing { "thing" } } }
                td.number { (grouped(of_class)) }
                td.number { (percent(of_class as f64 / pixels as f64)) }
                td.number { (grouped(with_class)) }
                td.number { (percent(with_class as f64 / images as f64)) }
                td.number { (survey.weight(index).map_or("–".into(), |weight| format!("{weight:.2}"))) }
                @if let Some(tallies) = &survey.instances {
                    td.number { @if class.thing { (grouped(tallies[index].count)) } }
                    td.number {
                        @if let Some(mean) = tallies[index].mean_pixels() { (grouped(mean.round() as u64)) }
                    }
                }
            }
        }
    };
    html! {
        details open[classes.len() <= 40] {
            summary { "All " (classes.len()) " classes with void" }
            div.wide {
                table {
                    thead {
                        tr {
                            th.number { "index" } th { "class" } th.number { "pixels" }
                            th.number { "share" } th.number { "images" } th.number { "share" }
                            th.number { "weight" }
                            @if survey.instances.is_some() {
                                th.number { "instances" } th.number { "mean px" }
                            }
                        }
                    }
                    tbody { @for (index, class) in classes.iter().enumerate() { (cells(index, class)) } }
                }
            }
            p.note {
                "The weight f" sup { "−1/2" } " of a class, f being its share of images, is that of "
                "an image whose rarest class it is: balanced sampling draws an image of weight 3 three "
                "times as often as one of weight 1. Void never counts as the rarest class; an image "
                "with nothing but void has weight 1."
                @if let Some(note) = &survey.instances_note {
                    " Instances were not counted: " (note) "."
                }
            }
        }
    }
}

fn figure(exhibit: &Exhibit) -> Markup {
    html! {
        figure {
            div.pictures {
                @for (what, picture) in [("photo", &exhibit.photo), ("label map", &exhibit.labels)] {
                    @match picture {
                        Some(address) => img alt={ (what) " of " (exhibit.name) } src=(address);,
                        None => div.blank { "no " (what) },
                    }
                }
            }
            figcaption { strong { (exhibit.name) } br; (exhibit.caption) }
        }
    }
}

fn swatch(class: &Class) -> Markup {
    html! { span.swatch style={ "background:" (hex(class.colour)) } {} }
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun.
fn count(number: u64, noun: &str) -> String {
    let ending = match (number, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", grouped(number))
}

/// A share with two digits that count.
fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_string(),
        percent if percent >= 10.0 => format!("{percent:.0} %"),
        percent if percent >= 1.0 => format!("{percent:.1} %"),
        percent if percent >= 0.001 => {
            let digits = (1.0 - percent.log10().floor()) as usize;
            format!("{percent:.digits$} %")
        }
        _ => "< 0.001 %".to_string(),
    }
}

#[cfg(test)]
mod tests;

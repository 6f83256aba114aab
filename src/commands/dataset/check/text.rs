//! The survey of a split for the terminal.

use std::fmt::Write;

use dp_sims_dataset_tools::check::SplitSurvey;

/// Most faults that are shown.
const MAX_FAULTS: usize = 20;

/// Most classes that are all shown; of more, only the most frequent and the rarest.
const MAX_CLASSES: usize = 40;

/// Number of the most frequent and of the rarest classes shown of many.
const ENDS: usize = 10;

/// Most classes that never occur and are named.
const MAX_ABSENT: usize = 20;

/// Counts, classes, diagnosis and faults of a split.
pub(super) fn split(survey: &SplitSurvey, remembered: bool) -> String {
    let mut text = String::new();
    let faults = &survey.faults;
    let (pairs, sound) = (survey.pairs().len(), survey.sound.len());
    let verdict = match faults.count {
        0 => "no fault".to_string(),
        1 => "1 fault".to_string(),
        count => format!("{count} faults"),
    };
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format!(
        "{}: {pairs} pairs, {sound} without fault, {verdict}",
        survey.split()
    ));
    if remembered {
        line("  remembered: train will not read these label maps again".to_string());
    }
    if sound > 0 {
        classes(survey, &mut line);
    }
    for finding in &survey.findings {
        line(format!("  diagnosis: {}", finding.message));
        line(format!("     remedy: {}", finding.remedy));
    }
    for (kind, count) in &faults.by_kind {
        line(format!("  {count:>6} {}", kind.title()));
    }
    for fault in faults.listed.iter().take(MAX_FAULTS) {
        line(format!("  fault: {}", fault.message));
    }
    let more = faults.count.saturating_sub(MAX_FAULTS as u64);
    if more > 0 {
        line(format!("  and {more} more, see the report or --json"));
    }
    text
}

fn classes(survey: &SplitSurvey, line: &mut impl FnMut(String)) {
    let (report, classes) = (&survey.report, &survey.classes().classes);
    let (pixels, images) = (survey.pixels() as f64, survey.sound.len() as f64);
    let mut shown: Vec<usize> = (0..classes.len()).collect();
    let many = classes.len() > MAX_CLASSES;
    if many {
        shown.retain(|&index| report.images[index] > 0);
        shown.sort_by_key(|&index| std::cmp::Reverse((report.images[index], report.pixels[index])));
    }
    let left_out = shown.len().saturating_sub(2 * ENDS);
    let gap = if many && left_out > 0 {
        ENDS..ENDS + left_out
    } else {
        0..0
    };
    let instances = match &survey.instances {
        Some(_) => "  instances  mean px",
        None => "",
    };
    line(format!(
        "  {:<24} {:>13}  {:>7} {:>7}  {:>7}  {:>6}{instances}",
        "class", "pixels", "share", "images", "share", "weight"
    ));
    for (place, &index) in shown.iter().enumerate() {
        if gap.contains(&place) {
            if place == gap.start {
                line(format!(
                    "  ... {left_out} classes in between, see the report"
                ));
            }
            continue;
        }
        let weight = survey
            .weight(index)
            .map_or("-".to_string(), |weight| format!("{weight:.2}"));
        let tally = survey.instances.as_ref().map(|tallies| tallies[index]);
        let tally = match tally {
            Some(tally) if classes[index].thing => {
                let mean = tally
                    .mean_pixels()
                    .map_or("-".to_string(), |mean| format!("{mean:.0}"));
                format!("  {:>9}  {mean:>7}", tally.count)
            }
            _ => String::new(),
        };
        line(format!(
            "  {:<24} {:>13}  {:>5.2} % {:>7}  {:>5.1} %  {weight:>6}{tally}",
            classes[index].name,
            report.pixels[index],
            100.0 * report.pixels[index] as f64 / pixels,
            report.images[index],
            100.0 * report.images[index] as f64 / images,
        ));
    }
    let absent = survey.absent();
    match absent.len() {
        0 => {}
        1..=MAX_ABSENT => line(format!("  never: {}", absent.join(", "))),
        count => line(format!("  never: {count} classes, see the report")),
    }
    if let Some(note) = &survey.instances_note {
        line(format!("  instances not counted: {note}"));
    }
}

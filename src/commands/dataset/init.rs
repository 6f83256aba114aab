//! Describing a folder of one's own.

use std::path::{Path, PathBuf};

use clap::Args;
use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::init::{InitError, Survey, SurveyedSplit, refuse_existing, survey};
use dp_sims_datasets::{DatasetError, Split};

use crate::commands::{Failure, failed, mistake};
use crate::data::progress_bar;

/// Arguments of `dataset init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder with photos and label maps.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Replace a dataset.toml that is there.
    #[arg(long)]
    force: bool,
}

/// Looks at the folder, writes `dataset.toml` into it and says what to do next.
pub fn run(args: InitArgs) -> Result<(), Failure> {
    refuse_existing(&args.folder, args.force).map_err(mistake)?;
    let bar = progress_bar("reading label maps", 0);
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let found = survey(&args.folder, &progress);
    bar.finish_and_clear();
    let found = found.map_err(mistake)?;
    found.write(args.force).map_err(|error| match error {
        InitError::Dataset(DatasetError::Write { .. }) => failed(error),
        _ => mistake(error),
    })?;
    print!("{}", report(&found));
    Ok(())
}

/// What was found, and the next two commands.
fn report(found: &Survey) -> String {
    let mut lines = vec![format!("found in {}:", found.root.display())];
    lines.extend(found.splits.iter().map(|split| split_line(found, split)));
    lines.push(format!("  {}", classes_line(found)));
    if found.maps_read < found.maps() {
        lines.push(format!(
            "  read {} of {} label maps, evenly spread: `dataset check` reads all",
            found.maps_read,
            found.maps()
        ));
    }
    lines.push(format!("  {}", names_line(found)));
    lines.push(match (found.own_colours, found.label_values) {
        (true, LabelValues::Colours) => "  colours: those of the label maps".to_string(),
        (true, LabelValues::Ids) => "  colours: those of the palette".to_string(),
        (false, _) => "  colours: made up".to_string(),
    });
    lines.extend(notes(found).into_iter().map(|note| format!("note: {note}")));
    let file = found.file();
    let (file, folder) = (quoted(&file), quoted(&found.root));
    lines.push(format!(
        "\nwrote {file}: look over names and colours there\n\nnext:"
    ));
    lines.push(format!("  dp-sims dataset check --data {folder}"));
    lines.push(format!(
        "  dp-sims train quickstart --set data.dataset={file} --data {folder} --out {}\n",
        quoted(&Path::new("runs").join(&found.name))
    ));
    lines.join("\n")
}

fn split_line(found: &Survey, split: &SurveyedSplit) -> String {
    let ends: Vec<String> = found
        .image_suffixes
        .iter()
        .map(|suffix| format!("*{suffix}"))
        .collect();
    format!(
        "  {}: {} pairs, photos in {} ({}), label maps in {} (*{})",
        split.split,
        split.pairs,
        split.images,
        ends.join(", "),
        split.labels,
        found.label_suffix
    )
}

fn classes_line(found: &Survey) -> String {
    let pixels: u64 = found.classes.iter().map(|class| class.pixels).sum();
    let share = 100.0 * found.void_pixels as f64 / (pixels + found.void_pixels).max(1) as f64;
    let void: Vec<String> = found.void.iter().map(u8::to_string).collect();
    let (values, void) = match found.label_values {
        LabelValues::Ids => ("ids", void.join(", ")),
        LabelValues::Colours => ("colours", "black".to_string()),
    };
    let void = match (void.is_empty(), found.void_pixels) {
        (true, _) => "no void".to_string(),
        (false, 0) => format!("void would be {void}"),
        (false, _) => format!("void is {void}, {share:.1} % of all pixels"),
    };
    format!(
        "label maps hold {values}: {} classes, {void}",
        found.classes.len()
    )
}

fn names_line(found: &Survey) -> String {
    match &found.names_file {
        Some(file) if found.names_fit => format!("names: from {}", file.display()),
        Some(file) => match found.label_values {
            LabelValues::Ids => format!(
                "names: none; {} names colours, but the label maps hold ids: write `ID NAME`",
                file.display()
            ),
            LabelValues::Colours => format!(
                "names: none; {} names ids, but the label maps hold colours: write `R G B NAME`",
                file.display()
            ),
        },
        None => "names: none; a classes.txt with a name a line, counted from id 0, gives them"
            .to_string(),
    }
}

/// What else the user should know.
fn notes(found: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    for split in &found.splits {
        let lonely = [
            (&split.lonely_photos, "photo", "label map", &split.images),
            (&split.lonely_labels, "label map", "photo", &split.labels),
        ];
        for (files, what, partner, folder) in lonely {
            if let Some(first) = files.first() {
                let plural = if files.len() == 1 { "" } else { "s" };
                notes.push(format!(
                    "{} {what}{plural} of the {} split without {partner}, such as {folder}/{first}: \
                     move away what has no partner, it would be an error",
                    files.len(),
                    split.split
                ));
            }
        }
        for (folder, suffix) in &split.others {
            notes.push(format!(
                "{folder}/*{suffix} pair up with the photos too and are left out"
            ));
        }
    }
    if !found.splits.iter().any(|split| split.split == Split::Train) {
        notes.push("no training split, which `train` needs: name a folder train".to_string());
    }
    notes
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+:@\\".contains(letter);
    match path.chars().all(plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("a/b-1.toml")), "a/b-1.toml");
        assert_eq!(quoted(Path::new("my photos")), "'my photos'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}

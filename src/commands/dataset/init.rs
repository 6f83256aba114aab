//! Describing your own folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use dp_sims_dataset_tools::init::{
    FolderSurvey, InitError, SurveyedSplit, refuse_existing, survey,
};
use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::{DatasetError, DescribedFolder, Description, LabelledImages, Split};

use crate::commands::User;
use crate::runtime::progress::progress_bar;

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
pub fn run(args: InitArgs) -> Result<()> {
    if let Err(error) = refuse_existing(&args.folder, args.force) {
        print!("{}", kept(&args.folder, error).user()?);
        return Ok(());
    }
    let bar = progress_bar("reading label maps", 0);
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let found = survey(&args.folder, &progress);
    bar.finish_and_clear();
    let found = found.user()?;
    found
        .write(args.force)
        .user_unless(|error| matches!(error, InitError::Dataset(DatasetError::Write { .. })))?;
    print!("{}", report(&found));
    Ok(())
}

/// What is said of a folder whose description is there and fits: it is kept.
///
/// # Errors
/// That it exists, where it is not valid or its files are not found.
fn kept(folder: &Path, exists: InitError) -> Result<String, InitError> {
    let InitError::Exists { path } = &exists else {
        return Err(exists);
    };
    let Ok(description) = Description::read(path) else {
        return Err(exists);
    };
    let mut lines = vec![format!(
        "{} is there and is kept: {} classes",
        path.display(),
        description.classes.len()
    )];
    for split in Split::all() {
        if description.files(split).is_none() {
            continue;
        }
        let Ok(dataset) = DescribedFolder::open(&description, folder, split) else {
            return Err(exists);
        };
        lines.push(format!("  {split}: {} pairs", dataset.len()));
    }
    let out = Path::new("runs").join(&description.name);
    lines.push(format!(
        "--force replaces it by what is found in the folder\n\n{}",
        next(path, folder, &out)
    ));
    Ok(lines.join("\n"))
}

/// The next two commands.
fn next(file: &Path, folder: &Path, out: &Path) -> String {
    let (file, folder, out) = (quoted(file), quoted(folder), quoted(out));
    format!(
        "next:\n  dp-sims dataset check --data {folder}\n  dp-sims train quickstart --set \
         data.dataset={file} --data {folder} --out {out}\n"
    )
}

/// What was found, and the next two commands.
fn report(found: &FolderSurvey) -> String {
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
    for finding in &found.findings {
        lines.push(format!("warning: {}", finding.message));
        lines.push(format!("  remedy: {}", finding.remedy));
    }
    let file = found.file();
    lines.push(format!(
        "\nwrote {}: look over names and colours there\n\n{}",
        quoted(&file),
        next(&file, &found.root, &Path::new("runs").join(&found.name))
    ));
    lines.join("\n")
}

fn split_line(found: &FolderSurvey, split: &SurveyedSplit) -> String {
    let ends: Vec<String> = found
        .image_suffixes
        .iter()
        .map(|suffix| format!("*{suffix}"))
        .collect();
    format!(
        "  {}: paired {} of {} photos in {} ({}) with {1} of {} label maps in {} (*{})",
        split.split,
        split.pairs,
        split.photos,
        split.images,
        ends.join(", "),
        split.maps,
        split.labels,
        found.label_suffix
    )
}

fn classes_line(found: &FolderSurvey) -> String {
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

fn names_line(found: &FolderSurvey) -> String {
    match &found.names_file {
        Some(file) if found.names_fit => format!("names: from {}", file.display()),
        Some(file) => match found.label_values {
            LabelValues::Ids => format!(
                "names: none; {} names other values than the ids of the label maps: write `ID NAME`",
                file.display()
            ),
            LabelValues::Colours => format!(
                "names: none; {} names other values than the colours of the label maps: write \
                 `R G B NAME`",
                file.display()
            ),
        },
        None => match found.label_values {
            LabelValues::Ids => {
                "names: none; a classes.txt with a name a line, counted from id 0, gives them"
            }
            LabelValues::Colours => {
                "names: none; a classes.txt with a line `R G B NAME` per colour gives them"
            }
        }
        .to_string(),
    }
}

/// What else the user should know.
fn notes(found: &FolderSurvey) -> Vec<String> {
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
    notes.extend(unlisted(found));
    if let (Some(black), Some(file)) = (&found.black, &found.names_file) {
        notes.push(format!(
            "{} calls black `{black}`; in coloured label maps black is void, which is not learnt: to \
             have it painted, give it another colour in both",
            file.display()
        ));
    }
    if !found.splits.iter().any(|split| split.split == Split::Train) {
        notes.push("no training split, which `train` needs: name a folder train".to_string());
    }
    notes
}

/// What the list of names lacks.
fn unlisted(found: &FolderSurvey) -> Option<String> {
    const MOST: usize = 5;
    let file = found.names_file.as_ref()?;
    let count = found.unlisted.len();
    let shown = found.unlisted.iter().take(MOST);
    let shown: Vec<String> = shown
        .map(|(value, pixels)| format!("{value} ({pixels} px)"))
        .collect();
    let more = if count > MOST { ", ..." } else { "" };
    let values = match found.label_values {
        LabelValues::Ids => "ids",
        LabelValues::Colours => "colours",
    };
    (count > 0).then(|| {
        format!(
            "{count} {values} are not in {}: {}{more}; they are in no class, and `dataset check` names \
             the files: correct those, or add the {values} to the list and run this with --force",
            file.display(),
            shown.join(", ")
        )
    })
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

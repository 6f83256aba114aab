//! The text of a description, with comments for the one who edits it.

use std::fmt::Write;

use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::{Split, hex};

use super::{FolderSurvey, SurveyedClass, SurveyedSplit};

/// The description of a survey as TOML.
pub(super) fn toml(survey: &FolderSurvey) -> String {
    let mut text = format!(
        "# A first description, written by `dp-sims dataset init` from the files of this folder.\n\
         # Edit names and colours, mark countable objects with `thing = true`, and merge classes by\n\
         # giving one several ids.\n\
         \n\
         name = {}\n",
        quoted(&survey.name)
    );
    text += &void(survey);
    for split in &survey.splits {
        text += &split_table(survey, split);
    }
    if !survey
        .splits
        .iter()
        .any(|split| split.split == Split::Validation)
    {
        text += "\n# No validation split was found; previews use training images. To add one, put \
                 pairs into\n# folders of their own and describe them in a table \
                 [validation.folders] like the one above.\n";
    }
    let total = survey.classes.iter().map(|class| class.pixels).sum::<u64>() + survey.void_pixels;
    text += &format!(
        "\n# Classes. The shares are those of the pixels in {}.\n",
        match survey.maps_read == survey.maps() {
            true => "all label maps".to_string(),
            false => format!("{} of {} label maps", survey.maps_read, survey.maps()),
        }
    );
    for class in &survey.classes {
        text += &class_table(class, total);
    }
    text
}

fn void(survey: &FolderSurvey) -> String {
    if survey.label_values == LabelValues::Colours {
        return "\n# The label maps are coloured: `label_values = \"colours\"` below. Black is void.\n"
            .to_string();
    }
    let ids: Vec<String> = survey.void.iter().map(u8::to_string).collect();
    let why = match (survey.void.is_empty(), &survey.names_file) {
        (true, _) => "None was found.",
        (false, None) => "255 usually is one.",
        (false, Some(_)) => "255 usually is one, and so is what is called void or unlabeled.",
    };
    format!(
        "\n# Ids of pixels that belong to no class, which are not learnt. {why}\n\
         # A background is a class, as it must be painted.\n\
         void = [{}]\n",
        ids.join(", ")
    )
}

fn split_table(survey: &FolderSurvey, split: &SurveyedSplit) -> String {
    let name = split.split.name();
    let suffixes: Vec<String> = survey.image_suffixes.iter().map(|s| quoted(s)).collect();
    let mut text = format!(
        "\n# {} pairs of photo and label map.\n\
         [{name}.folders]\n\
         images = {}\n\
         image_suffixes = [{}]\n\
         labels = {}\n\
         label_suffix = {}\n",
        split.pairs,
        quoted(&split.images),
        suffixes.join(", "),
        quoted(&split.labels),
        quoted(&survey.label_suffix),
    );
    if survey.label_values == LabelValues::Colours {
        text += "label_values = \"colours\"\n";
    }
    let instances = |(folder, suffix): &&(String, String)| {
        format!("{folder}{suffix}").to_lowercase().contains("inst")
    };
    if let Some((folder, suffix)) = split.others.iter().find(instances) {
        let (folder, suffix) = (quoted(folder), quoted(suffix));
        // A word about it once is enough.
        text += &format!(
            "\n# If these are numbers of instances, uncomment them, and set `thing = true` below.\n\
             # [{name}.folders.instances.png]\n\
             # folder = {folder}\n\
             # suffix = {suffix}\n"
        );
    }
    text
}

fn class_table(class: &SurveyedClass, total: u64) -> String {
    let share = match (class.pixels, total) {
        (0, _) | (_, 0) => "in no label map that was read".to_string(),
        (pixels, total) => format!("{:.3} %", 100.0 * pixels as f64 / total as f64),
    };
    let mut text = format!(
        "\n[[class]]  # {share}\n\
         name = {}\n\
         colour = \"{}\"\n",
        quoted(&class.name),
        hex(class.colour),
    );
    if !class.ids.is_empty() {
        let ids: Vec<String> = class.ids.iter().map(u8::to_string).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(text, "ids = [{}]", ids.join(", "));
    }
    text
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};

use super::Experiment;
use super::keys::check_types;
use crate::runtime::naming::closest;

macro_rules! built_in {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../experiments/", $name, ".toml")))),*]
    };
}

/// Experiments that are part of the program: names and texts.
const BUILT_IN: &[(&str, &str)] = built_in![
    "quickstart",
    "camvid",
    "camvid-e8",
    "scenes",
    "ade20k",
    "coco-stuff",
    "cityscapes",
    "table2-swin-b",
    "table2-resnet-50",
    "table2-efficientnet-lite1",
    "table2-convnext-b",
    "table3-random-init",
    "table3-in1k-224",
    "table3-in21k-224",
    "table5-baseline-no-norm-convnext-l",
    "table5-baseline-no-norm-efficientnet-lite1",
    "table5-ccm-csm-convnext-l",
    "table5-ccm-csm-efficientnet-lite1",
    "table5-bn-ccm-csm-convnext-l",
    "table5-bn-ccm-csm-efficientnet-lite1",
    "table5-wo-sigmoid-convnext-l",
    "table5-wo-sigmoid-efficientnet-lite1",
    "table5-wo-batchnorm-convnext-l",
    "table5-wo-batchnorm-efficientnet-lite1",
    "table6-oasis-discriminator",
    "table6-oasis-generator",
    "table6-wo-self-attention",
    "table6-wo-cross-attention",
    "table6-wo-label-smoothing",
    "table6-wo-contrastive",
    "table7-tau-0.07",
    "table7-tau-0.7",
    "table7-tau-2.0",
    "table8-weighted-ce",
    "table8-focal",
    "table8-weighted-ce-cityscapes",
    "table8-focal-cityscapes",
    "coco-stuff-convnext-xl",
];

/// How many experiments may extend one another; the bound ends a circle.
const MAX_EXTENDS: usize = 8;

/// Names of the experiments that are part of the program.
pub fn experiment_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Reads an experiment: a built-in name or the path of a TOML file, with `key=value` settings on
/// top. Keys are dotted (`generator.base_width`); values are TOML, bare words are text.
///
/// A file may begin with `extends = "NAME or PATH"`: it then holds only what differs from that
/// experiment. A path is relative to the file.
///
/// # Errors
/// When a file cannot be read, a key is unknown or a value has the wrong type.
pub fn load(name_or_path: &str, settings: &[String]) -> Result<Experiment> {
    let mut table = Table::new();
    for (_, layer) in layers(name_or_path)? {
        merge(&mut table, layer);
    }
    for setting in settings {
        set(&mut table, setting)?;
    }
    let named = || format!("experiment `{name_or_path}` with its settings");
    check_types(&table).with_context(named)?;
    let mut experiment: Experiment = table.try_into().with_context(named)?;
    if experiment.name.is_empty() {
        let stem = Path::new(name_or_path)
            .file_stem()
            .map(|stem| stem.to_string_lossy());
        experiment.name = stem.map_or_else(|| "run".to_string(), |stem| stem.into_owned());
    }
    Ok(experiment)
}

/// The tables of an experiment and of those it extends with their names, lowest first; later ones win.
pub(super) fn layers(name_or_path: &str) -> Result<Vec<(String, Table)>> {
    read(name_or_path, MAX_EXTENDS)
}

fn read(name_or_path: &str, depth: usize) -> Result<Vec<(String, Table)>> {
    let text = match BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
        Some((_, text)) => text.to_string(),
        None => crate::runtime::files::read_text(Path::new(name_or_path)).with_context(|| {
            let names: Vec<_> = experiment_names().collect();
            match closest(name_or_path, experiment_names()) {
                Some(name) => format!(
                    "there is no experiment `{name_or_path}`; did you mean `{name}`? \
                     `dp-sims experiments list` has them all"
                ),
                None => format!(
                    "cannot read experiment `{name_or_path}`: give one of {} or the path of a TOML \
                     file",
                    names.join(", ")
                ),
            }
        })?,
    };
    tracing::debug!("experiment {name_or_path}: {} bytes", text.len());
    let mut table: Table = text
        .parse()
        .with_context(|| format!("experiment `{name_or_path}` is not valid TOML"))?;
    let Some(base) = table.remove("extends") else {
        return Ok(vec![(name_or_path.to_string(), table)]);
    };
    let Value::String(base) = base else {
        bail!("experiment `{name_or_path}`: `extends` must be the name or path of an experiment");
    };
    ensure!(
        depth > 0,
        "experiment `{name_or_path}` extends `{base}` in a circle"
    );
    let base = if experiment_names().any(|name| name == base) {
        base
    } else {
        let folder = Path::new(name_or_path).parent().unwrap_or(Path::new(""));
        folder.join(base).to_string_lossy().into_owned()
    };
    let mut below = read(&base, depth - 1)
        .with_context(|| format!("experiment `{name_or_path}` extends `{base}`"))?;
    for (_, layer) in &mut below {
        // A file without a name is named after itself, not after what it extends; nor is it about that.
        layer.remove("name");
        layer.remove("about");
    }
    below.push((name_or_path.to_string(), table));
    Ok(below)
}

/// Puts `above` on `below`, table by table.
fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// An experiment with `key=value` settings on top.
///
/// # Errors
/// When a key is unknown or a value has the wrong type.
pub fn with_settings(experiment: &Experiment, settings: &[String]) -> Result<Experiment> {
    let mut table = Table::try_from(experiment).context("cannot write the experiment as TOML")?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    let named = "the experiment with its settings";
    check_types(&table).context(named)?;
    table.try_into().context(named)
}

/// The dotted key and the value of a setting.
pub(super) fn key_and_value(setting: &str) -> Result<(&str, Value)> {
    let Some((key, text)) = setting.split_once('=') else {
        bail!("`--set {setting}`: write key=value, such as run.batch=8");
    };
    let value = format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_string()));
    Ok((key.trim(), value))
}

fn set(table: &mut Table, setting: &str) -> Result<()> {
    let (key, value) = key_and_value(setting)?;
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut current = table;
    for part in parts {
        let entry = current
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        current = entry
            .as_table_mut()
            .with_context(|| format!("`--set {setting}`: `{part}` is a value, not a table"))?;
    }
    current.insert(last.to_string(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use dp_sims_model::backbones::BackboneKind;
    use dp_sims_model::discriminator::ConditioningMode;

    use super::*;

    #[test]
    fn built_in_experiments_are_valid() {
        for name in experiment_names() {
            let experiment = load(name, &[]).unwrap();
            assert_eq!(experiment.name, name);
            experiment.validate().unwrap();
        }
    }

    #[test]
    fn an_experiment_is_what_it_extends_but_for_what_it_says() {
        let base = load("ade20k", &[]).unwrap();
        let row = load("table5-ccm-csm-efficientnet-lite1", &[]).unwrap();
        let mut expected = base.clone();
        expected.name = row.name.clone();
        expected.about = row.about.clone();
        expected.backbone = row.backbone.clone();
        expected.discriminator.conditioning = ConditioningMode::CcmCsm;
        assert_eq!(row, expected);
        assert_ne!(row.backbone, base.backbone);
        assert_ne!(row.about, base.about);
    }

    #[test]
    fn files_extend_names_and_paths_but_no_circle() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        let load_file = |name: &str| load(&path(name).to_string_lossy(), &[]);
        write("first.toml", "extends = \"camvid\"\n[run]\nbatch = 3\n");
        write("second.toml", "extends = \"first.toml\"\n[run]\nseed = 7\n");
        let second = load_file("second.toml").unwrap();
        assert_eq!((second.run.batch, second.run.seed), (3, 7));
        assert_eq!(second.data.dataset, "camvid");
        assert_eq!(second.name, "second");
        assert!(second.about.is_empty(), "about is not inherited");

        write("circle.toml", "extends = \"circle.toml\"\n");
        let error = format!("{:#}", load_file("circle.toml").unwrap_err());
        assert!(error.contains("in a circle"), "{error}");
        write("wrong.toml", "extends = 3\n");
        let error = format!("{:#}", load_file("wrong.toml").unwrap_err());
        assert!(error.contains("`extends` must be the name"), "{error}");
    }

    #[test]
    fn settings_override_the_file() {
        let settings = [
            "run.batch=2".to_string(),
            "backbone.weights=random".to_string(),
        ];
        let experiment = load("camvid", &settings).unwrap();
        assert_eq!(experiment.run.batch, 2);
        assert_eq!(experiment.backbone.weights, super::super::Weights::Random);
    }

    #[test]
    fn networks_are_named_with_dashes_or_underscores_and_written_with_underscores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        for kind in BackboneKind::all() {
            let name = kind.name();
            for written in [name, &name.replace('_', "-")] {
                let key = format!("network = \"{written}\"");
                std::fs::write(
                    &path,
                    format!("[backbone]\n{key}\n[loss.contrastive]\n{key}\n"),
                )
                .unwrap();
                let of_file = load(path.to_str().unwrap(), &[]).unwrap();
                let settings = ["backbone", "loss.contrastive"]
                    .map(|table| format!("{table}.network={written}"));
                let of_settings = load("quickstart", &settings).unwrap();
                for experiment in [of_file, of_settings] {
                    assert_eq!(experiment.backbone.network, kind);
                    assert_eq!(experiment.loss.contrastive.network, kind);
                    let text = toml::to_string(&experiment).unwrap();
                    assert!(text.contains(&format!("network = \"{name}\"")), "{text}");
                }
            }
        }
        let settings = ["backbone.network=efficientnet-lite9".to_string()];
        let error = format!("{:#}", load("quickstart", &settings).unwrap_err());
        assert!(
            error.contains("unknown variant `efficientnet-lite9`, expected one of `convnext_tiny`"),
            "{error}"
        );
    }

    #[test]
    fn rates_rise_over_the_warm_up_and_fall_over_the_decay() {
        let falling = |[warmup, decay]: [u64; 2], more: &[&str]| {
            let mut settings = vec![
                format!("optimizer.warmup_steps={warmup}"),
                format!("optimizer.decay_steps={decay}"),
            ];
            settings.extend(more.iter().map(ToString::to_string));
            let optimizer = load("quickstart", &settings).unwrap().optimizer;
            [1, 2, 4, 5, 9, 10].map(|step| optimizer.rate_share(step, 10))
        };
        let rates = |steps| falling(steps, &[]);
        assert_eq!(rates([0, 0]), [1.0; 6]);
        assert_eq!(rates([4, 0]), [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(rates([0, 4]), [1.0, 1.0, 1.0, 1.0, 0.5, 0.25]);
        let along =
            |schedule: &str, steps| falling(steps, &[&format!("optimizer.schedule={schedule}")]);
        assert_eq!(along("linear", [2, 4]), rates([2, 4]));
        assert_eq!(along("constant", [2, 4]), rates([2, 0]));
        assert_eq!(along("cosine", [0, 0]), [1.0; 6]);
        let cosine = along("cosine", [0, 4]);
        let expected = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5 - 0.125_f64.sqrt()];
        for (rate, expected) in cosine.into_iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-12, "{cosine:?}");
        }
    }

    #[test]
    fn diversity_needs_noise_and_cells_that_divide_the_image() {
        let fails = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
            let experiment = load("quickstart", &settings).unwrap();
            experiment.validate().unwrap_err().to_string()
        };
        let error = fails(&[
            "loss.image_diversity.lambda=1",
            "loss.image_diversity.cell=7",
        ]);
        assert!(error.contains("image_diversity.cell"), "{error}");
        for key in [
            "loss.image_diversity.lambda",
            "loss.feature_diversity.lambda",
        ] {
            let own = format!("{key}=1");
            let mut settings = vec!["generator.noise=none", "loss.lambda_diversity=0"];
            settings.extend(["loss.image_diversity.lambda=0", own.as_str()]);
            let error = fails(&settings);
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = load("camvid", &["run.batchsize=2".to_string()]).unwrap_err();
        assert!(format!("{error:#}").contains("batchsize"), "{error:#}");
    }

    #[test]
    fn an_unknown_experiment_lists_the_known_ones() {
        let error = load("no-such-experiment", &[]).unwrap_err().to_string();
        assert!(
            error.contains("quickstart") && error.contains("camvid"),
            "{error}"
        );
    }

    #[test]
    fn a_resolved_experiment_reads_back_the_same() {
        let experiment = load("quickstart", &[]).unwrap();
        let text = toml::to_string(&experiment).unwrap();
        let again: Experiment = toml::from_str(&text).unwrap();
        assert_eq!(again, experiment);
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let error = load("camvid", &["ema.decay=1.5".to_string()])
            .unwrap()
            .validate()
            .unwrap_err();
        assert!(error.to_string().contains("ema.decay"), "{error}");
    }

    /// Fewer blocks in the generator allow sizes that the discriminator cannot halve.
    #[test]
    fn a_size_that_the_backbone_does_not_divide_is_refused() {
        let settings = [
            "generator.width_multipliers=[2, 2, 1]".to_string(),
            "generator.encoder_channels=[4, 4, 4]".to_string(),
            "data.width=40".to_string(),
        ];
        let error = load("quickstart", &settings)
            .unwrap()
            .validate()
            .unwrap_err();
        assert!(error.to_string().contains("data.width"), "{error}");
        assert!(error.to_string().contains("32"), "{error}");
    }
}

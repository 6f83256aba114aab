use anyhow::{Result, ensure};
use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::known::known_weights_of;
use dp_sims_model::naming::same_name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the weights of a frozen network come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// `NETWORK.safetensors` or a published file in the weights folder, or the weights inside the
    /// program.
    #[default]
    Pretrained,
    /// Random numbers: the "Random Init." row of Table 3.
    Random,
    /// Otherwise the id of a known file, for example `"convnext_large.fb_in1k"`.
    #[serde(untagged)]
    Known(String),
}

impl Weights {
    /// Checks that a known file is one of the network.
    ///
    /// # Errors
    /// Names the configuration key and the files that fit.
    pub(super) fn validate(&self, key: &str, network: BackboneKind) -> Result<()> {
        let Self::Known(id) = self else {
            return Ok(());
        };
        let mut ids: Vec<_> = known_weights_of(network).map(|known| known.id).collect();
        let is_one_of_them = ids.iter().any(|known| same_name(known, id));
        ids.extend(["pretrained", "random"]);
        ensure!(
            is_one_of_them,
            "configuration key `{key}`: `{id}` is no known file of {}, which has {}",
            network.name(),
            ids.join(", ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    use super::*;

    #[test]
    fn weights_are_named_by_their_id() {
        let setting = |weights: &str| {
            let settings = [
                "backbone.network=convnext_large".to_string(),
                format!("backbone.weights={weights}"),
            ];
            load("quickstart", &settings).unwrap()
        };
        for (text, expected) in [
            ("pretrained", Weights::Pretrained),
            ("random", Weights::Random),
            (
                "convnext_large.fb_in1k",
                Weights::Known("convnext_large.fb_in1k".to_string()),
            ),
            (
                "convnext-large.fb-in1k",
                Weights::Known("convnext-large.fb-in1k".to_string()),
            ),
        ] {
            let experiment = setting(text);
            assert_eq!(experiment.backbone.weights, expected);
            experiment.validate().unwrap();
            let written = toml::to_string(&experiment.backbone).unwrap();
            assert!(
                written.contains(&format!("weights = \"{text}\"")),
                "{written}"
            );
        }
        let error = setting("convnext_base.fb_in1k").validate().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`backbone.weights`"), "{text}");
        assert!(
            text.contains("convnext_large.fb_in22k_ft_in1k_384, "),
            "{text}"
        );
    }
}

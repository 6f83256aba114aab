//! The known weight files of all networks: the tables of backbones and of evaluators as one.

use dp_sims_evaluators::EvaluatorKind;
use dp_sims_evaluators::known::{self as evaluators, EVALUATOR_WEIGHTS};
use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::known::{self as backbones, BACKBONE_WEIGHTS, KnownWeights};
use dp_sims_model::naming::same_name;

/// A network that weight files are published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownNetwork {
    /// One whose features training and distances use. Its known files are alternatives.
    Backbone(BackboneKind),
    /// One that images are judged with. Its known files are parts: it reads all of them.
    Evaluator(EvaluatorKind),
}

impl KnownNetwork {
    /// Every network, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        let backbones = BackboneKind::all().map(Self::Backbone);
        backbones.chain(EvaluatorKind::all().map(Self::Evaluator))
    }

    /// The network of this name, with dashes or underscores.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|network| same_name(network.name(), name))
    }

    /// Name in experiments, protocols and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backbone(kind) => kind.name(),
            Self::Evaluator(kind) => kind.name(),
        }
    }

    /// Its known files: of a backbone alternatives, the preferred one first, and none for the one that
    /// is part of the program; of an evaluator parts, in the order in which it reads them.
    pub fn files(self) -> Vec<&'static KnownWeights> {
        match self {
            Self::Backbone(kind) => backbones::known_weights_of(kind).collect(),
            Self::Evaluator(kind) => evaluators::known_weights_of(kind).collect(),
        }
    }

    /// The files without which the network cannot be loaded, in the order in which it reads them:
    /// the preferred one of a backbone, all of an evaluator.
    pub fn needed(self) -> Vec<&'static KnownWeights> {
        let mut files = self.files();
        if matches!(self, Self::Backbone(_)) {
            files.truncate(1);
        }
        files
    }

    /// Names under which it looks for a known file in the weights folder, the downloaded file first.
    pub fn names_of(self, known: &KnownWeights) -> Vec<String> {
        match self {
            Self::Backbone(_) => known.names_for_backbone(),
            Self::Evaluator(kind) => kind.names_of(known),
        }
    }
}

/// Every known file with the network that it is published for.
pub fn all_known_weights() -> impl Iterator<Item = (KnownNetwork, &'static KnownWeights)> {
    let backbones = BACKBONE_WEIGHTS.iter();
    let backbones = backbones.map(|(kind, known)| (KnownNetwork::Backbone(*kind), known));
    let evaluators = EVALUATOR_WEIGHTS.iter();
    backbones.chain(evaluators.map(|(kind, known)| (KnownNetwork::Evaluator(*kind), known)))
}

/// The known file with this id, with dashes or underscores, and the network that it is published for.
pub fn known_weights(id: &str) -> Option<(KnownNetwork, &'static KnownWeights)> {
    all_known_weights().find(|(_, known)| same_name(known.id, id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dp_sims_model::known::{Hash, Origin};

    use super::*;

    #[test]
    fn ids_names_and_files_are_unique() {
        let count = all_known_weights().count();
        let files: BTreeSet<_> = all_known_weights().map(|(_, known)| known.file()).collect();
        assert_eq!(files.len(), count);
        // `weights fetch` takes either.
        let ids = all_known_weights().map(|(_, known)| known.id);
        let names: BTreeSet<_> = ids
            .chain(KnownNetwork::all().map(|network| network.name()))
            .map(|name| name.replace('-', "_"))
            .collect();
        assert_eq!(names.len(), count + KnownNetwork::all().count());
        assert_eq!(
            known_weights("vgg19.tv_in1k").unwrap().0,
            KnownNetwork::Backbone(BackboneKind::Vgg19)
        );
        assert_eq!(known_weights("vgg19"), None);
        assert_eq!(
            KnownNetwork::named("vgg19"),
            Some(KnownNetwork::Backbone(BackboneKind::Vgg19))
        );
        assert_eq!(KnownNetwork::named("vgg19.tv_in1k"), None);
    }

    #[test]
    fn ids_and_names_are_read_with_dashes_or_underscores() {
        let spellings = |name: &str| [name.replace('-', "_"), name.replace('_', "-")];
        for network in KnownNetwork::all() {
            for written in spellings(network.name()) {
                assert_eq!(KnownNetwork::named(&written), Some(network), "{written}");
            }
        }
        for (network, known) in all_known_weights() {
            for written in spellings(known.id) {
                assert_eq!(known_weights(&written), Some((network, known)), "{written}");
            }
        }
    }

    #[test]
    fn hashes_are_hexadecimal_and_agree_with_the_file_names() {
        for (_, known) in all_known_weights() {
            let (digits, length) = match known.hash {
                Hash::Sha256(digits) => (digits, 64),
                Hash::Prefix(digits) => (digits, 8),
                Hash::Announced => {
                    let Origin::Address(address) = known.origin() else {
                        panic!("{} has no address", known.id)
                    };
                    assert!(address.starts_with("https://huggingface.co/"), "{address}");
                    continue;
                }
                Hash::Unpublished => continue,
            };
            assert_eq!(digits.len(), length, "{}", known.id);
            assert!(
                digits
                    .bytes()
                    .all(|digit| b"0123456789abcdef".contains(&digit))
            );
            let name = known.file();
            assert!(name.contains(&format!("-{}.pth", &digits[..8])), "{name}");
        }
    }

    #[test]
    fn an_evaluator_needs_all_of_its_files() {
        for kind in EvaluatorKind::all() {
            let network = KnownNetwork::Evaluator(kind);
            assert!(!network.files().is_empty(), "{}", kind.name());
            assert_eq!(network.needed(), network.files());
        }
    }
}

use super::{KnownWeights, known_weights_of};
use crate::backbones::{BackboneKind, info};
use crate::evaluators::EvaluatorKind;

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
        let backbones = BackboneKind::ALL.into_iter().map(Self::Backbone);
        backbones.chain(EvaluatorKind::ALL.into_iter().map(Self::Evaluator))
    }

    /// The network of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|network| network.name() == name)
    }

    /// Name in experiments, protocols and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backbone(kind) => info(kind).name,
            Self::Evaluator(kind) => kind.name(),
        }
    }

    /// The files without which the network cannot be loaded, in the order in which it reads them:
    /// the preferred one of a backbone, all of an evaluator.
    pub fn needed(self) -> Vec<&'static KnownWeights> {
        let alternatives = matches!(self, Self::Backbone(_));
        let count = if alternatives { 1 } else { usize::MAX };
        known_weights_of(self).take(count).collect()
    }
}

impl From<BackboneKind> for KnownNetwork {
    fn from(kind: BackboneKind) -> Self {
        Self::Backbone(kind)
    }
}

impl From<EvaluatorKind> for KnownNetwork {
    fn from(kind: EvaluatorKind) -> Self {
        Self::Evaluator(kind)
    }
}

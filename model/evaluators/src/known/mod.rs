//! The weight files that are published for the networks that judge images.

mod table;
#[cfg(test)]
mod tests;

use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::known::{self, KnownWeights};
pub use table::EVALUATOR_WEIGHTS;

use crate::{EvaluatorKind, LpipsTrunk};

/// The known files of an evaluator, which are parts, in the order in which it reads them. LPIPS with
/// VGG-16 reads the file that is published for the backbone.
pub fn known_weights_of(kind: EvaluatorKind) -> impl Iterator<Item = &'static KnownWeights> {
    let shared = match kind {
        EvaluatorKind::Lpips(LpipsTrunk::Vgg) => {
            let name = LpipsTrunk::Vgg.file().name;
            known::known_weights_of(BackboneKind::Vgg16).find(|known| known.file() == name)
        }
        _ => None,
    };
    let own = EVALUATOR_WEIGHTS
        .iter()
        .filter(move |(network, _)| *network == kind);
    shared.into_iter().chain(own.map(|(_, known)| known))
}

impl EvaluatorKind {
    /// Names under which it looks for a known file in the weights folder: as downloaded, and for a
    /// Mask2Former either file of its repository, also in a folder called after that.
    pub fn names_of(self, known: &KnownWeights) -> Vec<String> {
        let file = known.file();
        let mut others = match self {
            Self::Mask2Former(_) => vec![
                known.imported_file(),
                format!("{}/model.safetensors", known.id),
                format!("{}/pytorch_model.bin", known.id),
            ],
            _ => vec![],
        };
        others.retain(|name| *name != file);
        others.insert(0, file);
        others
    }
}

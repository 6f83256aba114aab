use std::fmt;
use std::path::Path;

use burn::tensor::backend::Backend;
use dp_sims_model::backbones::{BackboneKind, WeightSource, build};
use dp_sims_model::weights::{StateDict, WeightsError, list_weights, read_weights};
use serde::Serialize;

/// Names shown of a long list.
const SHOWN: usize = 4;

/// What a weight file holds and which networks it fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// Format, told by the content.
    pub format: String,
    /// Elements of all float tensors.
    pub parameters: usize,
    /// Why the values cannot be used; none when all are finite.
    pub not_finite: Option<String>,
    /// Networks that the file fits.
    pub fits: Vec<&'static str>,
    /// The network that comes nearest, when the file fits none.
    pub nearest: Option<Nearest>,
    /// Every tensor as it is stored.
    pub tensors: Vec<TensorEntry>,
}

/// A tensor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorEntry {
    /// Name in the file.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Element type.
    pub element: String,
}

/// What keeps a file from fitting a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// The network.
    pub backbone: &'static str,
    /// Names that it needs and the file lacks.
    pub missing: Vec<String>,
    /// Names of the file that it does not know.
    pub unknown: Vec<String>,
    /// Tensors of another shape, with both shapes.
    pub misshapen: Vec<String>,
}

/// Describes a weight file and tries every network on it.
///
/// # Errors
/// [`WeightsError`] when it is no whole weight file.
pub fn inspect<B: Backend>(path: &Path, device: &B::Device) -> Result<Inspection, WeightsError> {
    let listing = list_weights(path)?;
    let (not_finite, fit) = match read_weights(path) {
        Ok(dict) => (None, fits::<B>(&dict, device)),
        Err(error @ WeightsError::NotFinite { .. }) => (Some(error.to_string()), Fit::default()),
        Err(error) => return Err(error),
    };
    let is_float = |element: &str| matches!(element, "f16" | "bf16" | "f32" | "f64");
    Ok(Inspection {
        file: path.display().to_string(),
        format: listing.format.to_string(),
        parameters: listing
            .tensors
            .iter()
            .filter(|tensor| is_float(&tensor.element))
            .map(|tensor| tensor.elements())
            .fold(0, usize::saturating_add),
        not_finite,
        fits: fit.kinds.iter().map(|kind| kind.name()).collect(),
        nearest: fit.nearest,
        tensors: listing
            .tensors
            .into_iter()
            .map(|tensor| TensorEntry {
                name: tensor.name,
                shape: tensor.shape,
                element: tensor.element,
            })
            .collect(),
    })
}

/// The networks that tensors fit.
#[derive(Default)]
pub(super) struct Fit {
    /// Those that take every tensor.
    pub kinds: Vec<BackboneKind>,
    /// The one with the fewest differences, where none takes them.
    pub nearest: Option<Nearest>,
}

/// Loads the tensors into every network, the way training does.
pub(super) fn fits<B: Backend>(dict: &StateDict, device: &B::Device) -> Fit {
    let mut fit = Fit::default();
    for kind in BackboneKind::all() {
        let source = WeightSource::State(dict.clone(), "the file".to_string());
        match build::<B>(kind, source, device) {
            Ok(_) => fit.kinds.push(kind),
            Err(WeightsError::Mismatch {
                missing,
                unused,
                misshapen,
                ..
            }) => {
                let candidate = Nearest {
                    backbone: kind.name(),
                    missing,
                    unknown: unused,
                    misshapen: misshapen.iter().map(ToString::to_string).collect(),
                };
                let is_nearer = |best: &Nearest| candidate.differences() < best.differences();
                if fit.nearest.as_ref().is_none_or(is_nearer) {
                    fit.nearest = Some(candidate);
                }
            }
            // A network that cannot even compare its tensors is not near.
            Err(_) => {}
        }
    }
    if !fit.kinds.is_empty() {
        fit.nearest = None;
    }
    fit
}

impl Nearest {
    /// Names weigh more than shapes: networks of one family differ in their shapes.
    fn differences(&self) -> (usize, usize) {
        (
            self.missing.len() + self.unknown.len(),
            self.misshapen.len(),
        )
    }
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nearest is {}", self.backbone)?;
        for (kind, names) in [
            ("missing", &self.missing),
            ("unknown", &self.unknown),
            ("misshapen", &self.misshapen),
        ] {
            if names.is_empty() {
                continue;
            }
            let shown = names[..names.len().min(SHOWN)].join(", ");
            write!(f, "\n  {} {kind}: {shown}", names.len())?;
            if names.len() > SHOWN {
                write!(f, " and {} more", names.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.tensors.iter().map(|tensor| tensor.name.len()).max();
        let width = width.unwrap_or(0);
        for tensor in &self.tensors {
            let TensorEntry {
                name,
                shape,
                element,
            } = tensor;
            writeln!(f, "{name:<width$}  {element:<5} {shape:?}")?;
        }
        writeln!(f, "\nfile        {}", self.file)?;
        writeln!(f, "format      {}", self.format)?;
        writeln!(f, "tensors     {}", self.tensors.len())?;
        writeln!(f, "parameters  {}", self.parameters)?;
        match (&self.not_finite, &self.nearest) {
            (Some(problem), _) => writeln!(f, "values      {problem}"),
            (None, Some(nearest)) => {
                writeln!(f, "values      finite")?;
                writeln!(f, "fits        none; {nearest}")
            }
            (None, None) => {
                writeln!(f, "values      finite")?;
                writeln!(f, "fits        {}", self.fits.join(", "))
            }
        }
    }
}

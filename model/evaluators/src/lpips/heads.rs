//! The linear heads: what the squared difference of each channel counts.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_model::layers::{Conv, ConvConfig};
use dp_sims_model::weights::{
    KeyMap, StateDict, WeightSource, WeightsError, from_safetensors_bytes,
};

use super::LpipsTrunk;

/// The five heads in the names of the authors' files.
#[derive(Module, Debug)]
struct Heads<B: Backend> {
    lin0: Head<B>,
    lin1: Head<B>,
    lin2: Head<B>,
    lin3: Head<B>,
    lin4: Head<B>,
}

/// A 1 × 1 convolution to one channel without bias, `[1, C, 1, 1]`. Its place in the sequence is
/// behind the dropout that it was trained with.
#[derive(Module, Debug)]
struct Head<B: Backend> {
    model: Vec<Option<Conv<B>>>,
}

impl LpipsTrunk {
    /// The heads of LPIPS 0.1 for this trunk, which are part of the program (BSD-2-Clause, see
    /// `NOTICE`).
    ///
    /// # Errors
    ///
    /// None but for a program whose bytes are damaged.
    pub fn heads(self) -> Result<WeightSource, WeightsError> {
        let (bytes, origin): (&[u8], _) = match self {
            Self::Vgg => (include_bytes!("vgg.safetensors"), "the built-in vgg.pth"),
            Self::AlexNet => (include_bytes!("alex.safetensors"), "the built-in alex.pth"),
        };
        let dict = from_safetensors_bytes(bytes, origin)?;
        Ok(WeightSource::State(dict, origin.to_string()))
    }

    /// Heads that nobody trained: every channel counts the same and every tap a fifth. With them a
    /// distance is the squared distance of feature vectors of length one, averaged over positions and
    /// taps: 0 for equal images, at most 2 since no feature is negative. It is not LPIPS.
    pub fn even_heads(self) -> WeightSource {
        let channels = self.channels();
        let share = 1.0 / channels.len() as f32;
        let heads = channels.into_iter().enumerate().map(|(tap, channels)| {
            let values = TensorData::new(vec![share; channels], [1, channels, 1, 1]);
            (format!("lin{tap}.model.1.weight"), values)
        });
        WeightSource::State(heads.collect(), "even heads".to_string())
    }
}

/// Square roots of the heads, `[1, C, 1, 1]` each.
pub(super) fn roots<B: Backend>(
    trunk: LpipsTrunk,
    source: WeightSource,
    device: &B::Device,
) -> Result<Vec<Tensor<B, 4>>, WeightsError> {
    let name = format!("the heads of {}", trunk.name());
    let rng = &mut source.rng(&name);
    let mut head = |channels: usize| {
        let conv = ConvConfig::new(channels, 1, 1).with_bias(false);
        Head {
            model: vec![None, Some(conv.init_he(2.0, rng, device))],
        }
    };
    let [lin0, lin1, lin2, lin3, lin4] = trunk.channels().map(&mut head);
    let heads = Heads {
        lin0,
        lin1,
        lin2,
        lin3,
        lin4,
    };
    if let WeightSource::State(dict, origin) = &source {
        not_negative(dict, origin)?;
    }
    let heads = source.load(heads, &KeyMap::new(name))?;
    let heads = [heads.lin0, heads.lin1, heads.lin2, heads.lin3, heads.lin4];
    let convs = heads.into_iter().flat_map(|head| head.model).flatten();
    // Random heads have both signs.
    Ok(convs
        .map(|conv| conv.weight.val().detach().abs().sqrt())
        .collect())
}

/// Refuses weights with which two different images could have a distance of zero or less.
fn not_negative(dict: &StateDict, origin: &str) -> Result<(), WeightsError> {
    for (name, data) in dict {
        if let Some(value) = data.iter::<f32>().find(|&value| value < 0.0) {
            return Err(WeightsError::Format {
                origin: origin.to_string(),
                reason: format!(
                    "tensor `{name}` holds {value}, but no weight of a distance is negative"
                ),
            });
        }
    }
    Ok(())
}

//! Reads the size of a network from the shapes of its tensors.

use dp_sims_model::backbones::{SwinConfig, WindowFit};
use dp_sims_model::weights::{StateDict, WeightsError};

use super::deformable::POINTS;
use super::names::{DECODER, ENCODER};
use super::pixel_decoder::GROUPS;
use super::{LEVELS, Mask2FormerConfig, Mask2FormerKind};

impl Mask2FormerConfig {
    /// The size of the network whose tensors, in the names of transformers, are in `dict`.
    ///
    /// The order of resizing, which no shape tells, is that of the published network with as many
    /// classes; with another number of classes the scores are resized.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] names a tensor that the size is read from and that is missing;
    /// [`WeightsError::Format`] says which shape, or which number that follows from it, belongs to
    /// no Mask2Former with Swin.
    pub fn of_shapes(dict: &StateDict, origin: &str) -> Result<Self, WeightsError> {
        let shapes = Shapes { dict, origin };
        let [dim, ..] = shapes.of::<4>(&format!(
            "{ENCODER}embeddings.patch_embeddings.projection.weight"
        ))?;
        let block = |stage, block| format!("{ENCODER}encoder.layers.{stage}.blocks.{block}.");
        let (mut depths, mut heads) = ([0; 4], [0; 4]);
        let mut window = 0;
        for (stage, (depth, heads)) in depths.iter_mut().zip(&mut heads).enumerate() {
            *depth = shapes.count(|index| block(stage, index));
            let table = "attention.self.relative_position_bias_table";
            let table = format!("{}{table}", block(stage, 0));
            let [rows, columns] = shapes.of(&table)?;
            // (2 · window - 1)² relative positions.
            let side = rows.isqrt();
            shapes.fits(side * side == rows && side % 2 == 1, || {
                format!("`{table}` has {rows} rows, which is no odd number squared")
            })?;
            (*heads, window) = (columns, side.div_ceil(2));
        }
        let pixel_decoder = "model.pixel_level_module.decoder.";
        let layer = |index| format!("{pixel_decoder}encoder.layers.{index}.");
        let decoder_layer = |index| format!("{DECODER}layers.{index}.");
        let [queries, hidden] = shapes.of("model.transformer_module.queries_embedder.weight")?;
        let [classes, _] = shapes.of("class_predictor.weight")?;
        let [mask_features, ..] =
            shapes.of::<4>(&format!("{pixel_decoder}mask_projection.weight"))?;
        let offsets = format!("{}self_attn.sampling_offsets.weight", layer(0));
        let [offset_rows, _] = shapes.of(&offsets)?;
        let [encoder_feedforward, _] = shapes.of(&format!("{}fc1.weight", layer(0)))?;
        let [decoder_feedforward, _] = shapes.of(&format!("{}fc1.weight", decoder_layer(0)))?;

        let per_head = LEVELS * POINTS * 2;
        let attention_heads = offset_rows / per_head;
        shapes.fits(
            attention_heads * per_head == offset_rows && attention_heads > 0,
            || format!("`{offsets}` has {offset_rows} rows, expected {per_head} for each head"),
        )?;
        for (channels, parts, what) in [
            (hidden, attention_heads, "attention heads"),
            (hidden, GROUPS, "groups of a norm"),
            (dim, heads[0], "heads of Swin's stage 1"),
            (2 * dim, heads[1], "heads of Swin's stage 2"),
            (4 * dim, heads[2], "heads of Swin's stage 3"),
            (8 * dim, heads[3], "heads of Swin's stage 4"),
        ] {
            shapes.fits(channels.is_multiple_of(parts), || {
                format!("{channels} channels cannot be shared by {parts} {what}")
            })?;
        }
        shapes.fits(classes > 1, || {
            "`class_predictor.weight` has one row, that of no object".to_string()
        })?;
        let classes = classes - 1;
        let kind = Mask2FormerKind::of_classes(classes);
        let swin = SwinConfig::new(depths, dim, heads)
            .with_window(window)
            .with_fit(WindowFit::Pad);
        Ok(Self {
            queries,
            classes,
            swin,
            hidden,
            mask_features,
            heads: attention_heads,
            encoder_layers: shapes.count(layer),
            encoder_feedforward,
            decoder_layers: shapes.count(decoder_layer),
            decoder_feedforward,
            masks_first: kind == Some(Mask2FormerKind::CocoPanoptic),
        })
    }
}

struct Shapes<'a> {
    dict: &'a StateDict,
    origin: &'a str,
}

impl Shapes<'_> {
    /// Shape of a tensor of `D` axes, none of them empty: the other numbers are then no larger
    /// than the file.
    fn of<const D: usize>(&self, name: &str) -> Result<[usize; D], WeightsError> {
        let Some(data) = self.dict.get(name) else {
            return Err(WeightsError::Mismatch {
                origin: self.origin.to_string(),
                network: "mask2former".to_string(),
                missing: vec![name.to_string()],
                unused: Vec::new(),
                misshapen: Vec::new(),
            });
        };
        let found = data.shape.as_slice();
        let shape = <[usize; D]>::try_from(found).ok();
        shape
            .filter(|shape| !shape.contains(&0))
            .ok_or_else(|| self.error(format!("`{name}` has shape {found:?}, expected {D} axes")))
    }

    /// How many modules there are, counted from 0 without a gap.
    fn count(&self, module: impl Fn(usize) -> String) -> usize {
        let there = |prefix: String| {
            let next = self.dict.range(prefix.clone()..).next();
            next.is_some_and(|(name, _)| name.starts_with(&prefix))
        };
        (0..).take_while(|index| there(module(*index))).count()
    }

    fn fits(&self, fits: bool, reason: impl FnOnce() -> String) -> Result<(), WeightsError> {
        if fits {
            return Ok(());
        }
        Err(self.error(reason()))
    }

    fn error(&self, reason: String) -> WeightsError {
        WeightsError::Format {
            origin: self.origin.to_string(),
            reason: format!("{reason}; expected a Mask2Former with Swin as transformers stores it"),
        }
    }
}

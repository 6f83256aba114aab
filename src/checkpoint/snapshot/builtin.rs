//! The model inside the program: the one place that says whether there is one.

use std::borrow::Cow;

use anyhow::{Context, Result};

use super::ModelFile;

/// Name that `--checkpoint` knows it by.
pub const BUILT_IN: &str = "scenes";

/// Bytes of its model file, which `dp-sims export --half` wrote.
#[cfg(feature = "model")]
const MODEL: Option<&[u8]> = Some(include_bytes!("../../../model/weights/scenes.safetensors"));

#[cfg(not(feature = "model"))]
const MODEL: Option<&[u8]> = None;

/// The model inside the program.
///
/// # Errors
/// When the program was built without one.
pub(super) fn built_in() -> Result<ModelFile> {
    let bytes = MODEL.with_context(|| {
        format!(
            "this program was built without its model `{BUILT_IN}`: build it with the feature `model`, or \
             name a run, a checkpoint or a model file with --checkpoint"
        )
    })?;
    ModelFile::parse(Cow::Borrowed(bytes), BUILT_IN)
}

#[cfg(all(test, feature = "model", feature = "flex"))]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use dp_sims_backends::FlexAutodiff;

    use super::*;

    type Flex = <FlexAutodiff as AutodiffBackend>::InnerBackend;

    #[test]
    fn it_is_whole_small_and_for_scenes() {
        let model = built_in().unwrap();
        assert!(model.bytes().len() <= 10_000_000, "{}", model.bytes().len());
        assert_eq!(model.description().name, "scenes");
        model.generator::<Flex>(&Default::default()).unwrap();
    }
}

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use dp_sims_datasets::resize::resize_labels;
use dp_sims_datasets::{DatasetError, LabelReader, Size};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::engine::Engine;
use super::error::ApiError;
use super::facts::{ClassFacts, ModelFacts};
use super::limits::Limits;
use super::metrics::Metrics;
use super::samples::Samples;
use crate::checkpoint::snapshot::Snapshot;

/// What every request may use.
#[derive(Debug)]
pub struct Service {
    pub(super) engine: Engine,
    pub(super) facts: ModelFacts,
    pub(super) classes: Vec<ClassFacts>,
    pub(super) samples: Samples,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    /// Bodies that may be read now.
    pub(super) bodies: Semaphore,
    /// PNGs that may be decoded or encoded now.
    pictures: Arc<Semaphore>,
    reader: LabelReader,
}

impl Service {
    /// Images of a model, made by what takes the orders of `engine`.
    pub fn new(
        model: &Snapshot,
        facts: ModelFacts,
        samples: Samples,
        engine: Engine,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            engine,
            facts,
            classes: ClassFacts::of(model),
            samples,
            metrics,
            bodies: Semaphore::new(limits.bodies),
            pictures: Arc::new(Semaphore::new(limits.pictures)),
            reader: LabelReader::new(&model.description),
            limits,
        }
    }

    /// Size of the images of the model.
    pub(super) fn size(&self) -> Size {
        Size::new(self.facts.height, self.facts.width)
    }

    /// Does what takes a while in a thread where nobody waits for it but those who want it. Of such work, so
    /// much is done at a time as memory allows.
    ///
    /// # Errors
    /// When it panics.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.pictures.clone().acquire_owned().await;
        let done = spawn_blocking(move || {
            // The work goes on where the client does not wait for it any more.
            let _permit = permit;
            work()
        });
        let done = done.await;
        done.map_err(|_| ApiError::failed("the program failed at a picture"))
    }

    /// Class indices at the size of the model of a PNG, read and resized as `dp-sims generate` does.
    ///
    /// # Errors
    /// When it is no label map of this model.
    pub(super) async fn labels(self: &Arc<Self>, png: Bytes) -> Result<Vec<u8>, ApiError> {
        let service = self.clone();
        let labels = self.apart(move || service.read(&png)).await?;
        labels.map_err(|error| {
            let remedy = "send a PNG with the ids or colours of /v1/classes, as the label maps that the \
                          model was trained on";
            ApiError::unusable(error.to_string(), remedy)
        })
    }

    fn read(&self, png: &[u8]) -> Result<Vec<u8>, DatasetError> {
        let name = Path::new("the label map");
        let map = self.reader.parse(png, name, self.limits.png_pixels)?;
        Ok(resize_labels(&map.labels, map.size, self.size())?.into_owned())
    }
}

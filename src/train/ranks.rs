//! What the ranks of a run agree on.

use anyhow::{Result, ensure};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use dp_sims_backends::collective::Group;
use dp_sims_datasets::Share;
use dp_sims_model::losses::{class_counts, weights_of_counts};

use crate::runtime::device::read;

/// Numbers that go from rank to rank at once: 64 MB.
const BUCKET: usize = 1 << 24;

/// A rank of a run, or a run alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ranks {
    group: Option<Group>,
    /// Whether the statistics of batch norm are those of all ranks together.
    syncs_batch_norm: bool,
    /// Whether the class weights of the pixel loss are.
    syncs_class_weights: bool,
}

impl Ranks {
    /// A rank of a group, and what the ranks compute together beside gradients.
    pub fn of(group: Group, syncs_batch_norm: bool, syncs_class_weights: bool) -> Self {
        Self {
            group: Some(group),
            syncs_batch_norm,
            syncs_class_weights,
        }
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// When burn's collective has not heard of this rank.
    pub fn leave<B: AutodiffBackend>(self) -> Result<()> {
        if let Some(group) = self.group {
            group.leave::<B::InnerBackend>()?;
        }
        Ok(())
    }

    /// Number of this rank, from 0.
    pub fn rank(self) -> usize {
        self.group.map_or(0, Group::rank)
    }

    /// Ranks in all.
    pub fn count(self) -> usize {
        self.group.map_or(1, Group::ranks)
    }

    /// Whether there is no other rank.
    pub(super) fn are_one(self) -> bool {
        self.count() == 1
    }

    /// Whether running statistics are the same on every rank.
    pub(super) fn sync_statistics(self) -> bool {
        self.syncs_batch_norm
    }

    /// The part of a batch that is this rank's.
    pub(super) fn share(self) -> Share {
        Share {
            part: self.rank(),
            parts: self.count(),
        }
    }

    /// Does a step as one of the ranks.
    pub(super) fn run<T>(self, step: impl FnOnce() -> T) -> T {
        match self.group {
            Some(group) if self.syncs_batch_norm => group.run(step),
            _ => step(),
        }
    }

    /// The mean of the ranks' tensors.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn mean<B: Backend, const D: usize>(
        self,
        tensor: Tensor<B, D>,
    ) -> Result<Tensor<B, D>> {
        match self.group {
            Some(group) => Ok(group.mean(tensor)?),
            None => Ok(tensor),
        }
    }

    /// Whether something is so on any rank.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn any<B: Backend>(self, is_so: bool, device: &B::Device) -> Result<bool> {
        let Some(group) = self.group else {
            return Ok(is_so);
        };
        let own = f32::from(u8::from(is_so));
        let sum = read(group.sum(Tensor::<B, 1>::from_floats([own], device))?)?;
        Ok(sum.iter::<f32>().any(|sum| sum > 0.0))
    }

    /// The first rank's number, on every rank; in single precision where there are several.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn of_first<B: Backend>(self, number: f64, device: &B::Device) -> Result<f64> {
        let Some(group) = self.group else {
            return Ok(number);
        };
        let own = if self.rank() == 0 { number as f32 } else { 0.0 };
        let sum = read(group.sum(Tensor::<B, 1>::from_floats([own], device))?)?;
        Ok(sum.iter::<f32>().map(f64::from).sum())
    }

    /// Every rank's numbers, by rank; all have as many.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn gather<B: Backend>(
        self,
        own: Vec<f32>,
        device: &B::Device,
    ) -> Result<Vec<Vec<f32>>> {
        let Some(group) = self.group.filter(|_| !own.is_empty()) else {
            return Ok(vec![own; self.count()]);
        };
        let length = own.len();
        let own = Tensor::<B, 1>::from_data(TensorData::new(own, [length]), device);
        let all: Vec<f32> = read(group.gather(own)?)?.iter().collect();
        Ok(all.chunks_exact(length).map(<[f32]>::to_vec).collect())
    }

    /// Class weights of the batch of all ranks, where they are to be that; none where those of the own
    /// batch are as they should be.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn class_weights<B: Backend>(
        self,
        labels: &[u8],
        classes: usize,
        device: &B::Device,
    ) -> Result<Option<Tensor<B, 1>>> {
        let Some(group) = self.group.filter(|_| self.syncs_class_weights) else {
            return Ok(None);
        };
        let counts = TensorData::new(class_counts(labels, classes), [classes]);
        let counts = group.sum(Tensor::<B, 1>::from_data(counts, device))?;
        let pixels = (labels.len() * self.count()) as u64;
        Ok(Some(weights_of_counts(counts, pixels)))
    }

    /// Gradients of the mean of the ranks' losses. Parameters are taken in the order of the module, which is
    /// that of their names and the same on every rank.
    ///
    /// Copies all gradients twice, in parts of 64 MB.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn gradients<B: AutodiffBackend, M: Module<B>>(
        self,
        module: &M,
        mut gradients: GradientsParams,
    ) -> Result<GradientsParams> {
        if self.are_one() {
            return Ok(gradients);
        }
        let mut flat = Flat::<B::InnerBackend> {
            gradients: &mut gradients,
            parts: Vec::new(),
        };
        module.visit(&mut flat);
        let parts = flat.parts;
        let mut means = Vec::with_capacity(parts.len());
        let mut rest = parts.as_slice();
        while !rest.is_empty() {
            let mut numbers = 0;
            let fits = rest.iter().take_while(|(_, part)| {
                numbers += part.dims()[0];
                numbers <= BUCKET
            });
            let (bucket, after) = rest.split_at(fits.count().max(1));
            rest = after;
            let tensors = bucket.iter().map(|(_, part)| part.clone()).collect();
            let mean = self.mean(Tensor::cat(tensors, 0))?;
            let mut start = 0;
            for (id, part) in bucket {
                let length = part.dims()[0];
                means.push((*id, mean.clone().narrow(0, start, length)));
                start += length;
            }
        }
        let mut shaped = Shaped::<B::InnerBackend> {
            gradients: &mut gradients,
            means: means.into_iter(),
        };
        module.visit(&mut shaped);
        Ok(gradients)
    }

    /// Refuses to go on with ranks whose `hash` differs.
    ///
    /// # Errors
    /// When it does, which every rank is told whose sum is not a multiple of its own.
    pub(super) fn check<B: Backend>(
        self,
        hash: &[u8],
        what: &str,
        device: &B::Device,
    ) -> Result<()> {
        let Some(group) = self.group else {
            return Ok(());
        };
        // Bytes and their sums are exact as numbers; a quotient need not be, on a GPU.
        let own: Vec<f32> = hash.iter().map(|&byte| f32::from(byte)).collect();
        let data = TensorData::new(own.clone(), [own.len()]);
        let sum = read(group.sum(Tensor::<B, 1>::from_data(data, device))?)?;
        let expected = own.iter().map(|byte| byte * self.count() as f32);
        ensure!(
            sum.iter::<f32>().eq(expected),
            "{what} differ between ranks (seen by rank {}): every rank needs the same program, experiment, \
             weight files and checkpoint, and a device that computes as the others do",
            self.rank()
        );
        Ok(())
    }
}

/// Takes gradients out, as rows of numbers.
struct Flat<'a, B: Backend> {
    gradients: &'a mut GradientsParams,
    parts: Vec<(ParamId, Tensor<B, 1>)>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Flat<'_, B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let gradient = self.gradients.remove::<B::InnerBackend, D>(param.id);
        if let Some(gradient) = gradient {
            self.parts.push((param.id, gradient.flatten(0, D - 1)));
        }
    }
}

/// Puts means in the place of the gradients.
struct Shaped<'a, B: Backend> {
    gradients: &'a mut GradientsParams,
    means: std::vec::IntoIter<(ParamId, Tensor<B, 1>)>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Shaped<'_, B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let is_next = |(id, _): &(ParamId, _)| *id == param.id;
        if self.means.as_slice().first().is_some_and(is_next)
            && let Some((id, mean)) = self.means.next()
        {
            self.gradients.register(id, mean.reshape(param.dims()));
        }
    }
}

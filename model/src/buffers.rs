//! Operations on whole modules: carrying state over, averaging, clipping.
//!
//! Two modules of the same configuration have their parameters in the same order, whatever their
//! parameter ids are; that order is what matches them here.

use std::collections::VecDeque;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Float, Tensor, TensorData, TensorPrimitive};
use dp_sims_backends::fused::moving_average;
use dp_sims_backends::{Key, constant};

use crate::weights::ModulePath;

/// Copies the buffers of `from` into `into`: running statistics and spectral-norm vectors.
///
/// The discriminator step runs the generator in training mode without a graph, and the generator
/// step runs a frozen copy of the discriminator; both advance state that the trained module must
/// keep (notes L30). Copies references, not data.
pub fn copy_buffers<B, M>(into: M, from: &M::InnerModule) -> M
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
{
    let mut values = Values(VecDeque::new());
    from.visit(&mut values);
    into.map(&mut BufferCopier::<B>(values.0))
}

/// Moving average of every entry of a module, buffers included (notes L33):
/// `decay · average + (1 − decay) · current`.
pub fn average<B: Backend, M: Module<B>>(average: M, current: &M, decay: f64) -> M {
    let mut values = Values(VecDeque::new());
    current.visit(&mut values);
    average.map(&mut Averager::<B> {
        current: values.0,
        decay,
    })
}

/// Takes a module out of its place and leaves an empty one there, until the caller puts another one
/// back: what nobody else holds can be updated in its own memory.
pub fn take<B: Backend, M: Module<B>>(module: &mut M) -> M {
    let taken = module.clone();
    *module = taken.clone().map(&mut Emptier);
    taken
}

/// Scales the gradients of `module` so that their joint L2 norm is at most `largest`. The norm
/// stays on the device.
pub fn clip_gradients<B, M>(
    module: &M,
    mut gradients: GradientsParams,
    largest: f64,
) -> GradientsParams
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
{
    let mut squares = Squares::<B> {
        gradients: &gradients,
        sum: None,
    };
    module.visit(&mut squares);
    let Some(sum) = squares.sum else {
        return gradients;
    };
    let factor = (sum.sqrt() + 1e-6)
        .recip()
        .mul_scalar(largest)
        .clamp_max(1.0);
    module.visit(&mut Scaler::<B> {
        gradients: &mut gradients,
        factor,
    });
    gradients
}

/// Multiplies the gradients of `module` by a factor. Zero comes with them where all of them are finite, and not a
/// number otherwise; the answer stays on the device.
pub fn scale_gradients<B, M>(
    module: &M,
    mut gradients: GradientsParams,
    factor: f64,
) -> (GradientsParams, Option<Tensor<B::InnerBackend, 1>>)
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
{
    let mut scaler = CheckedScaler::<B> {
        gradients: &mut gradients,
        factor,
        check: None,
    };
    module.visit(&mut scaler);
    let check = scaler.check;
    (gradients, check)
}

/// Zero where every buffer of a module is finite, and not a number otherwise; the answer stays on the
/// device. None where the module has no buffer.
pub fn check_buffers<B: AutodiffBackend, M: Module<B>>(
    module: &M,
) -> Option<Tensor<B::InnerBackend, 1>> {
    let mut buffers = Buffers::<B>(Vec::new());
    module.visit(&mut buffers);
    // Infinity times zero is not a number.
    (!buffers.0.is_empty()).then(|| Tensor::cat(buffers.0, 0).mul_scalar(0.0).sum())
}

struct Buffers<B: AutodiffBackend>(Vec<Tensor<B::InnerBackend, 1>>);

impl<B: AutodiffBackend> ModuleVisitor<B> for Buffers<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if !param.is_require_grad() {
            self.0.push(param.val().inner().flatten(0, D - 1));
        }
    }
}

/// Names of the buffers of a module, as [`state_dict`](crate::weights::state_dict) has them.
pub fn buffer_names<B: AutodiffBackend, M: Module<B>>(module: &M) -> Vec<String> {
    let mut names = BufferNames {
        path: ModulePath::default(),
        names: Vec::new(),
    };
    module.visit(&mut names);
    names.names
}

struct BufferNames {
    path: ModulePath,
    names: Vec<String>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for BufferNames {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if !param.is_require_grad() {
            self.names.push(self.path.name());
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}

struct Values<B: Backend>(VecDeque<TensorPrimitive<B>>);

impl<B: Backend> ModuleVisitor<B> for Values<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push_back(param.val().into_primitive());
    }
}

struct BufferCopier<B: AutodiffBackend>(VecDeque<TensorPrimitive<B::InnerBackend>>);

impl<B: AutodiffBackend> ModuleMapper<B> for BufferCopier<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let value = self.0.pop_front();
        match value {
            Some(value) if !param.is_require_grad() => {
                let value = Tensor::<B::InnerBackend, D>::from_primitive(value);
                param.map(|_| Tensor::from_inner(value))
            }
            _ => param,
        }
    }
}

/// Replaces every value by one of a single element, which all places of a device share.
struct Emptier;

impl<B: Backend> ModuleMapper<B> for Emptier {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|value| {
            let key = Key {
                name: "an empty place",
                sizes: [0, 0],
            };
            let empty = constant::<B, D, Float>(key, &value.device(), || {
                TensorData::zeros::<f32, _>([1; D])
            });
            empty.set_require_grad(value.is_require_grad())
        })
    }
}

struct Averager<B: Backend> {
    current: VecDeque<TensorPrimitive<B>>,
    decay: f64,
}

impl<B: Backend> ModuleMapper<B> for Averager<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let decay = self.decay;
        match self.current.pop_front() {
            Some(current) => {
                let current = Tensor::<B, D>::from_primitive(current);
                param.map(|average| moving_average(average, current, decay))
            }
            None => param,
        }
    }
}

struct Squares<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Squares<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scaler<'a, B: AutodiffBackend> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<B::InnerBackend, 1>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scaler<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register(param.id, gradient * factor);
        }
    }
}

struct CheckedScaler<'a, B: AutodiffBackend> {
    gradients: &'a mut GradientsParams,
    factor: f64,
    check: Option<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for CheckedScaler<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let gradient = gradient * self.factor;
            // Infinity times zero is not a number.
            let check = gradient.clone().mul_scalar(0.0).sum();
            self.check = Some(match self.check.take() {
                Some(sum) => sum + check,
                None => check,
            });
            self.gradients.register(param.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::ElementConversion;

    use super::*;
    use crate::init::InitRng;
    use crate::layers::{Conv, ConvConfig, Mode};

    fn conv<B: Backend>(seed: u64) -> Conv<B> {
        let rng = &mut InitRng::new(seed, "t");
        ConvConfig::new(1, 2, 1)
            .with_spectral_norm(true)
            .init(rng, &Default::default())
    }

    fn vector<B: Backend>(conv: &Conv<B>) -> Vec<f32> {
        conv.spectral_norm
            .as_ref()
            .unwrap()
            .u
            .val()
            .into_data()
            .to_vec()
            .unwrap()
    }

    fn weight<B: Backend>(conv: &Conv<B>) -> Vec<f32> {
        conv.weight.val().into_data().to_vec().unwrap()
    }

    fn only_buffers_are_copied<B: AutodiffBackend>() {
        let (into, from) = (conv::<B>(1), conv::<B>(2));
        let copied = copy_buffers(into.clone(), &from.valid());
        assert_eq!(weight(&copied), weight(&into));
        assert_eq!(vector(&copied), vector(&from));
        assert_ne!(vector(&copied), vector(&into));
        assert!(copied.weight.is_require_grad());
        assert!(!copied.spectral_norm.unwrap().u.is_require_grad());
    }

    fn buffers_are_found_by_name<B: AutodiffBackend>() {
        assert_eq!(
            buffer_names(&conv::<B>(1)),
            ["spectral_norm.u", "spectral_norm.v"]
        );
    }

    fn the_average_covers_weights_and_buffers<B: AutodiffBackend>() {
        let (old, new) = (conv::<B>(1).valid(), conv::<B>(2).valid());
        let mean = average(old.clone(), &new, 0.75);
        for (read, name) in [
            (weight::<B::InnerBackend> as fn(&_) -> _, "w"),
            (vector, "u"),
        ] {
            let (old, new, mean) = (read(&old), read(&new), read(&mean));
            for index in 0..old.len() {
                let expected = 0.75 * old[index] + 0.25 * new[index];
                assert!((mean[index] - expected).abs() < 1e-6, "{name} {index}");
            }
        }
    }

    fn what_is_taken_is_whole<B: AutodiffBackend>() {
        let mut place = conv::<B>(1);
        let (ids, before) = (place.weight.id, weight(&place));
        let taken = take(&mut place);
        assert_eq!(weight(&taken), before);
        assert_eq!(taken.weight.id, ids);
        assert!(taken.weight.is_require_grad());
        assert_eq!(weight(&place), [0.0]);
    }

    fn clipping_bounds_the_joint_norm<B: AutodiffBackend>() {
        let device = Default::default();
        let mut network = conv::<B>(1);
        let input = Tensor::<B, 4>::ones([1, 1, 2, 2], &device);
        let loss = (network.forward_normed(input, Mode::Train) * 100.0).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let norm = |gradients: &GradientsParams| -> f64 {
            let weight = gradients
                .get::<B::InnerBackend, 4>(network.weight.id)
                .unwrap();
            let bias = gradients
                .get::<B::InnerBackend, 1>(network.bias.as_ref().unwrap().id)
                .unwrap();
            let sum: f64 = (weight.square().sum() + bias.square().sum())
                .into_scalar()
                .elem();
            sum.sqrt()
        };
        assert!(norm(&gradients) > 10.0);
        let clipped = clip_gradients(&network, gradients, 0.5);
        assert!((norm(&clipped) - 0.5).abs() < 1e-4);
        let untouched = clip_gradients(&network, clipped, 10.0);
        assert!((norm(&untouched) - 0.5).abs() < 1e-4);
    }

    fn scaled_gradients_tell_whether_they_are_finite<B: AutodiffBackend>() {
        let device = Default::default();
        let mut network = conv::<B>(1);
        let mut scaled = |size: f32, factor: f64| {
            let input = Tensor::<B, 4>::full([1, 1, 2, 2], size, &device);
            let loss = network.forward_normed(input, Mode::Eval).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let (gradients, check) = scale_gradients(&network, gradients, factor);
            let bias = network.bias.as_ref().unwrap().id;
            let gradient = gradients.get::<B::InnerBackend, 1>(bias).unwrap();
            let check: f32 = check.unwrap().into_scalar().elem();
            (gradient.into_data().to_vec::<f32>().unwrap(), check)
        };
        assert_eq!(scaled(1.0, 0.25), (vec![1.0; 2], 0.0));
        // The gradient of the weight alone is infinite.
        let (bias, check) = scaled(f32::INFINITY, 1.0);
        assert_eq!(bias, [4.0; 2]);
        assert!(check.is_nan());
    }

    backend_tests!(
        buffers_are_found_by_name,
        scaled_gradients_tell_whether_they_are_finite,
        only_buffers_are_copied,
        the_average_covers_weights_and_buffers,
        what_is_taken_is_whole,
        clipping_bounds_the_joint_norm
    );
}

//! Times the convolution gradients of `Cpu` against those of Flex, taking turns.

use std::time::Instant;

use burn_backend::ops::{ConvOptions, FloatTensorOps, ModuleOps};
use burn_backend::{Backend, Distribution, FloatDType, Shape};
use burn_flex::{Flex, FlexDevice, FlexTensor};
use dp_sims_backends::cpu::Cpu;

/// Turns per measurement; the fastest one counts.
const TURNS: usize = 5;

/// Input `[N, C_in, H, W]`, output channels, kernel size, stride, groups.
const SHAPES: [([usize; 4], usize, usize, usize, usize); 34] = [
    // What a training step takes the gradient of the weight of, from many pixels to few.
    ([4, 32, 64, 64], 32, 3, 1, 1),
    ([8, 32, 64, 64], 32, 3, 1, 1),
    ([4, 64, 64, 64], 32, 3, 1, 1),
    ([8, 64, 64, 64], 64, 3, 1, 1),
    ([8, 64, 64, 64], 128, 3, 1, 1),
    ([8, 64, 32, 32], 256, 3, 1, 1),
    ([8, 64, 16, 16], 512, 3, 1, 1),
    ([8, 64, 8, 8], 1024, 3, 1, 1),
    ([4, 152, 32, 32], 64, 3, 1, 1),
    ([8, 512, 4, 4], 512, 3, 1, 1),
    ([8, 512, 2, 2], 512, 3, 1, 1),
    ([4, 512, 8, 8], 512, 3, 1, 1),
    ([4, 256, 16, 16], 256, 3, 1, 1),
    ([4, 96, 4, 4], 192, 2, 2, 1),
    ([4, 96, 4, 4], 384, 1, 1, 1),
    ([1, 128, 256, 256], 64, 1, 1, 1),
    // The generator at 256x256: local conditions, blocks.
    ([1, 64, 256, 256], 128, 3, 1, 1),
    ([1, 128, 256, 256], 64, 3, 1, 1),
    ([1, 64, 256, 256], 64, 3, 1, 1),
    ([1, 128, 128, 128], 256, 3, 1, 1),
    ([1, 256, 128, 128], 128, 3, 1, 1),
    ([1, 64, 128, 128], 512, 3, 1, 1),
    ([1, 512, 64, 64], 256, 3, 1, 1),
    ([1, 1024, 16, 16], 1024, 3, 1, 1),
    ([4, 128, 64, 96], 32, 3, 1, 1),
    ([8, 64, 32, 48], 128, 3, 1, 1),
    ([4, 256, 8, 12], 256, 3, 1, 1),
    ([4, 64, 64, 64], 64, 1, 1, 1),
    ([4, 64, 64, 64], 64, 3, 1, 1),
    ([4, 64, 64, 64], 128, 3, 2, 1),
    ([4, 3, 64, 96], 64, 3, 1, 1),
    ([4, 64, 64, 96], 3, 3, 1, 1),
    ([1, 128, 64, 64], 64, 3, 1, 1),
    ([4, 96, 32, 48], 96, 7, 1, 96),
];

/// Convolution and its three gradients on one backend.
struct Passes;

impl Passes {
    fn run<B>(
        step: usize,
        [x, weight, bias, grad]: &[FlexTensor; 4],
        options: &ConvOptions<2>,
    ) -> FlexTensor
    where
        B: Backend<FloatTensorPrimitive = FlexTensor>,
    {
        let (x, weight) = (x.clone(), weight.clone());
        let (bias, grad, options) = (bias.clone(), grad.clone(), options.clone());
        match step {
            0 => B::conv2d(x, weight, Some(bias), options),
            1 => B::conv2d_x_backward(x, weight, grad, options),
            2 => B::conv2d_weight_backward(x, weight, grad, options),
            _ => B::conv2d_bias_backward(x, bias, grad),
        }
    }
}

fn random(shape: impl Into<Shape>) -> FlexTensor {
    let distribution = Distribution::Uniform(-1.0, 1.0);
    Flex::float_random(shape.into(), distribution, &FlexDevice, FloatDType::F32)
}

/// Prints a line for every shape.
pub fn run() {
    println!("ms of Cpu / of Flex, and GFLOP/s of Cpu by the definition's operations");
    println!(
        "{:>36}  {:<26}{:<26}{:<26}bias",
        "", "forward", "input", "weight"
    );
    for (size, channels, kernel, stride, groups) in SHAPES {
        let padding = kernel / 2;
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
        let x = random(size);
        let weight = random([channels, size[1] / groups, kernel, kernel]);
        let bias = random([channels]);
        let out = Flex::conv2d(x.clone(), weight.clone(), None, options.clone());
        let grad = random(out.layout().shape().clone());
        let tensors = [x, weight, bias, grad];
        let label = format!("{size:?} -> {channels} {kernel}x{kernel}/{stride} g{groups}");
        print!("{label:>36}");
        let macs = out.layout().num_elements() * (size[1] / groups) * kernel * kernel;
        for step in 0..4 {
            let mut best = [f64::INFINITY; 2];
            for _ in 0..TURNS {
                for (which, best) in best.iter_mut().enumerate() {
                    let start = Instant::now();
                    let result = match which {
                        0 => Passes::run::<Cpu>(step, &tensors, &options),
                        _ => Passes::run::<Flex>(step, &tensors, &options),
                    };
                    *best = best.min(start.elapsed().as_secs_f64());
                    drop(result);
                }
            }
            let [cpu, flex] = best.map(|seconds| seconds * 1e3);
            print!("  {cpu:7.2} / {flex:7.2}");
            if step < 3 {
                print!(" ({:4.0})", 2e-6 * macs as f64 / cpu);
            }
        }
        println!();
    }
}

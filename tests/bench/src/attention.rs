//! Times the attention of `Cpu` against that of Flex, taking turns.

use std::hint::black_box;
use std::time::Instant;

use burn_backend::ops::FloatTensorOps;
use burn_backend::{Backend, Distribution, FloatDType, Shape};
use burn_flex::{Flex, FlexDevice, FlexTensor};
use dp_sims_backends::cpu::Cpu;

/// Turns per measurement; the fastest one counts.
const TURNS: usize = 5;

/// Multiply-adds of a turn at least: the system takes milliseconds to give both threads a core again
/// after a turn of Flex on one.
const TURN: usize = 1_000_000_000;

/// Batch, heads, queries, keys, numbers per token.
const SIZES: [[usize; 5]; 17] = [
    [1, 1, 256, 256, 128],
    [1, 1, 256, 256, 256],
    [1, 1, 256, 256, 512],
    [1, 1, 1024, 1024, 128],
    [1, 1, 1024, 1024, 256],
    [1, 1, 1024, 1024, 512],
    [1, 1, 4096, 4096, 128],
    [1, 1, 4096, 4096, 256],
    [1, 1, 4096, 4096, 512],
    // Cross-attention to the tokens of the noise, and other small sizes.
    [1, 1, 4096, 10, 512],
    [4, 1, 256, 10, 512],
    [4, 1, 16, 10, 512],
    [4, 1, 16, 16, 512],
    [2, 8, 100, 100, 32],
    [1, 1, 64, 64, 32],
    [8, 4, 49, 49, 32],
    [1, 8, 100, 400, 32],
];

fn random(shape: [usize; 4]) -> FlexTensor {
    let distribution = Distribution::Uniform(-1.0, 1.0);
    let shape = Shape::from(shape);
    Flex::float_random(shape, distribution, &FlexDevice, FloatDType::F32)
}

/// Seconds of `calls`.
fn time<B>([query, key, value]: &[FlexTensor; 3], calls: usize) -> f64
where
    B: Backend<FloatTensorPrimitive = FlexTensor>,
{
    let start = Instant::now();
    for _ in 0..calls {
        let (query, key, value) = (query.clone(), key.clone(), value.clone());
        let options = Default::default();
        black_box(B::attention(query, key, value, None, None, options));
    }
    start.elapsed().as_secs_f64()
}

/// Prints a line for every size.
pub fn run() {
    println!("ms of Cpu / of Flex, and GFLOP/s of Cpu in the two matrix products");
    println!("{:>32}{:^32}as views of maps", "", "as rows of tokens");
    for [batch, heads, queries, keys, depth] in SIZES {
        let label = format!("{batch}x{heads} {queries} to {keys}, {depth}");
        print!("{label:>32}");
        let macs = 2 * batch * heads * queries * keys * depth;
        let calls = TURN.div_ceil(macs);
        for is_view in [false, true] {
            let operands = [queries, keys, keys].map(|tokens| match is_view {
                false => random([batch, heads, tokens, depth]),
                true => random([batch, heads, depth, tokens]).transpose(2, 3),
            });
            let mut best = [f64::INFINITY; 2];
            for _ in 0..TURNS {
                best[0] = best[0].min(time::<Cpu>(&operands, calls));
                best[1] = best[1].min(time::<Flex>(&operands, calls));
            }
            let [cpu, flex] = best.map(|seconds| seconds * 1e3 / calls as f64);
            let rate = 2e-6 * macs as f64 / cpu;
            print!("  {cpu:8.3} / {flex:8.3} ({rate:4.0})  ");
        }
        println!();
    }
}

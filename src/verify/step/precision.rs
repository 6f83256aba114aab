//! A step of `quickstart` in mixed precision against one in f32.

use dp_sims_backends::FlexAutodiff;
use dp_sims_model::layers::Compute;

use super::*;

/// Shortest gradient that says something, relative to the longest of its network. What is shorter is rounding in
/// f32 as well, such as that of a bias in front of a batch norm.
const SHORTEST: f64 = 1e-4;

fn gradients(compute: Compute) -> BTreeMap<&'static str, StateDict> {
    let experiment = crate::config::load("quickstart", &[]).unwrap();
    let mut case = StepCase::new(experiment).unwrap();
    case.experiment.precision.compute = compute;
    case.run::<FlexAutodiff>(&Default::default())
        .unwrap()
        .gradients
}

fn dot(first: &TensorData, second: &TensorData) -> f64 {
    let pairs = first.iter::<f64>().zip(second.iter::<f64>());
    pairs.map(|(a, b)| a * b).sum()
}

/// Eight bits are too few for every tensor by itself, probably because rounding changes the sign of some activations,
/// and with it the slope of the ReLU behind them. Of all gradients of a network the direction stays.
const BOUNDS: [(Compute, f64, f64); 2] = [(Compute::Bf16, 0.98, 0.8), (Compute::F16, 0.998, 0.99)];

#[test]
fn gradients_in_a_low_type_point_where_those_in_f32_do() {
    let exact = gradients(Compute::F32);
    for (compute, of_network, of_tensor) in BOUNDS {
        let low = gradients(compute);
        let mut compared = 0;
        for (network, exact) in &exact {
            let low = &low[network];
            assert!(exact.keys().eq(low.keys()));
            let products = |name: &String| {
                let (exact, low) = (&exact[name], &low[name]);
                [dot(exact, exact), dot(low, low), dot(exact, low)]
            };
            let products = exact.keys().map(|name| (name, products(name)));
            let products: Vec<_> = products.collect();
            let cosine = |[exact, low, both]: [f64; 3]| both / (exact * low).sqrt();
            let longest = products.iter().map(|(_, [exact, ..])| *exact);
            let longest = longest.fold(0.0, f64::max);
            let mut sums = [0.0; 3];
            for (name, products) in products {
                for (sum, product) in sums.iter_mut().zip(products) {
                    *sum += product;
                }
                if products[0] > SHORTEST.powi(2) * longest {
                    let cosine = cosine(products);
                    assert!(
                        cosine > of_tensor,
                        "{compute:?}, {network}, {name}: {cosine}"
                    );
                    compared += 1;
                }
            }
            let (ratio, cosine) = ((sums[1] / sums[0]).sqrt(), cosine(sums));
            println!("{compute:?}, {network}: lengths {ratio:.4}, cosine {cosine:.4}");
            assert!(
                (ratio - 1.0).abs() < 0.02,
                "{compute:?}, {network}: {ratio}"
            );
            assert!(ratio != 1.0, "{compute:?} is not used");
            assert!(cosine > of_network, "{compute:?}, {network}: {cosine}");
        }
        assert!(compared > 100, "{compared}");
    }
}

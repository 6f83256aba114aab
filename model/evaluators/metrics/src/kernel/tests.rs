use rand::RngExt;

use super::*;

fn features(images: usize, length: usize, seed: u64, shift: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..images * length)
        .map(|_| rng.random::<f32>() + shift)
        .collect()
}

/// Straight from the definition.
fn slow(left: &[f32], right: &[f32], length: usize) -> f64 {
    let kernel = |x: &[f32], y: &[f32]| {
        let product: f64 = x
            .iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum();
        (product / length as f64 + 1.0).powi(3)
    };
    let rows = |set: &[f32]| set.chunks(length).map(<[f32]>::to_vec).collect::<Vec<_>>();
    let (left, right) = (rows(left), rows(right));
    let within = |set: &[Vec<f32>]| {
        let pairs = (0..set.len()).flat_map(|a| (0..set.len()).map(move |b| (a, b)));
        let values = pairs
            .filter(|(a, b)| a != b)
            .map(|(a, b)| kernel(&set[a], &set[b]));
        values.sum::<f64>() / (set.len() * (set.len() - 1)) as f64
    };
    let pairs = left.iter().flat_map(|x| right.iter().map(move |y| (x, y)));
    let across = pairs.map(|(x, y)| kernel(x, y)).sum::<f64>();
    within(&left) + within(&right) - 2.0 * across / (left.len() * right.len()) as f64
}

#[test]
fn agrees_with_the_definition_across_blocks() {
    let (left, right) = (features(530, 3, 1, 0.0), features(17, 3, 2, 0.1));
    let config = KernelConfig::default();
    let found = kernel_distance(&left, &right, 3, &config).unwrap();
    let expected = slow(&left, &right, 3);
    assert!(
        (found.full - expected).abs() < 1e-12,
        "{found:?} {expected}"
    );
    assert_eq!(found.size, 17);
}

#[test]
fn one_subset_of_everything_is_the_full_estimate() {
    let (left, right) = (features(12, 5, 1, 0.0), features(12, 5, 2, 0.2));
    let all: Vec<usize> = (0..12).collect();
    let subsets = vec![[all.clone(), all]; 3];
    let found = kernel_distance_of(&left, &right, 5, &subsets).unwrap();
    assert!((found.mean - found.full).abs() < 1e-12);
    assert!(
        found.std < 1e-12 && found.standard_error > 1e-3,
        "{found:?}"
    );
}

/// The error that the jackknife gives is the spread of the estimate over fresh samples.
#[test]
fn the_standard_error_is_the_spread_of_the_estimate() {
    let found: Vec<KernelDistance> = (0..60)
        .map(|draw| {
            let left = features(40, 4, 2 * draw, 0.0);
            let right = features(40, 4, 2 * draw + 1, 0.3);
            let config = KernelConfig {
                subsets: 1,
                ..Default::default()
            };
            kernel_distance(&left, &right, 4, &config).unwrap()
        })
        .collect();
    let mean = found.iter().map(|f| f.full).sum::<f64>() / 60.0;
    let spread = (found.iter().map(|f| (f.full - mean).powi(2)).sum::<f64>() / 59.0).sqrt();
    let error = found.iter().map(|f| f.standard_error).sum::<f64>() / 60.0;
    assert!(
        (0.75..1.33).contains(&(error / spread)),
        "{error} against {spread}"
    );
}

#[test]
fn the_same_seed_gives_the_same_subsets() {
    let (left, right) = (features(30, 2, 1, 0.0), features(30, 2, 2, 0.1));
    let config = KernelConfig {
        subsets: 4,
        size: 10,
        seed: 5,
    };
    let run = |config: &KernelConfig| kernel_distance(&left, &right, 2, config).unwrap();
    assert_eq!(run(&config), run(&config));
    assert!(run(&config).std > 0.0);
    assert_ne!(
        run(&config).mean,
        run(&KernelConfig { seed: 6, ..config }).mean
    );
}

#[test]
fn too_few_images_are_refused() {
    let (few, many) = (features(2, 2, 1, 0.0), features(9, 2, 2, 0.0));
    let config = KernelConfig::default();
    for (left, right) in [(&few, &many), (&many, &few)] {
        let message = kernel_distance(left, right, 2, &config)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("at least 3 images, there are 2"),
            "{message}"
        );
    }
    assert!(kernel_distance(&[f32::NAN; 6], &many, 2, &config).is_err());
    let one = [vec![0], vec![1]];
    assert!(kernel_distance_of(&many, &many, 2, &[one]).is_err());
}

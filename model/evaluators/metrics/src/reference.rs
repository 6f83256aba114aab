//! Against pytorch-fid, torch-fidelity and scikit-learn: `tests/reference/metrics.py` made the
//! fixtures.

use std::path::PathBuf;

use safetensors::SafeTensors;

use crate::*;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../tests/fixtures/metrics")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn values<T, const N: usize>(file: &SafeTensors<'_>, name: &str, from: fn([u8; N]) -> T) -> Vec<T> {
    let data = file.tensor(name).unwrap().data();
    data.chunks_exact(N)
        .map(|bytes| from(bytes.try_into().unwrap()))
        .collect()
}

fn statistics(features: &[f32], length: usize) -> Statistics {
    let mut moments = Moments::new(length);
    for piece in features.chunks(7 * length) {
        moments.add(piece).unwrap();
    }
    moments.finish().unwrap()
}

fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    println!("{what}: {found}, reference {expected}, relative error {error:.1e}");
    assert!(error <= tolerance, "{what}: {found}, reference {expected}");
}

#[test]
fn distances_are_those_of_pytorch_fid_and_torch_fidelity() {
    // The square root of a singular product, which pytorch-fid takes, is good to fewer digits.
    for (name, length, tolerance) in [("full-rank", 24, 1e-9), ("rank-deficient", 48, 1e-6)] {
        let data = bytes(&format!("{name}.safetensors"));
        let file = SafeTensors::deserialize(&data).unwrap();
        let [left, right] = ["left", "right"].map(|side| values(&file, side, f32::from_le_bytes));
        let expected = values(&file, "frechet", f64::from_le_bytes)[0];
        let found = frechet_distance(&statistics(&left, length), &statistics(&right, length));
        assert_close(
            found.unwrap(),
            expected,
            tolerance,
            &format!("{name}, Fréchet"),
        );
        let size = file.tensor("subsets").unwrap().shape()[2];
        let chosen = values(&file, "subsets", i32::from_le_bytes);
        let subsets: Vec<[Vec<usize>; 2]> = chosen
            .chunks(2 * size)
            .map(|pair| {
                let (left, right) = pair.split_at(size);
                [left, right].map(|side| side.iter().map(|&image| image as usize).collect())
            })
            .collect();
        let found = kernel_distance_of(&left, &right, length, &subsets).unwrap();
        let expected = values(&file, "kernel", f64::from_le_bytes);
        assert_close(
            found.mean,
            expected[0],
            1e-9,
            &format!("{name}, kernel mean"),
        );
        assert_close(
            found.std,
            expected[1],
            1e-9,
            &format!("{name}, kernel deviation"),
        );
    }
}

#[test]
fn statistics_of_pytorch_fid_are_read() {
    let data = bytes("full-rank.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let own = statistics(&values(&file, "left", f32::from_le_bytes), 24);
    let read = read_statistics(&path("pytorch-fid.npz")).unwrap();
    let error = (&own.covariance - &read.covariance).norm_max();
    assert!(error < 1e-12, "{error}");
    for (own, read) in own.mean.iter().zip(&read.mean) {
        assert!((own - read).abs() < 1e-12);
    }
}

#[test]
fn confusion_and_iou_are_those_of_scikit_learn() {
    let data = bytes("segmentation.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let class = |value: &i32| usize::try_from(*value).ok();
    let [truth, predicted] =
        ["truth", "predicted"].map(|side| values(&file, side, i32::from_le_bytes));
    let mut confusion = Confusion::new(9);
    confusion
        .add(truth.iter().map(class).zip(predicted.iter().map(class)))
        .unwrap();
    let matrix = values(&file, "matrix", i32::from_le_bytes);
    let iou = values(&file, "iou", f64::from_le_bytes);
    for row in 0..9 {
        for column in 0..9 {
            assert_eq!(
                confusion.count(row, column),
                matrix[row * 9 + column] as u64
            );
        }
        let found = confusion.iou(row).unwrap();
        assert!((found - iou[row]).abs() < 1e-15, "class {row}");
    }
}

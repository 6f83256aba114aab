use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::super::fused::testing::{assert_close, numbers};
use super::*;
use crate::FlexAutodiff;
use crate::fused::{Normalised, composed_normalise, normalise};

type Inner = <FlexAutodiff as AutodiffBackend>::InnerBackend;

fn place(rank: usize, ranks: usize) -> Place {
    Place {
        rank,
        ranks,
        thread: rank,
        threads: ranks,
    }
}

/// Runs work on so many ranks of this process. There is one group of a backend at a time.
fn on_ranks<T: Send>(ranks: usize, work: impl Fn(Group) -> T + Sync) -> Vec<T> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..ranks)
            .map(|rank| {
                scope.spawn(move || {
                    let place = place(rank, ranks);
                    let group = Group::join::<Inner>(place, None, &Default::default()).unwrap();
                    let output = work(group);
                    group.leave::<Inner>().unwrap();
                    output
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn sums_are_the_same_on_every_rank() {
    for ranks in [1, 2, 3] {
        let sums = on_ranks(ranks, |group| {
            let own: Tensor<Inner, 1> = numbers([5], group.rank());
            group.wait::<Inner>(&own.device()).unwrap();
            group.sum(own).unwrap().to_data()
        });
        let expected = (0..ranks)
            .map(|rank| numbers::<Inner, 1>([5], rank))
            .reduce(|sum, own| sum + own)
            .unwrap();
        for sum in &sums {
            assert_eq!(sum, &sums[0]);
            assert_close(
                Tensor::from_data(sum.clone(), &Default::default()),
                expected.clone(),
                1e-6,
                "sum",
            );
        }
    }
}

#[test]
fn ranks_that_do_not_do_the_same_are_told() {
    let outcomes = on_ranks(2, |group| {
        let own: Tensor<Inner, 1> = numbers([4 + group.rank()], 0);
        group
            .sum(own)
            .map(|_| ())
            .map_err(|error| error.to_string())
    });
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(error.contains("do not do the same"), "{error}");
    }
}

#[test]
fn a_group_is_current_in_its_work_alone() {
    let now = || (current().map(Group::rank), ranks());
    assert_eq!(now(), (None, 1));
    let group = Group {
        place: place(1, 3),
        between: None,
    };
    group.run(|| assert_eq!(now(), (Some(1), 3)));
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        group.run(|| panic!("as work may"))
    }));
    assert_eq!(now(), (None, 1));
}

#[test]
fn what_ranks_gather_is_what_each_of_them_had() {
    for ranks in [1, 2, 3] {
        let own = |rank: usize| numbers::<Inner, 1>([5], rank) * 1e6;
        let found = on_ranks(ranks, |group| {
            group.gather(own(group.rank())).unwrap().into_data()
        });
        let expected = Tensor::stack::<2>((0..ranks).map(own).collect(), 0).into_data();
        assert!(found.iter().all(|found| *found == expected), "{found:?}");
    }
}

type Form = fn(Tensor<FlexAutodiff, 3>, f64) -> Normalised<FlexAutodiff>;

/// Output, gradient and statistics of a batch whose loss is the mean over its images.
fn normalised(
    form: Form,
    input: Tensor<FlexAutodiff, 3>,
    pull: Tensor<FlexAutodiff, 3>,
) -> [Tensor<Inner, 3>; 3] {
    let images = input.dims()[0] as f64;
    let leaf = input.require_grad();
    let Normalised {
        normal,
        mean,
        variance,
    } = form(leaf.clone() * 1.0, 1e-5);
    let loss = (normal.clone() * pull).sum() / images;
    let gradient = leaf.grad(&backward(loss)).unwrap();
    let statistics = Tensor::stack::<2>(vec![mean.inner(), variance.inner()], 0);
    [normal.inner(), gradient, statistics.unsqueeze()]
}

const IMAGES: usize = 6;

/// What so many ranks make of their parts of a batch: the parts of the output and of the gradient after each other,
/// and each rank's statistics.
fn normalised_by_ranks(
    ranks: usize,
    form: Form,
    input: impl Fn() -> Tensor<FlexAutodiff, 3> + Sync,
    pull: impl Fn() -> Tensor<FlexAutodiff, 3> + Sync,
) -> ([Tensor<Inner, 3>; 2], Vec<Tensor<Inner, 3>>) {
    let own = IMAGES / ranks;
    let parts = on_ranks(ranks, |group| {
        let part = |of: Tensor<FlexAutodiff, 3>| of.narrow(0, group.rank() * own, own);
        let outputs = group.run(|| normalised(form, part(input()).detach(), part(pull())));
        outputs.map(|output| output.to_data())
    });
    let part = |index: usize| {
        let parts = parts
            .iter()
            .map(|part| Tensor::<Inner, 3>::from_data(part[index].clone(), &Default::default()));
        parts.collect::<Vec<_>>()
    };
    // The mean of the ranks' losses has its gradient divided by their number.
    let gradient = Tensor::cat(part(1), 0) / ranks as f64;
    ([Tensor::cat(part(0), 0), gradient], part(2))
}

#[test]
fn batch_norm_of_ranks_is_that_of_their_batch() {
    let input = || numbers::<FlexAutodiff, 3>([IMAGES, 3, 35], 1) + 3.0;
    let pull = || numbers::<FlexAutodiff, 3>([IMAGES, 3, 35], 3);
    let [normal, gradient, statistics] = normalised(normalise, input(), pull());
    for ranks in [1, 2, 3] {
        for form in [normalise, composed_normalise] {
            let (found, each) = normalised_by_ranks(ranks, form, input, pull);
            let [found, found_gradient] = found;
            assert_close(found, normal.clone(), 5e-6, "normal");
            assert_close(found_gradient, gradient.clone(), 5e-6, "gradient");
            for found in each {
                assert_close(found, statistics.clone(), 5e-6, "statistics");
            }
        }
    }
}

/// Mean and biased variance of a channel in double precision.
fn statistics_of(values: &[f32], channel: usize, [channels, pixels]: [usize; 2]) -> [f64; 2] {
    let rows = values.chunks(pixels).skip(channel).step_by(channels);
    let all: Vec<f64> = rows.flatten().map(|&value| f64::from(value)).collect();
    let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / all.len() as f64;
    let mean = mean_of(&mut all.iter().copied());
    let variance = mean_of(&mut all.iter().map(|value| (value - mean).powi(2)));
    [mean, variance]
}

/// A mean of squares less the square of the mean would be off by a hundredth.
#[test]
fn ranks_lose_nothing_where_the_mean_is_large_beside_the_deviation() {
    const SHAPE: [usize; 3] = [IMAGES, 3, 1050];
    // Ranks differ in their means as well.
    let input = || {
        let images = Tensor::<FlexAutodiff, 1, burn::tensor::Int>::arange(
            0..IMAGES as i64,
            &Default::default(),
        );
        let images = images.float().reshape([IMAGES, 1, 1]) * 0.1;
        numbers::<FlexAutodiff, 3>(SHAPE, 1) + images + 400.0
    };
    let pull = || numbers::<FlexAutodiff, 3>(SHAPE, 3);
    let values = input().into_data().to_vec::<f32>().unwrap();
    let exact = [0, 1, 2].map(|channel| statistics_of(&values, channel, [3, 1050]));
    let [alone, alone_gradient, _] = normalised(normalise, input(), pull());
    for ranks in [2, 3] {
        let ([normal, gradient], each) = normalised_by_ranks(ranks, normalise, input, pull);
        for found in each {
            let found = found.into_data().to_vec::<f32>().unwrap();
            for (channel, [mean, variance]) in exact.into_iter().enumerate() {
                let [found_mean, found_variance] = [found[channel], found[3 + channel]];
                // The mean is as near as a number around 400 can be, and its next one.
                assert!(
                    (f64::from(found_mean) - mean).abs() < 6e-5,
                    "{found_mean} {mean}"
                );
                let off = (f64::from(found_variance) / variance - 1.0).abs();
                // Ranks' means are up to 0.2 from that of all, and rounded by 3e-5 at most, as it is: 2 · 0.2 · 3e-5
                // of the variance, 0.35, if all were as bad as that.
                assert!(off < 3.4e-5, "{found_variance} {variance}");
            }
        }
        // Both are off by as much as their means are.
        assert_close(normal.clone(), alone.clone(), 6e-5, "normal");
        assert_close(gradient.clone(), alone_gradient.clone(), 6e-5, "gradient");
        let ([composed, composed_gradient], _) =
            normalised_by_ranks(ranks, composed_normalise, input, pull);
        assert_close(composed, normal, 2e-4, "composed");
        assert_close(composed_gradient, gradient, 2e-4, "composed gradient");
    }
}

/// Counts what processes add up.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Between for Counted {
    fn sum(&self, _: &mut [f32]) -> Result<(), String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn batch_norm_between_processes_is_two_sums() {
    let counted: &'static Counted = Box::leak(Box::default());
    let group = Group {
        place: Place {
            threads: 1,
            ..place(0, 2)
        },
        between: Some(counted),
    };
    let counts = |form: Form| {
        let before = counted.0.load(Ordering::Relaxed);
        group.run(|| normalised(form, numbers([2, 3, 35], 1), numbers([2, 3, 35], 3)));
        counted.0.load(Ordering::Relaxed) - before
    };
    assert_eq!(counts(normalise), 2);
    assert_eq!(counts(composed_normalise), 4);
}

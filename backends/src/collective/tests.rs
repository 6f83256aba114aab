use std::thread;

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::super::fused::testing::{assert_close, numbers};
use super::*;
use crate::FlexAutodiff;
use crate::fused::{Normalised, normalise};

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

/// Output, statistics and gradient of a batch whose loss is the mean over its images.
fn normalised(
    input: Tensor<FlexAutodiff, 3>,
    pull: Tensor<FlexAutodiff, 3>,
) -> [Tensor<Inner, 3>; 3] {
    let images = input.dims()[0] as f64;
    let leaf = input.require_grad();
    let Normalised {
        normal,
        mean,
        variance,
    } = normalise(leaf.clone() * 1.0, 1e-5);
    let loss = (normal.clone() * pull).sum() / images;
    if let Some(group) = current() {
        group.wait::<Inner>(&leaf.device()).unwrap();
    }
    let gradient = leaf.grad(&loss.backward()).unwrap();
    let statistics = Tensor::stack::<2>(vec![mean.inner(), variance.inner()], 0);
    [normal.inner(), gradient, statistics.unsqueeze()]
}

#[test]
fn batch_norm_of_ranks_is_that_of_their_batch() {
    const IMAGES: usize = 6;
    let input = || numbers::<FlexAutodiff, 3>([IMAGES, 3, 35], 1) + 3.0;
    let pull = || numbers::<FlexAutodiff, 3>([IMAGES, 3, 35], 3);
    let [normal, gradient, statistics] = normalised(input(), pull());
    for ranks in [1, 2, 3] {
        let own = IMAGES / ranks;
        let parts = on_ranks(ranks, |group| {
            let part = |of: Tensor<FlexAutodiff, 3>| of.narrow(0, group.rank() * own, own);
            let outputs = group.run(|| normalised(part(input()).detach(), part(pull())));
            outputs.map(|output| output.to_data())
        });
        let part = |index: usize| {
            let parts = parts.iter().map(|part| {
                Tensor::<Inner, 3>::from_data(part[index].clone(), &Default::default())
            });
            parts.collect::<Vec<_>>()
        };
        assert_close(Tensor::cat(part(0), 0), normal.clone(), 5e-6, "normal");
        // The mean of the ranks' losses has its gradient divided by their number.
        let found = Tensor::cat(part(1), 0) / ranks as f64;
        assert_close(found, gradient.clone(), 5e-6, "gradient");
        for found in part(2) {
            assert_close(found, statistics.clone(), 5e-6, "statistics");
        }
    }
}

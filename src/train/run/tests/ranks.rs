//! What ranks have to agree on beside their weights.

use std::sync::{Mutex, PoisonError};
use std::thread;

use dp_sims_backends::collective::{Group, Place};

use super::going_back::{Case, count, experiment_of_six, files, logged};
use super::*;
use crate::train::Ranks;

type Flex = <FlexAutodiff as AutodiffBackend>::InnerBackend;

/// What a rank heard, and how it ended.
type Heard = (Vec<String>, Result<Ending>);

/// The ranks of a run in a folder, of which there are two.
fn trained<'a>(case: impl Fn() -> Case<'a> + Sync, syncs_batch_norm: bool) -> [Heard; 2] {
    // There is one group of a backend in a process at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let case = &case;
    thread::scope(|scope| {
        let threads = [0, 1].map(|rank| {
            scope.spawn(move || {
                let place = Place {
                    rank,
                    ranks: 2,
                    thread: rank,
                    threads: 2,
                };
                let group = Group::join::<Flex>(place, None, &Default::default()).unwrap();
                let ranks = Ranks::of(group, syncs_batch_norm, true);
                let heard = Case { ranks, ..case() }.train();
                ranks.leave::<FlexAutodiff>().unwrap();
                heard
            })
        });
        threads.map(|thread| thread.join().unwrap())
    })
}

/// Either rank's part of a batch may be the one that takes the numbers away, and where each has running statistics
/// of its own, those of the other stay finite.
#[test]
fn ranks_leave_out_a_batch_that_takes_the_numbers_away_from_one() {
    let experiment = experiment_of_six();
    for (syncs_batch_norm, poisons_last) in [(true, false), (false, true)] {
        let [folder, without] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let poisoned = || Case {
            poisons_last,
            ..Case::new(&experiment, folder.path(), (3, 1))
        };
        let heard = trained(poisoned, syncs_batch_norm);
        for (events, outcome) in &heard {
            assert_eq!(*outcome.as_ref().unwrap(), Ending::Completed, "{events:?}");
        }
        let [(first, _), (second, _)] = &heard;
        assert_eq!(count(first, "back 2"), 1, "{first:?}");
        assert_eq!(count(first, "with batch 2 step 3"), 1, "{first:?}");
        // What all have to say is said once.
        assert_eq!(
            count(second, "back") + count(second, "batch"),
            0,
            "{second:?}"
        );
        let spared = || Case {
            skipped: vec![2],
            ..Case::new(&experiment, without.path(), (0, 0))
        };
        for (_, outcome) in trained(spared, syncs_batch_norm) {
            outcome.unwrap();
        }
        assert_eq!(files(folder.path(), 6), files(without.path(), 6));
        assert_eq!(logged(folder.path()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(logged(&folder.path().join("abandoned")), [3, 4, 5, 6]);
    }
}

#[test]
fn the_third_time_ends_all_ranks() {
    let experiment = experiment_of_six();
    let folder = tempfile::tempdir().unwrap();
    let heard = trained(
        || Case::new(&experiment, folder.path(), (5, u32::MAX)),
        true,
    );
    assert_eq!(count(&heard[0].0, "back 4"), 2, "{:?}", heard[0].0);
    for (_, outcome) in heard {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("at step 5"), "{error}");
    }
}

/// Weights that are not finite show in the checkpoint alone, which the first rank writes.
#[test]
fn ranks_hear_of_a_checkpoint_that_is_not_finite() {
    let mut experiment = experiment_of_six();
    // The update at the end of the only step leaves no number, and no loss is computed with it.
    experiment.optimizer.lr_discriminator = f64::INFINITY;
    (experiment.run.steps, experiment.run.checkpoint_every) = (1, 1);
    let folder = tempfile::tempdir().unwrap();
    let heard = trained(|| Case::new(&experiment, folder.path(), (0, 0)), true);
    assert_eq!(count(&heard[0].0, "back 0"), 2, "{:?}", heard[0].0);
    for (_, outcome) in heard {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("after step 1"), "{error}");
    }
}

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::class::ClassTable;
use crate::sample::Sample;
use crate::testing::assert_says;

/// Images that tell their index in every pixel, read with uneven delays.
struct Numbers {
    len: usize,
    classes: ClassTable,
    /// Image that cannot be read.
    bad: Option<usize>,
    /// Image that panics.
    fatal: Option<usize>,
    /// Samples being read or finished so far.
    reads: AtomicUsize,
}

impl Numbers {
    fn new(len: usize) -> Self {
        let classes = ClassTable {
            classes: Vec::new(),
        };
        Self {
            len,
            classes,
            bad: None,
            fatal: None,
            reads: AtomicUsize::new(0),
        }
    }
}

impl LabelledImages for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn classes(&self) -> &ClassTable {
        &self.classes
    }

    fn sample(&self, index: usize, size: Size) -> Result<Sample, DatasetError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros((index as u64 * 7919) % 400));
        assert_ne!(Some(index), self.fatal, "a dataset that panics");
        if Some(index) == self.bad {
            return Err(DatasetError::Index {
                dataset: "numbers".into(),
                index,
                len: self.len,
            });
        }
        let columns = (0..size.height).flat_map(|_| 0..size.width);
        Ok(Sample {
            name: format!("n{index}"),
            width: size.width,
            height: size.height,
            image: columns
                .clone()
                .flat_map(|x| [index as u8, x as u8, 200 + x as u8])
                .collect(),
            labels: columns.map(|x| x as u8).collect(),
            instances: None,
        })
    }

    fn present(&self, index: usize) -> Result<ClassSet, DatasetError> {
        Ok(ClassSet::of(&[0, 1 + u8::from(index.is_multiple_of(7))]))
    }
}

fn config(workers: usize) -> LoaderConfig {
    let size = Size::new(2, 3);
    LoaderConfig {
        size,
        load: None,
        batch: 4,
        workers,
        queue: 3,
        seed: 5,
        flip: true,
        balanced: false,
        offsets: false,
        share: Share::default(),
    }
}

fn take(dataset: Numbers, config: LoaderConfig, start: u64, count: usize) -> Vec<Batch> {
    let presence: Vec<ClassSet> = (0..dataset.len)
        .map(|index| dataset.present(index).unwrap())
        .collect();
    let loader = Loader::new(Arc::new(dataset), Some(&presence), config, start).unwrap();
    loader.take(count).map(Result::unwrap).collect()
}

#[test]
fn batches_do_not_depend_on_the_number_of_workers() {
    for balanced in [false, true] {
        let batches = |workers, queue| {
            let config = LoaderConfig {
                balanced,
                queue,
                ..config(workers)
            };
            take(Numbers::new(11), config, 0, 17)
        };
        let alone = batches(1, 0);
        assert_eq!(alone, batches(2, 3));
        assert_eq!(alone, batches(5, 3));
        assert_eq!(alone, batches(5, 20));
    }
}

#[test]
fn shares_are_the_parts_of_larger_batches() {
    for (balanced, parts) in [(false, 2), (false, 3), (true, 2)] {
        let share = |part, parts, batch| {
            let share = Share { part, parts };
            let config = LoaderConfig {
                balanced,
                batch,
                share,
                ..config(2)
            };
            take(Numbers::new(11), config, 3, 7)
        };
        let whole = share(0, 1, 6);
        let shares: Vec<_> = (0..parts)
            .map(|part| share(part, parts, 6 / parts))
            .collect();
        for (number, batch) in whole.iter().enumerate() {
            let all = |of: fn(&Batch) -> &[u8]| {
                let parts = shares.iter().map(|share| of(&share[number]));
                parts.collect::<Vec<_>>().concat()
            };
            assert_eq!(all(|batch| &batch.images), batch.images);
            assert_eq!(all(|batch| &batch.labels), batch.labels);
            assert_eq!(shares[0][number].first_position, batch.first_position);
        }
    }
    let config = LoaderConfig {
        share: Share { part: 2, parts: 2 },
        ..config(1)
    };
    let loader = Loader::new(Arc::new(Numbers::new(3)), None, config, 0);
    let error = loader.err().unwrap().to_string();
    assert!(error.contains("no part 2 of 2"), "{error}");
}

#[test]
fn starting_at_a_batch_equals_skipping_to_it() {
    for balanced in [false, true] {
        let config = LoaderConfig {
            balanced,
            ..config(2)
        };
        let whole = take(Numbers::new(11), config.clone(), 0, 12);
        for start in [1, 5, 8] {
            let rest = take(Numbers::new(11), config.clone(), start as u64, 12 - start);
            assert_eq!(rest, whole[start..]);
        }
    }
}

#[test]
fn positions_run_on_and_every_epoch_has_every_image() {
    let batches = take(Numbers::new(6), config(3), 0, 9);
    let firsts: Vec<u64> = batches.iter().map(|batch| batch.first_position).collect();
    assert_eq!(firsts, (0..9).map(|batch| batch * 4).collect::<Vec<_>>());
    let names: Vec<String> = batches.into_iter().flat_map(|batch| batch.names).collect();
    for epoch in names.chunks(6) {
        let mut epoch = epoch.to_vec();
        epoch.sort_unstable();
        assert_eq!(epoch, ["n0", "n1", "n2", "n3", "n4", "n5"]);
    }
}

#[test]
fn flips_mirror_photo_and_labels_together() {
    let config = config(2);
    let (mut mirrored, mut kept) = (0, 0);
    for batch in take(Numbers::new(11), config.clone(), 0, 8) {
        assert_eq!((batch.images.len(), batch.labels.len()), (4 * 18, 4 * 6));
        for (slot, (image, labels)) in batch
            .images
            .chunks(18)
            .zip(batch.labels.chunks(6))
            .enumerate()
        {
            let flipped = flip(config.seed, batch.first_position + slot as u64);
            let columns = if flipped { [2, 1, 0] } else { [0, 1, 2] };
            *(if flipped { &mut mirrored } else { &mut kept }) += 1;
            assert_eq!(labels, [columns, columns].concat());
            for (pixel, x) in image.chunks(3).zip(columns.into_iter().cycle()) {
                assert_eq!(pixel[1..], [x, 200 + x]);
                assert_eq!(format!("n{}", pixel[0]), batch.names[slot]);
            }
        }
    }
    assert!(mirrored > 5 && kept > 5, "{mirrored} mirrored, {kept} kept");
    let plain = take(
        Numbers::new(11),
        LoaderConfig {
            flip: false,
            ..config
        },
        0,
        8,
    );
    assert!(plain.iter().all(|batch| batch.labels[..3] == [0, 1, 2]));
}

#[test]
fn the_next_image_takes_the_place_of_an_unreadable_one() {
    let sequence = |bad, workers| {
        let dataset = Numbers {
            bad,
            ..Numbers::new(200)
        };
        take(dataset, config(workers), 0, 100)
    };
    let good = sequence(None, 1);
    for workers in [1, 2, 5] {
        let mut warnings = Vec::new();
        for (mut batch, good) in sequence(Some(3), workers).into_iter().zip(&good) {
            warnings.append(&mut batch.unreadable);
            let mut expected = good.clone();
            for (slot, name) in expected.names.iter_mut().enumerate() {
                if name == "n3" {
                    *name = "n4".to_string();
                    let image = &mut expected.images[slot * 18..][..18];
                    image.iter_mut().step_by(3).for_each(|value| *value = 4);
                }
            }
            assert_eq!(batch, expected);
        }
        // Drawn twice in two epochs, told once.
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("no image 3; another"), "{warnings:?}");
        assert!(warnings[0].contains("(1 of 200)"), "{warnings:?}");
    }
}

#[test]
fn too_many_unreadable_images_are_an_error() {
    for (len, errs) in [(100, false), (99, true), (1, true)] {
        let dataset = Numbers {
            bad: Some(0),
            ..Numbers::new(len)
        };
        let loader = Loader::new(Arc::new(dataset), None, config(2), 0).unwrap();
        let results: Vec<_> = loader.take(50).collect();
        let error = results.iter().find_map(|result| result.as_ref().err());
        assert_eq!(error.is_some(), errs, "{len} images");
        if let Some(error) = error {
            let source = std::error::Error::source(error).unwrap().to_string();
            assert!(error.to_string().contains("1 of "), "{error}");
            assert_says(&source, &["no image 0"]);
        }
    }
}

#[test]
fn crops_come_from_their_place_in_the_larger_image() {
    let config = LoaderConfig {
        load: Some(Size::new(4, 8)),
        flip: false,
        ..config(2)
    };
    let mut places = std::collections::BTreeSet::new();
    for batch in take(Numbers::new(11), config.clone(), 0, 8) {
        assert_eq!((batch.images.len(), batch.labels.len()), (4 * 18, 4 * 6));
        for (slot, labels) in batch.labels.chunks(6).enumerate() {
            let position = batch.first_position + slot as u64;
            let (_, left) = crop(config.seed, position, Size::new(4, 8), config.size);
            let row = [left as u8, left as u8 + 1, left as u8 + 2];
            assert_eq!(labels, [row, row].concat());
            places.insert(left);
        }
    }
    assert_eq!(places.len(), 6, "{places:?}");
}

#[test]
fn samples_without_instances_have_no_offsets() {
    let config = LoaderConfig {
        offsets: true,
        ..config(1)
    };
    let none = take(Numbers::new(11), config, 0, 1);
    assert_eq!(none[0].offsets, Some(vec![0.0; 4 * 2 * 6]));
}

#[test]
fn a_panic_in_a_dataset_ends_the_sequence_with_an_error() {
    let dataset = Numbers {
        fatal: Some(3),
        ..Numbers::new(11)
    };
    let loader = Loader::new(Arc::new(dataset), None, config(2), 0).unwrap();
    let results: Vec<_> = loader.take(100).collect();
    assert!(results.len() < 100);
    let (last, before) = results.split_last().unwrap();
    assert!(matches!(last, Err(DatasetError::Worker { .. })));
    assert!(before.iter().all(Result::is_ok));
}

#[test]
fn the_queue_is_bounded_and_dropping_joins_the_workers() {
    let dataset = Arc::new(Numbers::new(11));
    let config = config(2);
    let mut loader = Loader::new(dataset.clone(), None, config.clone(), 0).unwrap();
    assert!(loader.next().is_some());
    // Workers stop at a full queue: wait until nothing is read any more.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let reads = dataset.reads.load(Ordering::SeqCst);
        if reads == before {
            break;
        }
        before = reads;
    }
    // One batch taken, one waiting per worker in its queue, one in the hand of each worker.
    assert!(
        before <= config.batch * (1 + config.queue + config.workers),
        "{before} reads"
    );
    drop(loader);
    assert_eq!(Arc::strong_count(&dataset), 1, "a worker is still alive");
}

#[test]
fn invalid_settings_are_named() {
    let problem = |config: LoaderConfig, presence: Option<&[ClassSet]>, len: usize| {
        Loader::new(Arc::new(Numbers::new(len)), presence, config, 0)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(
        problem(
            LoaderConfig {
                batch: 0,
                ..config(1)
            },
            None,
            3
        )
        .contains("`batch`")
    );
    assert!(problem(config(0), None, 3).contains("`workers`"));
    assert!(problem(config(1), None, 0).contains("no image to draw"));
    assert!(
        problem(
            LoaderConfig {
                size: Size::square(0),
                ..config(1)
            },
            None,
            3
        )
        .contains("0x0")
    );
    let small = LoaderConfig {
        load: Some(Size::new(1, 9)),
        ..config(1)
    };
    assert!(problem(small, None, 3).contains("`load`: 1x9"));
    let balanced = LoaderConfig {
        balanced: true,
        ..config(1)
    };
    assert!(problem(balanced.clone(), None, 3).contains("`balanced`"));
    let two = [ClassSet::default(); 2];
    assert!(problem(balanced, Some(&two), 3).contains("2 images, but the dataset has 3"));
}

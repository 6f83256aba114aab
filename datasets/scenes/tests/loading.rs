//! Scenes through the loader.

use std::sync::Arc;

use dp_sims_datasets::{LabelledImages, Loader, LoaderConfig, Share, Size, flip};
use dp_sims_scenes::Scenes;

#[test]
fn offsets_are_those_of_the_mirrored_sample() {
    let scenes = Arc::new(Scenes::new(5, 3));
    let size = Size::new(24, 32);
    let config = LoaderConfig {
        size,
        load: None,
        batch: 4,
        workers: 2,
        queue: 3,
        seed: 5,
        flip: true,
        balanced: false,
        offsets: true,
        share: Share::default(),
    };
    let loader = Loader::new(scenes.clone(), None, config.clone(), 0).unwrap();
    let (mut mirrored, mut found) = (0, false);
    for batch in loader.take(4).map(Result::unwrap) {
        let all = batch.offsets.as_ref().unwrap();
        assert_eq!(all.len(), 2 * 4 * size.pixels());
        for (slot, offsets) in all.chunks(2 * size.pixels()).enumerate() {
            let name = batch.names[slot].rsplit('-').next().unwrap();
            let mut sample = scenes.sample(name.parse().unwrap(), size).unwrap();
            if flip(config.seed, batch.first_position + slot as u64) {
                sample.mirror();
                mirrored += 1;
            }
            assert_eq!(sample.offsets().unwrap(), offsets);
            found |= offsets.iter().any(|&value| value != 0.0);
        }
    }
    assert!(found && mirrored > 0);
}

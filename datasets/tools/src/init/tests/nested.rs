//! Photos and label maps in folders inside of each other.

use super::*;

/// Photos in the root folder, label maps inside of it, as image annotation tools write them; and the
/// other way round.
#[test]
fn label_maps_may_lie_in_a_folder_of_that_of_the_photos() {
    for (photo, mask, images, labels) in [
        ("{}.jpg", "labels/{}.png", ".", "labels"),
        ("{}.png", "labels/{}.png", ".", "labels"),
        ("pond/{}.png", "pond/masks/{}_ids.png", "pond", "pond/masks"),
        ("photos/{}.jpg", "{}.png", "photos", "."),
    ] {
        let own = Own::new();
        for name in ["1", "2", "3"] {
            own.photo(&photo.replace("{}", name))
                .mask(&mask.replace("{}", name), &[1, 2]);
        }
        let survey = own.survey();
        let [split] = &survey.splits[..] else {
            panic!("{:?}", survey.splits)
        };
        assert_eq!(
            (split.images.as_str(), split.labels.as_str()),
            (images, labels)
        );
        assert_eq!(
            (split.pairs, split.photos, split.maps),
            (3, 3, 3),
            "{photo}"
        );
        let description = Description::parse(&survey.toml(), &survey.file()).unwrap();
        let folder = DescribedFolder::open(&description, own.root(), Split::Train).unwrap();
        assert_eq!(folder.len(), 3);
        check_split(&folder, &silent).unwrap();
    }
}

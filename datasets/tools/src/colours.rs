//! Colours for classes that have none.

/// Smallest difference in one channel at which two colours count as different.
const MIN_DIFFERENCE: u8 = 12;

/// `count` colours of which neighbours in the list differ most.
///
/// Each is the one of a fixed set (36 hues in nine shades) that is farthest from all before it and
/// from black, which is void.
pub(crate) fn distinct_colours(count: usize) -> Vec<[u8; 3]> {
    let mut pool: Vec<([u8; 3], f32)> = palette()
        .map(|colour| (colour, distance(colour, [0; 3])))
        .collect();
    let mut chosen = vec![[70, 130, 180]];
    while chosen.len() < count {
        let last = chosen[chosen.len() - 1];
        for (colour, nearest) in &mut pool {
            *nearest = nearest.min(distance(*colour, last));
        }
        let farthest = pool.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some(&(colour, _)) = farthest else { break };
        chosen.push(colour);
    }
    chosen.truncate(count);
    chosen
}

/// Whether every two colours can be told apart at a glance, and each from black.
pub(crate) fn are_distinct(colours: &[[u8; 3]]) -> bool {
    let differ = |a: &[u8; 3], b: &[u8; 3]| {
        let mut channels = a.iter().zip(b);
        channels.any(|(a, b)| a.abs_diff(*b) >= MIN_DIFFERENCE)
    };
    colours.iter().enumerate().all(|(index, colour)| {
        differ(colour, &[0; 3]) && colours[..index].iter().all(|other| differ(colour, other))
    })
}

/// 36 hues in three strengths and three values.
fn palette() -> impl Iterator<Item = [u8; 3]> {
    let shades = [0.95, 0.75, 0.55].into_iter();
    let shades = shades.flat_map(|value| [0.7, 0.45, 0.95].map(|saturation| (saturation, value)));
    shades.flat_map(|(saturation, value)| {
        (0..36).map(move |hue| hsv(hue as f32 / 36.0, saturation, value))
    })
}

/// RGB of a hue (one turn is 1), saturation and value, each 0 to 1.
pub(crate) fn hsv(hue: f32, saturation: f32, value: f32) -> [u8; 3] {
    let channel = |offset: f32| {
        let place = (offset + hue * 6.0).rem_euclid(6.0);
        let share = place.min(4.0 - place).clamp(0.0, 1.0);
        (255.0 * value * (1.0 - saturation * share)).round() as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

/// How different two colours look, squared: channels weighted by the mean red ("redmean").
fn distance(a: [u8; 3], b: [u8; 3]) -> f32 {
    let difference = |channel: usize| f32::from(a[channel]) - f32::from(b[channel]);
    let [red, green, blue] = [0, 1, 2].map(|channel| difference(channel).powi(2));
    let mean = (f32::from(a[0]) + f32::from(b[0])) / 512.0;
    (2.0 + mean) * red + 4.0 * green + (3.0 - mean) * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_distinct_for_every_number_of_classes() {
        let all = distinct_colours(255);
        assert_eq!(all.len(), 255);
        for (index, colour) in all.iter().enumerate() {
            assert!(!all[..index].contains(colour) && colour != &[0; 3]);
        }
        // Fewer classes have the first of them.
        assert_eq!(distinct_colours(9), all[..9]);
        assert!(are_distinct(&all[..40]));
        assert!(distinct_colours(0).is_empty());
    }

    #[test]
    fn gray_ramps_and_doubles_are_not_distinct() {
        assert!(!are_distinct(&[[1; 3], [200; 3]]));
        assert!(!are_distinct(&[[100; 3], [101; 3]]));
        assert!(!are_distinct(&[[9, 80, 7], [9, 80, 7]]));
        assert!(are_distinct(&[[128, 0, 0], [0, 128, 0], [128, 128, 0]]));
    }

    #[test]
    fn hues_have_their_colours() {
        assert_eq!(hsv(0.0, 1.0, 1.0), [255, 0, 0]);
        assert_eq!(hsv(1.0 / 3.0, 1.0, 1.0), [0, 255, 0]);
        assert_eq!(hsv(2.0 / 3.0, 1.0, 0.6), [0, 0, 153]);
        assert_eq!(hsv(0.4, 0.0, 1.0), [255; 3]);
        assert_eq!(hsv(-0.5, 1.0, 1.0), hsv(0.5, 1.0, 1.0));
    }
}

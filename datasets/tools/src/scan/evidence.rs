//! What the label maps of a split look like, faulty ones included: the ground of a diagnosis.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::labels::triples;
use dp_sims_datasets::raster::Raster;
use png::ColorType;

use super::Tally;

/// Most colours that are told apart in a label map, and in all of a split.
pub(crate) const MAX_COLOURS: usize = 4096;

/// What the pixels of a label map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    /// Values of at most 8 bits.
    Narrow,
    /// Values of 16 bits.
    Wide,
    /// RGB colours, or palette colours where colours are asked for.
    Colour,
    /// Something else: gray with alpha, 16-bit colours.
    Other,
}

/// A value or colour of a label map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen<T> {
    pub value: T,
    pub pixels: u64,
    /// Index of the first such pixel, row by row.
    pub first: usize,
}

/// What a label map looks like.
#[derive(Clone, Debug)]
pub(crate) struct MapEvidence {
    pub kind: MapKind,
    /// The values of a narrow or wide map, ascending.
    pub values: Vec<Seen<u16>>,
    /// The colours of a colour map, ascending; the first [`MAX_COLOURS`] met.
    pub colours: Vec<Seen<[u8; 3]>>,
    pub texture: Texture,
}

/// How neighbours in a row relate.
///
/// In a label map nearly all are equal, and where two regions meet one value follows the other at
/// once. A map that was interpolated has mixtures in between; a photo has hardly equal neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texture {
    /// Pairs of neighbours.
    pub pairs: u64,
    /// Pairs that differ.
    pub edges: u64,
    /// Pixels that differ from the left and from the right, which differ too.
    pub lone: u64,
    /// Those of them whose value is between the left and the right one.
    pub mixed: u64,
}

impl Texture {
    /// The texture of an image; `between(left, value, right)` tells a mixture.
    fn of<T: Copy + PartialEq>(
        pixels: &[T],
        width: usize,
        between: impl Fn(T, T, T) -> bool,
    ) -> Self {
        let mut texture = Self::default();
        for row in pixels.chunks_exact(width.max(1)) {
            texture.pairs += row.len() as u64 - 1;
            texture.edges += row.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
            for triple in row.windows(3) {
                let (left, value, right) = (triple[0], triple[1], triple[2]);
                if left != value && value != right && left != right {
                    texture.lone += 1;
                    texture.mixed += u64::from(between(left, value, right));
                }
            }
        }
        texture
    }

    /// True when there are enough edges to say whether they are smoothed.
    fn can_be_judged(&self) -> bool {
        self.edges >= 64
    }

    /// True when mixtures follow the edges. Among label maps of CamVid, ADE20K and COCO-Stuff,
    /// reduced up to four times to the nearest neighbour, `mixed` stays below 9 % of the edges and
    /// `lone` below 28 %. Interpolated or stored as JPEG, they have 20 % and 44 % and more.
    fn is_smoothed(&self) -> bool {
        self.can_be_judged() && 20 * self.mixed > 3 * self.edges && 20 * self.lone > 7 * self.edges
    }

    /// True when fewer than half of the neighbours are equal, as in photos: there a quarter at most,
    /// in label maps two thirds and more even when they are small or smoothed.
    fn is_busy(&self) -> bool {
        self.can_be_judged() && 2 * self.edges > self.pairs
    }
}

impl MapEvidence {
    /// Looks at a label map that should have such values.
    pub fn of(raster: &Raster, values: LabelValues) -> Self {
        let width = raster.size.width;
        let mut evidence = Self {
            kind: MapKind::Other,
            values: Vec::new(),
            colours: Vec::new(),
            texture: Texture::default(),
        };
        let between =
            |left: u16, value: u16, right: u16| left.min(right) < value && value < left.max(right);
        match (raster.colour, values) {
            (ColorType::Rgb | ColorType::Rgba, _) if !raster.wide => {
                let colours = triples(&raster.bytes, raster.colour.samples()).collect();
                evidence.set_colours(colours, width);
            }
            (ColorType::Indexed, LabelValues::Colours) => {
                let palette: Vec<[u8; 3]> = triples(&raster.palette, 3).collect();
                let colour = |&index: &u8| palette.get(usize::from(index)).copied();
                let colours = raster
                    .bytes
                    .iter()
                    .map(|index| colour(index).unwrap_or_default());
                evidence.set_colours(colours.collect(), width);
            }
            (ColorType::Grayscale | ColorType::Indexed, _) => {
                let values = raster.values();
                evidence.kind = if raster.wide {
                    MapKind::Wide
                } else {
                    MapKind::Narrow
                };
                evidence.texture = Texture::of(&values, width, between);
                let mut seen = vec![(0_u64, 0_usize); 1 << (8 << usize::from(raster.wide))];
                for (place, &value) in values.iter().enumerate() {
                    let (pixels, first) = &mut seen[usize::from(value)];
                    if *pixels == 0 {
                        *first = place;
                    }
                    *pixels += 1;
                }
                let seen = (0..=u16::MAX)
                    .zip(seen)
                    .filter(|(_, (pixels, _))| *pixels > 0);
                evidence.values = seen
                    .map(|(value, (pixels, first))| Seen {
                        value,
                        pixels,
                        first,
                    })
                    .collect();
            }
            _ => {}
        }
        evidence
    }

    fn set_colours(&mut self, colours: Vec<[u8; 3]>, width: usize) {
        let between = |left: [u8; 3], value: [u8; 3], right: [u8; 3]| {
            (0..3).all(|channel| {
                let (left, right) = (left[channel], right[channel]);
                (left.min(right)..=left.max(right)).contains(&value[channel])
            })
        };
        self.kind = MapKind::Colour;
        self.texture = Texture::of(&colours, width, between);
        self.colours = count(&colours);
        self.colours.sort_unstable_by_key(|seen| seen.value);
    }

    /// True for what has the colours and the texture of a photo.
    fn is_photo(&self) -> bool {
        self.texture.is_busy() && self.values.len().max(self.colours.len()) > 100
    }
}

/// The first [`MAX_COLOURS`] values met.
fn count<T: Copy + Eq + Hash>(pixels: &[T]) -> Vec<Seen<T>> {
    let mut seen: HashMap<T, Seen<T>> = HashMap::new();
    let mut first = 0;
    // Whole runs at once: most pixels are like their neighbour.
    for run in pixels.chunk_by(PartialEq::eq) {
        let value = run[0];
        if let Some(known) = seen.get_mut(&value) {
            known.pixels += run.len() as u64;
        } else if seen.len() < MAX_COLOURS {
            let pixels = run.len() as u64;
            seen.insert(
                value,
                Seen {
                    value,
                    pixels,
                    first,
                },
            );
        }
        first += run.len();
    }
    seen.into_values().collect()
}

/// What the label maps of a split look like together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Maps that could be decoded.
    pub maps: usize,
    /// Maps with values of at most 8 bits, of 16 bits, and with colours.
    pub narrow: usize,
    pub wide: usize,
    pub coloured: usize,
    /// Label files that are JPEG.
    pub jpegs: usize,
    /// Maps that look like photos, and of the others those with mixtures along the edges.
    pub photos: usize,
    pub smoothed: usize,
    /// Maps that are no photos and have enough edges to say so.
    pub judged: usize,
    /// Every value of the narrow and wide maps that are no photos.
    pub ids: BTreeMap<u16, Tally>,
    /// The colours of the maps that are no photos, the first [`MAX_COLOURS`] met.
    pub colours: BTreeMap<[u8; 3], Tally>,
}

impl Evidence {
    /// Adds a label map.
    pub fn add(&mut self, map: &MapEvidence) {
        self.maps += 1;
        match map.kind {
            MapKind::Narrow => self.narrow += 1,
            MapKind::Wide => self.wide += 1,
            MapKind::Colour => self.coloured += 1,
            MapKind::Other => {}
        }
        if map.is_photo() {
            self.photos += 1;
            return;
        }
        self.judged += usize::from(map.texture.can_be_judged());
        self.smoothed += usize::from(map.texture.is_smoothed());
        for seen in &map.values {
            self.ids.entry(seen.value).or_default().add(seen.pixels);
        }
        for seen in &map.colours {
            let known = self.colours.len() < MAX_COLOURS || self.colours.contains_key(&seen.value);
            if known {
                self.colours.entry(seen.value).or_default().add(seen.pixels);
            }
        }
    }

    /// True when more than half of the maps that can be judged have mixtures along the edges.
    pub fn is_smoothed(&self) -> bool {
        2 * self.smoothed > self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dp_sims_datasets::Size;

    /// The evidence of a gray map of 8 bits.
    fn gray(width: usize, bytes: Vec<u8>) -> MapEvidence {
        let raster = Raster {
            size: Size::new(bytes.len() / width, width),
            colour: ColorType::Grayscale,
            bytes,
            wide: false,
            palette: Vec::new(),
        };
        MapEvidence::of(&raster, LabelValues::Ids)
    }

    /// Stripes 8 pixels wide of ids 10 and 40, on 64 x 64 pixels.
    fn stripes(x: usize, _: usize) -> f32 {
        if (x / 8).is_multiple_of(2) {
            10.0
        } else {
            40.0
        }
    }

    fn draw(value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..64 * 64)
            .map(|place| value(place % 64, place / 64))
            .collect()
    }

    #[test]
    fn values_have_counts_and_first_pixels() {
        let map = gray(3, vec![7, 7, 1, 9, 7, 1]);
        let seen = |value, pixels, first| Seen {
            value,
            pixels,
            first,
        };
        assert_eq!(map.values, [seen(1, 2, 2), seen(7, 3, 0), seen(9, 1, 3)]);
        // Rows 7 7 1 and 9 7 1: 7 is between 9 and 1.
        let texture = Texture {
            pairs: 4,
            edges: 3,
            lone: 1,
            mixed: 1,
        };
        assert_eq!(map.texture, texture);
        assert_eq!(map.kind, MapKind::Narrow);
    }

    #[test]
    fn smoothed_maps_and_photos_differ_from_label_maps() {
        let sharp = gray(64, draw(|x, y| stripes(x, y) as u8));
        assert!(!sharp.texture.is_smoothed() && !sharp.is_photo());
        let blend = |x: usize, y: usize| (stripes(x.saturating_sub(1), y) + stripes(x, y)) / 2.0;
        let smooth = gray(64, draw(|x, y| blend(x, y) as u8));
        assert!(smooth.texture.is_smoothed() && !smooth.is_photo());
        let noise = gray(64, draw(|x, y| (x * 37 + y * 101 + x * y) as u8));
        assert!(noise.is_photo());
        // One pixel wide poles of an id in between are no sign of smoothing.
        let poles = gray(
            64,
            draw(|x, y| if x % 16 == 0 { 25 } else { stripes(x, y) as u8 }),
        );
        assert!(!poles.texture.is_smoothed(), "{:?}", poles.texture);

        let mut evidence = Evidence::default();
        for map in [&sharp, &smooth, &smooth, &noise] {
            evidence.add(map);
        }
        assert_eq!((evidence.maps, evidence.photos), (4, 1));
        assert_eq!((evidence.judged, evidence.smoothed), (3, 2));
        assert!(evidence.is_smoothed());
        let ids: Vec<u16> = evidence.ids.keys().copied().collect();
        assert_eq!(ids, [10, 25, 40]);
        assert_eq!(evidence.ids[&10].maps, 3);
    }

    #[test]
    fn colours_are_counted_up_to_a_bound() {
        let rgb = |bytes: Vec<u8>, width: usize| {
            let raster = Raster {
                size: Size::new(bytes.len() / 3 / width, width),
                colour: ColorType::Rgb,
                bytes,
                wide: false,
                palette: Vec::new(),
            };
            MapEvidence::of(&raster, LabelValues::Ids)
        };
        let map = rgb([[9, 9, 9], [1, 2, 3], [1, 2, 3], [9, 9, 9]].concat(), 4);
        let seen = |value, pixels, first| Seen {
            value,
            pixels,
            first,
        };
        assert_eq!(map.colours, [seen([1, 2, 3], 2, 1), seen([9, 9, 9], 2, 0)]);
        let many = (0..10_000_u32)
            .flat_map(|n| [n as u8, (n >> 8) as u8, 5])
            .collect();
        let map = rgb(many, 100);
        assert_eq!(map.colours.len(), MAX_COLOURS);
        assert!(map.is_photo());
    }
}

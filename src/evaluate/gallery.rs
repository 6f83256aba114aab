//! A few images to look at: the best, the worst, and some in between.

use serde::Serialize;

/// Images of each kind.
const SHOWN: usize = 6;

/// An image with what it was made from and compared with; all of one size, `[H, W, 3]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exhibit {
    /// Position in the split.
    pub index: usize,
    /// Name of the label map.
    pub name: String,
    /// What it was ranked by; none where nothing ranks single images.
    pub score: Option<f64>,
    /// Label map in class colours.
    pub labels: Vec<u8>,
    /// Photo.
    pub photo: Vec<u8>,
    /// The judged image.
    pub image: Vec<u8>,
}

/// Collects exhibits while images pass by; memory is that of a few images.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// Name of what images are ranked by, and whether more of it is better.
    pub ranking: Option<(String, bool)>,
    /// Best first.
    pub best: Vec<Exhibit>,
    /// Worst first.
    pub worst: Vec<Exhibit>,
    /// Spread evenly over the split.
    pub spread: Vec<Exhibit>,
    total: usize,
}

impl Gallery {
    /// For `total` images.
    pub fn new(total: usize, ranking: Option<(String, bool)>) -> Self {
        Self {
            ranking,
            best: Vec::new(),
            worst: Vec::new(),
            spread: Vec::new(),
            total,
        }
    }

    /// Whether an image of this score would be kept: asked before its pictures are copied.
    fn ranks(list: &[Exhibit], score: f64, more_first: bool) -> bool {
        let last = list.last().and_then(|exhibit| exhibit.score);
        list.len() < SHOWN
            || last.is_some_and(|last| {
                if more_first {
                    score > last
                } else {
                    score < last
                }
            })
    }

    /// Offers an image; `make` is called where it is kept.
    pub fn offer(&mut self, index: usize, score: Option<f64>, make: impl Fn() -> Exhibit) {
        let shown = SHOWN.min(self.total);
        let places = (0..shown).map(|place| place * self.total / shown);
        if places.into_iter().any(|place| place == index) {
            self.spread.push(make());
        }
        let (Some((_, more)), Some(score)) = (&self.ranking, score.filter(|score| !score.is_nan()))
        else {
            return;
        };
        for (list, more_first) in [(&mut self.best, *more), (&mut self.worst, !*more)] {
            if !Self::ranks(list, score, more_first) {
                continue;
            }
            let own = make();
            let before = |exhibit: &Exhibit| {
                let other = exhibit.score.unwrap_or(score);
                if more_first {
                    other >= score
                } else {
                    other <= score
                }
            };
            let place = list.partition_point(before);
            list.insert(place, own);
            list.truncate(SHOWN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(scores: &[f64], more: bool) -> Gallery {
        let mut gallery = Gallery::new(scores.len(), Some(("score".to_string(), more)));
        for (index, &score) in scores.iter().enumerate() {
            gallery.offer(index, Some(score), || Exhibit {
                index,
                name: index.to_string(),
                score: Some(score),
                labels: vec![],
                photo: vec![],
                image: vec![],
            });
        }
        gallery
    }

    #[test]
    fn best_and_worst_are_kept_in_order() {
        let scores: Vec<f64> = (0..40).map(|i| f64::from((i * 17) % 40)).collect();
        let found = |list: &[Exhibit]| list.iter().map(|e| e.score.unwrap()).collect::<Vec<_>>();
        let more = gallery(&scores, true);
        assert_eq!(found(&more.best), [39.0, 38.0, 37.0, 36.0, 35.0, 34.0]);
        assert_eq!(found(&more.worst), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let less = gallery(&scores, false);
        assert_eq!(found(&less.best), found(&more.worst));
        let places: Vec<usize> = more.spread.iter().map(|e| e.index).collect();
        assert_eq!(places, [0, 6, 13, 20, 26, 33]);
    }

    #[test]
    fn few_images_and_no_number_do_no_harm() {
        let few = gallery(&[1.0, f64::NAN], true);
        assert_eq!(
            (few.best.len(), few.worst.len(), few.spread.len()),
            (1, 1, 2)
        );
    }
}

//! The images of the gallery inside the page.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::RgbImage;
use maud::{Markup, html};

use crate::evaluate::gallery::{Exhibit, Gallery};
use crate::runtime::pictures;
use crate::runtime::units::number;

/// A section with the best, the worst and other images, of `width` × `height` pixels.
///
/// # Errors
/// When a picture cannot be encoded.
pub(super) fn pictures(gallery: &Gallery, width: u32, height: u32) -> Result<Markup> {
    let ranking = gallery.ranking.as_ref().map(|(name, _)| name.as_str());
    let mut sections = Vec::new();
    for (title, exhibits) in [
        ("Best", &gallery.best),
        ("Worst", &gallery.worst),
        ("Spread over the split", &gallery.spread),
    ] {
        if exhibits.is_empty() {
            continue;
        }
        let rows = exhibits
            .iter()
            .map(|exhibit| row(exhibit, width, height))
            .collect::<Result<Vec<_>>>()?;
        sections.push(html! {
            h3 { (title) }
            div.gallery { @for row in &rows { (row) } }
        });
    }
    Ok(html! {
        section {
            h2 { "Images" }
            p {
                "Label map, photo, image."
                @if let Some(ranking) = ranking { " Ranked by " (ranking) "." }
            }
            @for section in &sections { (section) }
        }
    })
}

fn row(exhibit: &Exhibit, width: u32, height: u32) -> Result<Markup> {
    let pictures = [&exhibit.labels, &exhibit.photo, &exhibit.image]
        .into_iter()
        .map(|pixels| png(pixels, width, height))
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        figure {
            div.pictures {
                @for picture in &pictures { img src=(picture) alt="" width=(width) height=(height); }
            }
            figcaption {
                (exhibit.name)
                @if let Some(score) = exhibit.score { ": " (number(score)) }
            }
        }
    })
}

fn png(pixels: &[u8], width: u32, height: u32) -> Result<String> {
    let image = RgbImage::from_raw(width, height, pixels.to_vec())
        .context("a picture of the report has another size")?;
    embedded(&image)
}

/// A picture as an address that holds all of it.
///
/// # Errors
/// When it cannot be encoded.
pub fn embedded(image: &RgbImage) -> Result<String> {
    let encoded = BASE64_STANDARD.encode(pictures::png(image)?);
    Ok(format!("data:image/png;base64,{encoded}"))
}

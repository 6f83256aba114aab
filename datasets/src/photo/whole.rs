//! Whether the pixels of a JPEG are all there.
//!
//! Decoders fill what is missing of a JPEG that was cut off with gray, and say nothing.

use std::io::Read;

use jpeg_decoder::{Decoder, Error};

// Second bytes of markers: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1.
const STUFFED: u8 = 0x00;
const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const EOI: u8 = 0xd9;
const SOF0: u8 = 0xc0;
/// First byte of a marker, of which there may be any number.
const FILL: u8 = 0xff;

/// Most zeros at the end of a JPEG without an end marker; more are where its rest should be.
const MAX_ZEROS: usize = 64;

/// Whether all pixels of a JPEG are there: it has its end marker, or lacks nothing else.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    // Most end in their end marker, which saves looking for it.
    bytes.ends_with(&[FILL, EOI]) || ends(bytes) || has_all_pixels(bytes)
}

/// Whether the end marker of the image follows its last scan. Those of pictures inside, such as a
/// preview in the EXIF data, do not count.
fn ends(bytes: &[u8]) -> bool {
    let mut place = 2;
    loop {
        let rest = bytes.get(place..);
        let Some(found) = rest.and_then(|rest| rest.iter().position(|&byte| byte == FILL)) else {
            return false;
        };
        place += found + 1;
        let Some(&marker) = bytes.get(place) else {
            return false;
        };
        match marker {
            FILL => continue,
            EOI => return true,
            // Inside a scan they are no markers.
            STUFFED | TEM | RST0..=RST7 => place += 1,
            // A segment, of a scan its header.
            SOF0.. => {
                let Some(&[high, low]) = bytes.get(place + 1..place + 3) else {
                    return false;
                };
                place += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
            // None that is in use.
            _ => place += 1,
        }
    }
}

/// Whether the pixels are all there, by decoding them. What cannot be decoded in this way is given the
/// benefit of the doubt.
fn has_all_pixels(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros > MAX_ZEROS {
        return false;
    }
    // No code word consists of ones alone: a decoder that still wants pixels fails at them, one that has
    // them all looks for the end marker.
    let ones = [FILL, STUFFED].repeat(MAX_ZEROS);
    let end = [FILL, EOI];
    let file = bytes.chain(&ones[..]).chain(&end[..]);
    match Decoder::new(file).decode() {
        Ok(_) | Err(Error::Unsupported(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};

    use super::*;

    fn jpeg() -> Vec<u8> {
        let photo = RgbImage::from_fn(80, 60, |x, y| Rgb([(x * 3) as u8, (x ^ y) as u8, y as u8]));
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90)
            .encode_image(&photo)
            .unwrap();
        bytes
    }

    #[test]
    fn what_is_cut_off_is_not_whole() {
        let bytes = jpeg();
        assert!(is_whole(&bytes));
        for percent in (5..100).step_by(5).chain([96, 97, 98, 99]) {
            let end = bytes.len() * percent / 100;
            assert!(!is_whole(&bytes[..end]), "{percent} %");
        }
        // Filled up with zeros, as an interrupted download with its final length is.
        for percent in [30, 60, 90] {
            let end = bytes.len() * percent / 100;
            let mut filled = bytes[..end].to_vec();
            filled.resize(bytes.len() + 4096, 0);
            assert!(!is_whole(&filled), "{percent} %");
        }
    }

    #[test]
    fn a_missing_end_marker_alone_and_what_follows_one_do_no_harm() {
        let bytes = jpeg();
        assert!(bytes.ends_with(&[0xff, 0xd9]));
        assert!(is_whole(&bytes[..bytes.len() - 2]));
        let more = [&bytes[..], &[0; 5000], b"trailer"].concat();
        assert!(is_whole(&more));
    }

    #[test]
    fn the_end_of_a_preview_inside_does_not_count() {
        let bytes = jpeg();
        let preview = [&b"Exif\0\0"[..], &bytes[..200], &[0xff, 0xd9]].concat();
        let length = (preview.len() as u16 + 2).to_be_bytes();
        let whole = [&bytes[..2], &[0xff, 0xe1], &length, &preview, &bytes[2..]].concat();
        assert!(is_whole(&whole));
        assert!(!is_whole(&whole[..whole.len() * 9 / 10]));
    }

    #[test]
    fn nothing_makes_it_panic() {
        let bytes = jpeg();
        for end in 0..bytes.len().min(700) {
            let _ = is_whole(&bytes[..end]);
        }
        for place in 0..700 {
            let mut damaged = bytes.clone();
            damaged[place] = 0xff;
            let _ = is_whole(&damaged);
        }
    }
}

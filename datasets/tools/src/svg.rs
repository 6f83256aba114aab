//! What drawings in pages share.

/// Two decimals are enough for a picture.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A name in at most `most` characters; one that is longer ends in an ellipsis.
pub fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_string();
    }
    let start: String = name.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

//! How names of networks are compared.

/// Whether two names mean the same: people write them with dashes, underscores or both.
pub fn same_name(a: &str, b: &str) -> bool {
    let plain = |byte| if byte == b'-' { b'_' } else { byte };
    a.bytes().map(plain).eq(b.bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use super::same_name;

    #[test]
    fn dashes_and_underscores_are_the_same_and_nothing_else_is() {
        assert!(same_name("swin_tiny_window7", "swin-tiny_window7"));
        for other in [
            "swintinywindow7",
            "swin tiny window7",
            "Swin-tiny-window7",
            "",
        ] {
            assert!(!same_name("swin_tiny_window7", other), "{other}");
        }
    }
}

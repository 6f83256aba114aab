//! Numbers as people read them.

/// A number with as many digits as are worth reading.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1000.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.2}")
    } else if magnitude >= 0.01 || value == 0.0 {
        format!("{value:.4}")
    } else {
        format!("{value:.2e}")
    }
}

/// Bytes as MiB or GiB.
pub fn memory(bytes: u64) -> String {
    let mib = bytes as f64 / (1u64 << 20) as f64;
    if mib < 1024.0 {
        format!("{mib:.0} MiB")
    } else {
        format!("{:.2} GiB", mib / 1024.0)
    }
}

/// Seconds in the two largest units that matter: `42s`, `12m 05s`, `3h 07m`, `2d 04h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m {:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h {:02}m", minutes % 60),
        () => format!("{days}d {:02}h", hours % 24),
    }
}

/// A share of 1 as a whole percentage, four characters wide.
pub fn percent(share: f64) -> String {
    format!("{:>3.0}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(duration(42.4), "42s");
        assert_eq!(duration(59.6), "1m 00s");
        assert_eq!(duration(3.0 * 3600.0 + 7.0 * 60.0), "3h 07m");
        assert_eq!(duration(2.0 * 86400.0 + 4.5 * 3600.0), "2d 04h");
        assert_eq!(duration(f64::INFINITY), "?");
        assert_eq!(memory(300 << 20), "300 MiB");
        assert_eq!(memory(1 << 30), "1.00 GiB");
        assert_eq!(percent(1.0), "100%");
    }
}

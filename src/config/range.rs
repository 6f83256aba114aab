use anyhow::{Result, ensure};

/// Refuses what is no finite number of at least 0.
pub(super) fn at_least_zero(key: &str, value: f64) -> Result<()> {
    ensure!(
        value.is_finite() && value >= 0.0,
        "configuration key `{key}`: {value} is not a number of at least 0"
    );
    Ok(())
}

/// Refuses what is not in [0, 1).
pub(super) fn below_one(key: &str, value: f64) -> Result<()> {
    ensure!(
        (0.0..1.0).contains(&value),
        "configuration key `{key}`: {value} is not in [0, 1)"
    );
    Ok(())
}

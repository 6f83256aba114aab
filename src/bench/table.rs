//! Tables of where the time goes.

use std::fmt;

use super::measure::{Launches, Operation};
use super::parts::Part;

/// Operations that are shown.
const SHOWN: usize = 20;

/// Letters of a bar that stands for all of the time.
const BAR: f64 = 40.0;

/// Time, share and bar of every part; nothing where there are none.
pub(super) fn write_parts(f: &mut fmt::Formatter<'_>, parts: &[Part]) -> fmt::Result {
    if parts.is_empty() {
        return Ok(());
    }
    let all: f64 = parts.iter().map(|part| part.seconds).sum();
    writeln!(f, "\n{:<28}{:>9}{:>9}", "part", "ms", "share")?;
    for Part { name, seconds } in parts {
        let share = seconds / all;
        let bar = "#".repeat((BAR * share).round() as usize);
        let line = format!(
            "{name:<28}{:>9.1}{:>7.1} %  {bar}",
            1e3 * seconds,
            100.0 * share
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    writeln!(f, "{:<28}{:>9.1}", "together", 1e3 * all)
}

/// Calls, time and share of the longest operations; nothing where there are none.
pub(super) fn write_operations(
    f: &mut fmt::Formatter<'_>,
    operations: &[Operation],
) -> fmt::Result {
    if operations.is_empty() {
        return Ok(());
    }
    let seconds = operations.iter().map(|operation| operation.seconds);
    let all: f64 = seconds.sum();
    writeln!(
        f,
        "\n{:<28}{:>9}{:>9}{:>9}",
        "operation", "ms", "share", "calls"
    )?;
    for Operation {
        name,
        calls,
        seconds,
        ..
    } in operations.iter().take(SHOWN)
    {
        writeln!(
            f,
            "{name:<28}{:>9.1}{:>7.1} %{calls:>9}",
            1e3 * seconds,
            100.0 * seconds / all
        )?;
    }
    Ok(())
}

/// Launches and transfers of a repetition, and the most frequent kernels.
pub(super) fn write_launches(f: &mut fmt::Formatter<'_>, launches: &Launches) -> fmt::Result {
    let Launches {
        kernels,
        uploads,
        uploaded_bytes,
        downloads,
        by_name,
    } = launches;
    writeln!(f, "\nkernels         {kernels}")?;
    writeln!(f, "uploads         {uploads}, {uploaded_bytes} bytes")?;
    writeln!(f, "downloads       {downloads}")?;
    writeln!(f, "\n launches  kernel")?;
    for (name, count) in by_name.iter().take(SHOWN) {
        writeln!(f, "{count:>9}  {name}")?;
    }
    Ok(())
}

/// Time and calls of the longest operations told apart by shapes; nothing where there are none.
pub(super) fn write_shaped(f: &mut fmt::Formatter<'_>, operations: &[Operation]) -> fmt::Result {
    if operations.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{:>9}{:>9}  operation and shapes", "ms", "calls")?;
    for Operation {
        name,
        shapes,
        calls,
        seconds,
        ..
    } in operations.iter().take(2 * SHOWN)
    {
        writeln!(f, "{:>9.1}{calls:>9}  {name}  {shapes}", 1e3 * seconds)?;
    }
    Ok(())
}

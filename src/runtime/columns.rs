//! Tables of text.

use std::fmt;

/// Rows of text in columns that are as wide as they have to be.
///
/// # Errors
/// When it cannot be written.
pub fn write_columns<const N: usize>(f: &mut impl fmt::Write, rows: &[[String; N]]) -> fmt::Result {
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let fill = " ".repeat(width - cell.chars().count() + 2);
            line.push_str(cell);
            line.push_str(&fill);
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

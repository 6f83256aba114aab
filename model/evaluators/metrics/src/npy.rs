//! NumPy's array files, as far as statistics need them: one or two dimensions of float32 or float64
//! in C order. Why no crate reads them: book/src/decisions/0028-own-readers.md.

use std::io::{Read, Write};

/// First bytes of every file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes that the values begin at a multiple of.
const ALIGNMENT: usize = 64;
/// Longest header that is read.
const LONGEST_HEADER: usize = 1 << 16;

/// An array in row-major order.
#[derive(Debug, PartialEq)]
pub(crate) struct Array {
    /// Lengths of its dimensions.
    pub(crate) shape: Vec<usize>,
    /// Its values, float32 widened.
    pub(crate) values: Vec<f64>,
}

/// Reads an array of at most `most` values.
pub(crate) fn read(mut file: impl Read, most: usize) -> Result<Array, String> {
    let mut start = [0; 8];
    exact(&mut file, &mut start)?;
    let [magic @ .., major, _] = start;
    if magic != *MAGIC {
        return Err("it is no NumPy array".to_string());
    }
    let length = if major == 1 {
        let mut bytes = [0; 2];
        exact(&mut file, &mut bytes)?;
        usize::from(u16::from_le_bytes(bytes))
    } else {
        let mut bytes = [0; 4];
        exact(&mut file, &mut bytes)?;
        u32::from_le_bytes(bytes) as usize
    };
    if length > LONGEST_HEADER {
        return Err(format!("its header has {length} bytes"));
    }
    let mut header = vec![0; length];
    exact(&mut file, &mut header)?;
    let header = String::from_utf8(header).map_err(|_| "its header is no text".to_string())?;
    let wide = match value_of(&header, "descr")?.trim_matches(['\'', '"']) {
        "<f8" => true,
        "<f4" => false,
        other => {
            return Err(format!(
                "its values are `{other}`: store little-endian float64 or float32"
            ));
        }
    };
    if value_of(&header, "fortran_order")? != "False" {
        return Err("it is stored by columns: store it by rows".to_string());
    }
    let shape = value_of(&header, "shape")?
        .trim_matches(['(', ')'])
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| {
            side.parse::<usize>()
                .map_err(|_| format!("its shape has the side `{side}`"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let count = shape
        .iter()
        .try_fold(1usize, |all, &side| all.checked_mul(side));
    let Some(count) = count.filter(|&count| count <= most) else {
        return Err(format!("its shape is {shape:?}, which is too large"));
    };
    let width = if wide { 8 } else { 4 };
    // Only as much memory as the file has bytes, whatever its header says.
    let mut bytes = Vec::new();
    let read = file.take((count * width) as u64).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() != count * width {
        return Err("it is cut short".to_string());
    }
    let values = bytes
        .chunks_exact(width)
        .map(|bytes| match bytes.try_into() {
            Ok(bytes) => f64::from_le_bytes(bytes),
            Err(_) => f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        });
    Ok(Array {
        shape,
        values: values.collect(),
    })
}

fn exact(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    file.read_exact(bytes)
        .map_err(|error| format!("it is cut short ({error})"))
}

/// The text of a value in the header, a Python dictionary with plain keys.
fn value_of<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("its header has no `{key}`");
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let place = quoted
        .iter()
        .find_map(|key| Some(header.find(key.as_str())? + key.len()));
    let rest = header[place.ok_or_else(missing)?..].trim_start();
    let rest = rest.strip_prefix(':').ok_or_else(missing)?.trim_start();
    let end = match rest.strip_prefix('(') {
        Some(inner) => inner.find(')').map(|end| end + 2),
        None => rest.find([',', '}']),
    };
    Ok(rest[..end.ok_or_else(missing)?].trim())
}

/// Writes an array of float64 in version 1.0 of the format.
pub(crate) fn write(
    mut file: impl Write,
    shape: &[usize],
    values: impl Iterator<Item = f64>,
) -> std::io::Result<()> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sides}), }}");
    let before = MAGIC.len() + 4;
    let whole = (before + header.len() + 1).next_multiple_of(ALIGNMENT);
    header.push_str(&" ".repeat(whole - before - header.len() - 1));
    header.push('\n');
    file.write_all(MAGIC)?;
    file.write_all(&[1, 0])?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(values);
        file
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        write(
            &mut bytes,
            &[2, 3],
            (0..6).map(|value| f64::from(value) + 0.5),
        )
        .unwrap();
        assert_eq!((bytes.len() - 48) % 64, 0);
        let array = read(&*bytes, 6).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.values, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
        assert!(read(&*bytes, 5).unwrap_err().contains("too large"));
    }

    #[test]
    fn other_orders_of_keys_and_float32_are_read() {
        let header = "{\"shape\": (2,), 'fortran_order': False, 'descr': '<f4'}\n";
        let values = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
        let array = read(&*file(header, &values), 9).unwrap();
        assert_eq!((array.shape, array.values), (vec![2], vec![1.5, -2.0]));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let problem = |header: &str| read(&*file(header, &[0; 8]), 9).unwrap_err();
        let whole = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
        assert!(read(&*file(whole, &[0; 8]), 9).is_ok());
        assert!(problem(&whole.replace("<f8", "<i8")).contains("`<i8`"));
        assert!(problem(&whole.replace("False", "True")).contains("by columns"));
        assert!(problem(&whole.replace("(1,)", "(x,)")).contains("`x`"));
        assert!(problem(&whole.replace("(1,)", "(2,)")).contains("cut short"));
        assert!(problem(&whole.replace("shape", "form")).contains("no `shape`"));
        assert!(
            problem(&whole.replace("(1,)", "(99999999999, 99999999999)")).contains("too large")
        );
        assert!(problem("{'descr'").contains("no `descr`"));
        assert!(
            read(&b"PK\x03\x04 something"[..], 9)
                .unwrap_err()
                .contains("no NumPy array")
        );
    }
}

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use faer::Mat;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::npy::{self, Array};
use crate::{MetricError, Statistics};

/// Longest features that are read: the covariance of more would not fit into memory.
const LONGEST: usize = 1 << 13;

/// Reads statistics as pytorch-fid writes them: an `.npz` archive with float arrays `mu`
/// `[length]` and `sigma` `[length, length]`.
///
/// # Errors
/// When the file cannot be read, or does not hold such arrays of finite numbers.
pub fn read_statistics(path: &Path) -> Result<Statistics, MetricError> {
    let file = File::open(path).map_err(|cause| MetricError::File {
        action: "read",
        path: path.to_path_buf(),
        cause,
    })?;
    read(BufReader::new(file)).map_err(|reason| MetricError::Format {
        path: path.to_path_buf(),
        reason,
    })
}

fn read(file: impl Read + Seek) -> Result<Statistics, String> {
    let mut archive = ZipArchive::new(file).map_err(|error| error.to_string())?;
    let Array {
        shape,
        values: mean,
    } = array(&mut archive, "mu")?;
    if shape.len() != 1 || mean.is_empty() {
        return Err(format!("`mu` has shape {shape:?}, a vector is needed"));
    }
    let length = mean.len();
    let Array { shape, values } = array(&mut archive, "sigma")?;
    if shape != [length, length] {
        return Err(format!(
            "`sigma` has shape {shape:?}, `mu` has {length} entries: [{length}, {length}] is needed"
        ));
    }
    let covariance = Mat::from_fn(length, length, |row, column| values[row * length + column]);
    let asymmetry = (&covariance - covariance.transpose()).norm_max();
    if asymmetry > 1e-6 * covariance.norm_max() {
        return Err("`sigma` is not symmetric, so it is no covariance".to_string());
    }
    Ok(Statistics { mean, covariance })
}

/// An array of the archive.
fn array(archive: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<Array, String> {
    let entry = archive
        .by_name(&format!("{name}.npy"))
        .map_err(|_| format!("there is no array `{name}`"))?;
    let array =
        npy::read(entry, LONGEST * LONGEST).map_err(|error| format!("`{name}`: {error}"))?;
    if array.values.iter().any(|value| !value.is_finite()) {
        return Err(format!("`{name}` holds a value that is not finite"));
    }
    Ok(array)
}

/// Writes statistics as an `.npz` archive that pytorch-fid reads. The file appears whole.
///
/// # Errors
/// When it cannot be written.
pub fn write_statistics(path: &Path, statistics: &Statistics) -> Result<(), MetricError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new();
        // A temporary file is for its owner alone; statistics are shared.
        #[cfg(unix)]
        file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = BufWriter::new(file.tempfile_in(folder)?);
        write(&mut file, statistics)?;
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|cause| MetricError::File {
        action: "write",
        path: path.to_path_buf(),
        cause,
    })
}

fn write(file: impl Write + Seek, statistics: &Statistics) -> std::io::Result<()> {
    let mut archive = ZipWriter::new(file);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let length = statistics.len();
    let covariance = &statistics.covariance;
    let rows = (0..length).flat_map(|row| (0..length).map(move |column| covariance[(row, column)]));
    archive.start_file("mu.npy", options)?;
    npy::write(&mut archive, &[length], statistics.mean.iter().copied())?;
    archive.start_file("sigma.npy", options)?;
    npy::write(&mut archive, &[length, length], rows)?;
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> Statistics {
        Statistics {
            mean: vec![0.5, -1.0, 3.25],
            covariance: Mat::from_fn(3, 3, |row, column| (row + column) as f64 + 0.125),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("real.npz");
        write_statistics(&path, &statistics()).unwrap();
        let found = read_statistics(&path).unwrap();
        assert_eq!(found.mean, statistics().mean);
        assert_eq!(found.covariance, statistics().covariance);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_without_statistics_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.npz");
        let problem = || read_statistics(&path).unwrap_err().to_string();
        assert!(problem().contains("cannot read"), "{}", problem());
        std::fs::write(&path, b"no archive").unwrap();
        assert!(problem().contains("other.npz"), "{}", problem());
        let archive = |arrays: &[(&str, &[usize], &[f64])]| {
            let mut archive = ZipWriter::new(File::create(&path).unwrap());
            for (name, shape, values) in arrays {
                let options =
                    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
                archive.start_file(format!("{name}.npy"), options).unwrap();
                npy::write(&mut archive, shape, values.iter().copied()).unwrap();
            }
            archive.finish().unwrap();
        };
        archive(&[("mu", &[2], &[0.0, 1.0])]);
        assert!(problem().contains("no array `sigma`"), "{}", problem());
        archive(&[("mu", &[2], &[0.0, 1.0]), ("sigma", &[1, 2], &[1.0, 0.0])]);
        assert!(problem().contains("[2, 2] is needed"), "{}", problem());
        archive(&[
            ("mu", &[2], &[0.0, 1.0]),
            ("sigma", &[2, 2], &[1.0, 2.0, 0.0, 1.0]),
        ]);
        assert!(problem().contains("not symmetric"), "{}", problem());
        archive(&[("mu", &[1], &[f64::NAN]), ("sigma", &[1, 1], &[1.0])]);
        assert!(problem().contains("`mu` holds a value"), "{}", problem());
        archive(&[("mu", &[1], &[2.0]), ("sigma", &[1, 1], &[1.0])]);
        assert_eq!(read_statistics(&path).unwrap().mean, [2.0]);
    }

    #[test]
    fn a_file_cut_short_or_changed_anywhere_is_refused_or_read() {
        let mut file = std::io::Cursor::new(Vec::new());
        write(&mut file, &statistics()).unwrap();
        let whole = file.into_inner();
        for end in 0..whole.len() {
            assert!(read(std::io::Cursor::new(&whole[..end])).is_err());
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x41;
            // No panic is all that is asked: a change inside a name or a date does no harm.
            let _ = read(std::io::Cursor::new(changed));
        }
    }
}

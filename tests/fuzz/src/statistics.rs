//! Statistics of features.

/// An `.npz` archive: as it is, or made of the two arrays that the input is.
pub mod npz {
    use std::io::{Cursor, Write};

    use dp_sims_metrics::{Moments, frechet_distance, read_statistics, write_statistics};
    use zip::write::{SimpleFileOptions, ZipWriter};

    use crate::{file, scratch};

    /// First bytes of an array.
    const ARRAY: &[u8] = b"\x93NUMPY";

    fn packed(mean: &[u8], covariance: &[u8]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, data) in [("mu.npy", mean), ("sigma.npy", covariance)] {
            zip.start_file(name, options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Where the second array begins.
    fn second(data: &[u8]) -> usize {
        let mut places = data.windows(ARRAY.len()).skip(1);
        let place = places.position(|bytes| bytes == ARRAY);
        place.map_or(data.len(), |place| place + 1)
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for length in [1, 3] {
            let mut moments = Moments::new(length);
            for image in 0..4 {
                let features: Vec<f32> = (0..length).map(|place| (image * place) as f32).collect();
                moments.add(&features).unwrap();
            }
            let path = scratch().join("written.npz");
            write_statistics(&path, &moments.finish().unwrap()).unwrap();
            let written = std::fs::read(path).unwrap();
            // What is stored lies in the archive as it is.
            let first = written.windows(6).position(|bytes| bytes == ARRAY).unwrap();
            let next = first + second(&written[first..]);
            let mean = &written[first..first + 128 + 8 * length];
            let covariance = &written[next..next + 128 + 8 * length * length];
            seeds.push([mean, covariance].concat());
            seeds.push(written);
        }
        let narrow = |shape: &str, values: &[f32]| {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape})}}");
            let mut bytes = [ARRAY, &[2, 0]].concat();
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes
        };
        seeds.push([narrow("1,", &[0.5]), narrow("1, 1", &[2.0])].concat());
        seeds
    }

    pub fn run(data: &[u8]) -> bool {
        let path = if data.starts_with(b"PK") {
            file("statistics.npz", data)
        } else {
            let (mean, covariance) = data.split_at(second(data));
            file("statistics.npz", &packed(mean, covariance))
        };
        let Ok(statistics) = read_statistics(&path) else {
            return false;
        };
        let length = statistics.mean.len();
        assert!(!statistics.is_empty() && statistics.len() == length);
        assert_eq!(statistics.covariance.nrows(), length);
        let again = scratch().join("again.npz");
        write_statistics(&again, &statistics).unwrap();
        let read = read_statistics(&again).unwrap();
        assert_eq!(read.mean, statistics.mean);
        assert_eq!(read.covariance, statistics.covariance);
        // Of enormous numbers it may be refused or infinite.
        let _ = frechet_distance(&statistics, &statistics);
        true
    }
}

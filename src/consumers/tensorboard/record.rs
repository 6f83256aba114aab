//! TFRecord framing: length, checksum of the length, content, checksum of the content.

/// One framed record, integers in little-endian order.
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(content.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked_crc(content).to_le_bytes());
    record
}

/// CRC-32C, rotated and offset so that checksums of data that contains checksums stay strong.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bit-by-bit CRC-32C (Castagnoli), independent of the crate the writer uses.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
            })
        })
    }

    fn unmask(masked: u32) -> u32 {
        masked.wrapping_sub(0xa282_ead8).rotate_left(15)
    }

    /// The contents of all records; panics on a wrong checksum.
    pub(in super::super) fn unframe(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !file.is_empty() {
            let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            assert_eq!(unmask(word(8)), crc(&file[..8]), "checksum of the length");
            let content = &file[12..12 + length];
            assert_eq!(
                unmask(word(12 + length)),
                crc(content),
                "checksum of the content"
            );
            records.push(content.to_vec());
            file = &file[16 + length..];
        }
        records
    }

    #[test]
    fn checksums_equal_published_vectors() {
        // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
        let vectors: [(&[u8], u32); 4] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&std::array::from_fn::<u8, 32, _>(|i| i as u8), 0x46dd_794e),
            (b"123456789", 0xe306_9283),
        ];
        for (bytes, expected) in vectors {
            assert_eq!(crc(bytes), expected);
            assert_eq!(unmask(masked_crc(bytes)), expected);
        }
    }

    #[test]
    fn the_header_equals_that_of_tensorflow() {
        // The first 12 bytes of the event files TensorFlow writes: a version event of 24 bytes.
        let expected = [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22];
        assert_eq!(frame(&[0; 24])[..12], expected);
    }

    #[test]
    fn records_read_back() {
        let file = [frame(b""), frame(b"one"), frame(&[7; 300])].concat();
        assert_eq!(
            unframe(&file),
            [b"".to_vec(), b"one".to_vec(), vec![7; 300]]
        );
    }
}

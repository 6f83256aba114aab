//! The few protocol buffer messages of an event file, encoded by hand.
//!
//! Field numbers are those of TensorFlow's `event.proto` and `summary.proto`.

/// One tagged value of a summary.
pub(super) struct Value(Vec<u8>);

impl Value {
    /// A scalar, stored in single precision as the format demands.
    pub(super) fn scalar(tag: &str, value: f64) -> Self {
        let mut message = Message::default();
        message.bytes(1, tag.as_bytes());
        message.float(2, value as f32);
        Self(message.0)
    }

    /// An RGB image of `width` x `height` pixels, as the bytes of a PNG file.
    pub(super) fn png(tag: &str, width: u32, height: u32, png: Vec<u8>) -> Self {
        const RGB: u64 = 3;
        let mut image = Message::default();
        image.varint(1, height.into());
        image.varint(2, width.into());
        image.varint(3, RGB);
        image.bytes(4, &png);
        let mut message = Message::default();
        message.bytes(1, tag.as_bytes());
        message.bytes(4, &image.0);
        Self(message.0)
    }
}

/// The first event of every file; `wall_time` is in seconds since 1970.
pub(super) fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, b"brain.Event:2");
    event.0
}

/// Says that a run starts (again) at `first_step`: what other files hold from there on is void.
pub(super) fn start_event(wall_time: f64, first_step: u64) -> Vec<u8> {
    const START: u64 = 1;
    let mut session = Message::default();
    session.varint(1, START);
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, first_step);
    event.bytes(7, &session.0);
    event.0
}

/// The values of one step.
pub(super) fn summary_event(wall_time: f64, step: u64, values: &[Value]) -> Vec<u8> {
    let mut summary = Message::default();
    for value in values {
        summary.bytes(1, &value.0);
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, step);
    event.bytes(5, &summary.0);
    event.0
}

/// A message under construction; fields are appended in the order of the calls.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Content of one field as it lies in the file.
    #[derive(Clone, Debug, PartialEq)]
    pub(in super::super) enum Field {
        Varint(u64),
        Fixed64(u64),
        Bytes(Vec<u8>),
        Fixed32(u32),
    }

    impl Field {
        pub(in super::super) fn bytes(&self) -> &[u8] {
            match self {
                Field::Bytes(bytes) => bytes,
                other => panic!("{other:?} is not a byte string"),
            }
        }

        pub(in super::super) fn float(&self) -> f32 {
            match self {
                Field::Fixed32(bits) => f32::from_bits(*bits),
                other => panic!("{other:?} is not a float"),
            }
        }
    }

    /// Takes the next bytes of a message, and panics where there are too few.
    struct Reader<'a>(&'a [u8]);

    impl Reader<'_> {
        fn take(&mut self, count: usize) -> Vec<u8> {
            let (head, tail) = self.0.split_at(count);
            self.0 = tail;
            head.to_vec()
        }

        fn varint(&mut self) -> u64 {
            let end = self.0.iter().position(|byte| byte & 0x80 == 0).unwrap();
            let bytes = self.take(end + 1);
            bytes
                .iter()
                .rev()
                .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
        }
    }

    /// A schema-less reader of the wire format.
    pub(in super::super) fn parse(message: &[u8]) -> Vec<(u64, Field)> {
        let mut reader = Reader(message);
        let mut fields = Vec::new();
        while !reader.0.is_empty() {
            let key = reader.varint();
            let content = match key & 7 {
                0 => Field::Varint(reader.varint()),
                1 => Field::Fixed64(u64::from_le_bytes(reader.take(8).try_into().unwrap())),
                2 => {
                    let length = reader.varint() as usize;
                    Field::Bytes(reader.take(length))
                }
                5 => Field::Fixed32(u32::from_le_bytes(reader.take(4).try_into().unwrap())),
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, content));
        }
        fields
    }

    #[test]
    fn varints_equal_the_examples_of_the_specification() {
        // protobuf.dev, "Encoding": field 1 = 150 is 08 96 01, field 2 = "testing" is 12 07 ...
        let mut message = Message::default();
        message.varint(1, 150);
        assert_eq!(message.0, [0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.bytes(2, b"testing");
        assert_eq!(message.0, b"\x12\x07testing");
    }

    #[test]
    fn events_read_back() {
        let time = Field::Fixed64(1.5f64.to_bits());
        assert_eq!(
            parse(&version_event(1.5)),
            [
                (1, time.clone()),
                (3, Field::Bytes(b"brain.Event:2".to_vec()))
            ]
        );
        assert_eq!(
            parse(&start_event(1.5, 300)),
            [
                (1, time.clone()),
                (2, Field::Varint(300)),
                (7, Field::Bytes(vec![0x08, 0x01])),
            ]
        );
        let event = summary_event(1.5, u64::MAX, &[Value::scalar("a", -0.5)]);
        let fields = parse(&event);
        assert_eq!(fields[..2], [(1, time), (2, Field::Varint(u64::MAX))]);
        let values = parse(fields[2].1.bytes());
        assert_eq!(values.len(), 1);
        assert_eq!(
            parse(values[0].1.bytes()),
            [
                (1, Field::Bytes(b"a".to_vec())),
                (2, Field::Fixed32((-0.5f32).to_bits()))
            ]
        );
    }
}

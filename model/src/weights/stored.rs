//! A tensor as a PyTorch checkpoint describes it: a view of a storage.

use burn::tensor::{DType, TensorData};

/// A tensor of a checkpoint.
pub(super) struct TensorRef {
    pub(super) key: String,
    pub(super) element: Element,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// An element type.
#[derive(Clone, Copy)]
pub(super) struct Element {
    /// Bytes of an element.
    pub(super) width: usize,
    pub(super) name: &'static str,
    /// The float type, if it is one.
    pub(super) float: Option<DType>,
}

/// Elements of a storage class.
pub(super) fn element(class: &str) -> Option<Element> {
    let (width, name, float) = match class.strip_prefix("torch.").unwrap_or(class) {
        "FloatStorage" => (4, "f32", Some(DType::F32)),
        "DoubleStorage" => (8, "f64", Some(DType::F64)),
        "HalfStorage" => (2, "f16", Some(DType::F16)),
        "BFloat16Storage" => (2, "bf16", Some(DType::BF16)),
        "ComplexFloatStorage" => (8, "c64", None),
        "LongStorage" => (8, "i64", None),
        "IntStorage" => (4, "i32", None),
        "ShortStorage" => (2, "i16", None),
        "CharStorage" => (1, "i8", None),
        "ByteStorage" => (1, "u8", None),
        "BoolStorage" => (1, "bool", None),
        _ => return None,
    };
    Some(Element { width, name, float })
}

impl TensorRef {
    pub(super) fn is_float(&self) -> bool {
        self.element.float.is_some()
    }

    /// The elements in row-major order, or none when they do not lie within `data`.
    pub(super) fn gather(&self, data: &[u8], dtype: DType) -> Option<Vec<f32>> {
        let width = self.element.width;
        let available = data.len() / width;
        if self.strides.len() != self.shape.len() {
            return None;
        }
        let count = self.count()?;
        if count == 0 {
            return Some(vec![]);
        }
        let span = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(0usize, |span, (size, stride)| {
                span.checked_add((size - 1).checked_mul(*stride)?)
            })?;
        if self.offset.checked_add(span)? >= available {
            return None;
        }
        if span + 1 == count && self.is_in_order() {
            return numbers(&data[self.offset * width..][..count * width], dtype);
        }
        // The elements one by one, so that the work is that of this tensor however large its storage
        // is and however many share it.
        let mut gathered = Vec::with_capacity(count * width);
        let mut position = vec![0usize; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..count {
            gathered.extend_from_slice(&data[at * width..][..width]);
            for axis in (0..self.shape.len()).rev() {
                at += self.strides[axis];
                position[axis] += 1;
                if position[axis] < self.shape[axis] {
                    break;
                }
                at -= self.shape[axis] * self.strides[axis];
                position[axis] = 0;
            }
        }
        numbers(&gathered, dtype)
    }

    /// Number of elements; none where it has no meaning.
    pub(super) fn count(&self) -> Option<usize> {
        let mut sizes = self.shape.iter();
        sizes.try_fold(1usize, |count, &size| count.checked_mul(size))
    }

    /// Whether the elements lie one behind the other in row-major order.
    fn is_in_order(&self) -> bool {
        let mut expected = 1;
        let axes = self.shape.iter().zip(&self.strides).rev();
        axes.into_iter().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}

/// Numbers of a float type as `f32`.
fn numbers(bytes: &[u8], dtype: DType) -> Option<Vec<f32>> {
    let count = bytes.len() / dtype.size();
    let data = TensorData::from_bytes_vec(bytes.to_vec(), [count], dtype);
    data.convert::<f32>().into_vec().ok()
}

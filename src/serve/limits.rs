use std::time::Duration;

use dp_sims_datasets::Size;

/// Most pixels of an image of a model, in images of its own size.
const LARGER: usize = 4;

/// What those who ask may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Images of a request, of the model's size; fewer of larger ones.
    pub samples: usize,
    /// Pixels of all images of a request.
    pub pixels_together: usize,
    /// Pixels of a PNG, which is resized to the size of the model.
    pub png_pixels: usize,
    /// Orders that wait for the thread that computes.
    pub queue: usize,
    /// Bodies that are read at a time.
    pub bodies: usize,
    /// PNGs that are decoded or encoded at a time.
    pub pictures: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Time for the head of a request, which is also how long a connection may be idle.
    pub head_time: Duration,
    /// Time for the body of a request.
    pub body_time: Duration,
    /// Time from the end of the body to the answer.
    pub answer_time: Duration,
    /// Time that requests have to end once the server is to stop.
    pub stop_time: Duration,
}

impl Limits {
    /// The limits for a model with images of this size.
    pub fn of(size: Size) -> Self {
        let samples = 16;
        Self {
            body_bytes: 4 << 20,
            pixels: LARGER * size.pixels(),
            samples,
            pixels_together: samples * size.pixels(),
            png_pixels: 1 << 24,
            queue: 64,
            bodies: 256,
            pictures: 2,
            connections: 512,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(20),
            answer_time: Duration::from_secs(120),
            stop_time: Duration::from_secs(30),
        }
    }
}

//! The queue between the threads of HTTP and the one that computes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use anyhow::{Result, anyhow};
use dp_sims_datasets::Size;
use tokio::sync::oneshot;

use super::metrics::Metrics;
use super::noise::Noise;
use crate::runtime::threads::words_of;

/// Images that are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Class index of every pixel, row by row; valid for the model.
    pub labels: Vec<u8>,
    /// Size of the label map, which the model can take.
    pub size: Size,
    /// Noise, with the number of images.
    pub noise: Noise,
}

/// Images that were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Rows of RGB of every image.
    pub images: Vec<Vec<u8>>,
    /// Time that the generator took for all of them.
    pub milliseconds: f64,
}

/// What comes back: images, or why there are none.
pub(super) type Reply = Result<Made, String>;

struct Order {
    job: Job,
    reply: oneshot::Sender<Reply>,
}

/// The end of the queue that takes orders. When the last of its copies is gone, the thread that computes
/// ends.
#[derive(Clone, Debug)]
pub struct Engine {
    orders: SyncSender<Order>,
    speed: Arc<Speed>,
    metrics: Arc<Metrics>,
}

/// The end of the queue that orders come out of.
#[derive(Debug)]
pub struct Orders {
    orders: Receiver<Order>,
    speed: Arc<Speed>,
    metrics: Arc<Metrics>,
}

/// Milliseconds that an image takes, as the bits of a number; 0 before they are known.
#[derive(Debug, Default)]
struct Speed(AtomicU64);

/// The queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// Seconds after which there may be some.
    pub(super) seconds: u64,
}

/// A queue of a length.
pub fn queue(length: usize, metrics: &Arc<Metrics>) -> (Engine, Orders) {
    let (sender, receiver) = sync_channel(length);
    let speed = Arc::new(Speed::default());
    let engine = Engine {
        orders: sender,
        speed: speed.clone(),
        metrics: metrics.clone(),
    };
    let orders = Orders {
        orders: receiver,
        speed,
        metrics: metrics.clone(),
    };
    (engine, orders)
}

impl Engine {
    /// Orders images. Whoever drops the receiver wants them no more.
    ///
    /// # Errors
    /// When the queue is full.
    pub(super) fn order(&self, job: Job) -> Result<oneshot::Receiver<Reply>, Full> {
        let (reply, receiver) = oneshot::channel();
        // Counted first: the order may be done before this thread goes on.
        self.metrics.waiting.inc();
        match self.orders.try_send(Order { job, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.metrics.waiting.dec();
                self.metrics.refused.inc();
                return Err(Full {
                    seconds: self.seconds(),
                });
            }
            // The reply is dropped with the order, which the receiver tells.
            Err(TrySendError::Disconnected(_)) => _ = self.metrics.waiting.dec(),
        }
        Ok(receiver)
    }

    /// Milliseconds that an image of the model takes, once they are known.
    pub(super) fn milliseconds(&self) -> Option<f64> {
        let found = f64::from_bits(self.speed.0.load(Ordering::Relaxed));
        (found > 0.0).then_some(found)
    }

    /// Seconds until half of what waits is done.
    fn seconds(&self) -> u64 {
        let waiting = self.metrics.waiting.get().max(0) as f64;
        let each = self.milliseconds().unwrap_or(1000.0) / 1000.0;
        (waiting * each / 2.0).ceil().clamp(1.0, 60.0) as u64
    }
}

impl Orders {
    /// Remembers how long an image of the model takes.
    pub(super) fn measured(&self, milliseconds: f64) {
        let bits = milliseconds.max(f64::MIN_POSITIVE).to_bits();
        self.speed.0.store(bits, Ordering::Relaxed);
    }

    /// Does what is ordered, one order after the other, until there can be no more. Orders whose client is
    /// gone are passed over; one that fails is answered with the reason and ends nothing.
    pub(super) fn work(self, mut make: impl FnMut(&Job) -> Result<Vec<Vec<u8>>>) {
        let metrics = &self.metrics;
        for Order { job, reply } in self.orders {
            metrics.waiting.dec();
            if reply.is_closed() {
                metrics.skipped.inc();
                continue;
            }
            let started = Instant::now();
            // Drivers of GPUs panic where they have too little memory.
            let made = catch_unwind(AssertUnwindSafe(|| make(&job)));
            let made =
                made.unwrap_or_else(|panic| Err(anyhow!(words_of(&*panic, "the device failed"))));
            let seconds = started.elapsed().as_secs_f64();
            let made = match made {
                Ok(images) => {
                    metrics.compute.observe(seconds);
                    metrics.images.inc_by(images.len() as u64);
                    Ok(Made {
                        images,
                        milliseconds: seconds * 1000.0,
                    })
                }
                Err(error) => {
                    tracing::error!("an image cannot be made: {error:#}");
                    Err(format!("{error:#}"))
                }
            };
            // Fails where the client has gone in the meantime.
            let _ = reply.send(made);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(seed: u64) -> Job {
        Job {
            labels: vec![0; 4],
            size: Size::square(2),
            noise: Noise {
                seed,
                samples: 1,
                ..Noise::default()
            },
        }
    }

    #[test]
    fn a_full_queue_refuses_and_orders_of_those_who_left_are_skipped() {
        let metrics = Arc::new(Metrics::new());
        let (engine, orders) = queue(3, &metrics);
        let first = engine.order(job(1)).unwrap();
        drop(engine.order(job(2)).unwrap());
        let third = engine.order(job(3)).unwrap();
        assert_eq!(engine.order(job(4)).unwrap_err(), Full { seconds: 2 });
        orders.measured(8000.0);
        assert_eq!(engine.order(job(5)).unwrap_err(), Full { seconds: 12 });
        assert_eq!(engine.milliseconds(), Some(8000.0));
        drop(engine);
        let mut made = Vec::new();
        orders.work(|job| {
            made.push(job.noise.seed);
            match job.noise.seed {
                1 => panic!("no room for {} bytes", 7),
                seed => Ok(vec![vec![seed as u8]]),
            }
        });
        assert_eq!(made, [1, 3]);
        let reply = first.blocking_recv().unwrap();
        assert_eq!(reply.unwrap_err(), "no room for 7 bytes");
        assert_eq!(third.blocking_recv().unwrap().unwrap().images, [[3]]);
        let counts = [&metrics.images, &metrics.skipped, &metrics.refused].map(|c| c.get());
        assert_eq!((counts, metrics.waiting.get()), ([1, 1, 2], 0));
    }

    #[test]
    fn orders_without_anybody_who_computes_are_told_so() {
        let (engine, orders) = queue(1, &Arc::new(Metrics::new()));
        drop(orders);
        assert!(engine.order(job(1)).unwrap().blocking_recv().is_err());
    }
}

//! Connections: a bounded number of them, none of which can wait for ever.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::limits::Limits;
use super::metrics::Metrics;

/// Threads of HTTP; pictures are decoded and encoded in others.
const THREADS: usize = 2;

/// How often the order to stop is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Time in which a connection is not closed to make room for another.
const PROTECTED: Duration = Duration::from_secs(1);

/// Most bytes of the head of a request, and most lines in it.
const HEAD_BYTES: usize = 32 << 10;
const HEAD_LINES: usize = 64;

/// A server that runs in threads of its own.
#[derive(Debug)]
pub struct Server {
    thread: JoinHandle<()>,
}

impl Server {
    /// Returns once the server has stopped.
    pub fn wait(self) {
        // A thread that panicked serves no more either.
        let _ = self.thread.join();
    }
}

/// Begins to serve, until `stops` says so: then requests that are under way are answered, and no others. The
/// application is dropped in the end.
///
/// # Errors
/// When there can be no threads, or the listener cannot be used.
pub fn start(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    stops: impl Fn() -> bool + Send + 'static,
) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(limits.pictures.max(1) + 1)
        .thread_name("http")
        .enable_io()
        .enable_time()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let serve = move || {
        let served = serve(&runtime, listener, app, &limits, &metrics, stops);
        runtime.block_on(served);
        // What is still under way is not waited for.
        runtime.shutdown_background();
    };
    let thread = Builder::new().name("http-listen".to_string());
    let thread = thread.spawn(serve)?;
    Ok(Server { thread })
}

async fn serve(
    runtime: &Runtime,
    listener: tokio::net::TcpListener,
    app: Router,
    limits: &Limits,
    metrics: &Arc<Metrics>,
    stops: impl Fn() -> bool,
) {
    let graceful = GracefulShutdown::new();
    let mut open = Open::new(limits.connections);
    // Not the builder for both versions of HTTP, which waits for the first bytes as long as it takes.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES);
    while !stops() {
        if !open.has_room() {
            // Those who wait are in the queue of the system meanwhile.
            sleep(LOOK).await;
            continue;
        }
        let stream = match timeout(LOOK, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            // The system has no descriptor or memory left.
            Ok(Err(_)) => {
                sleep(LOOK).await;
                continue;
            }
            Err(_) => continue,
        };
        let activity = Arc::new(Activity::new(open.start));
        let answer = answer(app.clone(), activity.clone());
        let stream = TokioIo::new(prepared(stream));
        let connection = http.serve_connection(stream, service_fn(answer));
        let watched = graceful.watch(connection);
        let counted = Counted::new(metrics.clone());
        let task = runtime.spawn(async move {
            let _counted = counted;
            // A client that goes away or is too slow misses its answer.
            let _ = watched.await;
        });
        open.add(activity, task.abort_handle());
    }
    drop(listener);
    let _ = timeout(limits.stop_time, graceful.shutdown()).await;
}

fn prepared(stream: TcpStream) -> TcpStream {
    // Answers are written whole.
    let _ = stream.set_nodelay(true);
    stream
}

/// An answer in the making.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Answers a request and notes that the connection is in use meanwhile.
fn answer(app: Router, activity: Arc<Activity>) -> impl Fn(Request<Incoming>) -> Answering {
    let app = TowerToHyperService::new(app);
    move |request| -> Answering {
        let used = Used::new(activity.clone());
        let answered = app.call(request);
        Box::pin(async move {
            let answered = answered.await;
            drop(used);
            answered
        })
    }
}

/// What a connection is doing.
#[derive(Debug)]
struct Activity {
    start: Instant,
    /// Requests that are being answered.
    requests: AtomicUsize,
    /// When that changed last, in milliseconds since the start.
    changed: AtomicU64,
}

impl Activity {
    fn new(start: Instant) -> Self {
        let activity = Self {
            start,
            requests: AtomicUsize::new(0),
            changed: AtomicU64::new(0),
        };
        activity.touch();
        activity
    }

    fn touch(&self) {
        let now = self.start.elapsed().as_millis() as u64;
        self.changed.store(now, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        let changed = Duration::from_millis(self.changed.load(Ordering::Relaxed));
        self.requests.load(Ordering::Relaxed) == 0 && self.start.elapsed() > changed + PROTECTED
    }
}

/// A request that is being answered.
struct Used(Arc<Activity>);

impl Used {
    fn new(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.touch();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in the figures.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// The open connections, oldest first.
struct Open {
    start: Instant,
    most: usize,
    connections: VecDeque<(Arc<Activity>, AbortHandle)>,
}

impl Open {
    fn new(most: usize) -> Self {
        Self {
            start: Instant::now(),
            most,
            connections: VecDeque::new(),
        }
    }

    fn add(&mut self, activity: Arc<Activity>, task: AbortHandle) {
        self.connections.push_back((activity, task));
    }

    /// Whether one more is possible. To make it so, the oldest that nothing was asked on for a while is closed:
    /// with idle connections alone nobody keeps others out.
    fn has_room(&mut self) -> bool {
        if self.connections.len() < self.most {
            return true;
        }
        self.connections.retain(|(_, task)| !task.is_finished());
        if self.connections.len() >= self.most {
            let mut connections = self.connections.iter();
            let Some(idle) = connections.position(|(activity, _)| activity.is_idle()) else {
                return false;
            };
            if let Some((_, task)) = self.connections.remove(idle) {
                task.abort();
            }
        }
        true
    }
}

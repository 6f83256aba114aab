//! Sockets: idle connections, slow heads, and a stop while requests are under way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

/// A server with a socket, and the order to stop it.
struct Listening {
    address: SocketAddr,
    server: Server,
    stop: Arc<AtomicBool>,
}

fn listening(tested: &Tested, change: impl FnOnce(&mut Limits)) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stops = stop.clone();
    let stops = move || stops.load(Ordering::Relaxed);
    let mut limits = Limits::of(Snapshot::built_in().unwrap().size);
    change(&mut limits);
    let (app, metrics) = (tested.app.clone(), tested.metrics.clone());
    let server = start(listener, app, limits, metrics, stops).unwrap();
    Listening {
        address,
        server,
        stop,
    }
}

impl Listening {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.server.wait();
    }
}

fn generate() -> Vec<u8> {
    let body = vec![3; side() * side()];
    let head = format!(
        "POST /v1/generate?seed=5 HTTP/1.1\r\nHost: localhost\r\nContent-Type: {IDS}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn health(stream: &mut TcpStream) -> String {
    stream
        .write_all(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn idle_connections_make_room_for_those_who_ask() {
    let tested = painted(|_| (), anybody());
    let server = listening(&tested, |limits| limits.connections = 8);
    let idle: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let answer = health(&mut server.connect());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(tested.metrics.connections.get() <= 8);
    drop(idle);
    server.end();
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let tested = painted(|_| (), anybody());
    let server = listening(&tested, |limits| {
        limits.head_time = Duration::from_millis(100)
    });
    for begun in ["", "GET / HTTP/1.1\r\nHost: "] {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let text = String::from_utf8_lossy(&rest);
        assert!(
            rest.is_empty() || text.starts_with("HTTP/1.1 408"),
            "{text}"
        );
    }
    server.end();
}

#[test]
fn a_head_without_an_end_is_refused() {
    let tested = painted(|_| (), anybody());
    let server = listening(&tested, |_| ());
    for line in [
        "X: y\r\n".repeat(1000),
        format!("X: {}", "y".repeat(100_000)),
    ] {
        let mut stream = server.connect();
        // The server may have closed the connection before it is all sent.
        let _ = stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{line}").as_bytes());
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest);
        assert!(
            rest.is_empty() || text.starts_with("HTTP/1.1 431"),
            "{text}"
        );
    }
    assert!(health(&mut server.connect()).starts_with("HTTP/1.1 200"));
    server.end();
}

#[test]
fn a_client_that_goes_away_is_skipped_and_one_that_waits_is_answered_at_a_stop() {
    let mut tested = idle(|_| (), anybody());
    let server = listening(&tested, |_| ());
    let waiting = tested.metrics.clone();
    let until = |count: i64| {
        while waiting.waiting.get() != count {
            thread::sleep(Duration::from_millis(5));
        }
    };
    let mut gone = server.connect();
    gone.write_all(&generate()).unwrap();
    until(1);
    let mut stays = server.connect();
    stays.write_all(&generate()).unwrap();
    until(2);
    drop(gone);
    // The server sees it when it looks at the connection next.
    thread::sleep(Duration::from_millis(300));

    server.stop.store(true, Ordering::Relaxed);
    while TcpStream::connect(server.address).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    let orders = tested.orders.take().unwrap();
    let (sender, made) = channel();
    let work = thread::spawn(move || {
        orders.work(|job| {
            sender.send(job.noise.seed)?;
            Ok(vec![vec![1; 3 * job.size.pixels()]])
        });
    });
    let mut answer = Vec::new();
    stays.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    server.server.wait();
    drop(tested);
    work.join().unwrap();
    assert_eq!(made.iter().collect::<Vec<_>>(), [5]);
    assert_eq!(waiting.skipped.get(), 1);
}

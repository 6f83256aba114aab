use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use socket2::{SockRef, TcpKeepalive};

/// Silence after which the system asks whether the other end is there.
const IDLE: Duration = Duration::from_secs(10);

/// Time between two such questions. About 25 seconds after a network is cut, reading fails.
const INTERVAL: Duration = Duration::from_secs(5);

/// Questions without an answer after which the other end is gone.
#[cfg(not(windows))]
const QUESTIONS: u32 = 3;

/// Time that bytes may wait for the other end to take note of them.
#[cfg(target_os = "linux")]
const UNANSWERED: Duration = Duration::from_secs(30);

/// Time for one attempt to connect, and between two.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Lets the system find out when the other end is gone, and send small messages at once.
pub(super) fn prepare(stream: &TcpStream) -> Result<()> {
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(QUESTIONS);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    Ok(stream.set_nodelay(true)?)
}

/// Connects, trying again for as long as `patience`.
///
/// # Errors
/// When nobody answers at the address in that time.
pub(super) fn connect(address: &str, patience: Duration) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        // A name may be known only once its machine has started.
        let (places, mut failure) = match address.to_socket_addrs() {
            Ok(places) => (places.collect(), anyhow!("{address} has no address")),
            Err(error) => (Vec::new(), anyhow!(error)),
        };
        for place in places {
            match TcpStream::connect_timeout(&place, ATTEMPT) {
                Ok(stream) => {
                    prepare(&stream)?;
                    return Ok(stream);
                }
                Err(error) => failure = error.into(),
            }
        }
        if started.elapsed() >= patience {
            return Err(failure.context(format!("nobody answers at {address}")));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

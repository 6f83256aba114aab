//! Figures that are served while a run goes on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::consumers::metrics::Metrics;

/// Asks for the figures at every step, and keeps what it is told.
struct Scraper {
    address: SocketAddr,
    told: Arc<Mutex<Vec<String>>>,
}

impl Consumer for Scraper {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        if let TrainEvent::Step(_) = event {
            let mut stream = TcpStream::connect(self.address)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            self.told.lock().unwrap().push(answer);
        }
        Ok(())
    }
}

#[test]
fn a_run_serves_its_figures_while_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.run.steps = 3;
    let data = Data::open(&experiment.data, false, folder.path()).unwrap();
    let options = RunOptions {
        out: folder.path().to_path_buf(),
        weights: Path::new("").to_path_buf(),
        resume: None,
        backend: "flex".to_string(),
        time: None,
        memory: None,
        ranks: Default::default(),
        named: None,
    };
    let device = Default::default();
    let run = Run::<FlexAutodiff>::new(&experiment, &data, options, &device).unwrap();
    let metrics = Metrics::serve("127.0.0.1:0").unwrap();
    let address = metrics.address();
    // A client that never asks for anything.
    let _silent = TcpStream::connect(address).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let scraper = Scraper {
        address,
        told: told.clone(),
    };
    let mut fanout = Fanout::new().with("metrics", metrics);
    fanout = fanout.with("scraper", scraper);
    run.train(&mut fanout, &Stop::default()).unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 3);
    for (step, text) in (1..).zip(&told) {
        for line in [
            format!("dp_sims_step {step}.0"),
            "dp_sims_total_steps 3.0".to_string(),
            format!("dp_sims_images_seen {}.0", 2 * step),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        let loss = "dp_sims_loss{network=\"generator\",term=\"gan\"} ";
        assert!(text.contains(loss), "{text}");
    }
}

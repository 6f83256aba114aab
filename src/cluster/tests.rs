use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dp_sims_backends::collective::Between;

use super::*;
use crate::runtime::token::Token;

/// An orchestrator on a port of its own, and what it has to say.
fn orchestrator(token: &str) -> (String, std::sync::mpsc::Receiver<Orchestrator>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = channel();
    let token = Token::new(token);
    thread::spawn(move || serve(&listener, &token, |event| drop(sender.send(event))));
    (address, receiver)
}

fn member([node, nodes]: [usize; 2], fact: &str) -> Member {
    let facts = [("run.batch".to_string(), fact.to_string())];
    Member {
        node,
        nodes,
        ranks: node + 1,
        facts: facts.into(),
    }
}

/// What every process of a run makes of its ring.
fn each<T: Send + 'static>(
    nodes: usize,
    work: impl Fn(usize, Ring, [usize; 2]) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let (address, _events) = orchestrator("word");
    let work = Arc::new(work);
    let threads = (0..nodes).map(|node| {
        let (address, work) = (address.clone(), work.clone());
        thread::spawn(move || {
            let member = member([node, nodes], "4");
            let (ring, counts) = join(&member, &address, &Token::new("word")).unwrap();
            work(node, ring, counts)
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

fn numbers(node: usize, length: usize) -> Vec<f32> {
    (0..length)
        .map(|index| ((node * 31 + index * 7) % 11) as f32 * 0.37 - 1.0)
        .collect()
}

#[test]
fn a_ring_adds_up_in_one_order() {
    for nodes in [2, 3, 5] {
        let outcomes = each(nodes, move |node, ring, counts| {
            assert_eq!(counts, [node * (node + 1) / 2, nodes * (nodes + 1) / 2]);
            let sums: Vec<Vec<f32>> = [1, 2, 3, 1000, 70_001]
                .into_iter()
                .map(|length| {
                    let mut own = numbers(node, length);
                    ring.sum(&mut own).unwrap();
                    own
                })
                .collect();
            ring.close(None);
            sums
        });
        for sums in &outcomes {
            assert_eq!(sums, &outcomes[0], "the same bits everywhere");
            for sum in sums {
                let all: Vec<_> = (0..nodes).map(|node| numbers(node, sum.len())).collect();
                for (index, found) in sum.iter().enumerate() {
                    let own = all.iter().map(|numbers| f64::from(numbers[index]));
                    assert!((own.sum::<f64>() - f64::from(*found)).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn all_hear_why_one_has_ended() {
    let outcomes = each(4, |node, ring, _| {
        if node == 2 {
            ring.close(Some("no room on the disk"));
            return String::new();
        }
        ring.sum(&mut numbers(node, 100)).unwrap_err()
    });
    for node in [0, 1, 3] {
        assert_eq!(
            outcomes[node], "node 2 has ended: no room on the disk",
            "{node}"
        );
    }
}

#[test]
fn all_hear_of_one_that_is_gone() {
    let outcomes = each(3, |node, ring, _| {
        if node == 1 {
            // As a process that is killed: nothing is said.
            drop(ring);
            return String::new();
        }
        ring.sum(&mut numbers(node, 100)).unwrap_err()
    });
    for node in [0, 2] {
        assert!(
            outcomes[node].starts_with("node 1 is gone"),
            "{node}: {}",
            outcomes[node]
        );
    }
}

#[test]
fn ranks_that_do_not_do_the_same_are_told() {
    let outcomes = each(2, |node, ring, _| {
        ring.sum(&mut numbers(node, 100 + node)).unwrap_err()
    });
    assert!(
        outcomes
            .iter()
            .any(|reason| reason.contains("does not do the same")),
        "{outcomes:?}"
    );
}

#[test]
fn processes_of_different_runs_are_told_how_they_differ() {
    let (address, events) = orchestrator("word");
    let threads = ["4", "8"].into_iter().enumerate().map(|(node, batch)| {
        let address = address.clone();
        thread::spawn(move || {
            join(&member([node, 2], batch), &address, &Token::new("word")).unwrap_err()
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        let error = format!("{:#}", thread.join().unwrap());
        assert!(error.contains("run.batch"), "{error}");
    }
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Orchestrator::Refused { .. }))
    );
}

#[test]
fn strangers_are_sent_away() {
    let (address, events) = orchestrator("word");
    let error = join(&member([0, 2], "4"), &address, &Token::new("other")).unwrap_err();
    assert!(format!("{error:#}").contains("token"), "{error:#}");
    // Somebody who says nothing, and somebody who speaks otherwise.
    let silent = TcpStream::connect(&address).unwrap();
    let mut loud = TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut loud, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    for event in events.iter().take(2) {
        assert!(matches!(event, Orchestrator::Refused { .. }), "{event:?}");
    }
    // The run goes on without them, and a number that is taken is taken.
    let first = {
        let address = address.clone();
        thread::spawn(move || join(&member([0, 2], "4"), &address, &Token::new("word")))
    };
    let arrived = |event: Orchestrator| matches!(event, Orchestrator::Arrived { .. });
    assert!(arrived(
        events.recv_timeout(Duration::from_secs(20)).unwrap()
    ));
    let error = join(&member([0, 2], "4"), &address, &Token::new("word")).unwrap_err();
    assert!(format!("{error:#}").contains("--node-rank"), "{error:#}");
    join(&member([1, 2], "4"), &address, &Token::new("word")).unwrap();
    first.join().unwrap().unwrap();
    drop(silent);
}

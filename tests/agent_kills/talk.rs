//! A connection each way that never rests.

use super::lab::samples::both;
use super::lab::{Lab, PATIENCE, flow};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Talk {
    stop: Arc<AtomicBool>,
    talkers: Vec<JoinHandle<u64>>,
}

impl Talk {
    /// To the echoes of [`flow::Flow`], which runs.
    pub fn start(lab: &Lab) -> Self {
        let named: IpAddr = both(1)[0].parse().expect("an address");
        let gateway: IpAddr = "10.99.0.1".parse().expect("an address");
        let out = lab.gw.enter(|| TcpStream::connect((named, flow::ECHO_OUT)).expect("it is allowed"));
        let into = lab.far.enter(|| TcpStream::connect((gateway, flow::ECHO_IN)).expect("it is allowed"));
        let stop = Arc::new(AtomicBool::new(false));
        let talkers = [out, into].map(|stream| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || talk(stream, &stop))
        });
        Self { stop, talkers: talkers.into() }
    }

    /// Ends it, and says how many messages went there and back.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.talkers.into_iter().map(|talker| talker.join().expect("the connection stands")).sum()
    }
}

/// Every message comes back, in its order.
fn talk(mut stream: TcpStream, stop: &AtomicBool) -> u64 {
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut number: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        stream.write_all(&number.to_be_bytes()).expect("the connection stands");
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).expect("the connection stands");
        assert_eq!(u64::from_be_bytes(answer), number);
        std::thread::sleep(Duration::from_millis(1));
    }
    number
}

//! Packets and connections that cross a gateway whose daemon reloads, or dies.

use super::samples::{NAME, both};
use super::{Lab, PATIENCE, Site, eventually};
use crate::rig::Ns;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Datagrams that nobody answers: each is new to connection tracking and passes all rules.
const IN: u16 = 7000;
const OUT: u16 = 7001;
const FORBIDDEN: u16 = 7002;
/// Connections out and in.
pub const ECHO_OUT: u16 = 7003;
pub const ECHO_IN: u16 = 7004;
const CONNECTIONS: usize = 5;

const TICK: Duration = Duration::from_millis(1);
const PER_TICK: usize = 3;

/// Policies that say the same in different words.
pub fn policy(site: &Site, which: usize) {
    policy_of(site, which, &[NAME]);
}

/// The same with more names; the first is that of the flow.
pub fn policy_of(site: &Site, which: usize, names: &[&str]) {
    let rule = |name: &str, direction: &str, ports: &str, peers: &str| {
        format!(
            "\n[[rule]]\nname = \"{name}\"\ndirection = \"{direction}\"\nports = [{ports}]\npeers = [{peers}]\n"
        )
    };
    let names = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let rules = match which {
        0 => [
            rule("flow", "in", "\"udp/7000\"", "\"any\""),
            rule("web", "out", "\"udp/7001\", \"tcp/7003\"", &names),
            rule("echo", "in", "\"tcp/7004\"", "\"10.99.0.0/24\""),
        ],
        _ => [
            rule("flow-again", "in", "\"udp/6990-7001\"", "\"10.99.0.0/24\""),
            rule("web", "out", "\"udp/7000-7001\", \"tcp/7003\"", &names),
            rule("echo-again", "in", "\"tcp/7004\"", "\"10.99.0.2\", \"10.99.0.3\""),
        ],
    };
    site.policy("site", &format!("language = 1\n{}", rules.concat()));
}

/// Counts datagrams before and after the daemon's chains.
const OBSERVER: &str = "table inet observer {
    counter in-before {}\n counter in-after {}\n counter out-before {}\n counter out-after {}
    counter forbidden-before {}\n counter forbidden-after {}\n counter resets {}
    counter tcp-before {}\n counter tcp-after {}
    chain in-before { type filter hook input priority -10; udp dport 7000 counter name in-before
        udp dport 7002 counter name forbidden-before
        tcp sport 7003 counter name tcp-before
        tcp dport 7004 counter name tcp-before
        tcp flags & rst == rst counter name resets; }
    chain in-after { type filter hook input priority 10; udp dport 7000 counter name in-after
        udp dport 7002 counter name forbidden-after
        tcp sport 7003 counter name tcp-after
        tcp dport 7004 counter name tcp-after; }
    chain out-before { type filter hook output priority -10; udp dport 7001 counter name out-before
        tcp dport 7003 counter name tcp-before
        tcp sport 7004 counter name tcp-before
        tcp flags & rst == rst counter name resets; }
    chain out-after { type filter hook output priority 10; udp dport 7001 counter name out-after
        tcp dport 7003 counter name tcp-after
        tcp sport 7004 counter name tcp-after; }
}
";

/// Counts what arrives at the other end.
const FAR_OBSERVER: &str = "table inet observer {
    counter arrived {}
    chain in { type filter hook input priority 0; udp dport 7001 counter name arrived; }
}
";

pub struct Flow {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    /// With how many datagrams each has sent to each target.
    senders: Vec<JoinHandle<u64>>,
    connections: Vec<TcpStream>,
    start: Instant,
}

impl Flow {
    /// With the policy in force and the name's addresses learnt.
    pub fn start(lab: &Lab) -> Self {
        lab.gw.nft(OBSERVER);
        lab.far.nft(FAR_OBSERVER);
        let named: IpAddr = both(1)[0].parse().expect("an address");
        echo(&lab.far, ECHO_OUT);
        echo(&lab.gw, ECHO_IN);
        // Somebody takes the datagrams, so that no error comes back, and does not answer.
        let sink = lab.far.enter(|| UdpSocket::bind(("0.0.0.0", OUT)).expect("a free port"));
        let sinks = [IN, FORBIDDEN]
            .map(|port| lab.gw.enter(|| UdpSocket::bind(("10.99.0.1", port)).expect("a free port")));
        std::mem::forget((sink, sinks));
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let gateway: IpAddr = "10.99.0.1".parse().expect("an address");
        let senders = vec![
            sender(&lab.far, &[(gateway, IN), (gateway, FORBIDDEN)], &stop, &sent),
            sender(&lab.gw, &[(named, OUT)], &stop, &sent),
        ];
        let connect = |ns: &Ns, to: SocketAddr| ns.enter(|| TcpStream::connect(to).expect("it is allowed"));
        let out = (0..CONNECTIONS).map(|_| connect(&lab.gw, (named, ECHO_OUT).into()));
        let both_ways = out.chain((0..CONNECTIONS).map(|_| connect(&lab.far, (gateway, ECHO_IN).into())));
        let flow = Self { connections: both_ways.collect(), stop, sent, senders, start: Instant::now() };
        flow.converse();
        flow
    }

    /// Every connection carries something each way.
    pub fn converse(&self) {
        for mut connection in &self.connections {
            connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            connection.write_all(b"ping").expect("the connection stands");
            let mut answer = [0; 4];
            connection.read_exact(&mut answer).expect("the connection stands");
            assert_eq!(&answer, b"ping");
        }
    }

    /// Waits until so many more datagrams were sent.
    pub fn wait_for(&self, more: u64) {
        let (until, start) = (self.sent.load(Ordering::Relaxed) + more, Instant::now());
        while self.sent.load(Ordering::Relaxed) < until {
            assert!(start.elapsed() < PATIENCE, "the senders have stopped");
            std::thread::sleep(TICK);
        }
    }

    /// Waits until more datagrams than these were sent, allowed and forbidden, however fast all else was.
    pub fn wait_for_both(&self, lab: &Lab, allowed: u64, forbidden: u64) {
        eventually("enough datagrams", || {
            let of_allowed = counter(&lab.gw, "in-before") + counter(&lab.gw, "out-before");
            let of_forbidden = counter(&lab.gw, "forbidden-before");
            if of_allowed > allowed && of_forbidden > forbidden {
                Ok(())
            } else {
                Err(format!("{of_allowed} allowed, {of_forbidden} forbidden"))
            }
        });
    }

    /// Ends it, and tells what was lost, what passed that may not, and how much there was.
    pub fn end(mut self, lab: &Lab) -> Judged {
        self.stop.store(true, Ordering::Relaxed);
        let sent: Vec<u64> =
            self.senders.drain(..).map(|sender| sender.join().expect("the sender ends well")).collect();
        self.converse();
        let seconds = self.start.elapsed().as_secs_f64();
        let count = |name: &str| counter(&lab.gw, name);
        let all =
            |when: &str| ["in", "out", "tcp"].iter().map(|way| count(&format!("{way}-{when}"))).sum::<u64>();
        let datagrams = || {
            let came = [count("in-before"), count("forbidden-before"), count("out-before")];
            let (out, far) = (count("out-after"), counter(&lab.far, "arrived"));
            if came == [sent[0], sent[0], sent[1]] && out == far {
                Ok(())
            } else {
                Err(format!("{came:?} of {sent:?} here, and {far} of {out} there"))
            }
        };
        eventually("every datagram has come where it is judged", datagrams);
        // What the connections carry has come when the counters stand still.
        let still = || {
            let (allowed, after) = (all("before"), all("after"));
            std::thread::sleep(Duration::from_millis(50));
            if all("before") == allowed { Ok((allowed, after)) } else { Err("packets come".to_owned()) }
        };
        let (allowed, after) = eventually("no packet comes any more", still);
        Judged {
            allowed,
            lost: allowed - after,
            sent: sent.iter().sum(),
            arrived: count("in-after") + counter(&lab.far, "arrived"),
            forbidden: count("forbidden-before"),
            passed: count("forbidden-after"),
            resets: count("resets"),
            seconds,
        }
    }
}

#[derive(Debug)]
pub struct Judged {
    pub allowed: u64,
    pub lost: u64,
    /// Allowed datagrams by the senders' own count, and how many came to where they were sent.
    pub sent: u64,
    pub arrived: u64,
    pub forbidden: u64,
    pub passed: u64,
    pub resets: u64,
    pub seconds: f64,
}

fn counter(ns: &Ns, name: &str) -> u64 {
    let text = ns.nft_list(&["list", "counter", "inet", "observer", name]);
    let packets = text.split("packets ").nth(1).and_then(|rest| rest.split(' ').next());
    packets.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count: {text}"))
}

fn echo(ns: &Ns, port: u16) {
    let listener = ns.enter(|| TcpListener::bind(("0.0.0.0", port)).expect("a free port"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut octets = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut octets) {
                    if stream.write_all(&octets[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// A few datagrams to each target every tick, each from one of many ports.
fn sender(
    ns: &Ns,
    targets: &[(IpAddr, u16)],
    stop: &Arc<AtomicBool>,
    sent: &Arc<AtomicU64>,
) -> JoinHandle<u64> {
    let sockets: Vec<UdpSocket> =
        ns.enter(|| (0..50).map(|_| UdpSocket::bind("0.0.0.0:0").expect("a port")).collect());
    let (stop, sent, targets) = (Arc::clone(stop), Arc::clone(sent), targets.to_vec());
    std::thread::spawn(move || {
        let (mut sockets, mut to_each) = (sockets.iter().cycle(), 0);
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..PER_TICK {
                let socket = sockets.next().expect("it repeats");
                to_each += 1;
                for target in &targets {
                    // What is dropped on its way out gives an error, and was counted before.
                    let _ = socket.send_to(b"datagram", target);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
            std::thread::sleep(TICK);
        }
        to_each
    })
}

//! The first apply on a live gateway: no rules, no connection tracking, and connections that must not notice.

mod rig;

use rig::servers::Ssh;
use rig::{Agent, Counters, Family, Flow, Host, Ns, Proto, World, address, group_address, isolated, say};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a connection does while the rules come into force, and which side speaks first afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Nothing; then the one that opened it speaks.
    IdleThenClient,
    IdleThenServer,
    /// One side sends all the time.
    ClientSends,
    ServerSends,
    BothSend,
}

const HABITS: [Habit; 5] =
    [Habit::IdleThenClient, Habit::IdleThenServer, Habit::ClientSends, Habit::ServerSends, Habit::BothSend];

struct Connection {
    what: String,
    habit: Habit,
    client: TcpStream,
    server: TcpStream,
}

fn open(world: &World, from: (Host, IpAddr), to: (Host, IpAddr), port: u16, habit: Habit) -> Connection {
    let flow = Flow { from, to, proto: Proto::Tcp, port, broadcast: false };
    let what = format!("{} ({habit:?})", flow.written());
    let pair = flow.open(world).expect("a connection without rules");
    let (client, server) = pair.expect("a connection without rules");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("a socket option");
    }
    Connection { what, habit, client, server }
}

/// Twenty connections that the policy permits: both directions, both families, every habit.
fn permitted(world: &World) -> Vec<Connection> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        let (gw, peer) = ((Host::Gw, address(Host::Gw, family)), (Host::Peer, address(Host::Peer, family)));
        for habit in HABITS {
            all.push(open(world, peer, gw, 25, habit));
            all.push(open(world, gw, peer, 25, habit));
        }
    }
    all
}

/// A side of a connection that sends a running number all the time, and the far side that checks it.
struct Busy {
    stop: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    what: String,
}

impl Busy {
    fn start(what: &str, sender: &TcpStream, receiver: &TcpStream) -> Self {
        let (stop, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut out = sender.try_clone().expect("a second handle");
        let mut input = receiver.try_clone().expect("a second handle");
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&received));
        let write = std::thread::spawn(move || {
            let mut next = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                out.write_all(&next.to_be_bytes()).expect("a live connection takes what is written");
                next += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            out.write_all(&u64::MAX.to_be_bytes()).expect("a live connection takes what is written");
        });
        let read = std::thread::spawn(move || {
            let mut word = [0; 8];
            for expected in 0_u64.. {
                input.read_exact(&mut word).expect("a live connection delivers");
                if u64::from_be_bytes(word) == u64::MAX {
                    return;
                }
                assert_eq!(u64::from_be_bytes(word), expected, "in order and complete");
                count.store(expected + 1, Ordering::Relaxed);
            }
        });
        Self { stop, received, threads: vec![write, read], what: what.to_owned() }
    }

    /// Waits until `more` further numbers have arrived.
    fn goes_on(&self, more: u64) {
        let goal = self.received.load(Ordering::Relaxed) + more;
        rig::eventually(|| {
            let now = self.received.load(Ordering::Relaxed);
            if now >= goal { Ok(()) } else { Err(format!("{}: {now} of {goal} numbers", self.what)) }
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap_or_else(|_| panic!("{} broke", self.what));
        }
    }
}

fn busy_parts(connections: &[Connection]) -> Vec<Busy> {
    let mut all = Vec::new();
    for Connection { what, habit, client, server } in connections {
        if matches!(habit, Habit::ClientSends | Habit::BothSend) {
            all.push(Busy::start(what, client, server));
        }
        if matches!(habit, Habit::ServerSends | Habit::BothSend) {
            all.push(Busy::start(what, server, client));
        }
    }
    all
}

/// A word each way, first from the side that this connection's habit says.
fn exchange(connection: &Connection) {
    let Connection { what, habit, client, server } = connection;
    let server_first = matches!(habit, Habit::IdleThenServer | Habit::ServerSends);
    let (mut first, mut second) = if server_first { (server, client) } else { (client, server) };
    let mut word = [0; 4];
    for _ in 0..2 {
        first.write_all(b"ping").unwrap_or_else(|error| panic!("{what}: {error}"));
        second.read_exact(&mut word).unwrap_or_else(|error| panic!("{what}: {error}"));
        std::mem::swap(&mut first, &mut second);
    }
}

/// A process whose lines are read as they come.
struct Session {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Session {
    fn start(ns: &Ns, mut command: std::process::Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ns.enter(|| command.spawn()).expect("ssh must be installed");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let output: BufReader<ChildStdout> = BufReader::new(output);
            output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, input, lines }
    }

    fn next_line(&self) -> String {
        self.lines.recv_timeout(rig::PATIENCE).expect("the session is alive")
    }

    fn echoes(&mut self, word: &str) {
        writeln!(self.input, "{word}").expect("the session takes what is typed");
        assert_eq!(self.next_line(), word);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tracked(ns: &Ns) -> String {
    let path = "/proc/sys/net/netfilter/nf_conntrack_count";
    ns.enter(|| std::fs::read_to_string(path))
        .map_or_else(|_| "0".to_owned(), |count| count.trim().to_owned())
}

fn dropped_as_not_syn(world: &World) -> u64 {
    let counters = Counters::read(&world.gw);
    ["in", "out"]
        .map(|side| counters.get("portgrave", &format!("{side}.baseline.tcp-new-is-syn")))
        .iter()
        .sum()
}

#[test]
fn the_first_apply_cuts_no_permitted_connection() {
    isolated("the_first_apply_cuts_no_permitted_connection", || {
        let world = World::new();
        world.gw.nft("flush ruleset\n");
        let agent = Agent::new(&world);
        let policy = agent.policy("policy", &rig::with_rows(&["R04", "R06", "R07"]).0);
        let site = agent.policy("site", &rig::all_on());

        let ssh = Ssh::start(&world.gw, world.dir.path());
        let login = |command: &str| {
            let mut client = ssh.client("ssh", group_address("admins", Family::V4));
            client.arg(format!("rig@{}", address(Host::Gw, Family::V4))).arg(command);
            Session::start(&world.peer, client)
        };
        let mut typed = login("cat");
        let ticking = login("i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done");
        typed.echoes("before");
        let before: u64 = ticking.next_line().parse().expect("a number");

        let connections = permitted(&world);
        assert_eq!(connections.len(), 20);
        let busy = busy_parts(&connections);
        busy.iter().for_each(|one| one.goes_on(5));
        assert_eq!(tracked(&world.gw), "0", "connection tracking is not in use yet");

        agent.apply(&world.gw, &[&policy, &site]);
        busy.iter().for_each(|one| one.goes_on(50));
        let idle = |one: &&Connection| matches!(one.habit, Habit::IdleThenClient | Habit::IdleThenServer);
        connections.iter().filter(idle).for_each(exchange);
        typed.echoes("after");
        for expected in before + 1..before + 100 {
            assert_eq!(ticking.next_line().parse::<u64>().expect("a number"), expected);
        }

        agent.apply(&world.gw, &[&policy, &site]);
        busy.iter().for_each(|one| one.goes_on(50));
        busy.into_iter().for_each(Busy::end);
        connections.iter().for_each(exchange);
        typed.echoes("after the second apply");
        assert_eq!(dropped_as_not_syn(&world), 0, "no segment of a permitted connection was dropped");
        let counters = Counters::read(&world.gw);
        let adopted: u64 = ["in", "out"]
            .map(|side| counters.get("portgrave", &format!("{side}.baseline.tcp-new-is-syn.adopted")))
            .iter()
            .sum();
        say(format!(
            "22 connections lived through the first apply, {adopted} of them were adopted on their next segment"
        ));
    });
}

#[test]
fn the_first_apply_cuts_connections_that_are_not_permitted() {
    isolated("the_first_apply_cuts_connections_that_are_not_permitted", || {
        let world = World::new();
        world.gw.nft("flush ruleset\n");
        let agent = Agent::new(&world);
        let policy = agent.policy("policy", &rig::with_rows(&["R06", "R07"]).0);
        let site = agent.policy("site", &rig::all_on());
        let mut connections = Vec::new();
        for family in Family::BOTH {
            let (gw, other) =
                ((Host::Gw, address(Host::Gw, family)), (Host::Other, address(Host::Other, family)));
            for habit in [Habit::IdleThenClient, Habit::IdleThenServer] {
                connections.push(open(&world, other, gw, 4444, habit));
                connections.push(open(&world, gw, other, 4444, habit));
            }
        }
        connections.iter().for_each(exchange);
        agent.apply(&world.gw, &[&policy, &site]);
        for Connection { what, habit, client, server } in &connections {
            let (mut speaker, listener) =
                if *habit == Habit::IdleThenServer { (server, client) } else { (client, server) };
            let dropped = dropped_as_not_syn(&world);
            speaker.write_all(b"ping").expect("a socket takes what is written");
            rig::eventually(|| if dropped_as_not_syn(&world) > dropped { Ok(()) } else { Err(what) });
            listener.set_nonblocking(true).expect("a socket option");
            let got = listener.try_clone().expect("a second handle").read(&mut [0; 4]);
            assert!(got.is_err(), "{what}: {got:?} came through");
            let _ = speaker.shutdown(Shutdown::Both);
        }
    });
}

//! The worker as the program starts it: its answers, its walls as the kernel shows them, its end, and what either side makes of
//! nonsense from the other.

#[path = "common/ns.rs"]
mod ns;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use ns::{Namespace, ran_inside};
use portgrave::observe::{self, Record};
use portgrave::resolver::{Counters, Failure, Lookup};
use portgrave::types::{Direction, Family, Outcome};
use portgrave::worker::{FromWorker, Problem, Raised, Refusal, ToWorker, Unfit, Worker};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_portgrave");
/// For what comes at once on any machine that is not stuck.
const PATIENT: Duration = Duration::from_secs(60);

fn start(log: Option<OwnedFd>) -> Worker {
    Worker::start_program(Path::new(BINARY), log).unwrap()
}

/// A worker that has raised its walls.
fn ready(log: Option<OwnedFd>) -> (Worker, Raised) {
    let mut worker = start(log);
    match next(&mut worker) {
        Ok(FromWorker::Ready(raised)) => (worker, raised),
        other => panic!("{other:?}, {:?}", worker.reap()),
    }
}

/// The next message, as soon as it comes.
fn next(worker: &mut Worker) -> Result<FromWorker, Problem> {
    loop {
        if let Some(message) = worker.receive()? {
            return Ok(message);
        }
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, worker.wants_write());
        let mut fds = [PollFd::new(worker.fd(), flags)];
        let timeout = PollTimeout::try_from(PATIENT).unwrap();
        assert_ne!(poll(&mut fds, timeout).unwrap(), 0, "nothing came");
        worker.flush()?;
    }
}

fn ask(name: &str, family: Family, server: SocketAddr) -> ToWorker {
    ToWorker::Ask { name: name.parse().unwrap(), family, servers: vec![server] }
}

/// The end of the next question.
fn ended(worker: &mut Worker) -> (String, Family, Lookup) {
    ended_and_counted(worker, &mut Counters::default())
}

/// The end of the next question, and the counters where they are told before it.
fn ended_and_counted(worker: &mut Worker, told: &mut Counters) -> (String, Family, Lookup) {
    loop {
        match next(worker).unwrap() {
            FromWorker::Ended { name, family, lookup } => return (name.to_string(), family, lookup),
            FromWorker::Counters(counters) => *told = counters,
            FromWorker::Denied { .. } => {}
            other @ (FromWorker::Ready(_) | FromWorker::Refused { .. }) => panic!("{other:?}"),
        }
    }
}

/// The counters, when nothing else is left to be told.
fn counted(worker: &mut Worker) -> Counters {
    match next(worker).unwrap() {
        FromWorker::Counters(counters) => counters,
        other @ (FromWorker::Ready(_)
        | FromWorker::Refused { .. }
        | FromWorker::Ended { .. }
        | FromWorker::Denied { .. }) => panic!("{other:?}"),
    }
}

fn exit_status(worker: &mut Worker) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = worker.reap().unwrap() {
            return status;
        }
        assert!(began.elapsed() < PATIENT, "it has not ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server on the loopback address that says 192.0.2.1, by TCP alone for names that begin with `t`, and of IPv6 that there is none.
fn dns_server(address: &str) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let udp = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            let truncated = buffer[13].eq_ignore_ascii_case(&b't');
            udp.send_to(&answer(&buffer[..length], truncated), peer).unwrap();
        }
    });
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut query).unwrap();
            let answer = answer(&query, false);
            stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    server
}

fn answer(query: &[u8], truncated: bool) -> Vec<u8> {
    const QUESTION: usize = 12;
    let name = query[QUESTION..].iter().position(|octet| *octet == 0).unwrap() + 1;
    let question = &query[QUESTION..QUESTION + name + 4];
    let is_v4 = question[name + 1] == 1;
    let (answers, authorities) = if truncated { (0, 0) } else { (u8::from(is_v4), u8::from(!is_v4)) };
    let flags = if truncated { 0x83 } else { 0x81 };
    let mut message =
        [&query[..2], &[flags, 0x80, 0, 1, 0, answers, 0, authorities, 0, 0], question].concat();
    if answers == 1 {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0x01, 0x2c, 0, 4, 192, 0, 2, 1]);
    }
    if authorities == 1 {
        message.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 90, 0, 22, 0, 0]);
        message.extend([1_u32, 2, 3, 4, 60].map(u32::to_be_bytes).concat());
    }
    message
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.unwrap_or_else(|error| panic!("{program}: {error}")).success(), "{program} {arguments:?}");
}

fn loopback_up() {
    run("ip", &["link", "set", "lo", "up"]);
}

fn answers_in(namespace: Namespace, test: &str) {
    if ran_inside(namespace, test) {
        return;
    }
    loopback_up();
    let (mut worker, _) = ready(None);
    let mut told = Counters::default();
    for server in [dns_server("127.0.0.1"), dns_server("::1")] {
        for name in ["www.example", "tcp.example"] {
            for family in Family::BOTH {
                worker.send(&ask(name, family, server)).unwrap();
                let (ended_name, ended_family, lookup) = ended_and_counted(&mut worker, &mut told);
                assert_eq!((ended_name.as_str(), ended_family), (name, family));
                assert_eq!(lookup.server, Some(server));
                match family {
                    Family::V4 => {
                        let address: IpAddr = "192.0.2.1".parse().unwrap();
                        assert_eq!(lookup.outcome.unwrap().addresses, [(address, 300)]);
                    }
                    Family::V6 => assert_eq!(lookup.outcome, Err(Failure::NoData { seconds: Some(60) })),
                }
            }
        }
    }
    while (told.udp_asked, told.tcp_asked) != (8, 4) {
        told = counted(&mut worker);
    }
    assert_eq!(told, Counters { udp_asked: 8, tcp_asked: 4, ..Counters::default() });
}

#[test]
fn it_asks_by_udp_and_tcp_over_both_families_from_behind_its_walls() {
    answers_in(Namespace::Network, "it_asks_by_udp_and_tcp_over_both_families_from_behind_its_walls");
}

#[test]
fn it_asks_in_a_user_namespace_without_other_users_too() {
    answers_in(Namespace::User, "it_asks_in_a_user_namespace_without_other_users_too");
}

/// Fields of /proc/PID/status.
fn status(pid: u32) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

const OPEN: [&str; 4] = ["/dev/null", "/dev/null", "/dev/urandom", "socket"];

/// What a process has open.
fn open_in(pid: u32) -> Vec<String> {
    let mut open: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .map(|link| link.split(':').next().unwrap().to_owned())
        .collect();
    open.sort();
    open
}

fn walls_in(namespace: Namespace, test: &str) {
    if ran_inside(namespace, test) {
        return;
    }
    let (worker, raised) = ready(None);
    let status = status(worker.pid());
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("1", "2"));
    assert_eq!(status["Threads"], "1");
    let uid = portgrave::worker::uid().unwrap();
    assert_eq!(raised.uid, uid);
    assert_eq!(status["Uid"], format!("{uid}\t{uid}\t{uid}\t{uid}"));
    let root_alone = !ns::passes_limits();
    assert_eq!((uid == 0, status["Gid"] == "0\t0\t0\t0"), (root_alone, root_alone));
    if !root_alone {
        assert_eq!(status["Groups"], "");
    }
    let process = format!("/proc/{}", worker.pid());
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().rev().nth(1).unwrap().to_owned()
    };
    let hard = ["Max processes", "Max core file size", "Max file size"].map(limit);
    assert_eq!(hard, ["0", "0", "0"]);
    // A process that is not dumpable belongs to nobody.
    if ns::passes_limits() {
        let environment = std::fs::read(format!("{process}/environ")).unwrap();
        assert_eq!(String::from_utf8_lossy(&environment), "");
        assert_eq!(open_in(worker.pid()), OPEN);
    }
}

#[test]
fn the_kernel_shows_a_process_without_rights_files_and_other_threads() {
    walls_in(Namespace::Network, "the_kernel_shows_a_process_without_rights_files_and_other_threads");
}

#[test]
fn where_there_is_no_other_user_it_has_no_rights_all_the_same() {
    walls_in(Namespace::User, "where_there_is_no_other_user_it_has_no_rights_all_the_same");
}

#[test]
fn a_killed_worker_is_seen_at_once_and_leaves_no_zombie() {
    let (mut worker, _) = ready(None);
    let pid = worker.pid();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    let began = Instant::now();
    assert_eq!(next(&mut worker), Err(Problem::Gone));
    println!("the end of the worker was seen after {:?}", began.elapsed());
    assert_eq!(exit_status(&mut worker).signal(), Some(9));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    let ask = ask("www.example", Family::V4, "192.0.2.53:53".parse().unwrap());
    assert_eq!(worker.send(&ask), Err(Refusal::Gone));
}

#[test]
fn a_dropped_worker_is_ended_and_reaped() {
    let (worker, _) = ready(None);
    let process = format!("/proc/{}", worker.pid());
    assert!(Path::new(&process).exists());
    drop(worker);
    assert!(!Path::new(&process).exists());
}

#[test]
fn signals_that_stop_the_agent_do_not_stop_the_worker_but_the_end_of_the_socketpair_does() {
    let (mut worker, _) = ready(None);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::from_raw(worker.pid() as i32), signal).unwrap();
    }
    worker
        .send(&ToWorker::Ask { name: "a.example".parse().unwrap(), family: Family::V4, servers: vec![] })
        .unwrap();
    assert_eq!(ended(&mut worker).2.outcome, Err(Failure::NoServers));
    shutdown(worker.fd().as_raw_fd(), Shutdown::Both).unwrap();
    assert!(exit_status(&mut worker).success());
}

const AGENT: &str = "PORTGRAVE_TEST_AGENT";

/// Does nothing, unless it is started to be the agent that is killed.
#[test]
fn an_agent() {
    if std::env::var_os(AGENT).is_none() {
        return;
    }
    let (worker, _) = ready(None);
    println!("worker {}", worker.pid());
    loop {
        std::thread::park();
    }
}

#[test]
fn the_worker_ends_when_its_agent_is_killed() {
    for stopped in [false, true] {
        let mut agent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_agent", "--nocapture"])
            .env(AGENT, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines().map(Result::unwrap);
        let pid = lines.find_map(|line| line.split_once("worker ").map(|(_, pid)| pid.to_owned())).unwrap();
        if stopped {
            // One that does not look at its socket ends too.
            kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGSTOP).unwrap();
        }
        agent.kill().unwrap();
        agent.wait().unwrap();
        let began = Instant::now();
        while !is_over(&pid) {
            assert!(began.elapsed() < PATIENT, "the worker outlives its agent");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether a process is gone, or waits for somebody to take note of its end.
fn is_over(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
fn nonsense_from_the_agent_ends_the_worker() {
    let ask = br#"{"ask":{"name":"www.example","family":"v4","servers":[],"more":1}}"#;
    for packet in [&b"nonsense"[..], &[0xff; 100], ask, &[b' '; 300_000]] {
        let (mut worker, _) = ready(None);
        send(worker.fd().as_raw_fd(), packet, MsgFlags::empty()).unwrap();
        assert_eq!(next(&mut worker), Err(Problem::Gone));
        assert_eq!(exit_status(&mut worker).code(), Some(1));
    }
}

/// A worker in its place that runs a script of Python with the socketpair as descriptor 0.
fn impostor(script: &str) -> (Worker, tempfile::TempDir) {
    program(&format!("#!/usr/bin/python3\nimport os\n{script}\nos.read(0, 1)\n"))
}

fn program(text: &str) -> (Worker, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (Worker::start_program(&path, None).unwrap(), directory)
}

#[test]
fn nonsense_from_the_worker_is_a_problem_and_never_more() {
    let cases = [
        ("os.write(0, b'nonsense')", Problem::Malformed(Unfit::Unreadable(1))),
        ("os.write(0, b'{\"counters\":{}}')", Problem::Malformed(Unfit::Unreadable(14))),
        ("os.write(0, b' ' * 270000)", Problem::Malformed(Unfit::TooLong(270_000))),
        (
            "os.write(0, b'{\"ended\":{\"name\":\"a.b\",\"family\":\"v6\",\"lookup\":{\"server\":null,\"outcome\":{\"Ok\":{\"addresses\":[[\"10.0.0.1\",1]],\"left_out\":0}}}}}')",
            Problem::Malformed(Unfit::OtherFamily),
        ),
        ("os.close(0); os._exit(0)", Problem::Gone),
    ];
    for (script, problem) in cases {
        let (mut worker, _directory) = impostor(script);
        assert_eq!(next(&mut worker), Err(problem), "{script}");
    }
}

#[test]
fn descriptors_that_come_with_a_message_are_not_taken() {
    // Other tests open and close some.
    if ran_inside(Namespace::Network, "descriptors_that_come_with_a_message_are_not_taken") {
        return;
    }
    let script = "import socket, array\ns = socket.socket(fileno=0)\nfds = array.array('i', [2] * 50)\n\
                  s.sendmsg([b'{\"refused\":{\"reason\":\"x\"}}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])";
    let (mut worker, _directory) = impostor(script);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    assert_eq!(next(&mut worker), Ok(FromWorker::Refused { reason: "x".into() }));
    assert_eq!(open(), before);
}

#[test]
fn a_worker_whose_output_is_a_file_refuses_to_run_and_says_so() {
    let (mut worker, _directory) = program(&format!("#!/bin/sh\nexec {BINARY} \"$@\" >\"$0.out\"\n"));
    let Ok(FromWorker::Refused { reason }) = next(&mut worker) else { panic!("it runs") };
    assert_eq!(reason, "log: the standard output is neither the log's socket nor /dev/null");
    assert_eq!(next(&mut worker), Err(Problem::Gone));
    assert_eq!(exit_status(&mut worker).code(), Some(1));
}

#[test]
fn what_the_agent_inherited_is_closed_in_the_worker() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let text = format!("#!/bin/sh\nexec 7</dev/zero 9>{}\nexec {BINARY} \"$@\"\n", pipe.display());
    let (mut worker, _directory) = program(&text);
    let mut reader = std::fs::File::open(&pipe).unwrap();
    let Ok(FromWorker::Ready(_)) = next(&mut worker) else { panic!("it does not run") };
    // The end comes when nobody has the other end any more.
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert_eq!(worker.reap().unwrap(), None);
}

#[test]
fn a_person_who_starts_it_is_told_that_it_is_not_for_people() {
    let output = Command::new(BINARY).arg("worker").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(ns::text(&output).contains("the worker is started by `portgrave run` alone"));
    let help = Command::new(BINARY).arg("--help").output().unwrap();
    assert!(!ns::text(&help).contains("worker"));
}

#[test]
fn an_agent_never_waits_for_a_worker_that_does_not_read_and_loses_no_answer() {
    let (mut worker, _) = ready(None);
    let pid = Pid::from_raw(worker.pid() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    let ask = |index: usize| ToWorker::Ask {
        name: format!("host{index}.example").parse().unwrap(),
        family: Family::V4,
        servers: vec![],
    };
    let mut sent = 0;
    while worker.send(&ask(sent)) == Ok(()) {
        sent += 1;
        assert!(sent < 1_000_000, "never full");
    }
    assert_eq!(worker.send(&ask(sent)), Err(Refusal::Full));
    assert!(worker.wants_write());
    kill(pid, Signal::SIGCONT).unwrap();
    let mut names: Vec<String> = (0..sent).map(|_| ended(&mut worker).0).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), sent);
    assert!(!worker.wants_write());
    println!("{sent} questions waited");
}

/// Logs what leaves for a port, to a group.
fn log_rules() {
    run(
        "nft",
        &["add table inet t; add chain inet t out { type filter hook output priority 0; }; \
             add rule inet t out udp dport 9 log prefix \"pg:out:deny:discard\" group 77 drop"],
    );
}

fn packets(count: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..count {
        // The rule drops it: the kernel says so.
        let _ = socket.send_to(b"x", "127.0.0.1:9");
    }
}

fn denied(worker: &mut Worker) -> (Vec<Record>, u64) {
    loop {
        match next(worker).unwrap() {
            FromWorker::Denied { records, lost } => return (records, lost),
            FromWorker::Counters(_) => {}
            other @ (FromWorker::Ready(_) | FromWorker::Refused { .. } | FromWorker::Ended { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}

#[test]
fn logged_packets_come_as_records() {
    if ran_inside(Namespace::Network, "logged_packets_come_as_records") {
        return;
    }
    loopback_up();
    log_rules();
    let (mut worker, _) = ready(Some(observe::open(77).unwrap()));
    packets(3);
    let mut all = Vec::new();
    while all.len() < 3 {
        let (records, lost) = denied(&mut worker);
        assert_eq!(lost, 0);
        all.extend(records);
    }
    assert_eq!(all.len(), 3);
    for record in all {
        assert_eq!((record.what, record.rule.to_string().as_str()), (Outcome::Deny, "discard"));
        assert_eq!((record.direction, record.destination_port), (Direction::Out, Some(9)));
    }
}

#[test]
fn a_flood_of_logged_packets_is_counted_whole_and_keeps_nobody_from_dns() {
    if ran_inside(Namespace::Network, "a_flood_of_logged_packets_is_counted_whole_and_keeps_nobody_from_dns")
    {
        return;
    }
    const FLOOD: usize = 60_000;
    loopback_up();
    log_rules();
    let (mut worker, _) = ready(Some(observe::open(77).unwrap()));
    let server = dns_server("127.0.0.1");
    let began = Instant::now();
    let flood = std::thread::spawn(|| packets(FLOOD));
    let (mut sent, mut lost, mut asked, mut slowest) = (0, 0, 0, Duration::ZERO);
    while !flood.is_finished() {
        let asked_at = Instant::now();
        worker.send(&ask(&format!("host{asked}.example"), Family::V4, server)).unwrap();
        asked += 1;
        loop {
            match next(&mut worker).unwrap() {
                FromWorker::Ended { lookup, .. } => {
                    assert!(lookup.outcome.is_ok(), "{lookup:?}");
                    break;
                }
                FromWorker::Denied { records, lost: more } => {
                    sent += records.len() as u64;
                    lost += more;
                }
                FromWorker::Counters(_) => {}
                other @ (FromWorker::Ready(_) | FromWorker::Refused { .. }) => panic!("{other:?}"),
            }
        }
        slowest = slowest.max(asked_at.elapsed());
    }
    flood.join().unwrap();
    // One more, so that the kernel's numbers tell of the last that had no room.
    while sent + lost < FLOOD as u64 {
        packets(1);
        let (records, more) = denied(&mut worker);
        sent += records.len() as u64;
        lost += more;
    }
    let seconds = began.elapsed().as_secs() + 1;
    assert!(sent <= 1000 * (seconds + 1), "{sent} in {seconds} s");
    assert!(sent + lost < FLOOD as u64 + 1000, "{sent} and {lost}");
    println!("{sent} records, {lost} counted; {asked} questions meanwhile, the slowest {slowest:?}");
}

#[test]
fn while_the_agent_does_not_read_answers_are_kept_and_logged_packets_counted() {
    if ran_inside(
        Namespace::Network,
        "while_the_agent_does_not_read_answers_are_kept_and_logged_packets_counted",
    ) {
        return;
    }
    loopback_up();
    log_rules();
    let (mut worker, _) = ready(Some(observe::open(77).unwrap()));
    let pid = worker.pid();
    let mut asked = 0;
    let mut full = 0;
    // Full, and asleep all the same: it takes no more before something is read.
    while full < 3 {
        let ask = ToWorker::Ask {
            name: format!("host{asked}.example").parse().unwrap(),
            family: Family::V4,
            servers: vec![],
        };
        match worker.send(&ask) {
            Ok(()) => (asked, full) = (asked + 1, 0),
            Err(Refusal::Full) if sleeps(pid) => full += 1,
            Err(Refusal::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let before = switches(pid);
    packets(10);
    let began = Instant::now();
    while switches(pid) == before || waiting_in_the_log(77) > 0 || !sleeps(pid) {
        assert!(began.elapsed() < PATIENT, "what was logged is not read");
    }
    let (mut answers, mut lost) = (0, 0);
    while answers < asked || lost < 10 {
        match next(&mut worker).unwrap() {
            FromWorker::Ended { .. } => answers += 1,
            FromWorker::Denied { records, lost: more } => {
                assert_eq!(records, []);
                lost += more;
            }
            other @ (FromWorker::Ready(_) | FromWorker::Refused { .. } | FromWorker::Counters(_)) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!((answers, lost), (asked, 10));
    println!("{asked} questions waited");
}

/// Packets that the kernel gathers for a group of its log, and octets that wait in the socket of its reader.
fn waiting_in_the_log(group: u16) -> u64 {
    let row = |path: &str, is: &dyn Fn(&[&str]) -> bool| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let found = rows.iter().find(|row| is(row)).unwrap_or_else(|| panic!("{path}: {text}"));
        found.iter().map(|&field| field.to_owned()).collect()
    };
    // The group, its reader's port and the packets come first; of a socket: protocol, port and, two further, octets.
    let of_group = row("/proc/net/netfilter/nfnetlink_log", &|row| row[0] == group.to_string());
    let of_socket = row("/proc/net/netlink", &|row| row[1..3] == ["12", &of_group[1]]);
    of_group[2].parse::<u64>().unwrap() + of_socket[4].parse::<u64>().unwrap()
}

fn sleeps(pid: u32) -> bool {
    status(pid)["State"].starts_with('S')
}

fn switches(pid: u32) -> u64 {
    status(pid)["voluntary_ctxt_switches"].parse().unwrap()
}

#[test]
fn an_idle_worker_sleeps() {
    if ran_inside(Namespace::Network, "an_idle_worker_sleeps") {
        return;
    }
    loopback_up();
    let (mut worker, _) = ready(Some(observe::open(77).unwrap()));
    let server = dns_server("127.0.0.1");
    worker.send(&ask("www.example", Family::V4, server)).unwrap();
    let mut told = Counters::default();
    assert!(ended_and_counted(&mut worker, &mut told).2.outcome.is_ok());
    // The counters come a moment later, or came before; then nothing is left to say.
    if told.udp_asked == 0 {
        told = counted(&mut worker);
    }
    assert_eq!(told.udp_asked, 1);
    let pid = worker.pid();
    let until_asleep = Instant::now();
    while !sleeps(pid) {
        assert!(until_asleep.elapsed() < PATIENT, "it never sleeps");
    }
    let before = switches(pid);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(switches(pid), before, "it woke up without a reason");
    let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let pss = memory.lines().find(|line| line.starts_with("Pss:")).unwrap();
    println!("idle: {pss}");
}

//! The control socket: every client gets its answer, and whoever misbehaves loses its own connection and nothing else.

#[path = "control/daemon.rs"]
mod daemon;
#[path = "common/ns.rs"]
mod ns;
#[path = "common/numbers.rs"]
mod numbers;

use daemon::{Daemon, LONG, NAMES, answer, error_of, ready, send, wait_until};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ns::{Namespace, ran_inside};
use numbers::Random;
use portgrave::control::{
    BindError, Client, ClientError, Handed, MOST_CLIENTS, MOST_LISTS, MOST_REQUEST, PATIENCE, PolicyText,
    Request, Server, agreed, seal,
};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn the_socket_is_for_root_and_the_group_and_goes_with_its_server() {
    let mut daemon = Daemon::start();
    let found = std::fs::symlink_metadata(&daemon.path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!((found.mode() & 0o7777, found.gid()), (0o660, nix::unistd::getegid().as_raw()));
    assert_eq!(daemon.path.parent().unwrap().metadata().unwrap().mode() & 0o022, 0);
    daemon.stop();
    assert!(!daemon.path.exists() && Client::connect(&daemon.path).unwrap().is_none());
}

#[test]
fn the_group_can_pass_a_new_directory_whatever_the_umask_is() {
    if ran_inside(Namespace::Network, "the_group_can_pass_a_new_directory_whatever_the_umask_is") {
        return;
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let daemon = Daemon::start();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode(daemon.path.parent().unwrap()), mode(&daemon.path)), (0o755, 0o660));
}

#[test]
fn without_a_group_only_the_owner_may_connect() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let _server = Server::bind(&path, None).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_daemon_whose_socket_was_removed_is_not_taken_for_none() {
    let mut daemon = Daemon::start();
    std::fs::remove_file(&daemon.path).unwrap();
    assert!(matches!(Client::connect(&daemon.path), Err(ClientError::Deaf { .. })));
    daemon.stop();
    assert!(Client::connect(&daemon.path).unwrap().is_none());
}

#[test]
fn a_second_daemon_is_refused_and_a_dead_ones_socket_is_replaced() {
    let daemon = Daemon::start();
    assert!(matches!(Server::bind(&daemon.path, None), Err(BindError::Running { .. })));
    daemon.answers();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists() && Client::connect(&path).unwrap().is_none(), "nobody listens there");
    drop(Server::bind(&path, None).unwrap());

    std::fs::write(&path, "not a socket").unwrap();
    assert!(matches!(Server::bind(&path, None), Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
}

#[test]
fn a_client_learns_who_the_daemon_says_it_is() {
    let daemon = Daemon::start();
    let reply = daemon.ask(&Request::Status {}).unwrap();
    assert_eq!(reply["uid"], nix::unistd::geteuid().as_raw());
    assert_eq!(reply["pid"], std::process::id());
}

#[test]
fn each_of_64_clients_gets_its_answer_and_the_65th_an_error() {
    let daemon = Daemon::start();
    let mut clients: Vec<UnixStream> = (0..MOST_CLIENTS).map(|_| daemon.raw()).collect();
    daemon.wait_for_clients(MOST_CLIENTS);
    let refused = daemon.ask(&Request::Ping {}).unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused { error, .. } if error.contains("64 clients")),
        "{refused:?}"
    );
    for (number, client) in clients.iter_mut().enumerate() {
        let request = if number % 2 == 0 { Request::Names {} } else { Request::Status {} };
        client.write_all(request.to_line().as_bytes()).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let answer = answer(client);
        match number % 2 {
            0 => assert_eq!(answer["names"].as_str().unwrap().len(), NAMES),
            _ => assert_eq!(answer["pid"], std::process::id()),
        }
    }
    daemon.wait_for_clients(0);
    daemon.answers();
}

#[test]
fn clients_wait_for_the_outcome_of_a_reload_as_long_as_it_takes() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let asking = std::thread::spawn(move || client.ask(&Request::Reload {}, &[], LONG));
    // One has said all it will say, one has gone.
    let mut half_closed = daemon.raw();
    half_closed.write_all(Request::Reload {}.to_line().as_bytes()).unwrap();
    half_closed.shutdown(Shutdown::Write).unwrap();
    let mut gone = daemon.raw();
    gone.write_all(Request::Reload {}.to_line().as_bytes()).unwrap();
    daemon.wait_until("three wait", |seen| seen.waiting_reloads.load(Ordering::SeqCst) == 3);
    drop(gone);
    daemon.wait_for_clients(2);
    daemon.step_clock(Duration::from_secs(3600));
    daemon.answers();
    assert!(!asking.is_finished());
    let refused = daemon.client().ask(&Request::Reload {}, &[], Some(Duration::from_millis(50)));
    assert!(matches!(refused, Err(ClientError::Timeout(_))), "{refused:?}");

    daemon.switches.answer_reloads.store(true, Ordering::SeqCst);
    assert_eq!(asking.join().unwrap().unwrap()["outcome"], "unchanged");
    assert_eq!(answer(&half_closed)["outcome"], "unchanged");
}

#[test]
fn what_cannot_be_a_request_is_answered_with_what_is_wrong() {
    let daemon = Daemon::start();
    let long = format!("{{\"version\": 1, \"verb\": \"ping\"{}}}\n", " ".repeat(MOST_REQUEST));
    let cases = [
        ("nonsense\n", "no JSON object"),
        ("\n", "no JSON object"),
        ("{\"version\":1,\"verb\":\"ping\"}\n{\"version\":1,\"verb\":\"ping\"}\n", "one request"),
        ("{\"version\":2,\"verb\":\"ping\"}\n", "of version 2"),
        ("{\"verb\":\"ping\"}\n", "no `version`"),
        ("{\"version\":1,\"verb\":\"flood\"}\n", "unknown variant"),
        ("{\"version\":1,\"verb\":\"ping\",\"loud\":true}\n", "unknown field"),
        ("{\"version\":1,\"verb\":\"apply\"}\n", "no document"),
        (&long, "more than 65536 octets"),
    ];
    for (octets, expected) in cases {
        let answer = daemon.said(octets.as_bytes());
        assert!(error_of(&answer).contains(expected), "{octets:.60}: {answer}");
        assert!(!answer["help"].as_str().unwrap().is_empty());
    }
    let endless = daemon.said(&vec![b' '; 4 * MOST_REQUEST]);
    assert!(error_of(&endless).contains("more than 65536 octets"), "{endless}");
    daemon.answers();
    daemon.wait_for_clients(0);
}

#[test]
fn the_end_of_all_that_a_client_says_ends_its_request() {
    let daemon = Daemon::start();
    let mut stream = daemon.raw();
    stream.write_all(br#"{"version": 1, "verb": "ping"}"#).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&stream)["pong"], true);
    let mut cut = daemon.raw();
    cut.write_all(br#"{"version": 1, "ver"#).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    assert!(error_of(&answer(&cut)).contains("no JSON object"));
    let silent = daemon.raw();
    silent.shutdown(Shutdown::Write).unwrap();
    assert_eq!(BufReader::new(&silent).read_line(&mut String::new()).unwrap(), 0);
}

#[test]
fn clients_that_hang_are_dropped_after_ten_seconds_and_cost_nobody_else_anything() {
    let daemon = Daemon::start();
    let silent: Vec<UnixStream> = (0..20).map(|_| daemon.raw()).collect();
    let mut half = daemon.raw();
    half.write_all(b"{\"version\": 1").unwrap();
    let mut deaf: Vec<UnixStream> = (0..20).map(|_| daemon.raw()).collect();
    for client in &mut deaf {
        client.write_all(Request::Names {}.to_line().as_bytes()).unwrap();
    }
    daemon.wait_for_clients(41);
    daemon.answers();
    daemon.step_clock(PATIENCE);
    daemon.wait_for_clients(0);
    for client in silent.iter().chain([&half]) {
        assert!(error_of(&answer(client)).contains("not complete within 10 seconds"));
    }
    for client in &mut deaf {
        let mut got = Vec::new();
        let _ = client.read_to_end(&mut got);
        assert!(got.len() < NAMES, "the reply was cut off");
    }
    daemon.answers();
}

#[test]
fn nothing_is_ready_while_clients_hang() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let mut server = Server::bind(&path, None).unwrap();
    let now = Duration::from_secs(500);
    assert_eq!(server.next_deadline(), None);
    let connect = || UnixStream::connect(&path).unwrap();
    let _silent = connect();
    let mut half = connect();
    half.write_all(b"{").unwrap();
    let mut waiting = connect();
    waiting.write_all(Request::Reload {}.to_line().as_bytes()).unwrap();
    waiting.shutdown(Shutdown::Write).unwrap();
    let mut deaf = connect();
    deaf.write_all(Request::Names {}.to_line().as_bytes()).unwrap();
    let mut asked = Vec::new();
    for _ in 0..2 {
        let ready = ready(&server, 0);
        asked.extend(server.advance(&ready, now));
    }
    let [reload, names] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((&reload.request, &names.request), (&Request::Reload {}, &Request::Names {}));
    server.reply(names.client, &agreed(json!({ "names": "n".repeat(NAMES) })), now);
    assert_eq!(ready(&server, 0), [false; 5], "a poll would return at once, again and again");
    assert_eq!(server.next_deadline(), Some(now + PATIENCE));
    server.advance(&[], now + PATIENCE);
    assert_eq!(server.interests().len(), 2, "the one that waits for its reload stays");
    assert_eq!(server.next_deadline(), None);
}

#[test]
fn a_policy_is_handed_over_whole() {
    let daemon = Daemon::start();
    let policy: Vec<PolicyText> = (0..3)
        .map(|layer| PolicyText { name: format!("{layer}.toml"), layer, text: "# ä\n".repeat(50_000) })
        .collect();
    let list = "192.0.2.1\n".repeat(300_000);
    let lists = (0..MOST_LISTS).map(|number| (format!("/etc/lists/{number}"), list.as_bytes()));
    let files = Handed::seal(&policy, lists).unwrap();
    let reply = daemon.client().ask(&Request::Apply {}, &files, LONG).unwrap();
    assert_eq!(serde_json::from_value::<Vec<PolicyText>>(reply["policy"].clone()).unwrap(), policy);
    assert_eq!(reply["lists"].as_array().unwrap().len(), MOST_LISTS);
    assert_eq!(reply["lists"][63], "/etc/lists/63");
    assert_eq!(reply["octets"], MOST_LISTS * list.len());

    let too_many = (0..=MOST_LISTS).map(|number| (number.to_string(), &b""[..]));
    assert!(Handed::seal(&policy, too_many).unwrap_err().to_string().contains("65 list files"));
}

#[test]
fn a_file_that_somebody_could_change_is_refused() {
    let daemon = Daemon::start();
    let unsealed = memfd_create("unsealed", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC).unwrap();
    let half_sealed = half_sealed();
    let plain = tempfile::tempfile().unwrap();
    let (pipe, _writer) = nix::unistd::pipe().unwrap();
    let directory = File::open("/").unwrap();
    for file in [
        unsealed.as_fd(),
        half_sealed.as_fd(),
        plain.as_fd(),
        pipe.as_fd(),
        directory.as_fd(),
        daemon.raw().as_fd(),
    ] {
        let stream = daemon.raw();
        send(&stream, &Request::Apply {}.to_line(), &[file]);
        let answer = answer(&stream);
        assert!(error_of(&answer).contains("file 0 is no memfd with the seals"), "{answer}");
    }
    let sealed = seal(&b"{}"[..]).unwrap();
    let stream = daemon.raw();
    send(&stream, &Request::Ping {}.to_line(), &[sealed.as_fd()]);
    assert!(error_of(&answer(&stream)).contains("no files may come with this request"));
    daemon.answers();
}

/// With all seals but that against writing.
fn half_sealed() -> OwnedFd {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let memfd = memfd_create("half", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC).unwrap();
    let seals = SealFlag::all() - SealFlag::F_SEAL_WRITE;
    fcntl(&memfd, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    memfd
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let daemon = Daemon::start();
    let memfd = memfd_create("long", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC).unwrap();
    let file = File::from(memfd);
    file.set_len(portgrave::control::MOST_FILE + 1).unwrap();
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_ADD_SEALS(nix::fcntl::SealFlag::all())).unwrap();
    let stream = daemon.raw();
    send(&stream, &Request::Apply {}.to_line(), &[file.as_fd()]);
    assert!(error_of(&answer(&stream)).contains("has 67108865 octets"));
}

#[test]
fn no_descriptor_is_kept_however_many_are_sent() {
    if ran_inside(Namespace::Network, "no_descriptor_is_kept_however_many_are_sent") {
        return;
    }
    let daemon = Daemon::start();
    daemon.answers();
    daemon.wait_for_clients(0);
    let before = open_descriptors();
    let file = seal(&b"{\"policy\": [], \"lists\": []}"[..]).unwrap();
    let flood = vec![file.as_fd(); 253];
    for round in 0..20 {
        let stream = daemon.raw();
        send(&stream, &Request::Apply {}.to_line(), &flood);
        assert!(error_of(&answer(&stream)).contains("more files"), "{round}");
        let piecemeal = daemon.raw();
        for _ in 0..=MOST_LISTS / 8 {
            send(&piecemeal, " ", &flood[..8]);
        }
        assert!(error_of(&answer(&piecemeal)).contains("more files"), "{round}");
        // Gone before its request is complete, and with a request that is refused.
        send(&daemon.raw(), "{", &flood[..65]);
        send(&daemon.raw(), "nonsense\n", &flood[..65]);
        let stream = daemon.raw();
        send(&stream, &Request::Apply {}.to_line(), &flood[..1]);
        assert_eq!(answer(&stream)["ok"], true);
    }
    daemon.wait_for_clients(0);
    drop(file);
    wait_until("all are closed", || open_descriptors() == before);
    daemon.answers();
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_daemon_without_descriptors_waits_and_goes_on() {
    if ran_inside(Namespace::Network, "a_daemon_without_descriptors_waits_and_goes_on") {
        return;
    }
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let mut server = Server::bind(&path, None).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    let mut now = Duration::from_secs(500);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let limited = |number: usize| setrlimit(Resource::RLIMIT_NOFILE, number as u64, hard).unwrap();

    limited(3);
    server.advance(&ready(&server, 0), now);
    assert_eq!(ready(&server, 0), [false], "a poll would return at once, again and again");
    assert_eq!(server.next_deadline(), Some(now + Duration::from_secs(1)));
    limited(1024);
    now += Duration::from_secs(1);
    server.advance(&[], now);
    server.advance(&ready(&server, 0), now);
    assert_eq!(server.interests().len(), 2);

    // Files that cannot be taken are an error, and those that could are closed.
    let file = seal(&b""[..]).unwrap();
    send(&client, &Request::Apply {}.to_line(), &vec![file.as_fd(); 60]);
    let before = open_descriptors();
    limited(before + 20);
    let asked = server.advance(&ready(&server, 0), now);
    limited(1024);
    assert!(asked.is_empty(), "{asked:?}");
    assert!(error_of(&answer(&client)).contains("could not take all the files"));
    wait_until("the connection is closed, and no file is kept", || open_descriptors() == before - 1);
    client.write_all(b"x").unwrap_err();
}

/// A TCP connection that takes an hour to close: its peer reads nothing of what is to be sent.
fn lingering() -> std::net::TcpStream {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    std::mem::forget(listener.accept().unwrap());
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::from_secs(3600))).unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65536]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn descriptors_that_take_long_to_close_hold_nobody_up() {
    if ran_inside(Namespace::Network, "descriptors_that_take_long_to_close_hold_nobody_up") {
        return;
    }
    let up =
        Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip is installed (iproute2)");
    assert!(up.success());
    let daemon = Daemon::start();
    // Refused with its files; gone before its request is complete; with files that nobody has read.
    // This process lets go of each before the server does, so that the server's is the last.
    let mut stream = daemon.raw();
    send(&stream, " ", &[lingering().as_fd()]);
    stream.write_all(Request::Apply {}.to_line().as_bytes()).unwrap();
    assert!(error_of(&answer(&stream)).contains("no memfd"));
    send(&daemon.raw(), "{", &[lingering().as_fd()]);
    let mut waiting = daemon.raw();
    waiting.write_all(Request::Reload {}.to_line().as_bytes()).unwrap();
    daemon.wait_until("it waits", |seen| seen.waiting_reloads.load(Ordering::SeqCst) == 1);
    send(&waiting, " ", &[lingering().as_fd()]);
    drop(waiting);
    daemon.wait_for_clients(0);
    daemon.answers();

    // Many of them cost the control socket, and not the loop that it is a part of.
    for _ in 0..64 {
        send(&daemon.raw(), "{", &[lingering().as_fd()]);
    }
    daemon.wait_for_clients(0);
    let turns = daemon.switches.turns.load(Ordering::SeqCst);
    daemon.wait_until("the loop turns", |seen| seen.turns.load(Ordering::SeqCst) > turns + 10);
    let refused = daemon.client().ask(&Request::Ping {}, &[], Some(Duration::from_millis(100)));
    assert!(matches!(refused, Err(ClientError::Timeout(_))), "{refused:?}");
    std::mem::forget(daemon);
}

#[test]
fn no_octets_harm_the_server() {
    let daemon = Daemon::start();
    let mut random = Random::new(5);
    let whole = Request::Apply {}.to_line();
    for _ in 0..2000 {
        let mut octets = whole.clone().into_bytes();
        match random.below(3) {
            0 => octets = (0..random.below(300)).map(|_| random.below(256) as u8).collect(),
            1 => {
                for _ in 0..=random.below(4) {
                    let at = random.below(octets.len());
                    octets[at] = random.below(256) as u8;
                }
            }
            _ => octets.truncate(random.below(octets.len())),
        }
        let _ = Request::parse(&octets);
        let mut stream = daemon.raw();
        let _ = stream.write_all(&octets);
        let _ = stream.shutdown(Shutdown::Write);
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        assert!(reply.is_empty() || reply.contains("\"ok\":"), "{reply}");
    }
    daemon.answers();
}

#[test]
fn the_documents_example_hands_over_a_policy() {
    let daemon = Daemon::start();
    let text = include_str!("../docs/control-protocol.md");
    let (_, example) = text.split_once("```python\n").expect("an example");
    let (example, _) = example.split_once("```").unwrap();
    let example = example.replace(portgrave::control::SOCKET, daemon.path.to_str().unwrap());
    std::fs::write(daemon.dir.path().join("site.toml"), "language = 1\n").unwrap();
    let mut python = Command::new("python3");
    let output =
        python.args(["-c", &example]).current_dir(&daemon.dir).output().expect("python3 is installed");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("'ok': True") && printed.contains("'language = 1\\n'"), "{printed} {output:?}");
}

#[test]
fn no_document_harms_its_reader() {
    let daemon = Daemon::start();
    for document in
        ["", "[]", "{}", "{\"policy\": [], \"lists\": [\"a\"]}", "{\"policy\": [{}], \"lists\": []}", "\u{0}"]
    {
        let file = seal(document.as_bytes()).unwrap();
        let refused = daemon.client().ask(&Request::Apply {}, &[file], LONG);
        assert!(
            matches!(&refused, Err(ClientError::Refused { error, .. }) if error.contains("document")),
            "{refused:?}"
        );
    }
    daemon.answers();
}

const CLIENT: &str = "
import json, os, socket, sys
path, gid = sys.argv[1], int(sys.argv[2])
if os.getuid() == 0:
    os.setgroups([gid] if gid else [])
    os.setgid(60001)
    os.setuid(60001)
for verb in ['status', 'reload', 'apply']:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(path)
        client.sendall(json.dumps({'version': 1, 'verb': verb}).encode() + b'\\n')
        print(client.makefile().readline(), end='')
    except PermissionError:
        print('no permission')
";

#[test]
fn others_may_not_connect_and_the_group_may_not_change_things() {
    let root = nix::unistd::geteuid().is_root();
    let daemon = Daemon::start();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    chmod(daemon.dir.path(), 0o755);
    let said = |group: u32| {
        let arguments = ["-c", CLIENT, daemon.path.to_str().unwrap(), &group.to_string()];
        let output = Command::new("python3").args(arguments).output().expect("python3 is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // Only root can become somebody else; for an ordinary user the socket is closed to itself.
    if !root {
        chmod(&daemon.path, 0o000);
        assert_eq!(said(0), "no permission\n".repeat(3));
        let refused = Client::connect(&daemon.path).unwrap_err().to_string();
        assert!(refused.contains("no permission; only root and"), "{refused}");
        return;
    }
    assert_eq!(said(0), "no permission\n".repeat(3));
    nix::unistd::chown(&daemon.path, None, Some(60_002.into())).unwrap();
    let answers = said(60_002);
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [status, reload, apply] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&status["ok"], &status["uid"]), (&json!(true), &json!(60_001)));
    for refused in [reload, apply] {
        assert_eq!(error_of(refused), "only root (not uid 60001) may change what is in force");
    }
    assert_eq!(daemon.switches.waiting_reloads.load(Ordering::SeqCst), 0);
    daemon.answers();
}

//! What comes over the control socket: the line of a request, the document that is handed over, and the line of a reply. Each input
//! is all three.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::control::{Client, ClientError, Handed, HandedError, MOST_LISTS, Request, Sealed, seal};
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// A reply that is longer would wait for the client, which is the same thread.
const MOST_REPLY: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    request(data);
    handed(data);
    if data.len() <= MOST_REPLY {
        reply(data);
    }
});

/// What is understood is written again as the same request; what is not is told.
fn request(line: &[u8]) {
    match Request::parse(line) {
        Ok(request) => {
            assert_eq!(Request::parse(request.to_line().as_bytes()).expect("it is read again"), request);
            assert!(request.changes() || !request.hands_over_files());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The document alone, and with as many lists as it names.
fn handed(document: &[u8]) {
    let file = || sealed(document);
    let (handed, lists) = match Handed::read(vec![file()]) {
        Ok(handed) => (handed, 0),
        Err(HandedError::OtherNumber { named, received }) => {
            assert!(received == 0 && named > 0);
            if named > MOST_LISTS {
                return;
            }
            let files = std::iter::repeat_with(file).take(named + 1).collect();
            (Handed::read(files).expect("it has its lists"), named)
        }
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(handed.lists.len(), lists);
    let paths = handed.lists.iter().map(|(path, _)| (path.clone(), &b"192.0.2.1\n"[..]));
    let again = Handed::seal(&handed.policy, paths).expect("it can be handed over again");
    let files = again.iter().enumerate();
    let files = files.map(|(number, file)| Sealed::check(number, file).expect("it is sealed")).collect();
    let again = Handed::read(files).expect("it is read again");
    assert_eq!(again.policy, handed.policy);
    let paths = |handed: &Handed| handed.lists.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&again), paths(&handed));
}

fn sealed(content: &[u8]) -> Sealed {
    let file = seal(content).expect("a memfd");
    let sealed = Sealed::check(0, &file).expect("it is sealed");
    assert_eq!(sealed.read().expect("it is read"), content);
    sealed
}

/// A daemon that answers with this before it is asked.
fn reply(line: &[u8]) {
    static DAEMON: LazyLock<(UnixListener, PathBuf)> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("portgrave-fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        (UnixListener::bind(&path).expect("a socket"), path)
    });
    let (daemon, path) = &*DAEMON;
    let client = Client::connect(path).expect("it listens").expect("it is there");
    let (mut connection, _) = daemon.accept().expect("a connection");
    connection.write_all(line).and_then(|()| connection.write_all(b"\n")).expect("there is room");
    match client.ask(&Request::Status {}, &[], Some(Duration::from_secs(10))) {
        Ok(reply) => assert_eq!(reply["ok"], true),
        Err(ClientError::Refused { error, reply, .. }) => {
            assert!(reply["ok"] == false && (!error.is_empty() || reply["error"] == ""));
        }
        Err(ClientError::Malformed(why)) => assert!(!why.is_empty()),
        Err(error) => panic!("{error}"),
    }
}

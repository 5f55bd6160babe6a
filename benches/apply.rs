//! Whole processes, from their start to the rules in the kernel: `portgrave apply` of the shipped policy with its names given,
//! against `nft -f` of the text that `portgrave show` prints for it. Pairs in turn, in one network namespace of its own;
//! the table is flushed before each run. Prints medians, spread and the ratio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PAIRS: usize = 60;
const BOUND: f64 = 1.0;

fn main() {
    own_namespace();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bench = Bench::new(dir.path());
    let text = bench.output(&["show"]);
    let rules = dir.path().join("rules.nft");
    std::fs::write(&rules, text).expect("the printed rules");
    println!("the shipped policy with its names given, {PAIRS} pairs, wall time of the whole process");
    let start = pairs(&bench, &rules, false, "start: the kernel empty, the state kept, as after a boot");
    pairs(&bench, &rules, true, "the very first apply: no state yet, the generation synced to disk");
    assert!(start <= BOUND, "a start is slower than nft -f");
}

/// Runs both in turn and returns the median of the ratios.
fn pairs(bench: &Bench, rules: &Path, forget: bool, title: &str) -> f64 {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..=PAIRS {
        flush();
        let b = time(Command::new("nft").arg("-f").arg(rules));
        flush();
        if forget {
            bench.forget();
        }
        let a = time(&mut bench.command(&["apply", "--names-wait", "0s"]));
        if pair > 0 {
            ours.push(a);
            theirs.push(b);
            ratios.push(a.as_secs_f64() / b.as_secs_f64());
        }
    }
    println!("{title}");
    row("portgrave apply", &mut ours);
    row("nft -f", &mut theirs);
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (ratios[0], ratios[PAIRS / 2], ratios[PAIRS - 1]);
    println!("{:<18} {low:>8.2}  {median:>8.2}  {high:>8.2}   ratio", "");
    median
}

/// `make bench` runs this as root or as an ordinary user; either way in namespaces of its own.
fn own_namespace() {
    const GUARD: &str = "PORTGRAVE_BENCH_NAMESPACE";
    if std::env::var_os(GUARD).is_none() {
        let program = std::env::current_exe().expect("this program");
        let status =
            Command::new("unshare").args(["-rn"]).arg(program).env(GUARD, "1").status().expect("unshare");
        std::process::exit(status.code().unwrap_or(1));
    }
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip").success());
}

fn row(name: &str, times: &mut [Duration]) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (low, median, high) = (ms(times[0]), ms(times[times.len() / 2]), ms(times[times.len() - 1]));
    println!("{name:<18} {low:>8.2}  {median:>8.2}  {high:>8.2}   ms, least, median, most");
}

fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the command starts");
    let took = start.elapsed();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}

fn flush() {
    assert!(Command::new("nft").args(["flush", "ruleset"]).status().expect("nft").success());
}

struct Bench {
    config: PathBuf,
    names: PathBuf,
    state: PathBuf,
    policy: PathBuf,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let policy = root.join("policy/clearswift-seg.toml");
        let bench = Self {
            config: dir.join("portgrave.toml"),
            names: dir.join("names.toml"),
            state: dir.join("state"),
            policy: policy.clone(),
        };
        let state = bench.state.display();
        let run = dir.join("run");
        let config = format!(
            "[paths]\nstate-dir = \"{state}\"\nruntime-dir = \"{}\"\n[resolver]\nservers = [\"127.0.0.1\"]\n",
            run.display()
        );
        std::fs::write(&bench.config, config).expect("the settings");
        std::fs::write(&bench.names, names(&std::fs::read_to_string(policy).expect("the shipped policy")))
            .expect("names");
        bench
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
        command.args(verb).arg("--config").arg(&self.config).arg("--policy").arg(&self.policy);
        command.arg("--names").arg(&self.names);
        command
    }

    fn output(&self, verb: &[&str]) -> Vec<u8> {
        let output = self.command(verb).output().expect("portgrave starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn forget(&self) {
        if self.state.exists() {
            std::fs::remove_dir_all(&self.state).expect("the state directory is ours");
        }
    }
}

/// Every quoted host name of the shipped policy, with an address of its own.
fn names(policy: &str) -> String {
    let is_name =
        |word: &&str| word.contains('.') && !word.contains('/') && word.parse::<std::net::IpAddr>().is_err();
    let ascii = |word: &&str| {
        word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
    };
    let quoted = policy.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = quoted.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(is_name).filter(ascii);
    let unique: std::collections::BTreeSet<&str> = words.collect();
    let line = |(index, name): (usize, &str)| {
        format!("\"{name}\" = [\"93.184.216.{}\", \"2606:2800::{index:x}\"]\n", index + 1)
    };
    unique.into_iter().enumerate().map(line).collect()
}

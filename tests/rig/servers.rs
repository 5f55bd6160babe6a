//! Real servers from the distribution, each in the foreground with a directory of its own.

use super::isolate::{has_all_users, replace_file};
use super::{Ns, Process};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The distribution's interpreter: the one that has the distribution's modules.
pub const PYTHON: &str = "/usr/bin/python3";

/// A certificate and its key.
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    pub fn new(ns: &Ns, dir: &Path) -> Self {
        let tls = Self { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=rig.example",
        ]);
        command.arg("-keyout").arg(&tls.key).arg("-out").arg(&tls.certificate);
        ns.stdout(&mut command);
        tls
    }
}

/// An FTP server for anonymous users with one file, `hello.txt`, and a folder that takes uploads, `in`.
pub fn ftp(ns: &Ns, dir: &Path, port: u16, tls: Option<&Tls>) -> Process {
    let root = dir.join(format!("ftp-{port}"));
    std::fs::create_dir_all(root.join("in")).expect("a directory");
    std::fs::write(root.join("hello.txt"), "hello from the server\n").expect("a file");
    let mut text = format!(
        "listen=NO\nlisten_ipv6=YES\nlisten_port={port}\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         write_enable=YES\nanon_upload_enable=YES\nno_anon_password=YES\nconnect_from_port_20=YES\n\
         run_as_launching_user=YES\nisolate=NO\nisolate_network=NO\nseccomp_sandbox=NO\nxferlog_enable=NO\n\
         anon_root={0}\nsecure_chroot_dir={0}\n",
        root.display()
    );
    if let Some(tls) = tls {
        text.push_str(&format!(
            "ssl_enable=YES\nimplicit_ssl={}\nallow_anon_ssl=YES\nforce_anon_data_ssl=YES\n\
             force_anon_logins_ssl=YES\nrequire_ssl_reuse=NO\nssl_ciphers=HIGH\nrsa_cert_file={}\n\
             rsa_private_key_file={}\npasv_min_port=50000\npasv_max_port=50100\n",
            if port == 990 { "YES" } else { "NO" },
            tls.certificate.display(),
            tls.key.display()
        ));
    }
    let config = dir.join(format!("vsftpd-{port}.conf"));
    std::fs::write(&config, text).expect("a settings file");
    let log = dir.join(format!("vsftpd-{port}.log"));
    ns.serve(Command::new("vsftpd").arg(config), log, || ns.listens("tcp", port))
}

/// An SSH server, and what a client needs to log in: everybody who may is the user `rig`.
pub struct Ssh {
    identity: PathBuf,
    _server: Process,
}

impl Ssh {
    pub fn start(ns: &Ns, dir: &Path) -> Self {
        let home = dir.join("ssh");
        std::fs::create_dir_all(&home).expect("a directory");
        let (host, identity) = (home.join("host"), home.join("identity"));
        for key in [&host, &identity] {
            let mut command = Command::new("ssh-keygen");
            ns.stdout(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key));
        }
        let mut command = as_server_user(ns);
        add_user(&home, if has_all_users() { 0 } else { UNPRIVILEGED });
        let config = home.join("sshd_config");
        let text = format!(
            "Port 22\nHostKey {}\nAuthorizedKeysFile {}.pub\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nSubsystem sftp internal-sftp\n",
            host.display(),
            identity.display()
        );
        std::fs::write(&config, text).expect("a settings file");
        command.arg(sbin("sshd")).args(["-D", "-e", "-f"]).arg(config);
        let server = ns.serve(&mut command, home.join("log"), || ns.listens("tcp", 22));
        Self { identity, _server: server }
    }

    /// `ssh` or `sftp`, as a client that comes from `from`.
    pub fn client(&self, program: &str, from: IpAddr) -> Command {
        let mut command = Command::new(program);
        command.args([
            "-F",
            "/dev/null",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]);
        command
            .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .arg("-o")
            .arg(format!("BindAddress={from}"));
        command.arg("-i").arg(&self.identity);
        command
    }
}

/// A mail server that prints what it receives to its log.
pub fn smtp(ns: &Ns, dir: &Path, at: IpAddr) -> (Process, PathBuf) {
    let log = dir.join(format!("smtp-{at}.log"));
    let mut command = Command::new(PYTHON);
    command.args(["-u", "-m", "aiosmtpd", "-n", "-l", &format!("{at}:25")]);
    command.args(["-c", "aiosmtpd.handlers.Debugging", "stdout"]);
    (ns.serve(&mut command, log.clone(), || ns.listens("tcp", 25)), log)
}

/// A DNS server that knows `rig.example` as 192.0.2.77.
pub fn dns(ns: &Ns, dir: &Path, at: IpAddr) -> Process {
    let mut command = Command::new("dnsmasq");
    command.args(["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="]);
    command.args([
        "--bind-interfaces",
        "--address=/rig.example/192.0.2.77",
        &format!("--listen-address={at}"),
    ]);
    ns.serve(&mut command, dir.join("dns.log"), || ns.listens("udp", 53) && ns.listens("tcp", 53))
}

/// A time server that never touches the clock.
pub fn ntp(ns: &Ns, dir: &Path) -> Process {
    let config = dir.join("chrony.conf");
    let pid = dir.join("chronyd.pid");
    let text = format!(
        "local stratum 3\nallow all\ncmdport 0\nbindcmdaddress /\npidfile {}\ndriftfile /dev/null\n",
        pid.display()
    );
    std::fs::write(&config, text).expect("a settings file");
    let mut command = Command::new("chronyd");
    command.args(["-d", "-x", "-U", "-u", "root", "-f"]).arg(config);
    ns.serve(&mut command, dir.join("chrony.log"), || ns.listens("udp", 123))
}

/// A directory server whose only entry is its root.
pub fn ldap(ns: &Ns, dir: &Path, at: IpAddr, tls: Option<&Tls>) -> Process {
    let home = dir.join(format!("ldap-{at}"));
    std::fs::create_dir_all(&home).expect("a directory");
    let mut text = String::new();
    if let Some(tls) = tls {
        text.push_str(&format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            tls.certificate.display(),
            tls.key.display()
        ));
    }
    text.push_str(&format!("database ldif\nsuffix \"cn=rig\"\ndirectory {}\n", home.display()));
    let config = home.with_extension("conf");
    std::fs::write(&config, text).expect("a settings file");
    let (scheme, port) = if tls.is_some() { ("ldaps", 636) } else { ("ldap", 389) };
    let mut command = Command::new("slapd");
    command.args(["-d", "0", "-h", &format!("{scheme}://{}", bracketed(at)), "-f"]).arg(config);
    ns.serve(&mut command, home.with_extension("log"), || ns.listens("tcp", port))
}

/// A log server that takes TCP and writes what it gets to the file that is returned.
pub fn syslog(ns: &Ns, dir: &Path) -> (Process, PathBuf) {
    let (config, written) = (dir.join("rsyslog.conf"), dir.join("messages"));
    let text = format!(
        "global(workDirectory=\"{}\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"514\")\n*.* {}\n",
        dir.display(),
        written.display()
    );
    std::fs::write(&config, text).expect("a settings file");
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(config).arg("-i").arg(dir.join("rsyslog.pid"));
    (ns.serve(&mut command, dir.join("rsyslog.log"), || ns.listens("tcp", 514)), written)
}

/// A web server with one page, `index.html`.
pub fn http(ns: &Ns, dir: &Path) -> Process {
    let root = dir.join("www");
    std::fs::create_dir_all(&root).expect("a directory");
    std::fs::write(root.join("index.html"), "hello from the web\n").expect("a file");
    let mut command = Command::new(PYTHON);
    command.args(["-m", "http.server", "80", "--bind", "::", "--directory"]).arg(root);
    ns.serve(&mut command, dir.join("http.log"), || ns.listens("tcp", 80))
}

/// A web server that speaks TLS and answers with the state of the connection.
pub fn https(ns: &Ns, dir: &Path, tls: &Tls) -> Process {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-www", "-accept", "443", "-cert"]).arg(&tls.certificate);
    command.arg("-key").arg(&tls.key);
    ns.serve(&mut command, dir.join("https.log"), || ns.listens("tcp", 443))
}

/// An address as it stands in a URL.
pub fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Where an ordinary user's id is the only one, sshd cannot change users: it runs as a user that is not 0.
const UNPRIVILEGED: u32 = 1000;

fn as_server_user(ns: &Ns) -> Command {
    if has_all_users() {
        return Command::new("env");
    }
    ns.sysctl("ipv4/ip_unprivileged_port_start", "0");
    let mut command = Command::new("unshare");
    command.args(["--user", &format!("--map-user={UNPRIVILEGED}"), "--"]);
    command
}

fn add_user(home: &Path, id: u32) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let account = format!("rig:x:{id}:{id}::{}:/bin/sh\n", home.display());
    replace_file("/etc/passwd", &format!("{}{account}", read("/etc/passwd")));
    replace_file("/etc/shadow", &format!("{}rig:*:19000:0:99999:7:::\n", read("/etc/shadow")));
}

/// sshd wants to be started by its full path.
fn sbin(program: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(|place| Path::new(place).join(program));
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{program} is not installed"))
}

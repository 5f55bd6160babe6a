//! The port table as data: what each row must let through, written down apart from the shipped policy that it tests.

use super::Proto;
use std::net::Ipv4Addr;

/// Who may open the connection, seen from the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
    Both,
}

/// A port or a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub proto: Proto,
    pub first: u16,
    pub last: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    Any,
    /// A host group that the site fills in.
    Group(&'static str),
    /// Host names, looked up.
    Names(&'static [&'static str]),
    /// IPv4 addresses.
    Addresses(&'static [Ipv4Addr]),
    /// The gateway's broadcast addresses.
    Broadcast,
}

/// What a row allows; a row whose names or ways differ by switch has several.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub way: Way,
    pub ports: &'static [Port],
    pub peers: Peers,
    pub switch: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    pub parts: &'static [Part],
    /// The data connections of FTP's helper belong to this row.
    pub helper: bool,
}

const fn tcp(port: u16) -> Port {
    Port { proto: Proto::Tcp, first: port, last: port }
}

const fn udp(port: u16) -> Port {
    Port { proto: Proto::Udp, first: port, last: port }
}

const PASSIVE: Port = Port { proto: Proto::Tcp, first: 50000, last: 50100 };

const fn part(way: Way, ports: &'static [Port], peers: Peers, switch: Option<&'static str>) -> Part {
    Part { way, ports, peers, switch }
}

macro_rules! row {
    ($id:literal, $title:literal, $($part:expr),+) => {
        Row { id: $id, title: $title, parts: &[$($part),+], helper: false }
    };
}

pub const VENDOR_ADDRESSES: &[Ipv4Addr] =
    &[Ipv4Addr::new(86, 188, 240, 24), Ipv4Addr::new(213, 106, 99, 208), Ipv4Addr::new(46, 236, 38, 70)];

const UPDATES: &[&str] = &["repo.clearswift.net", "rh.repo.clearswift.net"];
const KASPERSKY: &[&str] = &[
    "kav-update-8-1.clearswift.net",
    "kav-update-8-2.clearswift.net",
    "kav-update-8-3.clearswift.net",
    "kav-update-8-4.clearswift.net",
    "kav-update-8-5.clearswift.net",
    "kav-update-8-6.clearswift.net",
];
const SOPHOS: &[&str] = &[
    "sav-update-1.clearswift.net",
    "sav-update-2.clearswift.net",
    "sav-update-3.clearswift.net",
    "sav-update-4.clearswift.net",
    "sav-update-5.clearswift.net",
    "sav-update-6.clearswift.net",
];
const BULKMAIL: &[&str] = &[
    "bulkmail1.clearswift.net",
    "bulkmail2.clearswift.net",
    "bulkmail3.clearswift.net",
    "bulkmail4.clearswift.net",
    "bulkmail5.clearswift.net",
];
const SPAM: &[&str] = &[
    "sn12.mailshell.net",
    "sn60.mailshell.net",
    "db11spamcatcher.net",
    "db11.spamcatcher.net",
    "verio.mailshell.net",
    "tisdk.mailshell.net",
    "ruledownloads.com",
    "rules-mailshell.co.uk",
    "rulesdownload.mailshell.net",
    "spamcatcher.net",
];
const SERVICES: &[&str] =
    &["services1.clearswift.net", "services2.clearswift.net", "services3.clearswift.net"];
const POOL: &[&str] =
    &["0.rhel.pool.ntp.org", "1.rhel.pool.ntp.org", "2.rhel.pool.ntp.org", "3.rhel.pool.ntp.org"];

const FTP: Peers = Peers::Group("ftp-servers");
const CONTROLLERS: Peers = Peers::Group("domain-controllers");
const LDAP: Peers = Peers::Group("ldap-servers");
const KEYS: Peers = Peers::Group("key-servers");
const DNS: Peers = Peers::Group("dns-servers");
const GATEWAYS: Peers = Peers::Group("peer-gateways");

use Way::{Both, In, Out};

pub const ROWS: &[Row] = &[
    Row { id: "R01", title: "FTP data, active mode", parts: &[], helper: true },
    Row {
        id: "R02",
        title: "FTP control, data by the helper",
        parts: &[part(Both, &[tcp(21)], FTP, Some("backup-ftp"))],
        helper: true,
    },
    row!("R03", "FTPS, explicit TLS", part(Both, &[tcp(21), PASSIVE], FTP, Some("backup-ftps"))),
    row!("R04", "SSH", part(In, &[tcp(22)], Peers::Group("admins"), None)),
    row!("R05", "SFTP", part(Both, &[tcp(22)], Peers::Group("sftp-servers"), Some("backup-sftp"))),
    row!("R06", "Inbound SMTP", part(In, &[tcp(25)], Peers::Any, None)),
    row!("R07", "Outbound SMTP", part(Out, &[tcp(25)], Peers::Any, None)),
    row!(
        "R08",
        "TRUSTmanager LiveFeed",
        part(Both, &[udp(53), tcp(53)], Peers::Group("livefeed-servers"), Some("trustmanager"))
    ),
    row!("R09", "DNS over TCP", part(Out, &[tcp(53)], DNS, Some("external-dns"))),
    row!("R10", "DNS over UDP", part(Out, &[udp(53)], DNS, Some("external-dns"))),
    row!("R11", "PMM by HTTP", part(In, &[tcp(80)], Peers::Any, Some("pmm"))),
    row!("R12", "Online help", part(Out, &[tcp(80)], Peers::Names(&["clearswifthelp.clearswift.com"]), None)),
    row!("R13", "Product updates", part(Out, &[tcp(80)], Peers::Names(UPDATES), None)),
    row!(
        "R14",
        "Anti-virus updates",
        part(Out, &[tcp(80)], Peers::Names(KASPERSKY), Some("kaspersky")),
        part(Out, &[tcp(80)], Peers::Names(SOPHOS), Some("sophos"))
    ),
    row!("R15", "Software upgrades", part(Out, &[tcp(80)], Peers::Names(&["repo.clearswift.net"]), None)),
    row!("R16", "Junk e-mail detection", part(Out, &[tcp(80)], Peers::Names(BULKMAIL), None)),
    row!("R17", "Spam rules and engine", part(Out, &[tcp(80)], Peers::Names(SPAM), None)),
    row!(
        "R18",
        "Spam statistics",
        part(Out, &[tcp(80)], Peers::Names(&["clearswiftstat.mailshell.net"]), None)
    ),
    row!("R19", "RSS feed", part(Out, &[tcp(80)], Peers::Names(&["www.clearswift.com"]), None)),
    row!("R20", "Service availability", part(Out, &[tcp(80)], Peers::Names(SERVICES), None)),
    row!("R21", "NTP", part(Out, &[udp(123)], Peers::Names(POOL), Some("ntp"))),
    row!("R22", "NTLM, 135", part(Out, &[tcp(135)], CONTROLLERS, Some("pmm-full"))),
    row!("R23", "NTLM, 137", part(Out, &[udp(137)], CONTROLLERS, Some("pmm-full"))),
    row!("R24", "NTLM, 139", part(Out, &[tcp(139)], CONTROLLERS, Some("pmm-full"))),
    row!("R25", "SNMP alerts", part(In, &[udp(162)], Peers::Group("snmp-peers"), Some("snmp"))),
    row!("R26", "LDAP directory", part(Both, &[tcp(389)], LDAP, Some("ldap"))),
    row!("R27", "LDAP key servers", part(Both, &[tcp(389)], KEYS, Some("key-servers"))),
    row!("R28", "Kaspersky KSN", part(Both, &[tcp(443)], Peers::Group("ksn-servers"), Some("kaspersky"))),
    row!("R29", "Web interface", part(In, &[tcp(443)], Peers::Any, None)),
    row!("R30", "Vendor by HTTPS", part(Out, &[tcp(443)], Peers::Addresses(VENDOR_ADDRESSES), None)),
    row!("R31", "HTTPS key servers", part(Both, &[tcp(443)], KEYS, Some("key-servers"))),
    row!("R32", "NTLM, 445", part(Out, &[tcp(445)], CONTROLLERS, Some("pmm-full"))),
    row!("R33", "Log export", part(Out, &[tcp(514)], Peers::Group("syslog-servers"), Some("syslog"))),
    row!("R34", "LDAPS directory", part(Both, &[tcp(636)], LDAP, Some("ldap"))),
    row!("R35", "FTPS, implicit TLS", part(Both, &[tcp(990), PASSIVE], FTP, Some("backup-ftps"))),
    row!("R36", "HKP key servers", part(Both, &[tcp(11371)], KEYS, Some("key-servers"))),
    row!("R37", "Global catalog", part(Out, &[tcp(3268)], CONTROLLERS, Some("ldap"))),
    row!("R38", "Global catalog, TLS", part(Both, &[tcp(3269)], CONTROLLERS, Some("ldap"))),
    row!(
        "R39",
        "Greylisting to peer gateways",
        part(Both, &[udp(19200)], GATEWAYS, Some("peers")),
        part(Out, &[udp(19200)], Peers::Broadcast, Some("peers"))
    ),
];

/// Every switch of the table, sorted.
pub fn switches() -> Vec<&'static str> {
    let mut all: Vec<_> = ROWS.iter().flat_map(|row| row.parts).filter_map(|part| part.switch).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every host name of the table, sorted.
pub fn names() -> Vec<&'static str> {
    let mut all = Vec::new();
    for part in ROWS.iter().flat_map(|row| row.parts) {
        if let Peers::Names(names) = part.peers {
            all.extend_from_slice(names);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Row {
    /// The switches that turn it on; without any it is always on.
    pub fn optional(&self) -> bool {
        self.helper || self.parts.iter().all(|part| part.switch.is_some())
    }
}

impl Port {
    pub fn has(&self, proto: Proto, port: u16) -> bool {
        self.proto == proto && (self.first..=self.last).contains(&port)
    }
}

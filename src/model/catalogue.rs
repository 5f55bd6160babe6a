//! The services that every policy knows, by the names that IANA registers and by those that are in use beside them.
//! A policy's own `[services]` entry of the same name takes the place of one of these.

use crate::types::PortMatch;

/// A service of the catalogue.
pub struct Service {
    /// The IANA name first, then others under which it is known.
    pub names: &'static [&'static str],
    ports: &'static [&'static str],
    /// The conntrack helper for its data connections.
    pub helper: Option<&'static str>,
    pub about: &'static str,
}

impl Service {
    pub fn ports(&self) -> Vec<PortMatch> {
        self.ports.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

pub fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.names.contains(&name))
}

pub fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().flat_map(|service| service.names.iter().copied())
}

const fn service(
    names: &'static [&'static str],
    ports: &'static [&'static str],
    about: &'static str,
) -> Service {
    Service { names, ports, helper: None, about }
}

/// Sorted by the first name.
pub const SERVICES: &[Service] = &[
    service(&["amqp"], &["tcp/5672"], "Advanced Message Queueing Protocol"),
    service(&["amqps"], &["tcp/5671"], "AMQP over TLS"),
    service(&["bgp"], &["tcp/179"], "Border Gateway Protocol"),
    service(&["domain", "dns"], &["tcp/53", "udp/53"], "DNS"),
    service(&["domain-s", "dns-over-tls"], &["tcp/853"], "DNS over TLS"),
    service(&["epmap", "msrpc-epmap"], &["tcp/135"], "DCE and Microsoft RPC endpoint mapper"),
    Service {
        names: &["ftp"],
        ports: &["tcp/21"],
        helper: Some("ftp"),
        about: "FTP, its data connections by the kernel's helper",
    },
    service(&["git"], &["tcp/9418"], "Git"),
    service(&["hkp"], &["tcp/11371"], "OpenPGP key servers"),
    service(&["http"], &["tcp/80"], "HTTP"),
    service(&["http-alt"], &["tcp/8080"], "HTTP, the port of proxies and application servers"),
    service(&["http3"], &["udp/443"], "HTTP over QUIC"),
    service(&["https"], &["tcp/443"], "HTTP over TLS"),
    service(&["imap"], &["tcp/143"], "IMAP"),
    service(&["imaps"], &["tcp/993"], "IMAP over TLS"),
    service(&["ipp"], &["tcp/631"], "Internet Printing Protocol"),
    service(&["ipsec-nat-t"], &["udp/4500"], "IPsec through NAT"),
    service(&["isakmp"], &["udp/500"], "IKE key exchange of IPsec"),
    service(&["iscsi-target"], &["tcp/3260"], "iSCSI"),
    service(&["kerberos"], &["tcp/88", "udp/88"], "Kerberos"),
    service(&["kpasswd"], &["tcp/464", "udp/464"], "Kerberos password change"),
    service(&["ldap"], &["tcp/389"], "LDAP"),
    service(&["ldaps"], &["tcp/636"], "LDAP over TLS"),
    service(&["managesieve", "sieve"], &["tcp/4190"], "ManageSieve"),
    service(&["microsoft-ds", "smb"], &["tcp/445"], "SMB"),
    service(&["mqtt"], &["tcp/1883"], "MQTT"),
    service(&["ms-sql-s"], &["tcp/1433"], "Microsoft SQL Server"),
    service(&["ms-wbt-server", "rdp"], &["tcp/3389"], "Remote Desktop Protocol"),
    service(&["msft-gc", "ldap-gc"], &["tcp/3268"], "Active Directory global catalogue"),
    service(&["msft-gc-ssl", "ldap-gc-ssl"], &["tcp/3269"], "Active Directory global catalogue over TLS"),
    service(&["mysql"], &["tcp/3306"], "MySQL and MariaDB"),
    service(&["netbios-dgm"], &["udp/138"], "NetBIOS datagrams"),
    service(&["netbios-ns"], &["udp/137"], "NetBIOS names"),
    service(&["netbios-ssn"], &["tcp/139"], "NetBIOS sessions"),
    service(&["nfs"], &["tcp/2049"], "NFS version 4"),
    service(&["ntp"], &["udp/123"], "Network Time Protocol"),
    service(&["ntske"], &["tcp/4460"], "key exchange of Network Time Security"),
    service(&["openvpn"], &["udp/1194"], "OpenVPN"),
    service(&["pop3"], &["tcp/110"], "POP3"),
    service(&["pop3s"], &["tcp/995"], "POP3 over TLS"),
    service(&["postgresql"], &["tcp/5432"], "PostgreSQL"),
    service(&["radius"], &["udp/1812"], "RADIUS"),
    service(&["radius-acct"], &["udp/1813"], "RADIUS accounting"),
    service(&["redis"], &["tcp/6379"], "Redis"),
    service(&["rsync"], &["tcp/873"], "rsync"),
    service(&["sip"], &["tcp/5060", "udp/5060"], "SIP"),
    service(&["sips"], &["tcp/5061"], "SIP over TLS"),
    service(&["smtp"], &["tcp/25"], "SMTP between mail servers"),
    service(&["snmp"], &["udp/161"], "SNMP"),
    service(&["snmptrap"], &["udp/162"], "SNMP traps"),
    service(&["ssh", "sftp"], &["tcp/22"], "SSH and SFTP"),
    service(&["submission"], &["tcp/587"], "mail submission"),
    service(&["submissions", "smtps"], &["tcp/465"], "mail submission over TLS"),
    service(&["sunrpc", "rpcbind"], &["tcp/111", "udp/111"], "ONC RPC port mapper"),
    service(&["syslog"], &["udp/514"], "syslog over UDP"),
    service(&["syslog-tls"], &["tcp/6514"], "syslog over TLS"),
    service(&["telnet"], &["tcp/23"], "telnet"),
    service(&["telnets"], &["tcp/992"], "telnet over TLS"),
    service(&["tftp"], &["udp/69"], "TFTP requests; its data connections are not covered"),
    service(&["vnc-server", "rfb"], &["tcp/5900"], "VNC, first display"),
    service(&["wireguard"], &["udp/51820"], "WireGuard"),
    service(&["zabbix-agent"], &["tcp/10050"], "Zabbix agent"),
    service(&["zabbix-trapper"], &["tcp/10051"], "Zabbix server and proxy"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_of_the_catalogue_is_one() {
        for service in SERVICES {
            assert_eq!(service.ports().len(), service.ports.len(), "{}", service.names[0]);
            assert!(!service.ports.is_empty() && !service.about.is_empty());
        }
    }

    #[test]
    fn the_policy_reference_has_every_service() {
        let reference = include_str!("../../docs/policy-reference.md");
        for service in SERVICES {
            let names: Vec<String> = service.names.iter().map(|name| format!("`{name}`")).collect();
            let line = format!("| {} | {} | {} |", names.join(", "), service.ports.join(", "), service.about);
            assert!(reference.contains(&line), "{line}");
        }
    }

    #[test]
    fn services_are_sorted_by_their_first_name() {
        assert!(SERVICES.is_sorted_by_key(|service| service.names[0]));
    }

    #[test]
    fn no_name_stands_twice() {
        assert_eq!(names().collect::<BTreeSet<_>>().len(), names().count());
    }

    #[test]
    fn ftp_alone_has_a_helper() {
        let helped: Vec<&str> = SERVICES.iter().filter(|s| s.helper.is_some()).map(|s| s.names[0]).collect();
        assert_eq!(helped, ["ftp"]);
    }
}

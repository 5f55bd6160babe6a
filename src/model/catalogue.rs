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
    service(
        &["amanda"],
        &["tcp/10080", "udp/10080"],
        "Amanda backups with bsdtcp; the data connections of other ways are not covered",
    ),
    service(&["amqp"], &["tcp/5672"], "Advanced Message Queueing Protocol"),
    service(&["amqps"], &["tcp/5671"], "AMQP over TLS"),
    service(&["auth", "ident"], &["tcp/113"], "Ident, which user opened a connection"),
    service(&["bacula"], &["tcp/9101-9103"], "Bacula: director, file daemon and storage daemon"),
    service(&["bacula-fd", "bacula-client"], &["tcp/9102"], "Bacula file daemon"),
    service(&["bfd-control", "bfd"], &["udp/3784"], "Bidirectional Forwarding Detection over one hop"),
    service(&["bfd-multi-ctl"], &["udp/4784"], "Bidirectional Forwarding Detection over several hops"),
    service(&["bgp"], &["tcp/179"], "Border Gateway Protocol"),
    service(&["bootpc", "dhcp-client"], &["udp/68"], "replies and broadcasts to a DHCP client"),
    service(&["bootps", "dhcp"], &["udp/67"], "requests to a DHCP server"),
    service(&["ceph"], &["tcp/6800-7300"], "Ceph OSD, MDS and manager daemons"),
    service(&["ceph-mon"], &["tcp/3300", "tcp/6789"], "Ceph monitors"),
    service(&["checkmk-agent"], &["tcp/6556"], "Checkmk agent"),
    service(&["cockpit"], &["tcp/9090"], "Cockpit web console"),
    service(&["dhcpv6-client"], &["udp/546"], "replies to a DHCPv6 client"),
    service(&["dhcpv6-server", "dhcpv6"], &["udp/547"], "requests to a DHCPv6 server"),
    service(&["dns-over-quic"], &["udp/853"], "DNS over QUIC"),
    service(&["docker-registry"], &["tcp/5000"], "registry of container images"),
    service(
        &["docker-swarm"],
        &["tcp/2377", "tcp/7946", "udp/4789", "udp/7946"],
        "Docker Swarm: management, gossip, overlay networks that are not encrypted",
    ),
    service(&["domain", "dns"], &["tcp/53", "udp/53"], "DNS"),
    service(&["domain-s", "dns-over-tls"], &["tcp/853"], "DNS over TLS"),
    service(
        &["elasticsearch"],
        &["tcp/9200", "tcp/9300"],
        "Elasticsearch and OpenSearch: HTTP and transport",
    ),
    service(&["epmap", "msrpc-epmap"], &["tcp/135"], "DCE and Microsoft RPC endpoint mapper"),
    service(&["etcd-client"], &["tcp/2379"], "etcd, clients"),
    service(&["etcd-server"], &["tcp/2380"], "etcd, between its members"),
    service(&["finger"], &["tcp/79"], "Finger"),
    Service {
        names: &["ftp"],
        ports: &["tcp/21"],
        helper: Some("ftp"),
        about: "FTP, its data connections by the kernel's helper",
    },
    service(
        &["ftps"],
        &["tcp/990"],
        "FTP over TLS, the control connection; data ports are those set in the server",
    ),
    service(&["galera"], &["tcp/3306", "tcp/4444", "tcp/4567-4568", "udp/4567"], "MariaDB Galera cluster"),
    service(&["geneve"], &["udp/6081"], "GENEVE tunnels"),
    service(&["git"], &["tcp/9418"], "Git"),
    service(&["grafana"], &["tcp/3000"], "Grafana"),
    service(&["gre"], &["gre"], "GRE tunnels"),
    service(
        &["high-availability"],
        &["tcp/2224", "tcp/3121", "tcp/5403", "tcp/9929", "tcp/21064", "udp/5404-5412", "udp/9929"],
        "Pacemaker and Corosync clusters: pcsd, pacemaker_remote, qnetd, booth, dlm, corosync",
    ),
    service(&["hkp"], &["tcp/11371"], "OpenPGP key servers"),
    service(&["http"], &["tcp/80"], "HTTP"),
    service(&["http-alt"], &["tcp/8080"], "HTTP, the port of proxies and application servers"),
    service(&["http3"], &["udp/443"], "HTTP over QUIC"),
    service(&["https"], &["tcp/443"], "HTTP over TLS"),
    service(&["imap"], &["tcp/143"], "IMAP"),
    service(&["imaps"], &["tcp/993"], "IMAP over TLS"),
    service(&["influxdb"], &["tcp/8086"], "InfluxDB"),
    service(&["iperf3"], &["tcp/5201", "udp/5201"], "iperf3"),
    service(&["ipp"], &["tcp/631"], "Internet Printing Protocol"),
    service(&["ipsec"], &["udp/500", "udp/4500", "esp"], "IPsec: key exchange, ESP, and both through NAT"),
    service(&["ipsec-nat-t"], &["udp/4500"], "IPsec through NAT"),
    service(&["isakmp"], &["udp/500"], "IKE key exchange of IPsec"),
    service(&["iscsi-target"], &["tcp/3260"], "iSCSI"),
    service(&["kafka"], &["tcp/9092"], "Apache Kafka"),
    service(&["kerberos"], &["tcp/88", "udp/88"], "Kerberos"),
    service(&["kerberos-adm", "kadmin"], &["tcp/749"], "Kerberos administration"),
    service(&["kibana"], &["tcp/5601"], "Kibana"),
    service(&["kpasswd"], &["tcp/464", "udp/464"], "Kerberos password change"),
    service(&["kube-apiserver", "kube-api"], &["tcp/6443"], "Kubernetes API server"),
    service(
        &["kube-nodeport-services"],
        &["tcp/30000-32767", "udp/30000-32767"],
        "Kubernetes services of the type NodePort",
    ),
    service(&["kubelet"], &["tcp/10250"], "Kubernetes kubelet API"),
    service(&["l2tp"], &["udp/1701"], "L2TP"),
    service(&["ldap"], &["tcp/389"], "LDAP"),
    service(&["ldaps"], &["tcp/636"], "LDAP over TLS"),
    service(&["libvirt"], &["tcp/16509"], "libvirt without TLS"),
    service(&["libvirt-tls"], &["tcp/16514"], "libvirt over TLS"),
    service(&["llmnr"], &["tcp/5355", "udp/5355"], "link-local multicast name resolution"),
    service(&["mdns"], &["udp/5353"], "multicast DNS"),
    service(&["memcache", "memcached"], &["tcp/11211"], "Memcached"),
    service(&["microsoft-ds", "smb"], &["tcp/445"], "SMB"),
    service(&["mongodb"], &["tcp/27017"], "MongoDB"),
    service(&["mountd"], &["tcp/20048", "udp/20048"], "mount daemon of NFS version 3"),
    service(&["mqtt"], &["tcp/1883"], "MQTT"),
    service(&["ms-sql-s", "mssql"], &["tcp/1433"], "Microsoft SQL Server"),
    service(&["ms-wbt-server", "rdp"], &["tcp/3389"], "Remote Desktop Protocol"),
    service(&["msft-gc", "ldap-gc"], &["tcp/3268"], "Active Directory global catalogue"),
    service(&["msft-gc-ssl", "ldap-gc-ssl"], &["tcp/3269"], "Active Directory global catalogue over TLS"),
    service(&["mysql"], &["tcp/3306"], "MySQL and MariaDB"),
    service(&["netbios-dgm"], &["udp/138"], "NetBIOS datagrams"),
    service(&["netbios-ns"], &["udp/137"], "NetBIOS names"),
    service(&["netbios-ssn"], &["tcp/139"], "NetBIOS sessions"),
    service(&["nfs"], &["tcp/2049"], "NFS version 4"),
    service(&["nfs3"], &["tcp/2049", "udp/2049"], "NFS version 3; it needs mountd and sunrpc too"),
    service(&["nicname", "whois"], &["tcp/43"], "WHOIS"),
    service(&["nntp"], &["tcp/119"], "Usenet"),
    service(&["nntps"], &["tcp/563"], "Usenet over TLS"),
    service(&["nrpe"], &["tcp/5666"], "Nagios remote plugin executor"),
    service(&["ntp"], &["udp/123"], "Network Time Protocol"),
    service(&["ntske", "nts-ke"], &["tcp/4460"], "key exchange of Network Time Security"),
    service(&["nut"], &["tcp/3493"], "Network UPS Tools"),
    service(&["openvpn"], &["udp/1194"], "OpenVPN"),
    service(&["ospf"], &["ospf"], "OSPF"),
    service(&["pdl-datastream", "jetdirect"], &["tcp/9100"], "raw printing"),
    service(&["pmcd"], &["tcp/44321"], "Performance Co-Pilot collector"),
    service(&["pmproxy"], &["tcp/44322"], "Performance Co-Pilot proxy"),
    service(&["pop3"], &["tcp/110"], "POP3"),
    service(&["pop3s"], &["tcp/995"], "POP3 over TLS"),
    service(&["postgresql"], &["tcp/5432"], "PostgreSQL"),
    service(&["pptp"], &["tcp/1723", "gre"], "PPTP with its GRE"),
    service(&["printer", "lpd"], &["tcp/515"], "line printer daemon"),
    service(&["prometheus"], &["tcp/9090"], "Prometheus"),
    service(&["prometheus-node-exporter"], &["tcp/9100"], "Prometheus node exporter"),
    service(&["ptp"], &["udp/319-320"], "Precision Time Protocol"),
    service(&["puppet", "puppetmaster"], &["tcp/8140"], "Puppet server"),
    service(&["radius"], &["udp/1812"], "RADIUS"),
    service(&["radius-acct"], &["udp/1813"], "RADIUS accounting"),
    service(&["radsec"], &["tcp/2083"], "RADIUS over TLS"),
    service(&["redis"], &["tcp/6379"], "Redis"),
    service(&["redis-sentinel"], &["tcp/26379"], "Redis Sentinel"),
    service(&["rsync", "rsyncd"], &["tcp/873"], "rsync"),
    service(&["rtsp"], &["tcp/554"], "Real Time Streaming Protocol"),
    service(&["salt-master"], &["tcp/4505-4506"], "Salt master"),
    service(&["samba"], &["tcp/139", "tcp/445", "udp/137-138"], "SMB with NetBIOS, a server"),
    service(&["samba-client"], &["udp/137-138"], "NetBIOS names and datagrams, a client"),
    service(&["secure-mqtt", "mqtt-tls"], &["tcp/8883"], "MQTT over TLS"),
    service(&["sieve", "managesieve"], &["tcp/4190"], "ManageSieve"),
    service(&["sip"], &["tcp/5060", "udp/5060"], "SIP"),
    service(&["sips"], &["tcp/5061"], "SIP over TLS"),
    service(&["smtp"], &["tcp/25"], "SMTP between mail servers"),
    service(&["snmp"], &["udp/161"], "SNMP"),
    service(&["snmptrap", "snmp-trap"], &["udp/162"], "SNMP traps"),
    service(&["spamd", "spamassassin"], &["tcp/783"], "SpamAssassin daemon"),
    service(&["squid"], &["tcp/3128"], "Squid proxy"),
    service(&["ssdp"], &["udp/1900"], "Simple Service Discovery Protocol of UPnP"),
    service(&["ssh", "sftp"], &["tcp/22"], "SSH and SFTP"),
    service(&["stun", "turn"], &["tcp/3478", "udp/3478"], "STUN and TURN; relayed ports are not covered"),
    service(&["stuns", "turns"], &["tcp/5349", "udp/5349"], "STUN and TURN over TLS and DTLS"),
    service(&["submission", "smtp-submission"], &["tcp/587"], "mail submission"),
    service(&["submissions", "smtps"], &["tcp/465"], "mail submission over TLS"),
    service(&["sunrpc", "rpcbind", "rpc-bind"], &["tcp/111", "udp/111"], "ONC RPC port mapper"),
    service(&["svn"], &["tcp/3690"], "Subversion"),
    service(&["syslog"], &["udp/514"], "syslog over UDP"),
    service(&["syslog-tls"], &["tcp/6514"], "syslog over TLS"),
    service(&["tacacs"], &["tcp/49"], "TACACS+"),
    service(&["telnet"], &["tcp/23"], "telnet"),
    service(&["telnets"], &["tcp/992"], "telnet over TLS"),
    service(&["tftp"], &["udp/69"], "TFTP requests; its data connections are not covered"),
    service(&["vnc-server", "rfb", "vnc"], &["tcp/5900"], "VNC, first display"),
    service(&["vrrp"], &["vrrp"], "VRRP"),
    service(&["vxlan"], &["udp/4789"], "VXLAN tunnels"),
    service(&["wbem-https"], &["tcp/5989"], "WBEM over TLS"),
    service(&["wireguard"], &["udp/51820"], "WireGuard"),
    service(&["wsman"], &["tcp/5985"], "WinRM"),
    service(&["wsmans"], &["tcp/5986"], "WinRM over TLS"),
    service(&["x11"], &["tcp/6000-6063"], "X11 displays 0 to 63"),
    service(&["xdmcp"], &["udp/177"], "X display manager"),
    service(&["xmpp-bosh"], &["tcp/5280"], "XMPP over HTTP"),
    service(&["xmpp-client"], &["tcp/5222"], "XMPP, clients"),
    service(&["xmpp-server"], &["tcp/5269"], "XMPP, between servers"),
    service(&["zabbix-agent"], &["tcp/10050"], "Zabbix agent"),
    service(&["zabbix-trapper", "zabbix-server"], &["tcp/10051"], "Zabbix server and proxy"),
    service(&["zookeeper"], &["tcp/2181"], "Apache ZooKeeper, clients"),
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
    fn there_are_many_and_each_name_could_be_one_of_a_policy() {
        assert!(SERVICES.len() >= 80, "{}", SERVICES.len());
        assert!(names().all(|name| name.parse::<crate::types::RuleName>().is_ok()));
    }

    #[test]
    fn ftp_alone_has_a_helper() {
        let helped: Vec<&str> = SERVICES.iter().filter(|s| s.helper.is_some()).map(|s| s.names[0]).collect();
        assert_eq!(helped, ["ftp"]);
    }
}

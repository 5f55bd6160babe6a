//! Types of ICMP messages by the names that nftables gives them.

use super::Family;

/// RFC 792, RFC 1256 and RFC 950.
const ICMP: [(&str, u8); 15] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

/// RFC 4443, RFC 2710, RFC 4861, RFC 2894, RFC 3122 and RFC 3810.
const ICMPV6: [(&str, u8); 18] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

pub(super) fn protocol_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "icmp",
        Family::V6 => "icmpv6",
    }
}

/// The name of a type, or its number where it has none.
pub fn type_name(family: Family, number: u8) -> String {
    let known = types(family).iter().find(|(_, named)| *named == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// The number of a type by its name, or as it is written.
pub fn type_number(family: Family, text: &str) -> Option<u8> {
    let known = types(family).iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    known.or_else(|| if digits { text.parse().ok() } else { None })
}

/// The names of a family's types.
pub fn type_names(family: Family) -> impl Iterator<Item = &'static str> {
    types(family).iter().map(|(name, _)| *name)
}

fn types(family: Family) -> &'static [(&'static str, u8)] {
    match family {
        Family::V4 => &ICMP,
        Family::V6 => &ICMPV6,
    }
}

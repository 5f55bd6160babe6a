//! The octets of datagrams.

use std::net::IpAddr;

pub const UDP_HEADER: usize = 8;

/// A datagram with its headers; its payload is one octet longer than the number of its kind.
pub fn packet(source: IpAddr, from: u16, target: IpAddr, to: u16, kind: usize) -> Vec<u8> {
    let length = u16::try_from(UDP_HEADER + 1 + kind).expect("few kinds");
    let mut udp = [from.to_be_bytes(), to.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    udp.resize(length.into(), 0);
    let (addresses, mut packet) = match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            // The kernel writes the length, the identification and the checksum of this header.
            let addresses = [source.octets(), target.octets()].concat();
            (addresses.clone(), [&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0][..], &addresses].concat())
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let addresses = [source.octets(), target.octets()].concat();
            let [high, low] = length.to_be_bytes();
            (addresses.clone(), [&[0x60, 0, 0, 0, high, low, 17, 64][..], &addresses].concat())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            panic!("two families in one packet")
        }
    };
    let sum = checksum(&[&addresses, &[0, 17], &length.to_be_bytes(), &udp]);
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    packet.extend(udp);
    packet
}

/// The Internet checksum; every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let sum: u32 = words.map(word).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    // A sum of zero would say that there is none.
    match !u16::try_from(sum).expect("folded twice") {
        0 => 0xffff,
        sum => sum,
    }
}

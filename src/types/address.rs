//! Addresses, prefixes and ranges, all held as an inclusive range of one family.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub fn bits(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The IANA protocol number of its ICMP.
    pub fn icmp(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 58,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("not an address, a prefix or a range")]
    Syntax,
    #[error("prefix length {0} is past {1}")]
    PrefixLength(u32, u32),
    /// The prefix that is meant stands inside.
    #[error("the prefix has host bits set")]
    HostBits(String),
    #[error("the range ends before it starts")]
    Inverted,
    #[error("the range mixes IPv4 and IPv6")]
    MixedFamilies,
}

/// An inclusive range of addresses of one family; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddrRange {
    family: Family,
    first: u128,
    last: u128,
}

impl AddrRange {
    pub fn single(address: IpAddr) -> Self {
        let value = to_bits(address);
        Self { family: Family::of(address), first: value, last: value }
    }

    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, AddressError> {
        if Family::of(first) != Family::of(last) {
            return Err(AddressError::MixedFamilies);
        }
        let (low, high) = (to_bits(first), to_bits(last));
        if low > high {
            return Err(AddressError::Inverted);
        }
        Ok(Self { family: Family::of(first), first: low, last: high })
    }

    pub fn prefix(address: IpAddr, length: u32) -> Result<Self, AddressError> {
        let family = Family::of(address);
        let bits = family.bits();
        if length > bits {
            return Err(AddressError::PrefixLength(length, bits));
        }
        let host = host_mask(bits - length);
        let value = to_bits(address);
        if value & host != 0 {
            return Err(AddressError::HostBits(format!("{}/{length}", from_bits(family, value & !host))));
        }
        Ok(Self { family, first: value, last: value | host })
    }

    /// Every address of a family.
    pub fn all(family: Family) -> Self {
        Self { family, first: 0, last: host_mask(family.bits()) }
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn first(&self) -> IpAddr {
        from_bits(self.family, self.first)
    }

    pub fn last(&self) -> IpAddr {
        from_bits(self.family, self.last)
    }

    pub fn bits(&self) -> (u128, u128) {
        (self.first, self.last)
    }

    /// The range of two bounds as numbers. The bounds must be of the family and in order.
    pub fn from_bits(family: Family, first: u128, last: u128) -> Self {
        assert!(first <= last && last <= host_mask(family.bits()), "bounds in order and of the family");
        Self { family, first, last }
    }

    pub fn is_single(&self) -> bool {
        self.first == self.last
    }

    /// How many addresses less one: the whole of IPv6 does not fit into 128 bits.
    pub fn span(&self) -> u128 {
        self.last - self.first
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&to_bits(address))
    }

    /// The prefix length if the range is exactly a prefix.
    pub fn prefix_length(&self) -> Option<u32> {
        let span = self.span();
        let aligned = span & span.wrapping_add(1) == 0 && self.first & span == 0;
        aligned.then(|| self.family.bits() - (128 - span.leading_zeros()))
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length() {
            _ if self.is_single() => write!(f, "{}", self.first()),
            Some(length) => write!(f, "{}/{length}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

impl FromStr for AddrRange {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = |part: &str| part.parse::<IpAddr>().map_err(|_| AddressError::Syntax);
        if let Some((base, length)) = text.split_once('/') {
            let digits =
                !length.is_empty() && length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
            let length = if digits { length.parse().ok() } else { None };
            return Self::prefix(address(base)?, length.ok_or(AddressError::Syntax)?);
        }
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(address(first)?, address(last)?);
        }
        address(text).map(Self::single)
    }
}

fn host_mask(bits: u32) -> u128 {
    if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_bits(family: Family, value: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from(value as u32).into(),
        Family::V6 => Ipv6Addr::from(value).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_print_as_the_shortest_form() {
        for text in ["10.0.0.0/8", "192.0.2.1", "192.0.2.10-192.0.2.20", "2001:db8::/48", "::/0", "0.0.0.0/0"]
        {
            assert_eq!(text.parse::<AddrRange>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.0.0-10.0.0.255".parse::<AddrRange>().unwrap().to_string(), "10.0.0.0/24");
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<AddrRange>().unwrap_err();
        assert_eq!(error("10.0.0.5/24"), AddressError::HostBits("10.0.0.0/24".into()));
        assert_eq!(error("10.0.0.0/33"), AddressError::PrefixLength(33, 32));
        assert_eq!(error("10.0.0.9-10.0.0.1"), AddressError::Inverted);
        assert_eq!(error("10.0.0.9-::1"), AddressError::MixedFamilies);
        assert_eq!(error("10.0.0"), AddressError::Syntax);
        assert_eq!(error("10.0.0.0/+8"), AddressError::Syntax);
    }
}

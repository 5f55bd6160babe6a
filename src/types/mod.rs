//! Values that cannot be wrong: each is made by a constructor that refuses nonsense.

mod address;
mod icmp;
mod interface;
mod label;
mod list;
mod names;
mod port;
mod ranges;

pub use address::{AddrRange, AddressError, Family};
pub use icmp::{type_name as icmp_type_name, type_names as icmp_type_names, type_number as icmp_type_number};
pub use interface::{InterfaceError, InterfacePattern};
pub use label::{Decider, LogLabel, Outcome};
pub use list::{AddressList, ListContents, ListErrors, ListReader, NotText};
pub use names::{HostName, HostNameError, NameError, RuleName, Suffix};
pub use port::{PortError, PortMatch, PortRange, Protocol};
pub use ranges::{Ranges, merged};

use serde::{Deserialize, Serialize};

/// Who opens a connection: `In` is a peer, `Out` is this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::In, Self::Out];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

//! Policy text to [`ParsedPolicy`]: syntax, known keys and the form of each value, with the place of everything.
//! What the values mean together is the business of `model`.

mod parsed;

pub use parsed::{
    HostGroup, Layer, ParsedFile, ParsedPolicy, Peer, PortTerm, ResolverSettings, RuleEntry, ServiceEntry,
    Settings, Spanned,
};

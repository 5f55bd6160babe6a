//! Policy text to [`ParsedPolicy`]: syntax, known keys and the form of each value, with the place of everything.
//! What the values mean together is the business of `model`.

mod file;
mod hosts;
mod keys;
mod names;
mod parsed;
mod peer;
mod reader;
mod rule;
mod services;
mod settings;

pub use file::parse;
pub use names::parse_names;
pub use parsed::{
    HostGroup, Layer, ParsedFile, ParsedPolicy, Peer, PortTerm, ResolverSettings, RuleEntry, ServiceEntry,
    Settings, Spanned,
};
pub use reader::duration;
pub use settings::parse_settings;

use crate::diag::Span;
use crate::types::RuleName;
use reader::Reader;

/// Groups, services, switches and vendor policies are named like rules.
fn check_name(reader: &mut Reader, name: &str, span: Span, what: &str) {
    if let Err(error) = name.parse::<RuleName>() {
        let help = "write 1 to 64 lower-case letters, digits, '-', '_' or '.', as in \"smtp-in\"";
        reader.error("PG206", span, format!("\"{name}\" cannot name {what}: {error}"), help);
    }
}

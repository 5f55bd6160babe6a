//! Policy text to [`ParsedPolicy`]: syntax, known keys and the form of each value, with the place of everything.
//! What the values mean together is the business of `model`.

mod conditions;
mod defaults;
mod domain;
mod file;
mod hosts;
mod keys;
mod language;
mod log;
mod names;
mod overrides;
mod parsed;
mod peer;
mod ports;
mod reader;
mod rule;
mod rule_keys;
mod services;
mod settings;
mod switches;
mod syntax;
mod zones;

pub use file::parse;
pub use names::parse_names;
pub use parsed::{
    ControlSettings, DefaultEntry, Domain, HostGroup, Layer, OverrideEntry, ParsedFile, ParsedPolicy, Peer,
    PortTerm, ResolverSettings, RuleEntry, RuleKeys, ServiceEntry, Settings, Spanned, Switches, ZoneEntry,
};
pub use reader::duration;
pub use settings::parse_settings;

use crate::diag::{Span, codes};
use crate::types::{NameError, RuleName};
use reader::Reader;

/// Groups, services, switches and vendor policies are named like rules.
fn check_name(reader: &mut Reader, name: &str, span: Span, what: &str) -> Option<RuleName> {
    match name.parse::<RuleName>() {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("\"{name}\" cannot name {what}: {error}");
            reader.error(codes::BAD_NAME, span, message, better_name(name, &error));
            None
        }
    }
}

/// The name with what is not allowed taken out, if that makes one.
fn better_name(name: &str, error: &NameError) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = name.to_lowercase().chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(['-', '_', '.']);
    match error {
        NameError::Characters if plain.parse::<RuleName>().is_ok() => format!("write \"{plain}\""),
        NameError::Reserved => "choose another beginning".into(),
        NameError::Characters | NameError::Length => "write a name such as \"smtp-in\"".into(),
    }
}

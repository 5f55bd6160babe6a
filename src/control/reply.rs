//! Replies: `{"ok": true, …}`, or `{"ok": false, "error": "…", "help": "…"}`.

use serde_json::{Value, json};

/// The reply to a request that was done, with the fields of an object.
pub fn agreed(mut fields: Value) -> Value {
    if fields.is_null() {
        fields = json!({});
    }
    fields["ok"] = true.into();
    fields
}

/// The reply to a request that was not done; what to do about it is left out if empty.
pub fn refused(error: &str, help: &str) -> Value {
    let mut reply = json!({ "ok": false, "error": error });
    if !help.is_empty() {
        reply["help"] = help.into();
    }
    reply
}

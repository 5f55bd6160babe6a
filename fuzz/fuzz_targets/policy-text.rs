//! What people write: each input is a policy of a site above a vendor's, settings, addresses of names, and a list file.
#![no_main]

#[path = "../../tests/texts/compiled.rs"]
mod compiled;

use compiled::{compiled_text, found};
use libfuzzer_sys::fuzz_target;
use portgrave::diag::{FileId, Findings, SourceMap, render_junit};
use portgrave::policy::{parse_names, parse_settings};
use portgrave::types::{ListContents, ListReader};

fuzz_target!(|data: &[u8]| {
    list(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(found) = compiled_text(text) {
        assert!(!found.codes.is_empty() && !found.shown.is_empty(), "a refusal says why");
    }
    refused(text, |sources, file| parse_settings(sources, [file]).map(drop));
    refused(text, |sources, file| parse_names(sources, file).map(drop));
});

fn refused(text: &str, parse: impl Fn(&SourceMap, FileId) -> Result<(), Findings>) {
    let mut sources = SourceMap::default();
    let file = sources.add("site.toml", text);
    if let Err(findings) = parse(&sources, file) {
        let found = found(&findings, &sources);
        assert!(!found.codes.is_empty() && !found.shown.is_empty());
        assert!(!render_junit(&findings, &sources).is_empty());
    }
}

/// Read in one piece or in many, it is the same list.
fn list(data: &[u8]) {
    let read = |piece: usize| -> Result<Option<ListContents>, ()> {
        let mut reader = ListReader::default();
        data.chunks(piece).try_for_each(|piece| reader.push(piece)).map_err(drop)?;
        reader.finish().map_err(drop).map(Result::ok)
    };
    let (whole, pieces) = (read(data.len().max(1)), read(7));
    match (&whole, &pieces) {
        (Ok(Some(whole)), Ok(Some(pieces))) => {
            assert_eq!((whole.entries, whole.merged), (pieces.entries, pieces.merged));
            assert!(whole.list.iter().eq(pieces.list.iter()));
        }
        (Ok(None), Ok(None)) | (Err(()), Err(())) => {}
        _ => panic!("read in pieces it is another"),
    }
}

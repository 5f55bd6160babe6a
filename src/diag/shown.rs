//! Text from files as a terminal may show it.

/// Lines longer than this many columns are cut around the place that is meant.
const WIDEST: usize = 160;

/// How much of a cut line stands before the place.
const BEFORE: usize = 60;

/// Control characters, and those that change the direction of text or hide themselves, as their escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A line, and where in it to underline: columns before, and columns under. A tab takes four columns.
pub(super) fn line(text: &str, range: std::ops::Range<usize>) -> (String, usize, usize) {
    let (before, under, after) = (&text[..range.start], &text[range.clone()], &text[range.end..]);
    let mut shown = tail(before);
    let indent = columns(&shown);
    let room = WIDEST.saturating_sub(indent).max(WIDEST - BEFORE);
    let part = head(under, room);
    let carets = columns(&part).max(1);
    shown.push_str(&part);
    if carets < room {
        shown.push_str(&head(after, room - carets));
    }
    (shown, indent, carets)
}

fn tail(text: &str) -> String {
    if text.len() <= WIDEST - BEFORE {
        return text.chars().map(cell).collect();
    }
    let cells: Vec<String> = text.chars().rev().take(BEFORE).map(cell).collect();
    std::iter::once("…".to_owned()).chain(cells.into_iter().rev()).collect()
}

fn head(text: &str, room: usize) -> String {
    let mut shown = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let cell = cell(c);
        taken += columns(&cell);
        if taken > room {
            shown.push('…');
            break;
        }
        shown.push_str(&cell);
    }
    shown
}

fn cell(c: char) -> String {
    if c == '\t' { "    ".into() } else { escaped(c.encode_utf8(&mut [0; 4])) }
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Columns of a terminal: none for combining marks, two for East Asian wide characters and emoji.
fn width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' => 2,
        '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1f64f}' | '\u{1f900}'..='\u{1f9ff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_moves_the_cursor_is_written_out() {
        assert_eq!(escaped("a\u{1b}[2J\u{202e}b\u{200b}\n"), "a\\u{1b}[2J\\u{202e}b\\u{200b}\\n");
        assert_eq!(escaped("zwölf 東京"), "zwölf 東京");
    }

    #[test]
    fn tabs_escapes_and_wide_characters_are_counted_as_they_are_shown() {
        assert_eq!(line("\tx", 1..2), ("    x".into(), 4, 1));
        assert_eq!(line("東京x", 6..7), ("東京x".into(), 4, 1));
        assert_eq!(line("\u{7}x", 0..1), ("\\u{7}x".into(), 0, 5));
        assert_eq!(line("end", 3..3), ("end".into(), 3, 1));
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(100_000), "b".repeat(100_000));
        let (shown, indent, carets) = line(&text, 100_000..100_004);
        assert_eq!((indent, carets), (BEFORE + 1, 4));
        assert!(shown.starts_with("…a") && shown.ends_with("b…") && shown.contains("aHEREb"), "{shown}");
        assert!(shown.chars().count() <= WIDEST + 2);
        let (shown, _, carets) = line(&text, 0..text.len());
        assert!(carets <= WIDEST + 1 && shown.ends_with("a…"));
    }
}

//! The name that was probably meant.

/// `did you mean "admins"?`, or the names there are, or that there is none.
pub fn did_you_mean<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(nearest) = nearest(name, known.iter().copied()) {
        return format!("did you mean \"{nearest}\"?");
    }
    match known.as_slice() {
        [] => format!("there is no {what} yet"),
        few if few.len() <= 16 => format!("known: {}", few.join(", ")),
        many => format!("{} are known", many.len()),
    }
}

/// The known name that takes the fewest changes, or that is the whole beginning of the other.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let lower = name.to_lowercase();
    let name = lower.as_str();
    let allowed = if name.len() < 4 { 1 } else { (name.len() / 3).max(2) };
    let close = known.iter().filter(|other| other.len().abs_diff(name.len()) <= 4 * allowed);
    let close = close.map(|other| (distance(name, other), *other));
    let best = close.filter(|(changes, _)| *changes <= allowed).min();
    best.map(|(_, other)| other).or_else(|| same_beginning(name, &known))
}

fn same_beginning<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let common = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let best = known.iter().map(|other| (common(other), *other)).max_by_key(|(length, _)| *length)?;
    (best.0 >= 4).then_some(best.1)
}

/// How many characters must be put in, taken out or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_and_a_longer_word_are_found() {
        let known = ["admins", "dns-servers", "ftp-servers", "sftp-servers"];
        assert_eq!(nearest("administrators", known), Some("admins"));
        assert_eq!(nearest("dns-server", known), Some("dns-servers"));
        assert_eq!(nearest("fpt-servers", known), Some("ftp-servers"));
        assert_eq!(nearest("ADMINS", known), Some("admins"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
    }
}

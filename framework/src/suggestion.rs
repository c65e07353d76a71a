//! The end of a message about an unknown name: the name that was probably meant.

/// The end of a message about an unknown name: the most similar known one, or all of them.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    match similar(name, known) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// The known name that was probably meant, if there is one.
pub(crate) fn similar<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let (distance, candidate) = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min()?;
    (distance <= (candidate.len() / 3).max(2)).then_some(candidate)
}

/// How many letters must be changed, added or left out to get from one word to the other (Levenshtein).
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

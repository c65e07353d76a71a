//! The end of a message about an unknown name: the name that was probably meant.

/// The end of a message about an unknown name: the most similar known one, or all of them.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= (candidate.len() / 3).max(2) => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) => format!("there are: {}", known.join(", ")),
        None => "there are none here".to_owned(),
    }
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

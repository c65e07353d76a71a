//! The values that a dispatcher has read out of a request on the way to a handler, by name.

/// Values by name that a [`Dispatch`](crate::publish::Dispatch) has captured: handlers and children below it take them
/// as arguments of that name, before segments of the path. Of two values of one name the later one counts.
#[derive(Debug, Default)]
pub struct Captures {
    text: String,
    /// Where the name begins, where the value begins, where it ends.
    entries: Vec<[u32; 3]>,
}

impl Captures {
    /// Whether nothing was captured.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().rev().map(|entry| self.entry(entry)).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All names and values, in the order in which they were captured.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| self.entry(entry))
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        let start = self.offset();
        self.text.push_str(name);
        let middle = self.offset();
        self.text.push_str(value);
        let end = self.offset();
        self.entries.push([start, middle, end]);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets all but the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.text.truncate(self.entries.last().map_or(0, |entry| entry[2] as usize));
    }

    fn entry(&self, &[start, middle, end]: &[u32; 3]) -> (&str, &str) {
        (&self.text[start as usize..middle as usize], &self.text[middle as usize..end as usize])
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.text.len()).expect("what is captured of a head is far below 4 GiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_value_of_a_name_counts_and_can_be_taken_back() {
        let mut captures = Captures::default();
        captures.push("a", "1");
        captures.push("b", "");
        captures.push("a", "2");
        assert_eq!((captures.get("a"), captures.get("b"), captures.get("")), (Some("2"), Some(""), None));
        captures.truncate(1);
        assert_eq!((captures.get("a"), captures.get("b")), (Some("1"), None));
        captures.truncate(0);
        assert!(captures.is_empty() && captures.text.is_empty());
    }
}

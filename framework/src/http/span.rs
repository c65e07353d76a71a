//! A part of a request head, kept as offsets so that the head owns its bytes and stays movable.

/// A range of the bytes of one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span from `start` to `end`, which lie within a head and thus far below 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let offset = |position: usize| u32::try_from(position).expect("a head is limited to less than 4 GiB");
        Self { start: offset(start), end: offset(end) }
    }

    /// The span of `part`, which is a slice of `whole`.
    pub(super) fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Self::new(start, start + part.len())
    }

    /// The bytes of the span in `whole`.
    pub(super) fn of(self, whole: &[u8]) -> &[u8] {
        &whole[self.start as usize..self.end as usize]
    }

    /// The text of the span; empty when it is not UTF-8.
    pub(super) fn text(self, whole: &[u8]) -> &str {
        std::str::from_utf8(self.of(whole)).unwrap_or_default()
    }

    /// Where it ends.
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

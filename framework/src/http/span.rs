//! A part of a request head, kept as offsets so that the head owns its bytes and stays movable.

/// A range of the bytes of one head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span from `start` to `end`, which lie within a head and so far below 4 GiB.
    #[expect(clippy::cast_possible_truncation, reason = "the limit of a head is below 4 GiB, whatever is set")]
    pub(super) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize, "a span lies in a head");
        Self { start: start as u32, end: end as u32 }
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

    /// The text of the span in `whole`.
    pub(super) fn text(self, whole: &str) -> &str {
        &whole[self.start as usize..self.end as usize]
    }

    /// Where it starts.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Where it ends.
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

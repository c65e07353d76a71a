//! The request that asks for a place, as the waiters behind it see it.

use super::{Request, RequestId};

/// A request that wants a place, or has one: its number and the beginning of its path. The log names it to those that
/// wait.
///
/// It is copied without the heap, since every request of a session makes one.
#[derive(Clone)]
pub struct Claim {
    request: RequestId,
    /// The request has the place, and waits elsewhere for what goes with it.
    pub(crate) is_elsewhere: bool,
    length: u8,
    path: [u8; Claim::PATH_BYTES],
}

impl Claim {
    /// As much of a path as is kept for messages.
    pub(crate) const PATH_BYTES: usize = 78;

    /// The claim of this request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self::new(request.id(), request.path())
    }

    pub(crate) fn new(request: RequestId, path: &str) -> Self {
        let end = (0..=path.len().min(Self::PATH_BYTES)).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
        let mut bytes = [0; Self::PATH_BYTES];
        bytes[..end].copy_from_slice(&path.as_bytes()[..end]);
        Self { request, is_elsewhere: false, length: u8::try_from(end).unwrap_or(0), path: bytes }
    }

    /// The claim of a caller that does not name its request.
    pub(crate) fn unknown() -> Self {
        Self::new(RequestId::default(), "")
    }

    /// The number of the request.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// Its path; a long one is cut off.
    #[must_use]
    pub fn path(&self) -> &str {
        std::str::from_utf8(&self.path[..usize::from(self.length)]).unwrap_or_default()
    }
}

/// As `/page1 (request 0000000000000002)`.
impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (request {})", self.path(), self.request)
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_at_a_character() {
        let claim = |path: &str| Claim::new(RequestId::default(), path);
        let path = format!("/{}", "ä".repeat(100));
        let kept = claim(&path).path().to_owned();
        assert!(path.starts_with(&kept) && kept.len() == Claim::PATH_BYTES - 1);
        assert_eq!(claim(&format!("/{path}")).path().len(), Claim::PATH_BYTES);
    }
}

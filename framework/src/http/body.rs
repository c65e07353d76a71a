//! Request bodies: from framed bytes to content, whatever the framing.

use super::{Framing, Refusal};

/// How much of a request body is read.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Most bytes of content; more is [`Refusal::BodyTooLarge`].
    pub content: u64,
}

/// Takes the framing off one request body.
#[derive(Debug)]
pub struct BodyDecoder {
    framing: Framing,
}

impl BodyDecoder {
    /// A decoder for a body framed as the head says.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] when the announced length already exceeds the limit.
    pub fn new(framing: Framing, limits: BodyLimits) -> Result<Self, Refusal> {
        let _ = limits;
        Ok(Self { framing })
    }

    /// Decodes from the start of `input`, appends content to `content` and returns how many bytes of `input`
    /// were used. Uses all of `input` unless the body ends within it.
    ///
    /// # Errors
    /// Any doubt about the framing, or a limit passed.
    pub fn decode(&mut self, input: &[u8], content: &mut Vec<u8>) -> Result<usize, Refusal> {
        let _ = (input, content, self.framing);
        todo!()
    }

    /// Whether the body has ended: the next byte belongs to the next request.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    /// How many bytes of content are still to come, when the framing says so.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        todo!()
    }
}

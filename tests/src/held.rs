//! A few pages without a session: one that answers at once, one that waits, one that is large, one that returns its
//! body.

use crate::Gate;
use kirsch::prelude::*;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct HeldPages {
    /// Where `/hold` waits.
    pub gate: Gate,
}

#[handlers]
impl HeldPages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }

    #[expose]
    fn hold(&self) -> &'static str {
        self.gate.pass();
        "held"
    }

    /// More than any socket buffer.
    #[expose]
    fn large(&self) -> Vec<u8> {
        vec![b'x'; 16 << 20]
    }

    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }
}

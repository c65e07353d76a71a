//! WebSocket (RFC 6455) as bytes: frames in and out, messages out of frames, and what a handshake says. No socket, no
//! clock.
//!
//! A codec of our own. The crates for it (tungstenite first) refuse a compressed frame, so that permessage-deflate
//! (RFC 7692) cannot be put around them; and a server needs no more than this: frames that are the same for all who get
//! them, messages that are refused at the byte that breaks a rule, and memory for nobody who is silent.
//!
//! | file | what it does |
//! |---|---|
//! | `frame.rs` | the head of a frame, its mask, and frames of the server |
//! | `decoder.rs` | messages out of bytes |
//! | `close.rs` | close codes, and why a client is cut off |
//! | `handshake.rs` | the key, and the offers of a client |
//! | `deflate.rs` | compressed messages |

mod close;
mod decoder;
#[cfg(feature = "websocket-deflate")]
mod deflate;
mod frame;
mod handshake;

pub use close::{CloseCode, Violation};
pub use decoder::{Decoder, Event};
pub(crate) use frame::frame_length;
pub use frame::{Opcode, write_close, write_frame};
pub use handshake::{Window, accept_key, is_key, offers_deflate};

/// A message as it goes out, compressed.
#[cfg(feature = "websocket-deflate")]
pub fn write_compressed(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], window: Window) {
    match deflate::compressed(payload, window) {
        Some(small) => frame::write(out, opcode, &small, true),
        None => write_frame(out, opcode, payload),
    }
}

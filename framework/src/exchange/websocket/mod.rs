//! WebSocket: conversations with pages and programs that stay open, each message on a worker, none while it is silent.
//!
//! A handler takes an [`Upgrade`] and returns an [`Upgraded`] with a [`Conversation`]. The request is answered and
//! ends, like any other; what follows is the conversation's alone. It holds no lock of the session and no worker.
//!
//! ```
//! use kirsch::websocket::{Conversation, Message, Peer, Upgrade, Upgraded};
//! use kirsch::{prelude::*, testing::Client};
//!
//! struct Echo;
//!
//! impl Conversation for Echo {
//!     fn message(&mut self, message: Message<'_>, peer: &Peer) -> kirsch::Result<()> {
//!         Ok(peer.send(message)?)
//!     }
//! }
//!
//! struct Pages;
//!
//! #[handlers]
//! impl Pages {
//!     #[expose]
//!     fn echo(&self, upgrade: Upgrade) -> Upgraded {
//!         upgrade.speak(Echo)
//!     }
//! }
//!
//! let client = Client::over_socket(App::new(Pages));
//! let mut socket = client.websocket("/echo");
//! socket.send("Hello");
//! assert_eq!(socket.text(), "Hello");
//! client.get("/echo").send().assert_status(426);
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `upgrade.rs` | the argument and the return value: the checks of a handshake |
//! | `conversation.rs` | what an application writes: [`Conversation`], and what it gets |
//! | `outbox.rs` | what waits for a client, from any thread: [`Peer`] |

mod conversation;
mod outbox;
mod upgrade;

pub use crate::http::websocket::CloseCode;
pub(crate) use conversation::verdict;
pub use conversation::{CloseWith, Closed, Conversation, Message, Unsupported};
pub(crate) use outbox::{Change, Channel, Farewell, Heard};
pub use outbox::{Peer, SendError};
pub(crate) use upgrade::{Agreed, Bond, Terms};
pub use upgrade::{Upgrade, Upgraded};

//! The bounds of conversations by WebSocket, by section: `WebSockets`.
//!
//! The hook runs at `before_request_body` 50 and only leaves the bounds for the argument `Upgrade`.

use super::origins::origin_setting;
use crate::Exchange;
use crate::exchange::websocket::Terms;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use std::sync::Arc;
use std::time::Duration;

/// Which pages may open a WebSocket, and the bounds of the conversations; without the tool they are as its defaults.
///
/// ```
/// use kirsch::websocket::{Conversation, Message, Peer, Upgrade, Upgraded};
/// use kirsch::{prelude::*, testing::Client, tools::WebSockets};
///
/// struct Silent;
///
/// impl Conversation for Silent {
///     fn message(&mut self, _: Message<'_>, _: &Peer) -> kirsch::Result<()> { Ok(()) }
/// }
///
/// struct Site;
///
/// #[handlers]
/// impl Site {
///     #[expose]
///     fn talk(&self, upgrade: Upgrade) -> Upgraded { upgrade.speak(Silent) }
/// }
///
/// let app = App::new(Site).tool("/talk", WebSockets::of_this_site().origins(["https://app.example"]));
/// let client = Client::in_process(app);
/// assert!(client.try_websocket("/talk", &[("Origin", "https://app.example")]).is_ok());
/// client.try_websocket("/talk", &[("Origin", "https://evil.example")]).unwrap_err().assert_status(403);
/// ```
///
/// In a file: `websocket.origins = ["https://app.example"]`, `websocket.ping = "1m"`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct WebSockets {
    /// Pages of these origins may open one, besides those of this site: scheme, host, and port unless it is the usual
    /// one.
    origins: Vec<String>,
    /// The largest message of a client; a larger one ends the conversation with 1009.
    #[setting(size, default = "1 MiB")]
    max_message: u64,
    /// Bytes of messages that may wait for a client that does not read; sending more fails.
    #[setting(size, default = "256 KiB")]
    outbox: u64,
    /// How often the client is asked whether it is there. Proxies close connections that are silent, many after a
    /// minute.
    #[setting(default = "30s")]
    ping: Duration,
    /// How long it may take to answer.
    #[setting(default = "10s")]
    pong: Duration,
    /// How long the client may take to agree that the conversation is over.
    #[setting(default = "5s")]
    close: Duration,
}

impl WebSockets {
    /// Pages of this site may open one, and programs.
    #[must_use]
    pub fn of_this_site() -> Self {
        Self::defaults()
    }

    fn prepare(&self) -> Result<Terms, SettingError> {
        if self.ping.is_zero() {
            return Err(SettingError::new("ping", "is 0: the client would be asked without a pause"));
        }
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let parse = |text: &String| origin_setting(text).map_err(|problem| SettingError::new("origins", problem));
        Ok(Terms {
            origins: self.origins.iter().map(parse).collect::<Result<_, _>>()?,
            max_message: bytes(self.max_message),
            outbox: bytes(self.outbox),
            ping: self.ping,
            pong: self.pong,
            close: self.close,
        })
    }
}

impl Tool for WebSockets {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn attach(&self, hooks: &mut Hooks) {
        match self.prepare() {
            Ok(terms) => {
                let terms = Arc::new(terms);
                hooks.at(HookPoint::BeforeRequestBody, move |exchange: &mut Exchange| {
                    exchange.values.insert(terms.clone());
                });
            }
            Err(error) => hooks.refuse(error),
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

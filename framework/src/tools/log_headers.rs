//! The fields of a request that failed: `LogHeaders`, named after CherryPy's tool.
//!
//! The hook runs at `before_error_response` 50: for unexpected errors and panics only.

use crate::exchange::bytes_without_key;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Exchange, Request};

/// Writes the fields of a request into the error log when the program failed at it, without its secrets.
///
/// ```
/// use kirsch::{prelude::*, tools::LogHeaders};
///
/// let app = App::new(Tree::new().index(|_| "")).tool("/", LogHeaders::new().mask(["X-Customer-Token"]));
/// # app.build()?;
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// Values of `Authorization`, `Proxy-Authorization`, `Cookie`, `X-Api-Key`, `X-Auth-Token`, `X-CSRF-Token` and of the
/// fields in [`mask`](Self::mask) are left out. Text of a client is escaped, so that it cannot forge a line. Setting:
/// `mask`. CherryPy's `log_headers` logs all of it.
#[derive(Clone, Debug, Default, Settings)]
pub struct LogHeaders {
    /// Fields whose values are left out as well.
    #[setting(no_builder)]
    mask: Vec<String>,
}

const SECRET: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-csrf-token"];

impl LogHeaders {
    /// Leaves out the usual secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out the values of these fields, too (`mask`).
    #[must_use]
    pub fn mask<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.mask.extend(names.into_iter().map(Into::into));
        self
    }

    fn told(&self, request: &Request) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, value) in request.headers() {
            let is_secret = SECRET.into_iter().chain(self.mask.iter().map(String::as_str));
            if is_secret.into_iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
                lines.push(format!("{name}: ({} bytes)", value.len()));
            } else {
                lines.push(format!("{name}: {}", bytes_without_key(value).escape_ascii()));
            }
        }
        lines
    }
}

impl Tool for LogHeaders {
    fn name(&self) -> &'static str {
        "log_headers"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let tool = self.clone();
        hooks.at(HookPoint::BeforeErrorResponse, move |exchange: &mut Exchange| {
            let request = &exchange.request;
            let first = format!("request {} said:", request.id());
            log::error!(target: crate::logs::ERROR, "{}", crate::logs::Lines(&first, &tool.told(request)));
        });
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

//! Request fields that are taken for not sent: `IgnoreHeaders`, named after CherryPy's tool.
//!
//! At `on_start_resource` 1: only the session has looked at the request before (0). CherryPy's comes later, when others
//! have read the field.

use super::fields;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings, list};
use crate::{Exchange, HeaderName, header};

/// Takes fields out of requests, as if the client had not sent them: `Range`, unless others are named.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::IgnoreHeaders};
///
/// let tree = Tree::new().index(|page| format!("{:?}", page.request().header("x-debug")));
/// let client = Client::in_process(App::new(tree).tool("/", IgnoreHeaders::new(["X-Debug"])));
/// client.get("/").header("x-debug", "1").send().assert_text("None");
/// ```
///
/// Everything after it goes without: other tools, conditions and ranges, the handler. Fields that the server itself
/// needs (`Host`, `Content-Length`, ...) cannot be ignored, and a session's cookie has been read before.
///
/// In a file: `ignore_headers.headers = ["Range"]`. CherryPy's `ignore_headers`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct IgnoreHeaders {
    /// The fields that are taken out.
    #[setting(default = ["Range"], no_builder)]
    headers: Vec<String>,
}

impl Default for IgnoreHeaders {
    fn default() -> Self {
        Self::defaults()
    }
}

/// The fields that the server has read before any tool.
const SERVERS: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
];

impl IgnoreHeaders {
    /// Takes these fields out (`headers`).
    #[must_use]
    pub fn new<T: Into<String>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self { headers: list(headers) }
    }

    fn prepare(&self) -> Result<Vec<HeaderName>, SettingError> {
        let refused = |problem| SettingError::new("headers", problem);
        let prepare = |name: &String| match fields::name(name) {
            Ok(known) if SERVERS.contains(&known) => {
                Err(refused(format!("has `{name}`, which the server has read before: it cannot be ignored")))
            }
            name => name.map_err(refused),
        };
        self.headers.iter().map(prepare).collect()
    }
}

impl Tool for IgnoreHeaders {
    fn name(&self) -> &'static str {
        "ignore_headers"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let names = match self.prepare() {
            Ok(names) => names,
            Err(error) => return hooks.refuse(error),
        };
        let run = move |exchange: &mut Exchange| {
            for name in &names {
                exchange.request.remove_header(name);
            }
        };
        hooks.at(HookPoint::OnStartResource, run).priority(1);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, HeaderValue, Tree};

    fn app(tool: IgnoreHeaders) -> App {
        let tree = Tree::new().index(|page| {
            page.response().set_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            let names: Vec<_> = page.request().headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
            names.join(" ")
        });
        App::new(tree).tool("/", tool)
    }

    #[test]
    fn a_range_is_not_seen_by_the_framework_either() {
        let client = Client::in_process(app(IgnoreHeaders::default()));
        client.get("/").header("range", "bytes=0-1").send().assert_status(200).assert_lacks("range");
        let client = Client::in_process(app(IgnoreHeaders::new(["X-A"])));
        client.get("/").header("range", "bytes=0-1").send().assert_status(206);
    }

    #[test]
    fn all_fields_of_the_name_go_and_others_stay() {
        let client = Client::in_process(app(IgnoreHeaders::new(["x-a", "cookie"])));
        let page =
            client.get("/").header("X-A", "1").header("Cookie", "a=b").header("x-a", "2").header("x-b", "3").send();
        page.assert_contains("x-b").assert_lacks("x-a").assert_lacks("cookie");
    }

    #[test]
    fn fields_that_the_server_needs_cannot_be_ignored() {
        for (name, problem) in [("Host", "has `Host`, which the server has read"), ("a b", "cannot be the name")] {
            let error = app(IgnoreHeaders::new([name])).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = app(IgnoreHeaders::default()).config_str("[\"/\"]\nignore_headers.headers = [\"Expect\"]").build();
        assert!(error.unwrap_err().to_string().contains("`ignore_headers.headers` has `Expect`"));
    }
}

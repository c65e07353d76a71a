//! The tables of keys: one row for each setting. A new setting is a field in its struct and a row here.

use crate::exchange::problem_with_json_type;
use crate::lifecycle::{ErrorForm, PathSettings};
use crate::server::ServerSettings;
use crate::settings::{Setting, flag, size as sizes, texts, wrong};
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Value;

/// One setting: its name in files, what it is, how it is read and shown.
pub(crate) struct Key<S> {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) set: fn(&mut S, &Value) -> Result<(), String>,
    pub(crate) show: fn(&S) -> String,
}

/// `server.…` in `[global]`.
pub(crate) const SERVER_KEYS: &[Key<ServerSettings>] = &[
    Key {
        name: "address",
        what: "where to listen; port 0 picks a free one",
        set: |settings, value| put(&mut settings.address, address(value)),
        show: |settings| settings.address.to_string(),
    },
    Key {
        name: "threads",
        what: "how many workers run handlers",
        set: |settings, value| put(&mut settings.threads, at_least_one(value)),
        show: |settings| settings.threads.to_string(),
    },
    Key {
        name: "waiting_threads",
        what: "how many workers may be held by waits that cannot be parked; \"auto\" is all but a fifth, at least one left",
        set: |settings, value| put(&mut settings.waiting_threads, optional(value, "auto", at_least_one)),
        show: |settings| show_optional(settings.waiting_threads, "auto"),
    },
    Key {
        name: "connections",
        what: "most open connections; \"auto\" is what the descriptor limit allows, at most 16,384",
        set: |settings, value| put(&mut settings.connections, optional(value, "auto", at_least_one)),
        show: |settings| show_optional(settings.connections, "auto"),
    },
    Key {
        name: "backlog",
        what: "connections that the kernel keeps waiting",
        set: |settings, value| put(&mut settings.backlog, at_least_one(value).and_then(|count| narrow(value, count))),
        show: |settings| settings.backlog.to_string(),
    },
    Key {
        name: "limits.request_line",
        what: "longest request line; longer is 414",
        set: |settings, value| put(&mut settings.head.request_line, size(value).and_then(|size| narrow(value, size))),
        show: |settings| show_size(settings.head.request_line as u64),
    },
    Key {
        name: "limits.head",
        what: "longest request head; longer is 431",
        set: |settings, value| put(&mut settings.head.head, size(value).and_then(|size| narrow(value, size))),
        show: |settings| show_size(settings.head.head as u64),
    },
    Key {
        name: "limits.fields",
        what: "most header fields of a request; more is 431",
        set: |settings, value| put(&mut settings.head.fields, count(value)),
        show: |settings| settings.head.fields.to_string(),
    },
    Key {
        name: "head_timeout",
        what: "from the first byte of a request head to its last; then 408",
        set: |settings, value| put(&mut settings.head_timeout, duration(value)),
        show: |settings| show_duration(settings.head_timeout),
    },
    Key {
        name: "idle_timeout",
        what: "how long a connection may be open between two requests",
        set: |settings, value| put(&mut settings.idle_timeout, duration(value)),
        show: |settings| show_duration(settings.idle_timeout),
    },
    Key {
        name: "body_timeout",
        what: "how long a request body may be silent, or on the whole slower than body_rate; then 408",
        set: |settings, value| put(&mut settings.body_timeout, duration(value)),
        show: |settings| show_duration(settings.body_timeout),
    },
    Key {
        name: "body_rate",
        what: "slowest request body, per second, over windows of body_timeout",
        set: |settings, value| put(&mut settings.body_rate, size(value)),
        show: |settings| show_size(settings.body_rate),
    },
    Key {
        name: "memory_for_bodies",
        what: "bytes that all request bodies together may take in memory; more is 503",
        set: |settings, value| put(&mut settings.memory_for_bodies, size(value)),
        show: |settings| show_size(settings.memory_for_bodies),
    },
    Key {
        name: "disk_for_bodies",
        what: "bytes that all request bodies together may take in temporary files; more is 503",
        set: |settings, value| put(&mut settings.disk_for_bodies, size(value)),
        show: |settings| show_size(settings.disk_for_bodies),
    },
    Key {
        name: "spool_directory",
        what: "where large request bodies are kept; \"auto\" is TMPDIR, or /tmp",
        set: |settings, value| put(&mut settings.spool_directory, optional(value, "auto", directory)),
        show: |settings| {
            settings.spool_directory.as_ref().map_or_else(|| "auto".to_owned(), |path| path.display().to_string())
        },
    },
    Key {
        name: "write_timeout",
        what: "how long a client may take no byte of a response, or be on the whole slower than write_rate; then the connection is closed",
        set: |settings, value| put(&mut settings.write_timeout, duration(value)),
        show: |settings| show_duration(settings.write_timeout),
    },
    Key {
        name: "write_rate",
        what: "slowest client of a response, per second, over windows of write_timeout",
        set: |settings, value| put(&mut settings.write_rate, size(value)),
        show: |settings| show_size(settings.write_rate),
    },
    Key {
        name: "memory_for_responses",
        what: "bytes that responses may take in memory, all together, while their clients do not take them; then the longest-stalled are cut off",
        set: |settings, value| put(&mut settings.memory_for_responses, size(value)),
        show: |settings| show_size(settings.memory_for_responses),
    },
    Key {
        name: "linger_timeout",
        what: "how long unread input is discarded so that an error page arrives",
        set: |settings, value| put(&mut settings.linger_timeout, duration(value)),
        show: |settings| show_duration(settings.linger_timeout),
    },
    Key {
        name: "queue",
        what: "most complete requests that wait for a worker; more are 503",
        set: |settings, value| put(&mut settings.queue, count(value)),
        show: |settings| settings.queue.to_string(),
    },
    Key {
        name: "queue_timeout",
        what: "longest wait for a worker; then 503",
        set: |settings, value| put(&mut settings.queue_timeout, duration(value)),
        show: |settings| show_duration(settings.queue_timeout),
    },
    Key {
        name: "drain_timeout",
        what: "from the signal to the end, whatever runs",
        set: |settings, value| put(&mut settings.drain_timeout, duration(value)),
        show: |settings| show_duration(settings.drain_timeout),
    },
    Key {
        name: "drain_idle",
        what: "how long a stopping server still answers idle connections",
        set: |settings, value| put(&mut settings.drain_idle, duration(value)),
        show: |settings| show_duration(settings.drain_idle),
    },
    Key {
        name: "requests_per_connection",
        what: "then the connection is closed; \"unlimited\" is allowed",
        set: |settings, value| {
            let most = optional(value, "unlimited", at_least_one).map(|most| most.map(|most| most as u64));
            put(&mut settings.requests_per_connection, most)
        },
        show: |settings| show_optional(settings.requests_per_connection, "unlimited"),
    },
];

/// The keys of a path section that belong to no tool.
pub(crate) const PATH_KEYS: &[Key<PathSettings>] = &[
    Key {
        name: "max_body",
        what: "largest request body; more is 413",
        set: |settings, value| put(&mut settings.max_body, size(value)),
        show: |settings| show_size(settings.max_body),
    },
    Key {
        name: "max_form",
        what: "most of a form that becomes arguments, files aside; more is 413",
        set: |settings, value| put(&mut settings.max_form, size(value)),
        show: |settings| show_size(settings.max_form),
    },
    Key {
        name: "max_json",
        what: "largest JSON body that becomes a value; more is 413",
        set: |settings, value| put(&mut settings.max_json, size(value)),
        show: |settings| show_size(settings.max_json),
    },
    Key {
        name: "json_types",
        what: "the content types that `Json<T>` reads; `*` is any start of a word",
        set: |settings, value| put(&mut settings.json_types, json_types(value)),
        show: |settings| shown_list(&settings.json_types),
    },
    Key {
        name: "max_parts",
        what: "most parts of a multipart form; more is 413",
        set: |settings, value| put(&mut settings.max_parts, at_least_one(value)),
        show: |settings| settings.max_parts.to_string(),
    },
    Key {
        name: "body_memory",
        what: "larger request bodies go to a temporary file",
        set: |settings, value| put(&mut settings.body_memory, size(value)),
        show: |settings| show_size(settings.body_memory),
    },
    Key {
        name: "show_tracebacks",
        what: "error pages tell the cause; for development only",
        set: |settings, value| put(&mut settings.show_tracebacks, flag(value)),
        show: |settings| settings.show_tracebacks.to_string(),
    },
    Key {
        name: "debug_page",
        what: "errors show everything about the request to browsers on this machine; for development only",
        set: |settings, value| put(&mut settings.debug_page, flag(value)),
        show: |settings| settings.debug_page.to_string(),
    },
    Key {
        name: "errors",
        what: "the form of the built-in error pages: auto is as the client accepts; else html, json, problem or text",
        set: |settings, value| put(&mut settings.errors, error_form(value)),
        show: |settings| settings.errors.to_string(),
    },
    Key {
        name: "strict_params",
        what: "query and form fields that the page does not name are refused",
        set: |settings, value| put(&mut settings.strict_params, flag(value)),
        show: |settings| settings.strict_params.to_string(),
    },
];

/// One setting, for a reference page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDescription {
    /// The section it belongs to: `[global]` or `["/path"]`.
    pub section: &'static str,
    /// The whole key, as `server.threads`.
    pub key: String,
    /// What it is.
    pub what: &'static str,
    /// Its default.
    pub default: String,
}

/// All settings that do not belong to a tool, with their defaults.
///
/// ```
/// let threads = kirsch::config::keys().find(|key| key.key == "server.threads").unwrap();
/// assert_eq!(threads.default, "10");
/// ```
pub fn keys() -> impl Iterator<Item = KeyDescription> {
    let server = SERVER_KEYS.iter().map(|key| KeyDescription {
        section: "[global]",
        key: format!("server.{}", key.name),
        what: key.what,
        default: (key.show)(&ServerSettings::default()),
    });
    let path = PATH_KEYS.iter().map(|key| KeyDescription {
        section: "[\"/path\"]",
        key: key.name.to_owned(),
        what: key.what,
        default: (key.show)(&PathSettings::default()),
    });
    server.chain(path)
}

fn count(value: &Value) -> Result<usize, String> {
    Setting::read(value)
}

fn duration(value: &Value) -> Result<std::time::Duration, String> {
    Setting::read(value)
}

fn size(value: &Value) -> Result<u64, String> {
    sizes::read(value)
}

fn show_duration(duration: std::time::Duration) -> String {
    duration.show().replace('"', "")
}

fn show_size(bytes: u64) -> String {
    sizes::show(&bytes).replace('"', "")
}

fn put<T>(into: &mut T, value: Result<T, String>) -> Result<(), String> {
    *into = value?;
    Ok(())
}

fn json_types(value: &Value) -> Result<Vec<String>, String> {
    let list = texts(value)?;
    match list.iter().find_map(|pattern| Some((pattern, problem_with_json_type(pattern)?))) {
        Some((pattern, problem)) => Err(format!("has {pattern:?}; {problem}")),
        None => Ok(list),
    }
}

fn shown_list(texts: &[String]) -> String {
    format!("{texts:?}")
}

fn error_form(value: &Value) -> Result<ErrorForm, String> {
    let form = value.as_str().and_then(|word| ErrorForm::ALL.into_iter().find(|form| form.word() == word));
    form.ok_or_else(|| wrong(value, "one of \"auto\", \"html\", \"json\", \"problem\", \"text\""))
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    let address = value.as_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| wrong(value, "an IP address and a port, as \"127.0.0.1:8080\" or \"[::]:8080\""))
}

fn directory(value: &Value) -> Result<PathBuf, String> {
    let path = value.as_str().map(PathBuf::from).filter(|path| path.is_absolute());
    path.ok_or_else(|| wrong(value, "an absolute path of a directory, as \"/var/tmp\""))
}

fn at_least_one(value: &Value) -> Result<usize, String> {
    count(value).ok().filter(|count| *count > 0).ok_or_else(|| wrong(value, "a whole number, one or more"))
}

fn optional<T>(value: &Value, word: &str, read: fn(&Value) -> Result<T, String>) -> Result<Option<T>, String> {
    if value.as_str() == Some(word) {
        return Ok(None);
    }
    read(value).map(Some).map_err(|problem| format!("{problem}, or \"{word}\""))
}

fn show_optional<T: ToString>(value: Option<T>, word: &str) -> String {
    value.map_or_else(|| word.to_owned(), |value| value.to_string())
}

fn narrow<A, B: TryFrom<A>>(value: &Value, wide: A) -> Result<B, String> {
    B::try_from(wide).map_err(|_| format!("is {value}, more than can be counted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadLimits;

    #[test]
    fn every_field_of_the_server_settings_has_a_row() {
        // A new field does not compile here until it is named; then count it.
        let ServerSettings {
            address: _,
            threads: _,
            waiting_threads: _,
            connections: _,
            backlog: _,
            head: HeadLimits { request_line: _, head: _, fields: _ },
            head_timeout: _,
            idle_timeout: _,
            body_timeout: _,
            body_rate: _,
            memory_for_bodies: _,
            disk_for_bodies: _,
            spool_directory: _,
            write_timeout: _,
            write_rate: _,
            memory_for_responses: _,
            linger_timeout: _,
            queue: _,
            queue_timeout: _,
            drain_timeout: _,
            drain_idle: _,
            requests_per_connection: _,
        } = ServerSettings::default();
        assert_eq!(SERVER_KEYS.len(), 24);
    }

    #[test]
    fn the_guide_lists_every_key_with_its_default() {
        let guide = include_str!("../../../docs/guide/configuration.md");
        for key in keys() {
            let name = key.key.strip_prefix("server.").unwrap_or(&key.key);
            let start = format!("| `{name}` | ");
            let row = guide.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{name}"));
            let default: String = row.split(" |").next().unwrap_or_default().replace(['`', '"', ','], "");
            assert_eq!(default, key.default.replace(['"', ','], ""), "{name}");
        }
    }

    #[test]
    fn every_default_can_be_written_into_a_file() {
        for key in SERVER_KEYS {
            let shown = (key.show)(&ServerSettings::default());
            let written = shown.parse().map_or_else(|_| Value::String(shown), Value::Integer);
            let mut settings = ServerSettings::default();
            assert_eq!((key.set)(&mut settings, &written), Ok(()), "{}", key.name);
            assert_eq!((key.show)(&settings), (key.show)(&ServerSettings::default()), "{}", key.name);
        }
    }

    #[test]
    fn each_row_sets_a_field_of_its_own() {
        for key in SERVER_KEYS {
            let value = match (key.show)(&ServerSettings::default()).chars().last() {
                Some('s') => Value::String("77s".to_owned()),
                _ if key.name == "spool_directory" => Value::String("/77".to_owned()),
                Some('0') if key.name == "address" => Value::String("127.0.0.1:7".to_owned()),
                _ => Value::Integer(77),
            };
            let mut settings = ServerSettings::default();
            (key.set)(&mut settings, &value).unwrap();
            let changed: Vec<_> = SERVER_KEYS
                .iter()
                .filter(|other| (other.show)(&settings) != (other.show)(&ServerSettings::default()))
                .map(|other| other.name)
                .collect();
            assert_eq!(changed, [key.name]);
        }
    }
}

//! All settings that do not belong to a tool, for a reference page.

use crate::lifecycle::PathSettings;
use crate::server::ServerSettings;
use crate::settings::{SettingRow, Settings};

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
    /// Its default, as a file has it.
    pub default: String,
}

/// All settings that do not belong to a tool, with their defaults.
///
/// ```
/// let threads = kirsch::config::keys().find(|key| key.key == "server.threads").unwrap();
/// assert_eq!(threads.default, "10");
/// ```
pub fn keys() -> impl Iterator<Item = KeyDescription> {
    let describe = |section, group: &str, row: SettingRow| KeyDescription {
        section,
        key: format!("{group}{}", row.key),
        what: row.what,
        default: row.value,
    };
    let server = ServerSettings::default().setting_rows().into_iter();
    let path = PathSettings::default().setting_rows().into_iter();
    let server = server.map(move |row| describe("[global]", "server.", row));
    server.chain(path.map(move |row| describe("[\"/path\"]", "", row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{SettingTable, SettingValue};

    fn in_file(text: &str) -> SettingValue {
        format!("key = {text}").parse::<SettingTable>().expect("TOML")["key"].clone()
    }

    #[test]
    fn every_default_can_be_written_into_a_file() {
        let usual = ServerSettings::default().setting_rows();
        for row in &usual {
            let mut settings = ServerSettings::default();
            assert_eq!(settings.set_setting(row.key, &in_file(&row.value)), Some(Ok(())), "{}", row.key);
            assert_eq!(settings.setting_rows(), usual, "{}", row.key);
        }
    }

    #[test]
    fn each_key_sets_a_field_of_its_own() {
        let usual = ServerSettings::default().setting_rows();
        for row in &usual {
            let value = match row.key {
                "stuck_after" => "\"77s\"",
                "spool_directory" | "chroot" | "pid_file" | "challenge_folder" => "\"/77\"",
                "user" | "group" => "\"www\"",
                "certificate" => "[{ file = \"77.pem\", key = \"77.key\" }]",
                "tls.client_certificates" => "\"optional\"",
                "tls.client_roots" | "tls.client_crls" => "[\"77.pem\"]",
                "tls.plain" => "\"redirect\"",
                "listen" => "\"127.0.0.1:7\"",
                "proxy_protocol_from" => "[\"loopback\"]",
                "upgrade_loses_memory" => "false",
                "upgrade_timeout" | "upgrade_drain" => "\"77s\"",
                _ if row.value.ends_with("s\"") => "\"77s\"",
                _ => "77",
            };
            let mut settings = ServerSettings::default();
            assert_eq!(settings.set_setting(row.key, &in_file(value)), Some(Ok(())), "{}", row.key);
            let rows = settings.setting_rows();
            let changed = rows.iter().zip(&usual).filter(|(row, usual)| row != usual);
            assert_eq!(changed.map(|(row, _)| row.key).collect::<Vec<_>>(), [row.key]);
        }
    }
}

//! The option of programs whose sessions may be kept in different stores.

use kirsch::Sessions;

/// The meaning of the option, for the help.
pub const MEANING: &str = "where sessions are kept: memory, file:/folder, sqlite:/path, postgres://host/name, redis://host, memcached://host,host (default memory); with alone: before it no other process uses it";

/// Sessions that are kept in this place.
///
/// # Errors
/// When this program does not know the store.
pub fn sessions(place: &str) -> Result<Sessions, String> {
    if let Some(place) = place.strip_prefix("alone:") {
        return Ok(sessions(place)?.shared(false));
    }
    match place.split_once("://") {
        None if place == "memory" => Ok(Sessions::in_memory()),
        None if place.starts_with("file:") => Ok(Sessions::file(&place[5..])),
        None if place.starts_with("sqlite:") => Ok(Sessions::sqlite(&place[7..])),
        Some(("postgres" | "postgresql", _)) => Ok(Sessions::postgres(place)),
        Some(("memcached", servers)) => Ok(Sessions::memcached(servers.split(','))),
        Some((scheme, _)) if scheme.starts_with("redis") || scheme.starts_with("valkey") => Ok(Sessions::redis(place)),
        // Not all of it: an address may have a password in it.
        _ => Err(format!(
            "`{}` is not a place for sessions; write memory, file:/folder, sqlite:/path, postgres://host/name, redis://host or memcached://host,host",
            place.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '+').next().unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_store_is_named_without_its_password() {
        for place in ["mongo://anna:hunter2@x", "REDIS://:hunter2@x", "host=x password=hunter2"] {
            let problem = sessions(place).err().unwrap_or_default();
            let name = &place[..4];
            assert!(problem.contains(name) && !problem.contains("hunter2"), "{problem}");
        }
        for place in [
            "memory",
            "redis://127.0.0.1",
            "redis+sentinel://one,two/name",
            "memcached://one,two:1",
            "file:/tmp/a",
            "sqlite:/tmp/a.sqlite",
            "postgres://one/two",
            "alone:redis://127.0.0.1",
        ] {
            assert!(sessions(place).is_ok(), "{place}");
        }
    }
}

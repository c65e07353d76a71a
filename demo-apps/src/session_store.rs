//! The option of programs whose sessions may be kept in one place or another.

use kirsch::Sessions;

/// What the option means, for the help.
pub const MEANING: &str = "where sessions are kept: memory, file:/folder, sqlite:/path, postgres://host/name, redis://host, memcached://host,host (default memory); with alone: before it no other process uses it";

/// Sessions that are kept in this place.
///
/// # Errors
/// When it is none that this program knows.
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
        _ => Err(format!(
            "{place:?} is no place for sessions; write memory, file:/folder, sqlite:/path, postgres://host/name, redis://host or memcached://host,host"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_store_is_named() {
        let problem = sessions("mongo://x").err().map(|problem| problem.contains("mongo://x"));
        assert_eq!(problem, Some(true));
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

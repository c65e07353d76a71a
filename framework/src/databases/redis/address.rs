//! The forms of an address, and connecting to the servers that they name.

use super::link::Link;
use ::redis::{
    Client, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
};
use std::time::Duration;

/// Where Redis is.
pub(crate) struct Address {
    servers: Servers,
    shown: String,
}

enum Servers {
    One(ConnectionInfo),
    /// The sentinels, which know the primary; its name; the login there.
    Sentinels(Vec<ConnectionInfo>, String),
    #[cfg(feature = "redis-cluster")]
    Cluster(Vec<ConnectionInfo>),
}

const FORMS: &str = "redis://host:6379/0, rediss://host:6380/0, redis+unix:///path, redis+sentinel://host:26379,host:26379/name or redis+cluster://host:6379,host:6379";

impl Address {
    /// Reads an address. Problems never show it, since there may be a password in it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("must be an address as {FORMS}"))?;
        match scheme {
            "rediss" | "valkeys" if !cfg!(feature = "redis-tls") => {
                Err("TLS needs kirsch's cargo feature `redis-tls`".to_owned())
            }
            "redis" | "valkey" | "rediss" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => {
                #[cfg(feature = "redis-tls")]
                choose_cryptography();
                let info = info(url, "")?;
                let database = info.redis_settings().db();
                let shown = format!("redis {}, database {database}", info.addr());
                Ok(Self { servers: Servers::One(info), shown })
            }
            "redis+sentinel" | "valkey+sentinel" => {
                let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
                let (name, database) = path.split_once('/').unwrap_or((path, "0"));
                if name.is_empty() {
                    return Err("lacks the name of the primary: redis+sentinel://host:26379/name".to_owned());
                }
                let sentinels = infos(hosts, 26379, database)?;
                let shown = format!("redis primary {name} of the sentinels {}", hosts_of(&sentinels));
                Ok(Self { servers: Servers::Sentinels(sentinels, name.to_owned()), shown })
            }
            #[cfg(feature = "redis-cluster")]
            "redis+cluster" | "valkey+cluster" => {
                let nodes = infos(rest.trim_end_matches('/'), 6379, "0")?;
                let shown = format!("redis cluster {}", hosts_of(&nodes));
                Ok(Self { servers: Servers::Cluster(nodes), shown })
            }
            #[cfg(not(feature = "redis-cluster"))]
            "redis+cluster" | "valkey+cluster" => {
                Err("a Cluster needs kirsch's cargo feature `redis-cluster`".to_owned())
            }
            _ => Err(format!("must be an address as {FORMS}")),
        }
    }

    /// The address without credentials, for logs.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// A connection for commands.
    pub(crate) fn connect(&self, connect: Duration, operation: Duration) -> RedisResult<Link> {
        match &self.servers {
            Servers::One(info) => Ok(Link::One(Box::new(open(info, connect, operation)?))),
            Servers::Sentinels(sentinels, name) => {
                Ok(Link::One(Box::new(primary(sentinels, name, connect, operation)?)))
            }
            #[cfg(feature = "redis-cluster")]
            Servers::Cluster(nodes) => {
                let client = ::redis::cluster::ClusterClient::builder(nodes.iter().cloned())
                    .connection_timeout(connect)
                    .response_timeout(operation)
                    .retries(2)
                    .build()?;
                Ok(Link::Cluster(Box::new(client.get_connection()?)))
            }
        }
    }

    /// A connection for listening: messages of a Cluster reach all its nodes.
    pub(crate) fn connect_to_listen(&self, connect: Duration, operation: Duration) -> RedisResult<Connection> {
        match &self.servers {
            Servers::One(info) => open(info, connect, operation),
            Servers::Sentinels(sentinels, name) => primary(sentinels, name, connect, operation),
            #[cfg(feature = "redis-cluster")]
            Servers::Cluster(nodes) => first(nodes, |node| open(node, connect, operation)),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.servers, Servers::One(_) | Servers::Sentinels(..))
    }

    /// Whether another server may answer at this address from one moment to the next.
    pub(crate) fn fails_over(&self) -> bool {
        !matches!(self.servers, Servers::One(_))
    }
}

/// Unless the program has chosen already: with two in it, none would be chosen by itself, and connecting would panic.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails if another thread was quicker, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn open(info: &ConnectionInfo, connect: Duration, operation: Duration) -> RedisResult<Connection> {
    if let ConnectionAddr::Unix(socket) = info.addr() {
        crate::private_file::warn_of_socket(socket);
    }
    let connection = Client::open(info.clone())?.get_connection_with_timeout(connect)?;
    connection.set_read_timeout(Some(operation))?;
    connection.set_write_timeout(Some(operation))?;
    Ok(connection)
}

/// Asks one Sentinel after the other, and the server that they name whether it is the primary: right after a failover
/// they may not know.
fn primary(
    sentinels: &[ConnectionInfo],
    name: &str,
    connect: Duration,
    operation: Duration,
) -> RedisResult<Connection> {
    first(sentinels, |sentinel| {
        let (host, port) = ask(sentinel, name, connect, operation)?;
        let info = (host.as_str(), port).into_connection_info()?.set_redis_settings(sentinel.redis_settings().clone());
        let info = info.set_tcp_settings(sentinel.tcp_settings().clone());
        let mut connection = open(&info, connect, operation)?;
        let role: ::redis::RedisResult<Vec<::redis::Value>> = ::redis::cmd("ROLE").query(&mut connection);
        match role.as_ref().map(|role| role.first()) {
            Ok(Some(::redis::Value::BulkString(role))) if role == b"master" => Ok(connection),
            // A user without the permission to ask has to believe the sentinel.
            Err(error) if error.kind() == ErrorKind::Server(::redis::ServerErrorKind::NoPerm) => Ok(connection),
            Err(error) => Err(error.clone()),
            Ok(_) => Err(RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "the server that the sentinels name is not a primary (yet)",
            ))),
        }
    })
}

/// Sentinels mostly want no password; those that do are given that of the address.
fn ask(sentinel: &ConnectionInfo, name: &str, connect: Duration, operation: Duration) -> RedisResult<(String, u16)> {
    let without = sentinel.clone().set_redis_settings(::redis::RedisConnectionInfo::default());
    let mut question = ::redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let mut answer = question.query::<Option<(String, u16)>>(&mut open(&without, connect, operation)?);
    if answer.as_ref().is_err_and(|error| error.code() == Some("NOAUTH")) {
        let login = sentinel.redis_settings().clone().set_db(0);
        let with = sentinel.clone().set_redis_settings(login);
        answer = question.query(&mut open(&with, connect, operation)?);
    }
    answer?.ok_or_else(|| {
        RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "the sentinels know no primary of that name"))
    })
}

/// The first that succeeds, or the last failure.
fn first<T>(infos: &[ConnectionInfo], mut attempt: impl FnMut(&ConnectionInfo) -> RedisResult<T>) -> RedisResult<T> {
    let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no host in the address"));
    for info in infos {
        match attempt(info) {
            Ok(success) => return Ok(success),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

fn infos(hosts: &str, port: u16, database: &str) -> Result<Vec<ConnectionInfo>, String> {
    let (login, hosts) = hosts.rsplit_once('@').map_or((None, hosts), |(login, hosts)| (Some(login), hosts));
    let login = login.map_or_else(String::new, |login| format!("{login}@"));
    let one = |host: &str| {
        let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
        let port = if after_brackets.contains(':') { String::new() } else { format!(":{port}") };
        info(&format!("redis://{login}{host}{port}/{database}"), host)
    };
    hosts.split(',').map(one).collect()
}

/// A problem may show `host`.
fn info(url: &str, host: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| match host {
        "" => format!("{error}; it must be as {FORMS}"),
        // The text after a colon may be a password whose host was forgotten.
        host => {
            let name = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
            format!("{error} (at the host {name:?}); it must be as {FORMS}")
        }
    })?;
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

fn hosts_of(infos: &[ConnectionInfo]) -> String {
    infos.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_address_has_no_credentials() {
        for (url, shown) in [
            ("redis://127.0.0.1", "redis 127.0.0.1:6379, database 0"),
            ("valkey://ann:s%2Fecret@localhost:7000/2", "redis localhost:7000, database 2"),
            ("redis+unix:///run/redis.sock", "redis /run/redis.sock, database 0"),
            (
                "redis+sentinel://ann:secret@one,[::1]:26380/shop",
                "redis primary shop of the sentinels one:26379, ::1:26380",
            ),
        ] {
            assert_eq!(Address::parse(url).unwrap_or_else(|problem| panic!("{url}: {problem}")).shown(), shown);
        }
    }

    #[test]
    fn credentials_and_database_are_for_the_primary() {
        let address = Address::parse("redis+sentinel://ann:s%40cret@one,two:1/shop/3").expect("an address");
        let Servers::Sentinels(sentinels, name) = address.servers else { panic!("sentinels") };
        let login = sentinels[1].redis_settings();
        assert_eq!((login.username(), login.password(), login.db()), (Some("ann"), Some("s@cret"), 3));
        assert_eq!((name.as_str(), sentinels[1].addr().to_string().as_str()), ("shop", "two:1"));
    }

    #[test]
    fn wrong_addresses_name_the_remedy_and_show_no_password() {
        for url in [
            "",
            "127.0.0.1",
            "http://ann:secret@x",
            "redis://ann:secret@",
            "redis+sentinel://ann:secret@one",
            "redis://:secret@x/two",
            "redis://ann:secret",
            "redis+sentinel://ann:secret/shop",
        ] {
            let problem = Address::parse(url).err().unwrap_or_else(|| panic!("{url} is wrong"));
            assert!(problem.contains("redis") && !problem.contains("secret"), "{url}: {problem}");
        }
    }
}

//! One connection: to one server, or to all the nodes of a Cluster.

use ::redis::{Cmd, ConnectionLike, FromRedisValue, RedisResult, Value};

/// One connection.
pub(crate) enum Link {
    One(Box<::redis::Connection>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Box<::redis::cluster::ClusterConnection>),
}

impl Link {
    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let value = self.connection().req_command(command)?.extract_error()?;
        Ok(T::from_redis_value(value)?)
    }

    /// The answer to each of the commands, which are in the form for the server. Errors of the server are among them.
    pub(crate) fn send(&mut self, commands: &[u8], count: usize) -> RedisResult<Vec<Value>> {
        match count {
            1 => Ok(vec![self.connection().req_packed_command(commands)?]),
            count => self.connection().req_packed_commands(commands, 0, count),
        }
    }

    /// The connection as the client library knows it.
    pub(crate) fn connection(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::One(connection) => &mut **connection,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => &mut **connection,
        }
    }
}

//! One connection: to one server, or to all the nodes of a Cluster.

use super::request::Commands;
use ::redis::{Cmd, ConnectionLike, FromRedisValue, RedisResult, Value};

/// One connection.
pub(super) enum Link {
    One(Box<::redis::Connection>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Box<::redis::cluster::ClusterConnection>),
}

impl Link {
    pub(super) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let value = self.connection().req_command(command)?.extract_error()?;
        Ok(T::from_redis_value(value)?)
    }

    /// The answer to each of the commands. Errors of the server are among them.
    pub(super) fn send(&mut self, commands: &Commands) -> RedisResult<Vec<Value>> {
        match commands.count {
            1 => Ok(vec![self.connection().req_packed_command(&commands.bytes)?]),
            count => self.connection().req_packed_commands(&commands.bytes, 0, count),
        }
    }

    fn connection(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::One(connection) => &mut **connection,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => &mut **connection,
        }
    }
}

//! What the server does in one step: Lua scripts over the keys of one session.
//!
//! A script is called by its hash; a server that does not know it (it was restarted, or is another one now) is sent the text first.
//! Times are milliseconds and come from the caller; numbers above 2^53 (versions, fences) are only ever compared as text.

use super::link::Link;
use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind};
use std::sync::LazyLock;

/// The keys of one session.
pub(super) struct Keys {
    /// The name within the prefix: what is told to those who wait.
    pub(super) name: String,
    pub(super) record: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, name: String) -> Self {
        // What is in the braces alone decides about the node of a Cluster.
        let record = format!("{prefix}{{{name}}}");
        Self { name, record }
    }
}

/// A script and its hash.
pub(super) struct Script {
    text: String,
    hash: String,
}

impl Script {
    fn new(text: &str) -> Self {
        let text = format!("{GIVE_BACK}{text}");
        let hash = ::redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    /// A call for the keys of a session; its arguments follow.
    pub(super) fn of(&self, keys: &Keys) -> Cmd {
        let mut call = ::redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(4).arg(&keys.record);
        for suffix in [":lock", ":turn", ":wait"] {
            call.arg(format!("{}{suffix}", keys.record));
        }
        call
    }

    pub(super) fn run<T: FromRedisValue>(&self, call: &Cmd, link: &mut Link) -> RedisResult<T> {
        match link.query(call) {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut load = ::redis::cmd("SCRIPT");
                load.arg("LOAD").arg(&self.text);
                link.query::<()>(&load)?;
                link.query(call)
            }
            result => result,
        }
    }
}

/// How every script begins: names of the keys, and giving the lock back. Whoever waits is told, on the channel of his store. If
/// others wait, this store lets them go first for a moment: its own next request is always nearer than theirs, and would win for ever.
const GIVE_BACK: &str = r"
local record, lock, turn, wait = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function give_back(name, channels, store)
    redis.call('DEL', lock)
    local waiting = redis.call('SMEMBERS', wait)
    if #waiting == 0 then return end
    redis.call('DEL', wait)
    local others = false
    for _, other in ipairs(waiting) do
        redis.call('PUBLISH', channels .. other, name)
        others = others or other ~= store
    end
    if others then redis.call('SET', turn, store, 'PX', 20) end
end
";

/// `fence, lease, is_watched, name, channels, store`: `{granted, milliseconds until it may be free, fields}`.
pub(super) static LOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local fence, lease, is_watched, store = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local left
if redis.call('GET', turn) == store then
    left = redis.call('PTTL', turn)
elseif redis.call('SET', lock, fence, 'NX', 'PX', lease) or redis.call('GET', lock) == fence then
    redis.call('DEL', turn)
    return {1, 0, redis.call('HMGET', record, 'v', 'e', 'c', 'd')}
else
    left = redis.call('PTTL', lock)
end
if is_watched == '1' then
    redis.call('SADD', wait, store)
    redis.call('PEXPIRE', wait, 3600000)
end
return {0, left, {}}
",
    )
});

/// `name, channels, store`: milliseconds until the lock may be free, negative when nobody has it.
pub(super) static WATCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('SADD', wait, ARGV[3])
redis.call('PEXPIRE', wait, 3600000)
local left = redis.call('PTTL', lock)
if left < 0 and redis.call('GET', turn) == ARGV[3] then left = redis.call('PTTL', turn) end
return left
",
    )
});

/// `fence, lease`: whether it is still held.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', lock) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', lock, ARGV[2])
",
    )
});

/// `fence, name, channels, store`.
pub(super) static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', lock) == ARGV[1] then give_back(ARGV[2], ARGV[3], ARGV[4]) end
return 0
",
    )
});

/// `now, expected, version, ends, life, cookie_sent, fence, unlock, name, channels, store, content`: 0 kept, 1 conflict, 2 lock lost.
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local now, expected, version, ends, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local cookie_sent, fence, unlock = ARGV[6], ARGV[7], ARGV[8]
local old = redis.call('HMGET', record, 'v', 'e')
-- The first run of this very commit was heard; its answer was not.
if old[1] == version then return 0 end
if fence ~= '' and redis.call('GET', lock) ~= fence then return 2 end
local is_alive = old[1] and (tonumber(old[2]) or 0) > tonumber(now)
if (is_alive and old[1] or '') ~= expected then return 1 end
if not is_alive then redis.call('DEL', record) end
redis.call('HSET', record, 'v', version, 'e', ends, 'd', ARGV[12])
if cookie_sent == '1' or not is_alive then redis.call('HSET', record, 'c', now) end
redis.call('PEXPIRE', record, life)
if unlock == '1' then give_back(ARGV[9], ARGV[10], ARGV[11]) end
return 0
",
    )
});

/// `now, ends, life, cookie_sent`.
pub(super) static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local old = redis.call('HGET', record, 'e')
if not old or (tonumber(old) or 0) <= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', record, 'e', ARGV[2])
if ARGV[4] == '1' then redis.call('HSET', record, 'c', ARGV[1]) end
return redis.call('PEXPIRE', record, ARGV[3])
",
    )
});

/// `version`: moves a record that nobody can read out of the way, if it is still that one.
pub(super) static SET_ASIDE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if (redis.call('HGET', record, 'v') or '') == ARGV[1] then redis.call('RENAME', record, record .. ':unreadable') end
return 0
",
    )
});

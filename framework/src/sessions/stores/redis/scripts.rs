//! What the server does in one step: Lua scripts over the keys of one session.
//!
//! A script is called by its hash; a server that does not know it (it was restarted, or is another one now) is sent the text first. What
//! happens with nearly every request is plain commands where these do, and few calls in the script where they do not: on the server
//! a script costs three times a command, and each call in it half of one.
//!
//! Times are milliseconds and come from the caller; numbers above 2^53 (versions, fences) are only ever compared as text.

use super::request::{Keys, Request};
use std::sync::LazyLock;

/// A script and its hash.
pub(super) struct Script {
    pub(super) text: String,
    hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let hash = ::redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    /// A call for the keys of a session.
    pub(super) fn of(&self, keys: &Keys, arguments: &[&[u8]]) -> Request {
        let mut request = Request::with_room_for(arguments);
        let name = [b"EVALSHA", self.hash.as_bytes(), b"3", keys.record(), keys.lock(), keys.wait()];
        request.command(&name, arguments);
        request
    }
}

/// How every script begins: the names of its keys.
const KEYS_OF: &str = "local record, lock, wait = KEYS[1], KEYS[2], KEYS[3]\n";

/// Gives the lock back for `store`. Whoever waits is told, on the channel of his store. If others wait, the lock stays for a moment in the
/// name of this store, behind a `!`, and it is all others' but its own: its own next request is always nearer than theirs, and would win for ever.
const GIVE_BACK: &str = r"
redis.call('DEL', lock)
local waiting = redis.call('SMEMBERS', wait)
if #waiting > 0 then
    redis.call('DEL', wait)
    local prefix, name = string.match(record, '^(.*){(.*)}$')
    local others = false
    for _, other in ipairs(waiting) do
        redis.call('PUBLISH', prefix .. 'wake:' .. other, name)
        others = others or other ~= store
    end
    if others then redis.call('SET', lock, '!' .. store, 'PX', 20) end
end
return 0
";

/// `fence, lease, is_watched, store`: the record (nil if there is none), or a number: refused, and in how many milliseconds it may be free.
pub(super) static LOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
local fence, lease, is_watched, store = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local held = redis.call('GET', lock)
-- The fence itself: the first run of this very call was heard; its answer was not.
if not held or held == fence or (string.sub(held, 1, 1) == '!' and held ~= '!' .. store) then
    redis.call('SET', lock, fence, 'PX', lease)
    return redis.call('GET', record)
end
if is_watched == '1' then
    redis.call('SADD', wait, store)
    redis.call('PEXPIRE', wait, 3600000)
end
return redis.call('PTTL', lock)
",
    ])
});

/// `store`: milliseconds until the lock may be free for it, negative when it is.
pub(super) static WATCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
redis.call('SADD', wait, ARGV[1])
redis.call('PEXPIRE', wait, 3600000)
local held = redis.call('GET', lock)
if held and string.sub(held, 1, 1) == '!' and held ~= '!' .. ARGV[1] then return -1 end
return redis.call('PTTL', lock)
",
    ])
});

/// `fence, lease`: whether it is still held.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
if redis.call('GET', lock) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', lock, ARGV[2])
",
    ])
});

/// `fence, store`.
pub(super) static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
local store = ARGV[2]
if redis.call('GET', lock) ~= ARGV[1] then return 0 end
",
        GIVE_BACK,
    ])
});

/// `head, expected, fence, unlock, cookie_sent, life, store, content`: 0 kept, 1 conflict, 2 lock lost. In the head the cookie is
/// sent now, so that now is known too.
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
local head, fence, store = ARGV[1], ARGV[3], ARGV[7]
local old = redis.call('GETRANGE', record, 0, 45)
local version = string.sub(old, 1, 16)
-- The first run of this very commit was heard; its answer was not.
if version == string.sub(head, 1, 16) then return 0 end
if fence ~= '' and redis.call('GET', lock) ~= fence then return 2 end
local is_alive = old ~= '' and (tonumber(string.sub(old, 17, 31)) or 0) > tonumber(string.sub(head, 32))
if (is_alive and version or '') ~= ARGV[2] then return 1 end
if is_alive and ARGV[5] ~= '1' then head = string.sub(head, 1, 31) .. string.sub(old, 32) end
redis.call('SET', record, head .. ARGV[8], 'PX', ARGV[6])
if ARGV[4] ~= '1' then return 0 end
",
        GIVE_BACK,
    ])
});

/// `head, cookie_sent, life`: another end of life in the head that is there.
pub(super) static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
local old, now = redis.call('GETRANGE', record, 0, 45), string.sub(ARGV[1], 32)
if (tonumber(string.sub(old, 17, 31)) or 0) <= tonumber(now) then return 0 end
local sent = ARGV[2] == '1' and now or string.sub(old, 32)
redis.call('SETRANGE', record, 0, string.sub(old, 1, 16) .. string.sub(ARGV[1], 17, 31) .. sent)
return redis.call('PEXPIRE', record, ARGV[3])
",
    ])
});

/// `head`: moves a record that nobody can read out of the way, if it still begins like that.
pub(super) static SET_ASIDE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        r"
if redis.call('EXISTS', record) == 1 and redis.call('GETRANGE', record, 0, 45) == ARGV[1] then
    redis.call('RENAME', record, record .. ':unreadable')
end
return 0
",
    ])
});

//! The scripts that the server runs in one step: Lua over the keys of one session.
//!
//! A script is called by its hash; a server that does not know it (it was restarted, or is another one now) is sent the
//! text first. Nearly every request uses plain commands where these suffice, and few calls in the script where they do
//! not: on the server a script costs three times a command, and each call in it half of one.
//!
//! Times are milliseconds and come from the caller; numbers above 2^53 (versions, fences) are only ever compared as
//! text.

use super::request::Script;
use std::sync::LazyLock;

/// How a script for one session begins: the names of its keys.
const KEYS_OF: &str = "local record, lock, wait = KEYS[1], KEYS[2], KEYS[3]\n";

/// Gives the lock back for `store`, with others who have said that they wait. They are told, on the channel of their
/// store. The lock stays for a moment in the name of this store, behind a `!`, and may be taken by all others: the next
/// request of this store could always ask sooner, and would win every time.
const GIVE_BACK: &str = r"
local function give_back(record, lock, wait, store)
    local waiting = redis.call('SMEMBERS', wait)
    redis.call('DEL', lock, wait)
    local prefix, name = string.match(record, '^(.*){(.*)}$')
    local others = false
    for _, other in ipairs(waiting) do
        redis.call('PUBLISH', prefix .. 'wake:' .. other, name)
        others = others or other ~= store
    end
    if others then redis.call('SET', lock, '!' .. store, 'PX', 20) end
end
";

/// Says that `store` waits. A `w` is then appended to the holder's fence, so that a release without waiters skips the
/// lookup. Where there is no fence, the waiter is about to ask.
const WAIT: &str = r"
local function wait_for(held, store)
    redis.call('SADD', wait, store)
    redis.call('PEXPIRE', wait, 3600000)
    if held and string.find(held, '^%d+$') then redis.call('APPEND', lock, 'w') end
end
";

/// `fence, lease, is_watched, store`: the record (nil if there is none), or a number: refused, and in how many
/// milliseconds it may be free.
pub(super) static LOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        WAIT,
        r"
local fence, lease, is_watched, store = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local held = redis.call('GET', lock)
-- The fence itself: the first run of this very call was heard; its answer was not.
local is_own = held == fence or held == fence .. 'w'
if not held or is_own or (string.sub(held, 1, 1) == '!' and held ~= '!' .. store) then
    redis.call('SET', lock, is_own and held or fence, 'PX', lease)
    return redis.call('GET', record)
end
if is_watched == '1' then wait_for(held, store) end
return redis.call('PTTL', lock)
",
    ])
});

/// `store`: milliseconds until the lock may be free for it, negative when it is.
pub(super) static WATCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        WAIT,
        r"
local held = redis.call('GET', lock)
wait_for(held, ARGV[1])
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
local held = redis.call('GET', lock)
if held ~= ARGV[1] and held ~= ARGV[1] .. 'w' then return 0 end
return redis.call('PEXPIRE', lock, ARGV[2])
",
    ])
});

/// `fence, store`.
pub(super) static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        KEYS_OF,
        GIVE_BACK,
        r"
local held = redis.call('GET', lock)
if held == ARGV[1] then
    redis.call('DEL', lock)
elseif held == ARGV[1] .. 'w' then
    give_back(record, lock, wait, ARGV[2])
end
return 0
",
    ])
});

/// `store, life, how`, then for each session `fence, expected, head, now, content`: 0 kept, 1 conflict, 2 lock lost.
/// The head ends where the cookie follows. How: whether to give the lock back, and whether the cookie is sent now, a
/// digit for each. Without a fence the lock is not looked at.
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        GIVE_BACK,
        r"
local call, sub = redis.call, string.sub
local store, life, how = ARGV[1], ARGV[2], ARGV[3]
local gives_back, is_sent = how == '10' or how == '11', how == '01' or how == '11'
local function commit(record, lock, at)
    local fence, expected, head, now = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local held, old
    if fence == '' then
        old = call('GET', record) or ''
    else
        local both = call('MGET', lock, record)
        held, old = both[1], both[2] or ''
    end
    local version, is_watched = sub(old, 1, 16), false
    -- The first run of this very commit was heard; its answer was not.
    if version ~= expected and version == sub(head, 1, 16) then return 0 end
    if held ~= fence and fence ~= '' then
        if held ~= fence .. 'w' then return 2 end
        is_watched = true
    end
    -- The end of its life, as text of the same width.
    if version ~= '' and sub(old, 17, 31) <= now then version = '' end
    if version ~= expected then return 1 end
    local cookie = (is_sent or version == '') and now or sub(old, 32, 46)
    call('SET', record, head .. cookie .. ARGV[at + 4], 'PX', life)
    if not gives_back then return 0 end
    if is_watched then
        give_back(record, lock, record .. ':wait', store)
    else
        call('DEL', lock)
    end
    return 0
end
local answers = {}
for number = 1, #KEYS / 2 do
    answers[number] = commit(KEYS[2 * number - 1], KEYS[2 * number], 5 * number - 1)
end
return answers
",
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

/// `head`: moves an unreadable record out of the way, if it still begins like that.
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

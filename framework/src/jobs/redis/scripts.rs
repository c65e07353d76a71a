//! The scripts that the server runs in one step, and the keys that they work on.
//!
//! All keys begin with the prefix in braces, so that they are on one node of a Cluster:
//!
//! | key | what is in it |
//! |---|---|
//! | `{…}:job:ID` | a hash: the job |
//! | `{…}:due:KIND` | a sorted set: those of a kind that wait or run, by their time or the end of their lease |
//! | `{…}:stage:N` | a sorted set: those in each stage, by the order in which they were enqueued |
//! | `{…}:ended:N` | a sorted set: those that have ended, by the time of that |
//! | `{…}:kinds`, `{…}:keys`, `{…}:turns`, `{…}:number` | the kinds; the keys of jobs that wait or run; the timetable; the last number |
//! | `{…}:wake` | the channel of the messages |
//!
//! Times are milliseconds of the server's clock. A member of `due` and `ended` is the number of the job in the order of
//! enqueueing, filled up with zeros, and its id: of those with the same time the oldest is the first. Ids have more
//! digits than numbers of Lua keep, and are texts.

use crate::jobs::memory::LEASE_ENDED;
use ::redis::Script;
use std::sync::LazyLock;

/// How every script begins.
const BEGIN: &str = r"
local base, call = KEYS[1], redis.call
local time = call('TIME')
local present = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function text(number) return string.format('%.0f', number) end
local function job_of(id) return base .. ':job:' .. id end

-- What scripts need of a job; nil if it is not there.
local function load(id)
    local found = call('HMGET', job_of(id), 'kind', 'member', 'stage', 'attempt', 'attempts', 'cancel', 'key')
    if not found[1] then return nil end
    return {
        id = id, kind = found[1], member = found[2], stage = tonumber(found[3]), attempt = tonumber(found[4]),
        attempts = tonumber(found[5]), is_cancelled = found[6] == '1', key = found[7]
    }
end

local function key_of(job) return job.kind .. '\0' .. job.key end

-- Puts a job into a stage. `at` is when it is due, its lease ends, or it has ended.
local function put(job, stage, at)
    if job.stage then
        call('ZREM', base .. ':stage:' .. job.stage, job.id)
        if job.stage >= 2 then call('ZREM', base .. ':ended:' .. job.stage, job.member) end
    end
    call('ZADD', base .. ':stage:' .. stage, tonumber(string.sub(job.member, 1, 16)), job.id)
    if stage < 2 then
        call('ZADD', base .. ':due:' .. job.kind, text(at), job.member)
    else
        call('ZREM', base .. ':due:' .. job.kind, job.member)
        call('ZADD', base .. ':ended:' .. stage, text(at), job.member)
        if job.key then call('HDEL', base .. ':keys', key_of(job)) end
    end
    call('HSET', job_of(job.id), 'stage', stage)
    job.stage = stage
end

-- The job, if this attempt is at it.
local function running(id, attempt)
    local job = load(id)
    return job and job.stage == 1 and job.attempt == tonumber(attempt) and job or nil
end

local function wake(delay) call('PUBLISH', base .. ':wake', delay) end
";

/// What a script returns about a job.
const DESCRIBE: &str = r"
local function describe(id)
    local found = call('HMGET', job_of(id), 'kind', 'stage', 'attempt', 'progress', 'result', 'error', 'enqueued')
    if not found[1] then return false end
    return { id, found[1], found[2], found[3], found[4], found[5], found[6], text(present - tonumber(found[7])) }
end
";

fn script(parts: &[&str]) -> Script {
    Script::new(&[BEGIN, &parts.concat()].concat())
}

/// `id, kind, payload, delay, attempts, max_waiting`, then `1, key` or `0, ''`, then `entry, minute, set_back` for a
/// turn of the timetable. Returns what has become of it, and the id of another job or the number of those that wait.
pub(super) static ENQUEUE: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local id, kind, payload, delay, attempts, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
-- The first run of this very call was heard; its answer was not.
if call('EXISTS', job_of(id)) == 1 then return { 'new', '' } end
local job = { id = id, kind = kind, key = ARGV[7] == '1' and ARGV[8] }
if ARGV[9] then
    local served = tonumber(call('HGET', base .. ':turns', ARGV[9]) or '-1')
    local latest = math.floor(present / 60000) + tonumber(ARGV[11])
    if served >= tonumber(ARGV[10]) and served <= latest then return { 'served', '' } end
end
if job.key then
    local other = call('HGET', base .. ':keys', key_of(job))
    if other and call('EXISTS', job_of(other)) == 1 then return { 'existing', other } end
end
local waiting = call('ZCARD', base .. ':stage:0') + call('ZCARD', base .. ':stage:1')
if waiting >= most then return { 'full', text(waiting) } end
if ARGV[9] then call('HSET', base .. ':turns', ARGV[9], ARGV[10]) end
job.member = string.format('%016.0f:', call('INCR', base .. ':number')) .. id
call('HSET', job_of(id), 'kind', kind, 'payload', payload, 'member', job.member, 'attempt', 0, 'attempts', attempts,
    'progress', 0, 'enqueued', text(present))
if job.key then
    call('HSET', job_of(id), 'key', job.key)
    call('HSET', base .. ':keys', key_of(job), id)
end
call('SADD', base .. ':kinds', kind)
put(job, 0, present + delay)
wake(text(delay))
return { 'new', '' }
"])
});

/// `lease, claim`, the number of lost claims and each of them, then the kinds: the job, or nil. What the lost claims
/// have taken is given back before.
pub(super) static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    let [before, after] = LEASE_ENDED;
    let ended = format!("local function lease_ended(attempt) return '{before}' .. attempt .. '{after}' end\n");
    script(&[
        &*ended,
        r"
local lease, claim, lost = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if lost > 0 then
    local is_lost = {}
    for number = 1, lost do is_lost[ARGV[3 + number]] = true end
    for _, id in ipairs(call('ZRANGE', base .. ':stage:1', 0, -1)) do
        local job = is_lost[call('HGET', job_of(id), 'claim')] and load(id)
        if job then
            call('HINCRBY', job_of(id), 'attempts', 1)
            put(job, 0, present)
        end
    end
end
for number = 4 + lost, #ARGV do
    local due = base .. ':due:' .. ARGV[number]
    -- Others wait meanwhile; what is left is found the next time.
    for _ = 1, 1000 do
        local first = call('ZRANGEBYSCORE', due, '-inf', text(present), 'LIMIT', 0, 1)[1]
        if not first then break end
        local id = string.sub(first, 18)
        local job = load(id)
        if not job then
            -- Taken away by hand, or evicted.
            call('ZREM', due, first)
            call('ZREM', base .. ':stage:0', id)
            call('ZREM', base .. ':stage:1', id)
        elseif job.stage == 1 and job.is_cancelled then
            put(job, 4, present)
        elseif job.stage == 1 and job.attempt >= job.attempts then
            call('HSET', job_of(id), 'error', lease_ended(job.attempt))
            put(job, 3, present)
        else
            call('HSET', job_of(id), 'attempt', job.attempt + 1, 'claim', claim, 'lease', text(lease))
            put(job, 1, present + lease)
            return { id, job.kind, call('HGET', job_of(id), 'payload'), job.attempt + 1, job.attempts }
        end
    end
end
return false
",
    ])
});

/// `id, attempt, lease, progress`: 1 held, 2 cancelled, 0 lost.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local job = running(ARGV[1], ARGV[2])
if not job then return 0 end
call('HSET', job_of(job.id), 'progress', ARGV[4], 'lease', ARGV[3])
call('ZADD', base .. ':due:' .. job.kind, text(present + tonumber(ARGV[3])), job.member)
return job.is_cancelled and 2 or 1
"])
});

/// `id, attempt, stage, after, more attempts`, then names and values that are kept (`result`, `error`): whether the
/// attempt was the present one.
pub(super) static FINISH: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local job = running(ARGV[1], ARGV[2])
if not job then return 0 end
local stage, after = tonumber(ARGV[3]), tonumber(ARGV[4])
-- A cancelled job is not queued again.
if stage == 0 and job.is_cancelled then stage, after = 4, 0 end
call('HDEL', job_of(job.id), 'result', 'error')
for at = 6, #ARGV, 2 do call('HSET', job_of(job.id), ARGV[at], ARGV[at + 1]) end
if ARGV[5] ~= '0' then call('HINCRBY', job_of(job.id), 'attempts', ARGV[5]) end
if stage == 2 then call('HSET', job_of(job.id), 'progress', 1) end
put(job, stage, present + after)
if stage == 0 and after == 0 then wake('0') end
return 1
"])
});

/// `id`: whether it was cancelled, or hears of it.
pub(super) static CANCEL: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local job = load(ARGV[1])
if not job or job.stage >= 2 then return 0 end
call('HSET', job_of(job.id), 'cancel', 1)
if job.stage == 0 then put(job, 4, present) end
return 1
"])
});

/// `id`: whether it was revived, or the id of another job with its key.
pub(super) static REVIVE: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local job = load(ARGV[1])
if not job or job.stage ~= 3 then return { 0, '' } end
if job.key then
    local other = call('HGET', base .. ':keys', key_of(job))
    if other and call('EXISTS', job_of(other)) == 1 then return { 2, other } end
    call('HSET', base .. ':keys', key_of(job), job.id)
end
call('HINCRBY', job_of(job.id), 'attempts', math.max(job.attempt, 1))
put(job, 0, present)
wake('0')
return { 1, '' }
"])
});

/// `id`: what is known of the job, or nil.
pub(super) static STATUS: LazyLock<Script> = LazyLock::new(|| script(&[DESCRIBE, "return describe(ARGV[1])"]));

/// `stage, last`: what is known of the jobs up to that index.
pub(super) static LIST: LazyLock<Script> = LazyLock::new(|| {
    script(&[
        DESCRIBE,
        r"
local found = {}
for _, id in ipairs(call('ZREVRANGE', base .. ':stage:' .. ARGV[1], 0, ARGV[2])) do
    local job = describe(id)
    if job then found[#found + 1] = job end
end
return found
",
    ])
});

/// How many jobs are in each stage.
pub(super) static COUNTS: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local counts = {}
for stage = 0, 4 do counts[stage + 1] = call('ZCARD', base .. ':stage:' .. stage) end
return counts
"])
});

/// In how many milliseconds the next job is due, or nil.
pub(super) static NEXT_DUE: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local next
for _, kind in ipairs(call('SMEMBERS', base .. ':kinds')) do
    local due = tonumber(call('ZRANGE', base .. ':due:' .. kind, 0, 0, 'WITHSCORES')[2])
    if due and (not next or due < next) then next = due end
end
if not next then return false end
return math.max(next - present, 0)
"])
});

/// How many jobs a sweep takes away at a time.
pub(super) const BATCH: usize = 500;

/// `stage, keep, batch`: how many were taken away that had ended so long ago.
pub(super) static SWEEP: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local ended = base .. ':ended:' .. ARGV[1]
local gone = call('ZRANGEBYSCORE', ended, '-inf', text(present - tonumber(ARGV[2])), 'LIMIT', 0, ARGV[3])
for _, member in ipairs(gone) do
    local id = string.sub(member, 18)
    call('DEL', job_of(id))
    call('ZREM', base .. ':stage:' .. ARGV[1], id)
    call('ZREM', ended, member)
end
return #gone
"])
});

/// Ends leases that end later than a lease can, since the clock was set back after they were given.
pub(super) static END_LEASES: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
for _, id in ipairs(call('ZRANGE', base .. ':stage:1', 0, -1)) do
    local found = call('HMGET', job_of(id), 'kind', 'member', 'lease')
    if found[1] then
        local due = base .. ':due:' .. found[1]
        local at = tonumber(call('ZSCORE', due, found[2]) or '0')
        if at > present + 2 * tonumber(found[3]) then call('ZADD', due, text(present), found[2]) end
    end
end
return 0
"])
});

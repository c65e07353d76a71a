//! The tables, and each step as one statement.
//!
//! Names of tables are checked settings; everything else is a parameter. Times of sessions are milliseconds and come
//! from the caller; leases are measured on the server's clock, of which there is one. A lock that is given back keeps
//! its row, with the time of that moment: waiters have put their names in it.

/// How many sessions a sweep removes at a time.
pub(super) const BATCH: u64 = 500;

/// Makes the tables. Locks are not written to the server's log: after a crash of the server no lock is left, and a
/// request that believes to hold one cannot commit.
pub(super) fn tables(table: &str) -> String {
    let name = table.rsplit('.').next().unwrap_or(table);
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (
    key         text PRIMARY KEY,
    version     bigint NOT NULL,
    ends        bigint NOT NULL,
    cookie_sent bigint NOT NULL,
    content     bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_ends ON {table} (ends);
CREATE UNLOGGED TABLE IF NOT EXISTS {table}_lock (
    key          text PRIMARY KEY,
    fence        bigint NOT NULL,
    until        timestamptz NOT NULL,
    waited_until timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE TABLE IF NOT EXISTS {table}_unreadable (
    key     text,
    ends    bigint,
    content bytea
);
"
    )
}

/// Each step, for one table.
pub(super) struct Statements {
    pub(super) load: String,
    pub(super) commit: String,
    pub(super) commit_new: String,
    pub(super) touch: String,
    pub(super) delete: String,
    pub(super) sweep: String,
    pub(super) sweep_aside: String,
    pub(super) sweep_locks: String,
    pub(super) count: String,
    pub(super) put_aside: String,
    pub(super) lock: String,
    pub(super) watch: String,
    pub(super) renew: String,
    pub(super) unlock: String,
}

impl Statements {
    pub(super) fn of(table: &str) -> Self {
        // `$1` key, `$2` version, `$3` ends, `$4` cookie sent, `$5` now, `$6` content, `$7` fence, `$8` unlock, `$9`
        // channel. The row of the lock is held for the length of the statement, so that no other request can take it
        // over in between.
        let held = format!(
            "WITH held AS (
                SELECT 1 FROM {table}_lock WHERE key = $1 AND fence = $7 AND until > clock_timestamp() FOR UPDATE
            )"
        );
        let given_back = format!(
            "given AS (
                UPDATE {table}_lock SET until = clock_timestamp()
                WHERE key = $1 AND fence = $7 AND $8::boolean AND EXISTS (SELECT 1 FROM kept)
                RETURNING waited_until > clock_timestamp() AS is_waited_for
            )
            SELECT $7::bigint IS NULL OR EXISTS (SELECT 1 FROM held), EXISTS (SELECT 1 FROM kept),
                (SELECT pg_notify($9::text, $1::text)::text FROM given WHERE is_waited_for)"
        );
        let may = "($7::bigint IS NULL OR EXISTS (SELECT 1 FROM held))";
        Self {
            load: format!("SELECT version, ends, cookie_sent, content FROM {table} WHERE key = $1"),
            commit: format!(
                "{held}, kept AS (
                    UPDATE {table} SET version = $2, ends = $3, cookie_sent = CASE WHEN $4::boolean THEN $5::bigint ELSE cookie_sent END, content = $6
                    WHERE key = $1 AND version = $10 AND ends > $5 AND {may} RETURNING 1
                ), {given_back}"
            ),
            commit_new: format!(
                "{held}, kept AS (
                    INSERT INTO {table} AS old (key, version, ends, cookie_sent, content)
                    SELECT $1::text, $2::bigint, $3::bigint, $5::bigint, $6::bytea WHERE {may} AND $4::boolean IS NOT NULL
                    ON CONFLICT (key) DO UPDATE SET version = $2, ends = $3, cookie_sent = $5, content = $6 WHERE old.ends <= $5 RETURNING 1
                ), {given_back}"
            ),
            touch: format!(
                "UPDATE {table} SET ends = $2, cookie_sent = CASE WHEN $3::boolean THEN $4::bigint ELSE cookie_sent END
                WHERE key = $1 AND ends > $4 AND ($3 OR ends < $5)"
            ),
            delete: format!("DELETE FROM {table} WHERE key = $1"),
            sweep: format!("DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE ends <= $1 LIMIT {BATCH})"),
            sweep_aside: format!("DELETE FROM {table}_unreadable WHERE ends <= $1 - 2592000000"),
            sweep_locks: format!("DELETE FROM {table}_lock WHERE until < clock_timestamp() - interval '1 hour'"),
            count: format!("SELECT count(*) FROM {table}"),
            put_aside: format!(
                "WITH gone AS (DELETE FROM {table} WHERE key = $1 AND version = $2 RETURNING key, ends, content)
                INSERT INTO {table}_unreadable SELECT key, ends, content FROM gone"
            ),
            lock: format!(
                "INSERT INTO {table}_lock AS old (key, fence, until)
                VALUES ($1, $2, clock_timestamp() + $3::bigint * interval '1 millisecond')
                ON CONFLICT (key) DO UPDATE SET fence = excluded.fence, until = excluded.until WHERE old.until <= clock_timestamp()"
            ),
            watch: format!(
                "INSERT INTO {table}_lock AS old (key, fence, until, waited_until)
                VALUES ($1, 0, clock_timestamp(), clock_timestamp() + interval '10 minutes')
                ON CONFLICT (key) DO UPDATE SET waited_until = excluded.waited_until
                RETURNING (extract(epoch FROM until - clock_timestamp()) * 1000)::bigint"
            ),
            renew: format!(
                "UPDATE {table}_lock SET until = clock_timestamp() + $3::bigint * interval '1 millisecond'
                WHERE key = $1 AND fence = $2 AND until > clock_timestamp()"
            ),
            unlock: format!(
                "WITH given AS (
                    UPDATE {table}_lock SET until = clock_timestamp() WHERE key = $1 AND fence = $2 AND until > clock_timestamp()
                    RETURNING waited_until > clock_timestamp() AS is_waited_for
                )
                SELECT pg_notify($3::text, $1::text)::text FROM given WHERE is_waited_for"
            ),
        }
    }
}

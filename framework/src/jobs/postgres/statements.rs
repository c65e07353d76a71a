//! The tables and functions, and each step as one statement.
//!
//! Names of tables are checked settings; everything else is a parameter. All times are those of the server's clock.
//! Two steps are functions in the database. `…_enqueue` is for applications as well, within transactions of their own
//! and by any client. `…_claim` needs several statements that belong together.

use crate::jobs::memory::LEASE_ENDED;
use crate::jobs::queue::CLOCK_SET_BACK;

/// How many jobs a sweep removes at a time.
pub(super) const BATCH: u64 = 500;

/// The version of the tables and functions. It is in their names: a later one stands beside them while the processes
/// of a deployment are exchanged.
const VERSION: &str = "v1";

/// How all names begin, for the setting `table`.
pub(super) fn base(table: &str) -> String {
    format!("{table}_{VERSION}")
}

/// The channel of the messages, for the setting `table`.
pub(super) fn channel(table: &str) -> String {
    base(table).replace('.', "_")
}

/// Makes the tables and functions. Sent at once, it is one transaction, and one process after another makes it: `IF NOT
/// EXISTS` alone is an error for one of two that come together. And for an index it waits until all transactions have
/// ended that have enqueued a job, and holds up all others meanwhile; so it is not asked where the table is there.
pub(super) fn tables(table: &str) -> String {
    let (base, channel) = (base(table), channel(table));
    let name = base.rsplit('.').next().unwrap_or(&base);
    let [before, after] = LEASE_ENDED;
    format!(
        "SELECT pg_advisory_xact_lock(hashtext('kirsch {channel}'));
DO $made$ BEGIN IF to_regclass('{base}') IS NULL THEN
    CREATE TABLE {base} (
        number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id       bigint NOT NULL UNIQUE,
        kind     text NOT NULL,
        payload  text NOT NULL,
        key      text,
        stage    smallint NOT NULL DEFAULT 0,
        due      timestamptz NOT NULL,
        enqueued timestamptz NOT NULL,
        attempt  integer NOT NULL DEFAULT 0,
        attempts integer NOT NULL,
        lease    bigint NOT NULL DEFAULT 0,
        claim    bigint NOT NULL DEFAULT 0,
        progress real NOT NULL DEFAULT 0,
        cancel   boolean NOT NULL DEFAULT false,
        result   text,
        error    text
    );
    CREATE INDEX {name}_due ON {base} (kind, due, number) WHERE stage < 2;
    CREATE INDEX {name}_next ON {base} (due) WHERE stage < 2;
    CREATE INDEX {name}_ended ON {base} (stage, due) WHERE stage >= 2;
    CREATE INDEX {name}_listed ON {base} (stage, number);
    CREATE UNIQUE INDEX {name}_key ON {base} (kind, key) WHERE key IS NOT NULL AND stage < 2;
    CREATE TABLE {base}_turn (
        entry    text PRIMARY KEY,
        minute   bigint NOT NULL
    );
END IF; END $made$;

-- Enqueues a job: the number of the one that waits or runs then; NULL if its turn of the timetable was served.
CREATE OR REPLACE FUNCTION {base}_enqueue(
    job_kind text,
    job_payload text,
    job_delay interval DEFAULT interval '0',
    job_key text DEFAULT NULL,
    job_attempts integer DEFAULT 5,
    job_id bigint DEFAULT NULL,
    job_entry text DEFAULT NULL,
    job_minute bigint DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    present timestamptz := clock_timestamp();
    found_id bigint;
BEGIN
    IF job_id IS NULL THEN
        -- 63 of the random bits of a number that PostgreSQL 13 and above can draw.
        job_id := ('x' || translate(substr(gen_random_uuid()::text, 1, 13), '-', '') || right(gen_random_uuid()::text, 4))::bit(64)::bigint
            & 9223372036854775807;
    END IF;
    IF job_entry IS NOT NULL THEN
        INSERT INTO {base}_turn AS old (entry, minute) VALUES (job_entry, job_minute)
        ON CONFLICT (entry) DO UPDATE SET minute = excluded.minute
        WHERE old.minute < excluded.minute OR old.minute > extract(epoch FROM present) / 60 + {CLOCK_SET_BACK};
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    -- The job that has the key may end between the two statements, and another one may come.
    FOR tries IN 1..100 LOOP
        INSERT INTO {base} (id, kind, payload, key, due, enqueued, attempts)
        VALUES (job_id, job_kind, job_payload, job_key, present + job_delay, present, greatest(job_attempts, 1))
        ON CONFLICT (kind, key) WHERE key IS NOT NULL AND stage < 2 DO NOTHING;
        IF FOUND THEN
            PERFORM pg_notify('{channel}', greatest(ceil(extract(epoch FROM job_delay) * 1000), 0)::bigint::text);
            RETURN job_id;
        END IF;
        SELECT id INTO found_id FROM {base} WHERE kind = job_kind AND key = job_key AND stage < 2;
        IF FOUND THEN
            RETURN found_id;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'jobs with the key % come and go too quickly', job_key;
END $$;

-- Claims the oldest job that is due, of the first of these kinds that has one.
CREATE OR REPLACE FUNCTION {base}_claim(job_kinds text[], job_lease bigint, job_claim bigint)
RETURNS SETOF {base} LANGUAGE plpgsql AS $$
DECLARE
    present timestamptz := clock_timestamp();
    job_kind text;
    job {base}%ROWTYPE;
BEGIN
    FOREACH job_kind IN ARRAY job_kinds LOOP
        LOOP
            -- A row that another process is at is passed over: nobody waits.
            SELECT * INTO job FROM {base} WHERE kind = job_kind AND stage < 2 AND due <= present
            ORDER BY due, number LIMIT 1 FOR UPDATE SKIP LOCKED;
            EXIT WHEN NOT FOUND;
            IF job.stage = 1 AND (job.cancel OR job.attempt >= job.attempts) THEN
                UPDATE {base} SET stage = CASE WHEN job.cancel THEN 4 ELSE 3 END, due = present,
                    error = CASE WHEN job.cancel THEN error ELSE '{before}' || job.attempt || '{after}' END
                WHERE number = job.number;
            ELSE
                RETURN QUERY UPDATE {base} SET stage = 1, attempt = job.attempt + 1, lease = job_lease, claim = job_claim,
                    due = present + job_lease * interval '1 millisecond'
                WHERE number = job.number RETURNING *;
                RETURN;
            END IF;
        END LOOP;
    END LOOP;
END $$;
"
    )
}

/// Each step, for one table.
pub(super) struct Statements {
    pub(super) enqueue: String,
    pub(super) claim: String,
    pub(super) give_back: String,
    pub(super) renew: String,
    pub(super) finish: String,
    pub(super) cancel: String,
    pub(super) revive: String,
    pub(super) status: String,
    pub(super) list: String,
    pub(super) counts: String,
    pub(super) waiting: String,
    pub(super) next_due: String,
    pub(super) last_turn: String,
    pub(super) sweep: String,
    pub(super) end_leases: String,
    pub(super) correct_times: String,
}

impl Statements {
    pub(super) fn of(table: &str) -> Self {
        let (base, channel) = (base(table), channel(table));
        let columns = "id, kind, stage, attempt, progress, result, error, \
                       (extract(epoch FROM clock_timestamp() - enqueued) * 1000)::bigint";
        let told = format!("pg_notify('{channel}', '0')::text");
        Self {
            enqueue: format!("SELECT {base}_enqueue($1, $2, $3::bigint * interval '1 millisecond', $4, $5, $6, $7, $8)"),
            claim: format!("SELECT id, kind, payload, attempt, attempts FROM {base}_claim($1, $2, $3)"),
            // Claims whose answers were lost: nobody is at these jobs.
            give_back: format!(
                "UPDATE {base} SET stage = 0, due = clock_timestamp(), attempts = attempts + 1
                WHERE stage = 1 AND stage < 2 AND claim = ANY ($1)"
            ),
            renew: format!(
                "UPDATE {base} SET due = clock_timestamp() + $3::bigint * interval '1 millisecond', lease = $3, progress = $4
                WHERE id = $1 AND attempt = $2 AND stage = 1 RETURNING cancel"
            ),
            // A cancelled job is not queued again.
            finish: format!(
                "WITH ended AS (
                    UPDATE {base} SET stage = CASE WHEN $3::smallint = 0 AND cancel THEN 4 ELSE $3::smallint END,
                        due = clock_timestamp()
                            + CASE WHEN $3 = 0 AND cancel THEN 0 ELSE $4::bigint END * interval '1 millisecond',
                        result = $5, error = $6, attempts = attempts + $7, progress = CASE WHEN $3 = 2 THEN 1 ELSE progress END
                    WHERE id = $1 AND attempt = $2 AND stage = 1 RETURNING stage
                )
                SELECT CASE WHEN stage = 0 AND $4 = 0 THEN {told} END FROM ended"
            ),
            cancel: format!(
                "UPDATE {base} SET cancel = true, due = CASE WHEN stage = 0 THEN clock_timestamp() ELSE due END,
                    stage = CASE WHEN stage = 0 THEN 4 ELSE 1 END
                WHERE id = $1 AND stage < 2"
            ),
            revive: format!(
                "WITH other AS (
                    SELECT other.id FROM {base} AS own JOIN {base} AS other USING (kind, key)
                    WHERE own.id = $1 AND own.stage = 3 AND other.stage < 2
                ), revived AS (
                    UPDATE {base} SET stage = 0, due = clock_timestamp(), attempts = attempts + greatest(attempt, 1)
                    WHERE id = $1 AND stage = 3 AND NOT EXISTS (SELECT 1 FROM other) RETURNING 1
                )
                SELECT (SELECT id FROM other), EXISTS (SELECT 1 FROM revived), (SELECT {told} FROM revived)"
            ),
            status: format!("SELECT {columns} FROM {base} WHERE id = $1"),
            list: format!("SELECT {columns} FROM {base} WHERE stage = $1 ORDER BY number DESC LIMIT $2"),
            counts: format!("SELECT stage, count(*) FROM {base} GROUP BY stage"),
            waiting: format!("SELECT count(*) FROM {base} WHERE stage < 2"),
            next_due: format!(
                "SELECT ceil(extract(epoch FROM min(due) - clock_timestamp()) * 1000)::bigint FROM {base} WHERE stage < 2"
            ),
            last_turn: format!("SELECT minute FROM {base}_turn WHERE entry = $1"),
            sweep: format!(
                "DELETE FROM {base} WHERE number IN (
                    SELECT number FROM {base} WHERE stage = $1 AND stage >= 2
                        AND due <= (SELECT clock_timestamp() - $2::bigint * interval '1 millisecond') LIMIT {BATCH}
                )"
            ),
            // No lease can end so late, unless the clock was set back since it was given.
            end_leases: format!(
                "UPDATE {base} SET due = clock_timestamp()
                WHERE stage = 1 AND stage < 2 AND due > clock_timestamp() + 2 * lease * interval '1 millisecond'"
            ),
            // Nor is a job enqueued in the future. Its delay counts from now.
            correct_times: format!(
                "UPDATE {base} SET due = due - (enqueued - clock_timestamp()), enqueued = clock_timestamp()
                WHERE stage = 0 AND stage < 2 AND enqueued > clock_timestamp() + interval '1 second'"
            ),
        }
    }
}

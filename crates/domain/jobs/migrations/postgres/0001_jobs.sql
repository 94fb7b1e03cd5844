-- The history of jobs: one row per job. Times are milliseconds since 1970, JSON is text.
-- job_id is a UUIDv7 as text in byte order, so the primary key sorts by the time of creation.
CREATE TABLE jobs (
    job_id         TEXT COLLATE "C" PRIMARY KEY,
    tool           TEXT    NOT NULL,
    params         TEXT    NOT NULL,
    queue          TEXT    NOT NULL,
    user_id        TEXT,
    project_id     TEXT,
    correlation_id TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL,
    run            BIGINT  NOT NULL,
    phase          INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    percent        DOUBLE PRECISION NOT NULL,
    message        TEXT,
    started_at     BIGINT,
    finished_at    BIGINT,
    worker_id      TEXT,
    outputs        TEXT    NOT NULL,
    exit_code      INTEGER,
    error          TEXT
);
CREATE INDEX jobs_by_tool ON jobs (tool, job_id);
CREATE INDEX jobs_by_user ON jobs (user_id, job_id) WHERE user_id IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state, job_id);

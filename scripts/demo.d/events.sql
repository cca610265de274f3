-- The table of events that a shop already has, with five experiments in it.
--
-- Every random number is a hash of (what for, who, which event), so the table is the same on every machine and in
-- every order of execution. What makes the events look real: a few users are behind most of them (Lomax), a user's
-- connection is slow on all of his pages (log-normal, with a part per user and a part per event), few users buy
-- anything, and what they spend is heavy-tailed.

CREATE TABLE experiment_events (
    event_id      bigint GENERATED ALWAYS AS IDENTITY,
    experiment_id text NOT NULL,
    user_id       bigint NOT NULL,
    variant       text NOT NULL,
    occurred_at   timestamptz NOT NULL,
    page_load_ms  double precision,
    crashed       boolean NOT NULL,
    revenue       numeric(10,2) NOT NULL,
    converted     boolean NOT NULL
);

-- uniform in (0,1), and standard normal (Box and Muller 1958), by hash
CREATE FUNCTION demo_uniform(purpose int, a bigint, b bigint DEFAULT 0) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((hashint8extended(a * 1000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;

CREATE FUNCTION demo_normal(purpose int, a bigint, b bigint DEFAULT 0) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sqrt(-2 * ln(demo_uniform(purpose, a, b))) * cos(2 * pi() * demo_uniform(purpose + 1, a, b));

-- What each arm is like. slow_share of the loads wait slow_ms more; buyers is the share of users who buy.
CREATE TABLE demo_arm (
    experiment_id text, first_user bigint, users int, share_from float8, share_to float8, variant text,
    speed float8, slow_share float8, slow_ms float8, crash float8, buyers float8, basket float8
);
INSERT INTO demo_arm VALUES
    -- the redesign is quicker for most, sells more, and waits for a third party on one load in fourteen
    ('checkout_redesign_2026q2',    0, 24000, 0.00, 0.50, 'control',   1.00, 0.00,    0, 0.0050, 0.095, 30),
    ('checkout_redesign_2026q2',    0, 24000, 0.50, 1.00, 'treatment', 0.97, 0.07, 1600, 0.0050, 0.115, 30),
    -- the new ranking sells more and costs nothing
    ('search_ranking_2026q2',  100000, 24000, 0.00, 0.50, 'control',   1.00, 0.00,    0, 0.0050, 0.100, 30),
    ('search_ranking_2026q2',  100000, 24000, 0.50, 1.00, 'treatment', 0.99, 0.00,    0, 0.0050, 0.120, 30),
    -- the banner brings more and smaller orders, in a test too small to tell what that does to revenue
    ('loyalty_banner_2026q2',  200000,  7000, 0.00, 0.50, 'control',   1.00, 0.00,    0, 0.0050, 0.090, 30),
    ('loyalty_banner_2026q2',  200000,  7000, 0.50, 1.00, 'treatment', 1.00, 0.00,    0, 0.0050, 0.135, 19),
    -- a bot filter drops users of one arm only: planned half and half, seen 52 to 48
    ('signup_form_2026q2',     300000, 20000, 0.00, 0.52, 'control',   1.00, 0.00,    0, 0.0050, 0.100, 30),
    ('signup_form_2026q2',     300000, 20000, 0.52, 1.00, 'treatment', 1.00, 0.00,    0, 0.0050, 0.120, 30),
    -- one user in twenty gets the new app, which sells twice as much and crashes ten times as often
    ('app_canary_2026q2',      400000,  6000, 0.00, 0.95, 'control',   1.00, 0.00,    0, 0.0050, 0.095, 30),
    ('app_canary_2026q2',      400000,  6000, 0.95, 1.00, 'treatment', 1.00, 0.00,    0, 0.0500, 0.190, 30);

INSERT INTO experiment_events
       (experiment_id, user_id, variant, occurred_at, page_load_ms, crashed, revenue, converted)
SELECT experiment_id, user_id, variant,
       timestamptz '2026-04-01 00:00+00' + 30 * interval '1 day' * demo_uniform(1, user_id, n),
       round((speed * exp(6.9 + 0.35 * user_slowness + 0.5 * demo_normal(2, user_id, n))
              + CASE WHEN demo_uniform(4, user_id, n) < slow_share THEN slow_ms ELSE 0 END)::numeric, 1),
       demo_uniform(5, user_id, n) < crash,
       CASE WHEN buys THEN round((basket * exp(0.8 * demo_normal(6, user_id, n)))::numeric, 2) ELSE 0 END,
       buys
FROM (
    SELECT a.*, u.*, n,
           demo_uniform(8, user_id) < buyers AND (n = 1 OR demo_uniform(9, user_id, n) < 0.1) AS buys
    FROM (
        SELECT e.experiment_id AS of_experiment, user_id,
               demo_uniform(10, user_id) AS draw,
               demo_normal(11, user_id) AS user_slowness,
               least(300, 1 + floor(8.5 * (demo_uniform(13, user_id) ^ (-1 / 2.2) - 1)))::int AS events
        FROM (SELECT DISTINCT experiment_id, first_user, users FROM demo_arm) e,
             generate_series(first_user + 1, first_user + users) AS user_id
    ) u
    JOIN demo_arm a ON a.experiment_id = of_experiment AND draw >= share_from AND draw < share_to,
    generate_series(1, events) AS n
) AS one_event
ORDER BY 4;

VACUUM ANALYZE experiment_events;

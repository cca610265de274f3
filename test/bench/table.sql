-- A table of events, :table, whose unit column is of the type :unit.
CREATE TABLE :table (
    experiment_id text NOT NULL,
    user_id :unit NOT NULL,
    variant text NOT NULL,
    occurred_at timestamptz NOT NULL,
    page_load_ms double precision,
    crashed boolean NOT NULL,
    revenue numeric(10,2) NOT NULL
);

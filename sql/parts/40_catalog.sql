
-- ---- the catalog --------------------------------------------------------

CREATE FUNCTION guardrail_experiment_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_experiment_check() IS 'refuses bad rows of guardrail_experiment';
CREATE FUNCTION guardrail_rule_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_rule_check() IS 'refuses bad rows of guardrail_rule';
CREATE FUNCTION guardrail_append_only() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_append_only() IS 'refuses changes of a log';

CREATE TABLE guardrail_experiment (
  experiment_id text PRIMARY KEY,
  events regclass NOT NULL,
  experiment_column name DEFAULT 'experiment_id',
  unit_column name NOT NULL DEFAULT 'user_id',
  variant_column name NOT NULL DEFAULT 'variant',
  time_column name,
  cursor_column name,
  exposures regclass,
  exposed_at_column name NOT NULL DEFAULT 'exposed_at',
  control text NOT NULL DEFAULT 'control',
  shares jsonb,
  starts_at timestamptz,
  ends_at timestamptz CHECK (ends_at > starts_at),
  planned_units bigint CHECK (planned_units > 0),
  monitoring text,
  spending text NOT NULL DEFAULT 'power',
  spending_phi double precision NOT NULL DEFAULT 1,
  correction text NOT NULL DEFAULT 'holm',
  srm_alpha double precision NOT NULL DEFAULT 0.001,
  max_crossover double precision NOT NULL DEFAULT 0.01,
  min_units bigint NOT NULL DEFAULT 100 CHECK (min_units >= 2),
  owner regrole NOT NULL DEFAULT current_user::regrole,
  state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'stopped')),
  launched_at timestamptz,
  stopped_at timestamptz,
  plan_version integer,
  plan_hash text,
  description text,
  parameter jsonb,
  segments text[]
);
COMMENT ON TABLE guardrail_experiment IS 'where the events of an experiment are, and how it is decided; one row per experiment';
COMMENT ON COLUMN guardrail_experiment.experiment_id IS 'as it stands in the events';
COMMENT ON COLUMN guardrail_experiment.events IS 'table, partitioned table, view, materialized or foreign table with one row per event';
COMMENT ON COLUMN guardrail_experiment.experiment_column IS 'column with the experiment_id; NULL: every row belongs to this experiment';
COMMENT ON COLUMN guardrail_experiment.unit_column IS 'the unit of randomisation, of any hashable type';
COMMENT ON COLUMN guardrail_experiment.variant_column IS 'the arm: text, enum, integer or boolean';
COMMENT ON COLUMN guardrail_experiment.time_column IS 'time of the event; starts_at, ends_at, exposures and windows need it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS 'an ever-growing column (identity, or time of arrival): checks read only the events after the last check';
COMMENT ON COLUMN guardrail_experiment.exposures IS 'assignment table with the same unit, variant and experiment columns: its units count even without events; NULL: a unit''s first event is its exposure';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS 'time of the exposure, in exposures; the first counts, and only events at or after it';
COMMENT ON COLUMN guardrail_experiment.control IS 'the reference arm';
COMMENT ON COLUMN guardrail_experiment.shares IS 'planned traffic, such as {"control": 1, "treatment": 1}; NULL: the arms seen, in equal shares';
COMMENT ON COLUMN guardrail_experiment.starts_at IS 'only events at or after it count';
COMMENT ON COLUMN guardrail_experiment.ends_at IS 'only events before it count; the test is over when it has passed';
COMMENT ON COLUMN guardrail_experiment.planned_units IS 'units over all arms that the test was planned for';
COMMENT ON COLUMN guardrail_experiment.monitoring IS 'always_valid, group_sequential or fixed; NULL is settled at launch: group_sequential when planned_units is given, else always_valid';
COMMENT ON COLUMN guardrail_experiment.spending IS 'spending function of the breach tests under group_sequential: power, pocock, obrien_fleming';
COMMENT ON COLUMN guardrail_experiment.spending_phi IS 'exponent of spending power';
COMMENT ON COLUMN guardrail_experiment.correction IS 'over the breach tests of blocking guardrails and arms: none, bonferroni, holm, hochberg';
COMMENT ON COLUMN guardrail_experiment.srm_alpha IS 'level of the alarm for a sample ratio mismatch';
COMMENT ON COLUMN guardrail_experiment.max_crossover IS 'share of units seen in two arms above which the test is INVALID';
COMMENT ON COLUMN guardrail_experiment.min_units IS 'units per arm below which nothing is decided';
COMMENT ON COLUMN guardrail_experiment.owner IS 'whose rights the event query runs with';
COMMENT ON COLUMN guardrail_experiment.parameter IS 'arms that are settings of one number, such as {"control": 0, "low": 0.5, "high": 1}; guardrail_optimize() needs three';
COMMENT ON COLUMN guardrail_experiment.segments IS 'SQL expressions over one event, constant per unit, such as {device,country}: every guardrail is also judged for each of their values';
COMMENT ON COLUMN guardrail_experiment.state IS 'draft, running or stopped; changed by functions only';

CREATE TABLE guardrail_rule (
  experiment_id text NOT NULL REFERENCES guardrail_experiment ON UPDATE CASCADE ON DELETE CASCADE,
  metric text NOT NULL,
  role text NOT NULL,
  north_star boolean NOT NULL DEFAULT false,
  severity text NOT NULL DEFAULT 'block',
  kind text NOT NULL,
  value text,
  denominator text,
  filter text,
  unit_aggregate text NOT NULL DEFAULT 'sum',
  quantile double precision,
  quantile_over text NOT NULL DEFAULT 'events',
  at_least double precision,
  retention_day integer,
  window_length interval,
  covariate text,
  cap_quantile double precision,
  cap_value double precision,
  worse text NOT NULL,
  limit_kind text NOT NULL,
  limit_value double precision,
  evidence text NOT NULL DEFAULT 'breach',
  alpha double precision NOT NULL,
  display_unit text CHECK (length(display_unit) <= 20),
  note text,
  retention_time_zone text,
  segment_veto boolean,
  PRIMARY KEY (experiment_id, metric)
);
CREATE UNIQUE INDEX guardrail_rule_north_star ON guardrail_rule (experiment_id) WHERE north_star;
COMMENT ON TABLE guardrail_rule IS 'what is measured in an experiment, and what must not break; one row per metric';
COMMENT ON COLUMN guardrail_rule.metric IS 'short name, shown in verdicts';
COMMENT ON COLUMN guardrail_rule.role IS 'primary (exactly one at launch), secondary (never vetoes) or guardrail';
COMMENT ON COLUMN guardrail_rule.north_star IS 'marks the product''s North Star; at most one per experiment';
COMMENT ON COLUMN guardrail_rule.severity IS 'of a guardrail: block vetoes, hold prevents SHIP, warn is shown only';
COMMENT ON COLUMN guardrail_rule.kind IS 'mean per unit, proportion of units, ratio of sums, quantile, retention, distinct values per unit, entropy per unit';
COMMENT ON COLUMN guardrail_rule.value IS 'SQL expression over one event: a number or a boolean, which counts as 0 or 1; of distinct and entropy a category of any type; of retention NULL: any event is activity';
COMMENT ON COLUMN guardrail_rule.denominator IS 'of a ratio; NULL: the number of events whose value is not null';
COMMENT ON COLUMN guardrail_rule.filter IS 'boolean SQL expression: which events count';
COMMENT ON COLUMN guardrail_rule.unit_aggregate IS 'how a mean folds the events of a unit: sum, count, max, min, avg';
COMMENT ON COLUMN guardrail_rule.quantile IS '0.95 for p95';
COMMENT ON COLUMN guardrail_rule.quantile_over IS 'events (clustered by unit) or units';
COMMENT ON COLUMN guardrail_rule.at_least IS 'of a proportion: a unit counts when its summed value reaches this';
COMMENT ON COLUMN guardrail_rule.retention_day IS 'of retention: active on this day after exposure; only units whose day has wholly passed count';
COMMENT ON COLUMN guardrail_rule.retention_time_zone IS 'of retention: days of the calendar in this time zone; NULL: of 24 hours from the exposure on';
COMMENT ON COLUMN guardrail_rule.window_length IS 'only events this long after exposure count, and only units whose window has closed';
COMMENT ON COLUMN guardrail_rule.covariate IS 'SQL expression: a value per unit from before the experiment, constant over its events (CUPED)';
COMMENT ON COLUMN guardrail_rule.cap_quantile IS 'winsorise the unit totals at this quantile, pooled over all arms';
COMMENT ON COLUMN guardrail_rule.cap_value IS 'winsorise the unit totals at this value';
COMMENT ON COLUMN guardrail_rule.worse IS 'higher or lower: the direction of harm';
COMMENT ON COLUMN guardrail_rule.limit_kind IS 'absolute (the treatment''s own value), difference, relative (0.05 is 5 % of control), significance (no margin)';
COMMENT ON COLUMN guardrail_rule.limit_value IS 'in the metric''s unit; a size without sign for difference and relative; on the primary the improvement asked for';
COMMENT ON COLUMN guardrail_rule.evidence IS 'point: the estimate decides; breach: vetoes when harm beyond the limit is proven; safe: SHIP needs proof of no harm beyond it';
COMMENT ON COLUMN guardrail_rule.alpha IS 'one-sided for guardrails (default 0.10), two-sided for others (0.05)';
COMMENT ON COLUMN guardrail_rule.display_unit IS 'ms, EUR, ... in reasons; % shows a fraction in per cent and percentage points';
COMMENT ON COLUMN guardrail_rule.segment_veto IS 'true: an alarm in a segment BLOCKs as the guardrail itself does; NULL or false: it is shown only';

CREATE TRIGGER guardrail_experiment_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_experiment_check();
CREATE TRIGGER guardrail_rule_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_rule_check();

-- That a rule has its experiment is checked by the triggers above.  The constraint's own check would refuse a parallel
-- restore, which may load the rules before the experiments; its actions when an experiment goes stay on.
ALTER TABLE guardrail_rule DISABLE TRIGGER ALL;
ALTER TABLE guardrail_rule ENABLE TRIGGER USER;

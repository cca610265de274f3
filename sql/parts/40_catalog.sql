
-- ---- the catalog --------------------------------------------------------

CREATE FUNCTION _guardrail_experiment_check() RETURNS trigger AS 'MODULE_PATHNAME', 'guardrail_experiment_check' LANGUAGE C;
COMMENT ON FUNCTION _guardrail_experiment_check() IS 'trigger function: rejects invalid rows of guardrail_experiment';
CREATE FUNCTION _guardrail_rule_check() RETURNS trigger AS 'MODULE_PATHNAME', 'guardrail_rule_check' LANGUAGE C;
COMMENT ON FUNCTION _guardrail_rule_check() IS 'trigger function: rejects invalid rows of guardrail_rule';
CREATE FUNCTION _guardrail_append_only() RETURNS trigger AS 'MODULE_PATHNAME', 'guardrail_append_only' LANGUAGE C;
COMMENT ON FUNCTION _guardrail_append_only() IS 'trigger function: rejects changes to a log';

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
COMMENT ON TABLE guardrail_experiment IS 'experiments: where their events are, and how they are decided; one row per experiment';
COMMENT ON COLUMN guardrail_experiment.experiment_id IS 'identifier of the experiment, as written in the events';
COMMENT ON COLUMN guardrail_experiment.events IS 'table, partitioned table, view, materialized or foreign table with one row per event';
COMMENT ON COLUMN guardrail_experiment.experiment_column IS
  'column that holds the experiment_id; NULL: every row belongs to this experiment';
COMMENT ON COLUMN guardrail_experiment.unit_column IS 'column with the unit of randomisation, of any hashable type';
COMMENT ON COLUMN guardrail_experiment.variant_column IS 'column with the variant: text, enum, integer or boolean';
COMMENT ON COLUMN guardrail_experiment.time_column IS
  'column with the time of the event; starts_at, ends_at, exposures and windows need it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS
  'column whose values only grow (identity, or time of arrival): each check reads only the events after the last check';
COMMENT ON COLUMN guardrail_experiment.exposures IS
  'assignment table with the same unit, variant and experiment columns, whose units count even without events; NULL: the first event of a unit is its exposure';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS
  'column of exposures with the time of the exposure; the first exposure counts, and only events at or after it';
COMMENT ON COLUMN guardrail_experiment.control IS 'the reference variant';
COMMENT ON COLUMN guardrail_experiment.shares IS
  'planned traffic, such as {"control": 1, "treatment": 1}; NULL: the variants seen, in equal shares';
COMMENT ON COLUMN guardrail_experiment.starts_at IS 'only events at or after this time count';
COMMENT ON COLUMN guardrail_experiment.ends_at IS 'only events before this time count; the test is over once it has passed';
COMMENT ON COLUMN guardrail_experiment.planned_units IS 'planned number of units over all variants';
COMMENT ON COLUMN guardrail_experiment.monitoring IS
  'always_valid, group_sequential or fixed; guardrail_launch() replaces NULL by group_sequential if planned_units is given, else by always_valid';
COMMENT ON COLUMN guardrail_experiment.spending IS
  'spending function of the breach tests under group_sequential: power, pocock or obrien_fleming';
COMMENT ON COLUMN guardrail_experiment.spending_phi IS 'exponent of the spending function power';
COMMENT ON COLUMN guardrail_experiment.correction IS
  'correction of the breach tests of blocking guardrails over all variants: none, bonferroni, holm or hochberg';
COMMENT ON COLUMN guardrail_experiment.srm_alpha IS 'level of the alarm for a sample ratio mismatch (a p-value)';
COMMENT ON COLUMN guardrail_experiment.max_crossover IS
  'the test is INVALID if a larger share of units was seen in two variants (0.01 is 1 %)';
COMMENT ON COLUMN guardrail_experiment.min_units IS 'number of units per variant below which nothing is decided';
COMMENT ON COLUMN guardrail_experiment.owner IS 'role whose rights the event query runs with';
COMMENT ON COLUMN guardrail_experiment.parameter IS
  'number that each variant sets, such as {"control": 0, "low": 0.5, "high": 1}; guardrail_optimize() needs three variants';
COMMENT ON COLUMN guardrail_experiment.segments IS 'SQL expressions over one event, constant per unit, such as {device,country}: every guardrail is also judged for each of their values';
COMMENT ON COLUMN guardrail_experiment.state IS 'draft, running or stopped; only functions change it';
COMMENT ON COLUMN guardrail_experiment.launched_at IS 'time of the launch; NULL: it is a draft';
COMMENT ON COLUMN guardrail_experiment.stopped_at IS 'time when guardrail_stop() ended it; NULL: it was not stopped';
COMMENT ON COLUMN guardrail_experiment.plan_version IS 'version of the plan in force, from 1; NULL: it is a draft';
COMMENT ON COLUMN guardrail_experiment.plan_hash IS 'plan_hash of that version in guardrail_plan; NULL: it is a draft';
COMMENT ON COLUMN guardrail_experiment.description IS 'free text for the reader; guardrail does not use it';

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
COMMENT ON TABLE guardrail_rule IS 'metrics of the experiments and their limits; one row per metric';
COMMENT ON COLUMN guardrail_rule.experiment_id IS 'experiment that the rule belongs to';
COMMENT ON COLUMN guardrail_rule.metric IS 'short name of the metric, shown in verdicts';
COMMENT ON COLUMN guardrail_rule.role IS 'primary (exactly one at launch), secondary (never vetoes) or guardrail';
COMMENT ON COLUMN guardrail_rule.north_star IS 'marks the product''s North Star; at most one per experiment';
COMMENT ON COLUMN guardrail_rule.severity IS 'for guardrails: block vetoes, hold prevents SHIP, warn is shown only';
COMMENT ON COLUMN guardrail_rule.kind IS
  'mean per unit, proportion of units, ratio of sums, quantile, retention, distinct values per unit, or entropy per unit';
COMMENT ON COLUMN guardrail_rule.value IS
  'SQL expression over one event: a number, or a boolean, which counts as 0 or 1; for distinct and entropy a category of any hashable type; for retention NULL means that any event is activity';
COMMENT ON COLUMN guardrail_rule.denominator IS
  'for ratios: SQL expression over one event; NULL: the number of events whose value is not null';
COMMENT ON COLUMN guardrail_rule.filter IS 'boolean SQL expression that selects the events that count';
COMMENT ON COLUMN guardrail_rule.unit_aggregate IS 'how the events of a unit are combined for a mean: sum, count, max, min or avg';
COMMENT ON COLUMN guardrail_rule.quantile IS 'for quantiles: 0.95 is p95';
COMMENT ON COLUMN guardrail_rule.quantile_over IS 'events (clustered by unit) or units';
COMMENT ON COLUMN guardrail_rule.at_least IS 'for proportions: a unit counts if the sum of its values reaches this number';
COMMENT ON COLUMN guardrail_rule.retention_day IS
  'for retention: a unit counts as retained if it was active on this day after exposure; only units whose day has passed completely count';
COMMENT ON COLUMN guardrail_rule.retention_time_zone IS
  'for retention: days are calendar days in this time zone; NULL: days of 24 hours from the exposure on';
COMMENT ON COLUMN guardrail_rule.window_length IS
  'only events within this time after exposure count, and only units whose window has closed';
COMMENT ON COLUMN guardrail_rule.covariate IS 'SQL expression: a value per unit from before the experiment, constant over its events (CUPED)';
COMMENT ON COLUMN guardrail_rule.cap_quantile IS 'unit totals are winsorised at this quantile, pooled over all variants';
COMMENT ON COLUMN guardrail_rule.cap_value IS 'unit totals are winsorised at this value';
COMMENT ON COLUMN guardrail_rule.worse IS 'direction of harm: higher or lower';
COMMENT ON COLUMN guardrail_rule.limit_kind IS
  'absolute (the treatment''s own value), difference (treatment - control), relative (0.05 is 5 % of control) or significance (no margin)';
COMMENT ON COLUMN guardrail_rule.limit_value IS
  'limit in the metric''s unit; non-negative for difference and relative; for the primary metric the minimum improvement required';
COMMENT ON COLUMN guardrail_rule.evidence IS
  'point: the estimate decides; breach: the rule vetoes if harm beyond the limit is proven; safe: SHIP also needs proof that the harm is within the limit';
COMMENT ON COLUMN guardrail_rule.alpha IS 'level of the tests: one-sided for guardrails (default 0.10), two-sided for other roles (0.05)';
COMMENT ON COLUMN guardrail_rule.display_unit IS
  'unit shown in the reasons: ms, EUR, ...; % shows a fraction in per cent and percentage points';
COMMENT ON COLUMN guardrail_rule.segment_veto IS
  'true: an alarm in a segment BLOCKs like the guardrail itself; NULL or false: it is shown only';
COMMENT ON COLUMN guardrail_rule.note IS 'free text for the reader; guardrail does not use it';

CREATE TRIGGER guardrail_experiment_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION _guardrail_experiment_check();
CREATE TRIGGER guardrail_rule_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION _guardrail_rule_check();

-- That a rule has its experiment is checked by the triggers above.  The constraint's own check would refuse a parallel
-- restore, which may load the rules before the experiments; its actions when an experiment goes stay on.
ALTER TABLE guardrail_rule DISABLE TRIGGER ALL;
ALTER TABLE guardrail_rule ENABLE TRIGGER USER;

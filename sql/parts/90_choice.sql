
-- ---- several metrics, several arms --------------------------------------

CREATE FUNCTION guardrail_covariance(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
    other text,
    effect double precision,
    variance double precision,
    other_effect double precision,
    other_variance double precision,
    covariance double precision,
    correlation double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 20000 ROWS 20;
COMMENT ON FUNCTION guardrail_covariance(text) IS
  'returns the current joint covariance of the effects of every two metrics in each treatment variant; reason says why a pair has none';

CREATE FUNCTION guardrail_cannibalization(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    won text,
    won_effect double precision,
    won_se double precision,
    won_lower double precision,
    won_upper double precision,
    lost text,
    lost_effect double precision,
    lost_se double precision,
    lost_lower double precision,
    lost_upper double precision,
    correlation double precision,
    region text,
    radius double precision,
    alpha double precision,
    exchange_rate double precision,
    exchange_lower double precision,
    exchange_upper double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 20000 ROWS 5;
COMMENT ON FUNCTION guardrail_cannibalization(text) IS
  'returns each current pair of a metric that won and a metric that lost, with their joint region and the rate of exchange';

CREATE FUNCTION guardrail_choose(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    chosen boolean,
    feasible boolean,
    primary_metric text,
    primary_status text,
    primary_effect double precision,
    primary_lower double precision,
    primary_upper double precision,
    difference double precision,
    difference_lower double precision,
    difference_upper double precision,
    guardrail text,
    guardrail_effect double precision,
    guardrail_lower double precision,
    guardrail_upper double precision,
    guardrail_status text,
    frontier boolean,
    shadow_price double precision,
    shadow_lower double precision,
    shadow_upper double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_choose(text) IS
  'chooses, among the variants whose verdict is SHIP, the one with the largest gain, one whose guardrails are all SAFE before any other; returns one row per variant and guardrail, with the frontier and the cost of the guardrail';

CREATE FUNCTION guardrail_optimize(experiment text) RETURNS TABLE (
    experiment_id text,
    status text,
    setting double precision,
    primary_metric text,
    primary_value double precision,
    primary_lower double precision,
    primary_upper double precision,
    setting_lower double precision,
    setting_upper double precision,
    guardrail text,
    fit_p double precision,
    next_settings double precision[],
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 1;
COMMENT ON FUNCTION guardrail_optimize(text) IS
  'if the variants are settings of one number (guardrail_experiment.parameter): returns the setting that is best for the primary metric and proven to stay within the limits of every blocking guardrail';

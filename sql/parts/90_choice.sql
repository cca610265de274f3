
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
  'the joint covariance now of every two metrics'' effects in each treatment arm; reason: why a pair has none';

-- The events of :table with a number in the order of their arrival, as an experiment that is checked by stored slices.
DROP TABLE IF EXISTS :cursor;
CREATE TABLE :cursor (LIKE :table, arrived bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, shares, monitoring)
VALUES (:'cursor', :'cursor', NULL, 'arrived', '{"control": 1, "treatment": 1}', 'always_valid');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT :'cursor', metric, role, kind, value, quantile, worse, limit_kind, limit_value
  FROM guardrail_rule WHERE experiment_id = :'table' || ' 1';
SELECT guardrail_launch(:'cursor');
INSERT INTO :cursor SELECT * FROM :table;
VACUUM (FREEZE, ANALYZE) :cursor;
CALL guardrail_check(:'cursor');

# Bounds of a clustered p95 and of a clustered mean hold the true difference at their nominal level, and do not when
# events are taken for independent: 1,000 experiments of 2 x 200 users, events of a user alike.
#
# Expected: the log-normal distribution. Of exp(m + s z) the q-quantile is exp(m + s z_q), the mean exp(m + s^2 / 2);
# the treatment multiplies by 1.1. One-sided bounds at 90 % each, so 80 % between the two. Monte-Carlo tolerance
# 3.5 standard deviations of 1,000 (naive: 300) Bernoulli trials.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_wal_size = '4GB'\nshared_buffers = '256MB'\nwork_mem = '64MB'\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
SELECT setseed(0.7);
CREATE UNLOGGED TABLE ev AS
SELECT run, 'naive ' || run AS naive_run, user_id, row_number() OVER () AS event_id, variant,
       exp(6.5 + user_part + 0.4 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) * CASE variant WHEN 'treatment' THEN 1.1 ELSE 1 END AS ms
  FROM (SELECT run::text, run * 1000 + who AS user_id, CASE WHEN who <= 200 THEN 'control' ELSE 'treatment' END AS variant,
               0.5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS user_part, 1 + floor(-6 * ln(1 - random()))::int AS events
          FROM generate_series(1, 1000) run, generate_series(1, 400) who OFFSET 0) AS users, generate_series(1, least(events, 40));
CREATE INDEX ON ev (run);
ANALYZE ev;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, correction, monitoring) SELECT run, 'ev', 'run', 1, 'none', 'fixed' FROM generate_series(1, 1000) run;
-- every event a unit of its own: what a test that knows no users does
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, unit_column, planned_units, correction, monitoring) SELECT 'naive ' || run, 'ev', 'naive_run', 'event_id', 1, 'none', 'fixed' FROM generate_series(1, 300) run;
CREATE INDEX ON ev (naive_run);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT experiment_id, m.* FROM guardrail_experiment, (VALUES ('p95', 'guardrail', 'quantile', 'ms', 0.95, 'higher', 'difference', 100), ('mean', 'guardrail', 'ratio', 'ms', NULL, 'higher', 'difference', 100)) AS m;
CREATE TABLE covered AS
SELECT experiment_id LIKE 'naive%' AS naive, metric, effect_lower <= truth AS above_lower, effect_upper >= truth AS below_upper
  FROM guardrail_experiment x, LATERAL (SELECT metric, effect_lower, effect_upper, CASE metric WHEN 'p95' THEN 0.1 * exp(6.5 + 1.6448536269514722 * s) ELSE 0.1 * exp(6.5 + s * s / 2) END AS truth
          FROM guardrail_evaluate(x.experiment_id), (VALUES (sqrt(0.5 ^ 2 + 0.4 ^ 2))) AS v(s)) AS e;
});

sub share { return $node->safe_psql('postgres', "SELECT avg(($_[0])::int) FROM covered WHERE $_[1]") }
sub within
{
	my ($share, $level, $runs, $name) = @_;
	my $tolerance = 3.5 * sqrt($level * (1 - $level) / $runs);
	ok(abs($share - $level) <= $tolerance, sprintf('%s: %.3f of %.2f, +- %.3f', $name, $share, $level, $tolerance));
}
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE naive) FROM covered}), '2600|600', 'all runs have bounds');
for my $metric (qw(p95 mean))
{
	my $where = "metric = '$metric' AND NOT naive";
	within(share('above_lower', $where), 0.9, 1000, "$metric, lower bound");
	within(share('below_upper', $where), 0.9, 1000, "$metric, upper bound");
	within(share('above_lower AND below_upper', $where), 0.8, 1000, "$metric, between the bounds");
	my $naive = share('above_lower AND below_upper', "metric = '$metric' AND naive");
	cmp_ok($naive, '<', 0.8 - 3.5 * sqrt(0.8 * 0.2 / 300), sprintf '%s, events taken for independent do not: %.3f', $metric, $naive);
}

$node->stop;
done_testing();

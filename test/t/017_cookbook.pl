# The plans of doc/cookbook.md, end to end: of simulated experiments without harm no more are blocked than alpha allows,
# of harmful ones almost all are, and the better product ships. Five looks each, as guardrail_check() records them.
#
# Expected: blocks of harmless changes are at most binomial with the level of the family of breach tests, 0.10 (Holm);
# more than 8 of 20 would come up six times in 100,000 (scipy.stats.binom.sf(8, 20, 0.1) = 6.0e-5). Harms of the size in the
# text are far beyond their limits: fewer than 16 of 20 found would be rare at a power of 0.95
# (binom.cdf(15, 20, 0.95) = 2.6e-3). The seeds are fixed.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $runs = 20;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_parallel_workers_per_gather = 0\n");
$node->start;
# the tables, plans and made-up events of the text
$node->safe_psql('postgres', $_) for slurp_file('doc/cookbook.md') =~ /^```sql\n(.*?)^```$/msg;
my %blocked = split /[|\n]/, $node->safe_psql('postgres', q{SELECT experiment_id, verdict || ' ' || primary_status FROM guardrail_verdict});
is($blocked{$_}, 'BLOCK WON', "$_: the example of the text is blocked although its primary won") for qw(checkout prices ranking);

for my $case ([ 'checkout', 'visitors', 8000, 'slow' ], [ 'prices', 'subscribers', 8000, 'churn' ], [ 'ranking', 'readers', 4000, 'topics' ])
{
	my ($plan, $events, $units, $guardrail) = @$case;
	for my $harm (0, 1)
	{
		my $of = "$plan " . ($harm ? 'harmful' : 'harmless');
		my $step = $units / 5;
		$node->safe_psql('postgres', qq{
SET client_min_messages = error;
SELECT setseed(0.42);
SELECT guardrail_stop(experiment_id) FROM guardrail_experiment WHERE state = 'running';
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, planned_units, shares)
SELECT '$of ' || i, events, time_column, exposures, planned_units, shares FROM guardrail_experiment, generate_series(1, $runs) i WHERE experiment_id = '$plan';
INSERT INTO guardrail_rule (experiment_id, metric, role, severity, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, at_least, retention_day, window_length, cap_quantile, worse, limit_kind, limit_value, evidence, alpha, display_unit)
SELECT '$of ' || i, metric, role, severity, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, at_least, retention_day, window_length, cap_quantile, worse, limit_kind, limit_value, evidence, alpha, display_unit
  FROM guardrail_rule, generate_series(1, $runs) i WHERE experiment_id = '$plan';
SELECT guardrail_launch('$of ' || i) FROM generate_series(1, $runs) i;
}
			  . join '', map { my ($first, $last) = (1 + ($_ - 1) * $step, $_ * $step); qq{
SELECT guardrail_cookbook.$events('$of ' || i, $first, $last, @{[ $harm ? 'true' : 'false' ]}) FROM generate_series(1, $runs) i;
ANALYZE;
CALL guardrail_check();
} } 1 .. 5);
		my ($block, $named, $ship, $checks) = split /\|/, $node->safe_psql('postgres', qq{
SELECT count(*) FILTER (WHERE verdict = 'BLOCK'), count(*) FILTER (WHERE status ~ '^BLOCK:.*\\m$guardrail\\M'), count(*) FILTER (WHERE verdict = 'SHIP'),
       (SELECT count(*) FROM guardrail_check_log WHERE experiment_id LIKE '$of %' AND error IS NULL) FROM guardrail_verdict WHERE experiment_id LIKE '$of %'});
		note("$of: $block of $runs blocked ($named for $guardrail), $ship shipped");
		is($checks, 5 * $runs, "$of: every check worked");
		if ($harm)
		{
			cmp_ok($named, '>=', 16, "$of: blocked, and for $guardrail");
		}
		else
		{
			cmp_ok($block, '<=', 8, "$of: hardly ever blocked");
			cmp_ok($ship, '>', $runs / 2, "$of: ships more often than not");
		}
		$node->safe_psql('postgres', 'TRUNCATE guardrail_cookbook.shop_events, guardrail_cookbook.shown, guardrail_cookbook.billing, guardrail_cookbook.feed_events');
	}
}

$node->stop;
done_testing();

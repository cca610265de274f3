# Alerts: a change of an arm's verdict, and nothing else, notifies channel guardrail with a JSON payload.
#
# Expected: the documented keys, and the values of the log.

use strict;
use warnings;
use Encode;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8);
INSERT INTO ev (experiment_id, variant, x) SELECT e, v, 100 + i % 7 FROM unnest('{one,two}'::text[]) e, unnest('{control,a,b}'::text[]) v, generate_series(1, 300) i;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring) VALUES ('one', 'ev', 900, 'always_valid'), ('two', 'ev', 900, 'always_valid');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, display_unit)
SELECT e, m, r, 'mean', 'x', 'higher', 'difference', 5, 'µs "quoted"' FROM unnest('{one,two}'::text[]) e, (VALUES ('load', 'guardrail'), ('goal', 'primary')) AS v(m, r);
SELECT guardrail_launch('one'), guardrail_launch('two');
});

# the notifications that a session gets which listens while the statements are run
sub alerts
{
	my ($sql) = @_;
	# a check that failed ends in an error
	my (undef, $out) = $node->psql('postgres', "LISTEN guardrail;\n$sql", on_error_stop => 0);
	return map { decode_json($_) } $out =~ /^Asynchronous notification "guardrail" with payload "(.*)" received from/mg;
}
# what happened to whom, in order
sub changes { return join ', ', map { "$_->{experiment_id}/" . ($_->{variant} // 'null') . ' ' . ($_->{was} // 'null') . '>' . $_->{verdict} } @_ }

my @first = alerts('CALL guardrail_check();');
is(changes(@first), 'one/a null>HOLD, one/b null>HOLD, two/a null>HOLD, two/b null>HOLD', 'the first verdicts are news');
is(join(' ', sort keys %{ $first[0] }), 'check_id checked_at experiment_id reason status variant verdict was', 'the keys of the payload');
is(changes(alerts('CALL guardrail_check(); CALL guardrail_check();')), '', 'unchanged verdicts notify nobody');

$node->safe_psql('postgres', q{INSERT INTO ev (experiment_id, variant, x) SELECT 'one', 'b', 500 FROM generate_series(1, 30)});
my @block = alerts('CALL guardrail_check();');
is(changes(@block), 'one/b HOLD>BLOCK', 'one arm of one experiment changes');
my $logged = decode_json($node->safe_psql('postgres', q{SELECT json_build_object('check_id', check_id, 'checked_at', checked_at, 'status', status, 'reason', reason) FROM guardrail_verdict WHERE experiment_id = 'one' AND variant = 'b'}));
is_deeply({ map { $_ => $block[0]{$_} } qw(check_id checked_at status reason) }, $logged, 'the payload says what the log says');
is($block[0]{status}, 'BLOCK: load', 'its status');

is(changes(alerts("BEGIN; INSERT INTO ev (experiment_id, variant, x) SELECT 'two', 'a', 500 FROM generate_series(1, 30); CALL guardrail_check(); ROLLBACK;")), '', 'what is rolled back is not told');
is(changes(alerts("CALL guardrail_check('two');")), '', 'nor remembered');

# a check that fails, and one that works again
$node->safe_psql('postgres', 'ALTER TABLE ev RENAME x TO y');
is(changes(alerts('SET client_min_messages = error; CALL guardrail_check();')), '', 'a BLOCK stands over a check that fails');
$node->safe_psql('postgres', 'ALTER TABLE ev RENAME y TO x');
is(changes(alerts('CALL guardrail_check();')), '', 'and is no news when it works again');

# an arm that is new, and one that goes away
$node->safe_psql('postgres', q{INSERT INTO ev (experiment_id, variant, x) SELECT 'two', 'c', 100 + i % 7 FROM generate_series(1, 300) i});
is(changes(alerts('CALL guardrail_check();')), 'two/c null>HOLD', 'a new arm');
$node->safe_psql('postgres', q{DELETE FROM ev WHERE variant = 'c'});
is(changes(alerts('CALL guardrail_check();')), '', 'an arm that is gone is not spoken of');
$node->safe_psql('postgres', q{INSERT INTO ev (experiment_id, variant, x) SELECT 'two', 'c', 100 + i % 7 FROM generate_series(1, 300) i});
is(changes(alerts('CALL guardrail_check();')), '', 'and back with the same verdict neither');

# a payload has a limit, names have none
$node->safe_psql('postgres', q{
CREATE TABLE odd AS SELECT i AS user_id, CASE i % 4 WHEN 0 THEN 'control' WHEN 1 THEN repeat('ü"\\', 3000) WHEN 2 THEN repeat(E'\x01', 9000) ELSE 'last' END AS variant, i % 7 AS x FROM generate_series(1, 800) i;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring, shares)
SELECT repeat('x', 20000), 'odd', NULL, 1, 'fixed', jsonb_object_agg(variant, 1) FROM (SELECT DISTINCT variant FROM odd) AS planned;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT repeat('x', 20000), repeat(E'\x02', 95) || i, 'guardrail', 'mean', 'x', 'higher', 'absolute', 1 FROM generate_series(1, 60) i;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES (repeat('x', 20000), 'goal', 'primary', 'mean', 'x', 'higher', NULL);
SELECT guardrail_launch(repeat('x', 20000));
});
my @long = alerts('CALL guardrail_check();');
is(join(' ', map { $_->{verdict} } @long), 'BLOCK BLOCK BLOCK', 'long names and reasons are cut, and told');
is(join(' ', map { length($_->{experiment_id}) <= 1500 && $_->{experiment_id} =~ /^x+$/ ? 1 : 0 } @long), '1 1 1', 'at the same end');

$node->stop;
done_testing();

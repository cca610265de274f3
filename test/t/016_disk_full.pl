# A disk that is full: the logs in a tablespace on a file system of two megabytes that is filled up. The check fails, is
# recorded as failed where there is room for that, is reported as not recorded where there is none, and goes on by
# itself when there is room again.
#
# Expected: the system's own message for ENOSPC. The file system is a tmpfs in a user namespace that the server is
# started in; skipped where the system gives none to this user.

use strict;
use warnings;
use Guardrail;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $small = PostgreSQL::Test::Utils::tempdir_short() . '/small';
mkdir $small or die;
my @namespace = ('unshare', '--user', '--map-current-user', '--keep-caps', '--mount', '--', 'sh', '-c', qq{mount -t tmpfs -o size=2m,mode=700 none '$small' && exec "\$@"}, 'sh');
my $can = eval { IPC::Run::run([ @namespace, 'true' ], '>', \my $out, '2>', \my $err) };
plan skip_all => 'no user namespace with a file system of its own here' unless $can;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
is(system(@namespace, 'pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w', '-s', '-o', '--cluster-name=main', 'start'), 0, 'the server starts beside a small file system');
$node->_update_pid(1);

$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$small'");
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE ev AS SELECT e AS experiment_id, i AS user_id, (ARRAY['control', 'a', 'b'])[1 + i % 3] AS variant, 100 + i % 7 AS x FROM unnest('{one,two}'::text[]) e, generate_series(1, 900) i;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ('one', 'ev', 100000), ('two', 'ev', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT e, v.* FROM unnest('{one,two}'::text[]) e, (VALUES ('load', 'guardrail', 'mean', 'x', 'higher', 'difference', 5), ('goal', 'primary', 'mean', 'x', 'higher', 'difference', 0)) v;
SELECT guardrail_launch('one'), guardrail_launch('two');
CALL guardrail_check();
ALTER TABLE guardrail_check_input SET TABLESPACE small;
ALTER TABLE guardrail_result_log SET TABLESPACE small;
ALTER INDEX guardrail_result_log_pkey SET TABLESPACE small;
});
# everything that is left, to the last page
sub fill
{
	$node->safe_psql('postgres', q{CREATE TABLE filler (x text) TABLESPACE small;
DO $$ BEGIN LOOP BEGIN INSERT INTO filler SELECT repeat('x', 1500) FROM generate_series(1, 5); EXCEPTION WHEN disk_full THEN EXIT; END; END LOOP; END $$});
	return;
}
# check until a page is needed that is not there
sub check_until
{
	my ($pattern) = @_;
	for (1 .. 200)
	{
		my (undef, undef, $err) = $node->psql('postgres', q{INSERT INTO ev SELECT 'one', max(user_id) + i, (ARRAY['control', 'a', 'b'])[1 + i % 3], 100 FROM ev, generate_series(1, 30) i GROUP BY i; CALL guardrail_check();});
		return $err if $err =~ $pattern;
		return "other: $err" if $err =~ /ERROR/;
	}
	return 'never';
}
my $full = qr/could not extend file "[^"]*": .*No space left on device/;

fill();
like(check_until(qr/WARNING/), qr/WARNING:  check of experiment "(one|two)" failed: $full/, 'no room for what a check found: said');
like($node->safe_psql('postgres', 'SELECT error FROM guardrail_check_log WHERE error IS NOT NULL ORDER BY check_id DESC LIMIT 1'), $full, 'and recorded');
is(inconsistencies($node, 'postgres', 2), '', 'nothing is half written');
$node->safe_psql('postgres', 'DROP TABLE filler; CHECKPOINT;');
is($node->psql('postgres', 'CALL guardrail_check()'), 0, 'with room again, checks go on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM guardrail_verdict WHERE error IS NULL'), '4', 'and are recorded');

$node->safe_psql('postgres', 'ALTER TABLE guardrail_check_log SET TABLESPACE small; ALTER INDEX guardrail_check_log_pkey SET TABLESPACE small;');
fill();
my $said = check_until(qr/could not be recorded/);
like($said, qr/DETAIL:  The failure could not be recorded: $full/, 'no room for the failure either: said');
like($said, qr/ERROR:  [12] of 2 checks failed: .*\nDETAIL:  [12] of the failures could not be recorded/, 'and the call fails');
is(inconsistencies($node, 'postgres', 2), '', 'nothing is half written');
$node->safe_psql('postgres', 'DROP TABLE filler; CHECKPOINT;');
is($node->psql('postgres', 'CALL guardrail_check()'), 0, 'with room again, checks go on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM guardrail_verdict WHERE error IS NULL'), '4', 'and are recorded');
is(inconsistencies($node, 'postgres', 2), '', 'whole, with looks numbered without a gap');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no process has crashed');

$node->stop;
done_testing();

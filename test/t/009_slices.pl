# Stored slices under writers that come, go, roll back and are prepared, and through crashes: in the end what is stored
# is what is there, each event once. For 15 seconds, or as many as GUARDRAIL_SLICE_SECONDS says.
#
# Expected: guardrail_audit and a scan of all events (guardrail.use_slices off); counts in plain SQL.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{GUARDRAIL_SLICE_SECONDS} // 15;
my $crashes = 3;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# a crash must lose nothing that was committed
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nfsync = on\ntimezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), user_id int, variant text, x int, part int);
CREATE INDEX ON ev (at);
CREATE TABLE ev_parts (id bigint GENERATED ALWAYS AS IDENTITY, user_id int, variant text, x int, part int NOT NULL) PARTITION BY LIST (part);
CREATE TABLE ev_parts_0 PARTITION OF ev_parts FOR VALUES IN (0);
CREATE TABLE ev_parts_1 PARTITION OF ev_parts FOR VALUES IN (1);
CREATE INDEX ON ev_parts (id);
-- n events of random users, one in a thousand of them in the wrong arm
CREATE PROCEDURE write_events(n int) LANGUAGE sql AS $$
  INSERT INTO ev (user_id, variant, x, part) SELECT u, CASE WHEN (random() < 0.001) <> (u % 2 = 0) THEN 'control' ELSE 'treatment' END, random() * 100, u % 2 FROM (SELECT (random() * 3000)::int AS u FROM generate_series(1, n)) v;
  INSERT INTO ev_parts (user_id, variant, x, part) SELECT u, CASE WHEN u % 2 = 0 THEN 'control' ELSE 'treatment' END, random() * 100, u % 2 FROM (SELECT (random() * 3000)::int AS u FROM generate_series(1, n)) v $$;
CALL write_events(2000);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, planned_units) VALUES ('id', 'ev', NULL, 'id', 1000000), ('time', 'ev', NULL, 'at', 1000000), ('parts', 'ev_parts', NULL, 'id', 1000000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
  SELECT e, m, r, k, 'x', q, 'higher', 'difference', 5 FROM (VALUES ('load', 'guardrail', 'quantile', 0.9), ('goal', 'primary', 'mean', NULL)) AS v(m, r, k, q), unnest(ARRAY['id', 'time', 'parts']) e;
SELECT guardrail_launch(experiment_id) FROM guardrail_experiment;
});

# differences between stored and live, as text; '' is none
my $compare = q{
SELECT experiment_id, a.* FROM guardrail_experiment, guardrail_audit(experiment_id) a;
CREATE TEMP TABLE stored AS SELECT e.experiment_id, r.metric, r.status, r.reason, r.units_control, r.units_treatment, r.events_control, r.events_treatment, round(r.effect::numeric, 9) FROM guardrail_experiment e, guardrail_evaluate(e.experiment_id) r;
SET guardrail.use_slices = off;
CREATE TEMP TABLE live AS SELECT e.experiment_id, r.metric, r.status, r.reason, r.units_control, r.units_treatment, r.events_control, r.events_treatment, round(r.effect::numeric, 9) FROM guardrail_experiment e, guardrail_evaluate(e.experiment_id) r;
(TABLE stored EXCEPT TABLE live) UNION ALL (TABLE live EXCEPT TABLE stored);
};
# what the last check has recorded is all there is
my $recorded = q{SELECT experiment_id, events_control + events_treatment + (SELECT count(*) FROM ev WHERE user_id IN (SELECT user_id FROM ev GROUP BY 1 HAVING min(variant) <> max(variant))) - (SELECT count(*) FROM ev) FROM guardrail_verdict WHERE experiment_id <> 'parts'
UNION ALL SELECT experiment_id, events_control + events_treatment - (SELECT count(*) FROM ev_parts) FROM guardrail_verdict WHERE experiment_id = 'parts' ORDER BY 1};
sub is_whole
{
	my ($when) = @_;
	is($node->safe_psql('postgres', $compare), '', "$when: slices are what the events are");
	$node->safe_psql('postgres', 'CALL guardrail_check()');
	is($node->safe_psql('postgres', $recorded), "id|0\nparts|0\ntime|0", "$when: all events are recorded");
	is($node->safe_psql('postgres', $compare), '', "$when: and stored");
}
is($node->safe_psql('postgres', 'CALL guardrail_check(); SELECT count(*) FROM guardrail_slice WHERE experiment_id <> \'time\' AND part = 0'), '2', 'slices are stored');
is_whole('at first');

# ---- a prepared transaction is waited for, over a restart too

my $lower = 'BEGIN; CALL write_events(10); PREPARE TRANSACTION \'writer\'';
$node->safe_psql('postgres', $lower);
$node->safe_psql('postgres', 'CALL write_events(10)');
for my $when ('prepared', 'prepared before a restart')
{
	my ($out, $err) = ('', '');
	$node->psql('postgres', q{SET lock_timeout = '200ms'; CALL guardrail_check('id')}, stdout => \$out, stderr => \$err);
	like($err, qr/check of experiment "id" failed: canceling statement due to lock timeout/, "$when: a check that may wait no longer fails, and says so");
	is($node->safe_psql('postgres', q{SELECT error FROM guardrail_verdict WHERE experiment_id = 'id'}), 'canceling statement due to lock timeout', "$when: it is recorded");
	$node->safe_psql('postgres', q{CALL guardrail_check('time')});
	is($node->safe_psql('postgres', q{SELECT error IS NULL FROM guardrail_verdict WHERE experiment_id = 'time'}), 't', "$when: one by time does not wait");
	$node->stop('immediate');
	$node->start;
}
my ($out, $err) = ('', '');
my $waiting = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', q{CALL guardrail_check('id')} ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CALL guardrail_check%'}) or die;
$node->safe_psql('postgres', q{COMMIT PREPARED 'writer'});
$waiting->finish;
like($err, qr{^NOTICE:  checked id: treatment HOLD\s*\z}, 'it goes on when the transaction is committed');
is_whole('after a prepared transaction');

# ---- who cannot be waited for

$node->safe_psql('postgres', 'CALL write_events(10)');
{
	# a lock as VACUUM and CREATE INDEX CONCURRENTLY hold it
	my ($in, $text) = ('', '');
	my $session = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-f', '-' ], '<', \$in, '>', \$text, IPC::Run::timeout(120));
	$in .= "BEGIN; LOCK TABLE ev IN SHARE UPDATE EXCLUSIVE MODE; SELECT 'locked';\n";
	$session->pump until $text =~ /locked/;
	$node->safe_psql('postgres', q{SET lock_timeout = '200ms'; CALL guardrail_check('id')});
	is($node->safe_psql('postgres', q{SELECT error IS NULL FROM guardrail_verdict WHERE experiment_id = 'id'}), 't', 'who vacuums is not waited for');
	$in .= "COMMIT;\n\\q\n";
	$session->finish;
}

# ---- writers, checks and crashes at random

sub writer
{
	my ($seed, $stop_at) = @_;
	my $script = $PostgreSQL::Test::Utils::tmp_check . "/writer_$seed.sql";
	# pauses leave transactions open while checks read
	append_to_file($script, join '', map {
		my $n = 1 + int rand 60;
		my $pause = sprintf '%.3f', rand(0.08) ** 1.5;
		my $kind = rand;
		my $copy = q{COPY ev (user_id, variant, x, part) FROM PROGRAM 'printf "4001,control,1,1\n4002,treatment,1,0\n"' (FORMAT csv);};
		my $leaf = q{INSERT INTO ev_parts_1 (id, user_id, variant, x, part) SELECT nextval(pg_get_serial_sequence('ev_parts', 'id')), 4003, 'treatment', 7, 1;};
		my $end = $kind < 0.15 ? 'ROLLBACK;' : $kind < 0.2 ? "PREPARE TRANSACTION 'w$seed.$_'; SELECT pg_sleep($pause); COMMIT PREPARED 'w$seed.$_';" : 'COMMIT;';
		my $body = $kind < 0.35 ? "SAVEPOINT s; CALL write_events($n); ROLLBACK TO s; CALL write_events(3);" : $kind < 0.4 ? $copy : $kind < 0.45 ? $leaf : "CALL write_events($n);";
		"BEGIN; SELECT pg_sleep($pause / 2); $body SELECT pg_sleep($pause); $end\n"
	} 1 .. 40);
	return IPC::Run::start([ 'sh', '-c', 'while [ $(date +%s) -lt $1 ]; do psql -X -q -d "$2" -f "$3" >"$3.out" 2>&1 || sleep 0.2; done', 'sh', int $stop_at, $node->connstr('postgres'), $script ], '<', \undef, '>', \my $o, '2>', \my $e);
}
my $stop_at = time + $seconds;
srand 42;
my @writers = map { writer($_, $stop_at) } 1 .. 4;
my ($checks, $failed, $crashed) = (0, 0, 0);
while (time < $stop_at)
{
	my $rc = $node->psql('postgres', rand() < 0.1 ? q{SELECT guardrail_rebuild('parts')} : rand() < 0.1 ? 'BEGIN; CALL write_events(5); CALL guardrail_check(); ROLLBACK' : 'CALL guardrail_check()', stderr => \my $message);
	$checks++;
	$failed++ if $rc != 0;
	if ($crashed < $crashes && time > $stop_at - $seconds * (1 - ($crashed + 1) / ($crashes + 1)))
	{
		# in the middle of a check
		my $check = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', 'CALL guardrail_check()' ], '<', \undef, '>', \my $o, '2>', \my $e);
		sleep rand 0.05;
		$node->stop('immediate');
		$check->finish;
		$node->start;
		$crashed++;
		# what was prepared and whose writer is gone
		$node->safe_psql('postgres', "COMMIT PREPARED '$_'") for grep { length } split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
	}
}
$_->finish for @writers;
$node->safe_psql('postgres', "ROLLBACK PREPARED '$_'") for grep { length } split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
cmp_ok($crashed, '>', 0, "the server has crashed $crashed times");
cmp_ok($checks - $failed, '>', $checks / 2, "of $checks checks most have worked ($failed failed)");
is($node->safe_psql('postgres', q{SELECT DISTINCT error FROM guardrail_check_log WHERE error IS NOT NULL AND error NOT LIKE '%lock timeout'}), '', 'no check has recorded another error');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM ev'), '>', 2000, 'events have come');
is_whole('at last');

# ---- dump and restore

my $rows = q{SELECT w::text FROM guardrail_watermark w ORDER BY 1; SELECT md5(s::text) FROM guardrail_slice s ORDER BY experiment_id, slice, part};
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/slices.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restore');
is($node->safe_psql('restored', $rows), $node->safe_psql('postgres', $rows), 'slices and watermarks are there again');
is($node->safe_psql('restored', $compare), '', 'they are what the events are');
is($node->psql('restored', 'CALL write_events(50); CALL guardrail_check()', stderr => \my $notices), 0, 'a check goes on from them');
unlike($notices, qr/computed again/, 'none is computed again');
is($node->safe_psql('restored', $compare), '', 'and they still are');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'no process has crashed by itself');

$node->stop;
done_testing();

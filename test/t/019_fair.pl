# Nobody starves the others: experiments that sleep, whose events are locked, or whose writers do not end cost a run of
# guardrail_check() a limit each, and the others are checked. What a run did not manage goes last in the next one.
#
# Expected: counted by hand. No time is measured, but each call has a limit far above what it needs, and the sleeps and
# locks last longer than that.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\n");
$node->start;
# twenty in one table, which are read together, and four with a table of their own; "e07" sleeps, as does "stubborn", whatever it is told
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE FUNCTION sleepy(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_sleep(1000); RETURN x; END $$;
CREATE FUNCTION stubborn(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled OR OTHERS THEN NULL; END; END LOOP; END $$;
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN PERFORM pg_sleep(10); RETURN x; END $$;
CREATE TABLE ev AS SELECT format('e%s', to_char(e, 'FM00')) AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 AS x
  FROM generate_series(1, 20) e, generate_series(1, 400) i;
CREATE TABLE own AS SELECT user_id, variant, x FROM ev WHERE experiment_id = 'e01';
CREATE TABLE locked AS TABLE own;
CREATE TABLE followed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, x int);
INSERT INTO followed (user_id, variant, x) SELECT user_id, variant, x FROM own ORDER BY user_id;
INSERT INTO guardrail_experiment (experiment_id, events) SELECT DISTINCT experiment_id, 'ev'::regclass FROM ev;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column) VALUES ('stubborn', 'own', NULL, NULL), ('locked', 'locked', NULL, NULL), ('followed', 'followed', NULL, 'id'), ('also', 'followed', NULL, 'id');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  SELECT e.experiment_id, r, r, 'mean', CASE e.experiment_id WHEN 'e07' THEN 'public.sleepy(x)' WHEN 'stubborn' THEN 'public.stubborn(x)' ELSE 'x' END, 'higher', 'difference', 5
    FROM guardrail_experiment e, unnest('{primary,guardrail}'::text[]) r;
SELECT guardrail_launch(experiment_id) FROM guardrail_experiment;
});

my $seen = 0;
# the checks since the last call, in their order
sub recorded
{
	my $rows = $node->safe_psql('postgres', qq{SELECT string_agg(experiment_id || coalesce(': ' || error, ''), ', ' ORDER BY check_id) FROM guardrail_check_log WHERE check_id > $seen});
	$seen = $node->safe_psql('postgres', 'SELECT coalesce(max(check_id), 0) FROM guardrail_check_log');
	return $rows;
}
sub check
{
	my ($set, $which) = @_;
	my ($rc, undef, $err) = $node->psql('postgres', "$set; CALL guardrail_check(" . ($which ? "'$which'" : '') . ')', timeout => 300, timed_out => \my $timed_out);
	return $timed_out ? 'DID NOT END' : $err;
}
my $took = 'check took longer than guardrail.check_timeout (400 ms)';

# ---- a run over all

my $holder = $node->background_psql('postgres');
$holder->query_safe($_) for 'BEGIN', 'LOCK TABLE locked';
$node->safe_psql('postgres', q{BEGIN; INSERT INTO followed (user_id, variant, x) VALUES (1001, 'control', 100); PREPARE TRANSACTION 'writer'});
$node->safe_psql('postgres', q{INSERT INTO followed (user_id, variant, x) VALUES (1002, 'treatment', 100)});
my $said = check(q{SET guardrail.check_timeout = '400ms'});
like($said, qr/ERROR:  3 of 24 checks failed: "e07" \(\Q$took\E\), "locked" \(\Q$took\E\), "stubborn" \(\Q$took\E\)\n/, 'the run ends, and names those that failed');
like($said, qr/NOTICE:  new events of experiment "followed" are read but not stored, because a transaction that writes events has not ended/, 'a writer is not waited for without end');
my @ok = map { sprintf 'e%02d', $_ } grep { $_ != 7 } 1 .. 20;
is(recorded(), join(', ', 'also', @ok[0 .. 5], "e07: $took", 'followed', "locked: $took", "stubborn: $took", @ok[6 .. 18]), 'all others are recorded, those over the same events as one that took too long after the rest');
is($node->safe_psql('postgres', q{SELECT units_control, units_treatment, rows_read, error IS NULL FROM guardrail_check_log WHERE experiment_id = 'followed'}), '200|201|401|t', 'what the writer has not committed is missing, and nothing else');
is($node->safe_psql('postgres', q{SELECT count(*) FROM guardrail_slice}), '0', 'nothing is stored that a writer could still go below');
is($node->safe_psql('postgres', q{SELECT count(*) FROM guardrail_check_log WHERE duration IS NULL OR duration < CASE WHEN error IS NULL THEN '0'::interval ELSE '400 ms' END}), '0', 'each check has its duration');

# ---- the turns of the next run: what failed goes last, before it those that were checked longest ago

$node->safe_psql('postgres', q{COMMIT PREPARED 'writer'});
is(check('SELECT 1', 'e03'), '', 'one by name');
recorded();
like(check(q{SET guardrail.check_timeout = '400ms'}), qr/ERROR:  3 of 24 checks failed/, 'the next run');
is(recorded(), join(', ', 'also', (grep { $_ ne 'e03' } @ok[0 .. 5]), 'followed', @ok[6 .. 18], 'e03', "e07: $took", "locked: $took", "stubborn: $took"), 'what failed goes last');
is($node->safe_psql('postgres', q{SELECT units_control, units_treatment, rows_read FROM guardrail_check_log WHERE experiment_id = 'followed' ORDER BY check_id DESC LIMIT 1}), '201|201|402', 'the writer has ended: all is there');
$node->safe_psql('postgres', q{INSERT INTO followed (user_id, variant, x) VALUES (1003, 'control', 100), (1004, 'treatment', 100), (1005, NULL, 100)});
is(check('SELECT 1', 'followed'), '', 'with new events');
is($node->safe_psql('postgres', q{SELECT units_control, units_treatment, rows_read FROM guardrail_check_log WHERE experiment_id = 'followed' ORDER BY check_id DESC LIMIT 1}), '202|202|3', 'only those are read');
recorded();
$holder->query_safe('ROLLBACK');

# ---- one by name: its row is locked, or its events

for my $lock ('LOCK TABLE locked', q{SELECT FROM guardrail_experiment WHERE experiment_id = 'locked' FOR UPDATE}, 'LOCK TABLE guardrail_result_log')
{
	$holder->query_safe($_) for 'BEGIN', $lock;
	$said = check(q{SET guardrail.check_timeout = '400ms'}, 'locked');
	like($said, qr/^(psql:<stdin>:\d+: )?ERROR:  check of experiment "locked" failed: \Q$took\E\nHINT:  Look for a lock/, "$lock: fails");
	$holder->query_safe('ROLLBACK');
	is(recorded(), "locked: $took", "$lock: and is recorded");
}
is(check('SELECT 1', 'locked'), '', 'it works when the lock is gone');
recorded();
$holder->quit;

# ---- what ends the whole run still does, and a limit of zero is none

like(check(q{SET statement_timeout = '300ms'}, 'e07'), qr/ERROR:  canceling statement due to statement timeout/, 'statement_timeout');
like(check(q{SET guardrail.check_timeout = 0; SET statement_timeout = '300ms'}, 'e07'), qr/ERROR:  canceling statement due to statement timeout/, 'statement_timeout, without another limit');
is(recorded(), '', 'which records nothing');
# no cancel is left over for what comes after
is($node->psql('postgres', q{SET guardrail.check_timeout = '100ms'; CALL guardrail_check('e07'); SELECT count(pg_sleep(2))}, on_error_stop => 0, stdout => \my $out), 0, 'the session goes on');
is($out, '1', 'undisturbed');
recorded();

# ---- parallel workers end too

$node->safe_psql('postgres', q{
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('parallel', 'own', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) SELECT 'parallel', r, r, 'mean', 'public.slow(x)', 'higher', 'difference', 5 FROM unnest('{primary,guardrail}'::text[]) r;
SELECT guardrail_launch('parallel')});
like(check(q{SET guardrail.check_timeout = '2s'; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 2}, 'parallel'),
	qr/ERROR:  check of experiment "parallel" failed: check took longer/, 'a scan by several processes ends');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), '0', 'with all of them');
recorded();

# ---- in a transaction block a failure warns, and what is recorded is kept

my ($rc, undef, $err) = $node->psql('postgres', q{BEGIN; SET guardrail.check_timeout = '100ms'; CALL guardrail_check('e07'); RESET guardrail.check_timeout; CALL guardrail_check('e01'); COMMIT});
is($rc, 0, 'no error in a transaction block');
like($err, qr/WARNING:  check of experiment "e07" failed: check took longer than guardrail\.check_timeout \(100 ms\)/, 'but a warning');
is(recorded(), 'e07: check took longer than guardrail.check_timeout (100 ms), e01', 'both are recorded');

$node->stop;
done_testing();

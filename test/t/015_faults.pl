# CALL guardrail_check() when something goes wrong in the middle of it: what was checked before is kept, what failed is
# recorded as failed where that can be done, the other experiments are checked, and nothing is left half done.
#
# Expected: of the experiments 1st, 2nd, 3rd and 4th, which are checked in this order, those that stand in each line; the
# server's own messages.

use strict;
use warnings;
use Guardrail;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# deadlocks are found by the session that is told to look for them
$node->append_conf('postgresql.conf', "deadlock_timeout = '1h'\n");
$node->start;
my @names = qw(1st 2nd 3rd 4th);
my %events = map { $_ => "ev_$_" } @names;
$events{'3rd'} = 'events_3rd';
# each with a table of its own, one behind a view that can be made to wait
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE FUNCTION gate(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF to_regclass('public.closed_' || $1) IS NOT NULL THEN
    PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1);
    EXECUTE format('SELECT FROM public.%I LIMIT 1', 'closed_' || $1);
  END IF;
  RETURN true;
END $$;
} . join('', map { "CREATE TABLE ev_$_ AS SELECT i AS user_id, (ARRAY['control', 'a', 'b'])[1 + i % 3] AS variant, 100 + i % 7 AS x FROM generate_series(1, 900) i;" } @names) . q{
CREATE VIEW events_3rd AS SELECT e.* FROM ev_3rd e, (SELECT gate('3rd') OFFSET 0) g;
} . join '', map { qq{
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units) VALUES ('$_', '$events{$_}', NULL, 100000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('$_', 'load', 'guardrail', 'mean', 'x', 'higher', 'difference', 5), ('$_', 'goal', 'primary', 'mean', 'x', 'higher', 'difference', 0);
SELECT guardrail_launch('$_');
} } @names);

# what was recorded since the last call: "1st ok, 2nd column ... does not exist"
my $seen = 0;
sub recorded
{
	my $rows = $node->safe_psql('postgres', qq{SELECT string_agg(what, ', ' ORDER BY what) FROM (SELECT experiment_id || ' ' || coalesce(error, 'ok') AS what FROM guardrail_check_log WHERE check_id > $seen GROUP BY check_id, experiment_id, error) c});
	$seen = $node->safe_psql('postgres', 'SELECT coalesce(max(check_id), 0) FROM guardrail_check_log');
	return $rows;
}
sub whole { my ($name) = @_; return is(inconsistencies($node, 'postgres', 2), '', "$name: nothing is left half done") }
# new units, after checks that give the experiments their turns in this order again
sub more_units
{
	$node->psql('postgres', "CALL guardrail_check('$_')") for @names;
	recorded();
	return add_units();
}
sub add_units { return $node->safe_psql('postgres', join '', map { "INSERT INTO ev_$_ SELECT max(user_id) + i, (ARRAY['control', 'a', 'b'])[1 + i % 3], 100 + i % 7 FROM ev_$_, generate_series(1, 30) i GROUP BY i;" } grep { $node->safe_psql('postgres', "SELECT to_regclass('ev_$_')") ne '' } @names) }
sub check
{
	my ($set) = @_;
	my ($rc, undef, $err) = $node->psql('postgres', ($set // '') . ' CALL guardrail_check();', timeout => 120);
	return $err;
}
# a session that works beside this one
sub session
{
	my ($name, @sql) = @_;
	my %s = (out => '', err => '', name => $name);
	$s{run} = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=$name", map { ('-c', $_) } @sql ], '<', \undef, '>', \$s{out}, '2>', \$s{err}, IPC::Run::timeout(120));
	return \%s;
}
sub ended { my ($s) = @_; eval { $s->{run}->finish }; return $s->{err} }
sub waits { my ($name) = @_; return $node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = '$name' AND wait_event_type = 'Lock'") || die "$name does not wait" }
sub holder { my $s = $node->background_psql('postgres'); $s->query_safe($_) for @_; return $s }

is(check(), '', 'all goes well');
is(recorded(), '1st ok, 2nd ok, 3rd ok, 4th ok', 'all is recorded');
whole('all goes well');

# ---- a call that ends early: what was done before is kept, the rest is not begun

for my $case (
	[ 'pg_cancel_backend', '', qr/canceling statement due to user request/ ], [ 'pg_terminate_backend', '', qr/terminating connection due to administrator command/ ],
	[ 'statement_timeout', q{SET statement_timeout = '3s'}, qr/canceling statement due to statement timeout/ ])
{
	my ($how, $set, $message) = @$case;
	more_units();
	my $holder = holder('BEGIN', 'LOCK TABLE ev_3rd');
	my $call = session('checker', $set, 'CALL guardrail_check()');
	unless ($set)
	{
		waits('checker');
		$node->safe_psql('postgres', "SELECT $how(pid) FROM pg_stat_activity WHERE application_name = 'checker'");
	}
	like(ended($call), $message, "$how: the call ends");
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	is(recorded(), '1st ok, 2nd ok', "$how: the checks before it are kept");
	whole($how);
	is(check(), '', "$how: the next call goes through");
	is(recorded(), '1st ok, 2nd ok, 3rd ok, 4th ok', "$how: and checks all");
}
# in a transaction block nothing is kept
more_units();
like(check(q{BEGIN; LOCK TABLE ev_1st; SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(10);}), qr/statement timeout/, 'a transaction that fails');
is(recorded(), '', 'leaves nothing');

# ---- a check that fails: recorded, the others go on

more_units();
my $holder = holder('BEGIN', 'LOCK TABLE ev_3rd');
like(check(q{SET lock_timeout = '100ms';}), qr/WARNING:  check of experiment "3rd" failed: canceling statement due to lock timeout/, 'lock_timeout: said');
$holder->query_safe('ROLLBACK');
$holder->quit;
is(recorded(), '1st ok, 2nd ok, 3rd canceling statement due to lock timeout, 4th ok', 'lock_timeout: recorded');
whole('lock_timeout');

# a deadlock of which the check is the victim: it waits at the gate, holding its experiment, until the other waits for that
more_units();
$node->safe_psql('postgres', 'CREATE TABLE closed_3rd ()');
my $gate = holder('SELECT pg_advisory_lock(1)');
my $call = session('checker', q{SET deadlock_timeout = '10ms'}, 'CALL guardrail_check()');
waits('checker');
my $other = session('other', 'BEGIN', 'LOCK TABLE closed_3rd', q{SELECT FROM guardrail_experiment WHERE experiment_id = '3rd' FOR UPDATE}, 'COMMIT');
waits('other');
$gate->query_safe('SELECT pg_advisory_unlock(1)');
like(ended($call), qr/WARNING:  check of experiment "3rd" failed: deadlock detected/, 'deadlock, the check is the victim: said');
is(ended($other), '', 'deadlock, the check is the victim: the other goes on');
is(recorded(), '1st ok, 2nd ok, 3rd deadlock detected, 4th ok', 'deadlock, the check is the victim: recorded');
whole('deadlock, the check is the victim');
# one of which the other is: it has the table that the check waits for, and wants the experiment
more_units();
$other = $node->background_psql('postgres', on_error_stop => 0);
$other->query_safe($_) for 'BEGIN', 'LOCK TABLE closed_3rd', q{SET deadlock_timeout = '10ms'};
$call = session('checker', 'CALL guardrail_check()');
waits('checker');
$other->query(q{SELECT FROM guardrail_experiment WHERE experiment_id = '3rd' FOR UPDATE});
like($other->{stderr}, qr/ERROR:  deadlock detected/, 'deadlock, the other is the victim');
$other->{stderr} = '';
$other->query_safe('ROLLBACK');
is(ended($call), '', 'deadlock, the other is the victim: the check goes through');
is(recorded(), '1st ok, 2nd ok, 3rd ok, 4th ok', 'deadlock, the other is the victim: all is recorded');
$other->quit;
$gate->quit;
$node->safe_psql('postgres', 'DROP TABLE closed_3rd');

# ---- the log cannot be written, for one experiment or for all

sub refuse_3rd { my ($when) = @_; return qq{
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END \$\$;
CREATE TRIGGER disk_full BEFORE INSERT ON guardrail_check_log FOR EACH ROW WHEN (new.experiment_id = '3rd' $when) EXECUTE FUNCTION disk_full();} }
my $error = qr/WARNING:  check of experiment "3rd" failed: could not extend file: No space left on device/;
# there is room for the failure, if not for the results
more_units();
$node->safe_psql('postgres', refuse_3rd('AND new.error IS NULL'));
my $said = check();
like($said, $error, 'no room for results: said');
like($said, qr/ERROR:  1 of 4 checks failed: "3rd" \(could not extend file: No space left on device\)\n/, 'no room for results: the call fails in the end');
is(recorded(), '1st ok, 2nd ok, 3rd could not extend file: No space left on device, 4th ok', 'no room for results: recorded');
whole('no room for results');
# there is none for that either: nobody would see it in the log, so the call fails, after all others are done
more_units();
$node->safe_psql('postgres', 'DROP FUNCTION disk_full() CASCADE;' . refuse_3rd(''));
$said = check();
like($said, $error, 'no room for the failure: said');
like($said, qr/DETAIL:  The failure could not be recorded: could not extend file/, 'no room for the failure: and that it is not recorded');
like($said, qr/ERROR:  1 of 4 checks failed: "3rd" .*\nDETAIL:  1 of the failures could not be recorded/, 'no room for the failure: the call fails');
is(recorded(), '1st ok, 2nd ok, 4th ok', 'no room for the failure: the others are kept');
whole('no room for the failure');
like(check(q{SELECT 1; CALL guardrail_check('3rd');}), qr/ERROR:  check of experiment "3rd" failed: could not extend file.*\nDETAIL:  The failure could not be recorded/, 'no room for the failure: so it is with one that is named');
# in a transaction block the error would take the others along: there it warns
$said = check('BEGIN; CALL guardrail_check(); COMMIT; SELECT 1 WHERE false;');
like($said, qr/DETAIL:  The failure could not be recorded/, 'in a transaction block: said');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM guardrail_check_log WHERE check_id > $seen AND experiment_id = '1st' AND variant = 'a'}), '2', 'in a transaction block: the others are kept');
recorded();
$node->safe_psql('postgres', 'DROP FUNCTION disk_full() CASCADE');
is(check(), '', 'with room again: the call goes through');
is(recorded(), '1st ok, 2nd ok, 3rd ok, 4th ok', 'with room again: all is recorded');
whole('with room again');

# ---- events that are gone

$node->safe_psql('postgres', 'ALTER TABLE ev_2nd RENAME user_id TO y');
like(check(), qr/WARNING:  check of experiment "2nd" failed: column "user_id" of events public\.ev_2nd of experiment "2nd" no longer exists/, 'a column that is gone: said');
is(recorded(), '1st ok, 2nd column "user_id" of events public.ev_2nd of experiment "2nd" no longer exists, 3rd ok, 4th ok', 'a column that is gone: recorded');
whole('a column that is gone');
$node->safe_psql('postgres', 'ALTER TABLE ev_2nd RENAME y TO user_id');
is(check(), '', 'a column that is back');
is(recorded(), '1st ok, 2nd ok, 3rd ok, 4th ok', 'a column that is back: recorded');
whole('a column that is back');
$node->safe_psql('postgres', 'DROP TABLE ev_2nd');
like(check(), qr/WARNING:  check of experiment "2nd" failed: events public\.ev_2nd of experiment "2nd" no longer exist/, 'a table that is gone: said');
like(recorded(), qr/^1st ok, 2nd events public\.ev_2nd of experiment "2nd" no longer exist, 3rd ok, 4th ok$/, 'a table that is gone: recorded');
is(inconsistencies($node, 'postgres', 2) =~ s/"\d+"/its OID/r, 'plan|1|column "events" is its OID, planned "public.ev_2nd"', 'a table that is gone: the plan knows its name');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname LIKE 'guardrail%'}), '0', 'no lock is left');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no process has crashed');

$node->stop;
done_testing();

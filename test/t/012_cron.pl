# pg_cron runs CALL guardrail_check(), and a session that listens is told of what changed. The job's role is no
# superuser: it may execute the procedure, and that is all.
#
# Expected: the documented set-up; the listener hears what the log says; a job whose run had a failure has failed.

use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
plan skip_all => 'pg_cron is not installed' unless -e $node->config_data('--pkglibdir') . '/pg_cron.so';
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\ncron.use_background_workers = on\nmax_worker_processes = 20\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_cron;
CREATE EXTENSION guardrail;
CREATE ROLE checker LOGIN;
GRANT EXECUTE ON PROCEDURE guardrail_check(text) TO checker;
GRANT USAGE ON SCHEMA cron TO checker;
CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8);
INSERT INTO ev (experiment_id, variant, x) SELECT e, v, 100 + i % 7 + CASE WHEN e = 'harms' AND v = 'treatment' THEN 50 ELSE 0 END FROM unnest('{harms,holds,fails}'::text[]) e, unnest('{control,treatment}'::text[]) v, generate_series(1, 300) i;
CREATE VIEW failing AS SELECT experiment_id, 1 / (user_id - user_id) AS user_id, variant, x FROM ev;
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('harms', 'ev'), ('holds', 'ev'), ('fails', 'failing');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) SELECT e, m, r, 'mean', 'x', 'higher', 'difference', 5 FROM unnest('{harms,holds,fails}'::text[]) e, (VALUES ('load', 'guardrail'), ('goal', 'primary')) v(m, r);
SELECT guardrail_launch(e) FROM unnest('{harms,holds,fails}'::text[]) e;
});

# psql prints what came in with the result of its next statement
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN guardrail');
my $job = $node->safe_psql('postgres', q{SET ROLE checker; SELECT cron.schedule('guardrail', '* * * * *', 'CALL guardrail_check()')});
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM cron.job_run_details WHERE end_time IS NOT NULL') or die 'the job has not run';
my $heard = '';
for (1 .. 50)
{
	$heard .= $listener->query('SELECT 1');
	last if (() = $heard =~ /Asynchronous notification/g) >= 3;
}
$listener->quit;
$node->safe_psql('postgres', "SELECT cron.unschedule($job)");

is($node->safe_psql('postgres', 'SELECT DISTINCT command, username, status FROM cron.job_run_details'), 'CALL guardrail_check()|checker|failed', 'the job has run, as its role; it failed, since one check did');
like($node->safe_psql('postgres', 'SELECT DISTINCT return_message FROM cron.job_run_details'), qr/1 of 3 checks failed: "fails" \(division by zero\)/, 'and says which, and why');
is($node->safe_psql('postgres', q{SELECT experiment_id, variant, verdict, error FROM guardrail_verdict ORDER BY 1}), "fails|||division by zero\nharms|treatment|BLOCK|\nholds|treatment|HOLD|" =~ s/fails\|\|\|/fails||HOLD|/r, 'each experiment is recorded, one of them as failed');
my @alerts = map { decode_json($_) } $heard =~ /^Asynchronous notification "guardrail" with payload "(.*)" received from/mg;
is(join(', ', sort map { "$_->{experiment_id} $_->{verdict}" } @alerts), 'fails HOLD, harms BLOCK, holds HOLD', 'the listener was told of each');
my ($block) = grep { $_->{verdict} eq 'BLOCK' } @alerts;
my %logged = %{ decode_json($node->safe_psql('postgres', q{SELECT json_build_object('experiment_id', experiment_id, 'variant', variant, 'was', NULL, 'verdict', verdict, 'status', status, 'reason', reason, 'check_id', check_id, 'checked_at', checked_at) FROM guardrail_check_log WHERE experiment_id = 'harms' ORDER BY check_id LIMIT 1})) };
is_deeply($block, \%logged, 'the alert says what the log says');
is($node->safe_psql('postgres', q{SELECT has_table_privilege('checker', 'ev', 'SELECT') OR has_table_privilege('checker', 'guardrail_check_log', 'INSERT')}), 'f', 'the job\'s role has no right on the events or the log');

$node->stop;
done_testing();

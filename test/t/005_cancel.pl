# A long evaluation ends soon when it is cancelled, times out, or its session is ended; the server goes on, and a check
# that was cancelled has recorded nothing.
#
# Expected: the server's own messages. What is waited for has a limit of its own, far above what is needed.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 2\nwork_mem = '4MB'\ntemp_file_limit = '2GB'\n");
$node->start;
# events without end, once the experiments have been launched, which looks at those that are there: few units, and ever
# more units
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE times AS SELECT 0 AS n;
CREATE VIEW few AS SELECT a % 100 AS user_id, CASE WHEN a % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, b % 1000 + a / 7.0 AS x FROM generate_series(1, 100000) a, generate_series(1, 1000000 * (SELECT n FROM times)) b;
CREATE VIEW many AS SELECT a * 1000000::bigint + b AS user_id, CASE WHEN b % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, b % 1000 + a / 7.0 AS x FROM generate_series(1, 1000000) b, generate_series(1, 100000 * (SELECT n FROM times)) a;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units) VALUES ('few', 'few', NULL, 1), ('many', 'many', NULL, 1), ('grouped', 'many', NULL, 1), ('draft', 'few', NULL, 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT e, m.* FROM unnest('{few,many,grouped,draft}'::text[]) e, (VALUES ('load', 'guardrail', 'mean', 'x', NULL::float8, 'higher', 'difference', 1), ('p95', 'guardrail', 'quantile', 'x', 0.95, 'higher', 'difference', 1), ('goal', 'primary', 'mean', 'x', NULL, 'higher', NULL, NULL)) AS m;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value) VALUES ('grouped', 'capped', 'secondary', 'mean', 'x', 0.9, 'higher', 'difference', 1);
SELECT guardrail_launch('few'), guardrail_launch('many'), guardrail_launch('grouped');
UPDATE times SET n = 1;
});

sub run_sql
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, timeout => 60, timed_out => \my $timed_out, on_error_stop => 0);
	return $timed_out ? 'DID NOT END' : $err;
}

for my $case (
	[ 'one scan, few units', '', q{SELECT * FROM guardrail_evaluate('few')} ],
	[ 'one scan, many units', '', q{SELECT * FROM guardrail_evaluate('many')} ],
	[ 'units spilled', q{SET guardrail.unit_memory = '64kB';}, q{SELECT * FROM guardrail_evaluate('many')} ],
	[ 'grouped by the executor', q{SET guardrail.unit_memory = '64kB';}, q{SELECT * FROM guardrail_evaluate('grouped')} ],
	[ 'status of one', '', q{SELECT guardrail_status('few')} ],
	[ 'status of all', '', q{SELECT guardrail_status()} ],
	[ 'explain', '', q{SELECT guardrail_explain('few')} ],
	[ 'launch', '', q{SELECT guardrail_launch('draft')} ],
	[ 'check', '', q{CALL guardrail_check('few')} ],
	[ 'check of all', '', q{CALL guardrail_check()} ])
{
	my ($name, $set, $sql) = @$case;
	like(run_sql("$set SET statement_timeout = '500ms'; $sql;"), qr/canceling statement due to statement timeout/, "$name: statement_timeout");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM guardrail_check_log'), '0', 'a check that was cancelled has recorded nothing');

# pg_cancel_backend and pg_terminate_backend
for my $case ([ 'pg_cancel_backend', qr/canceling statement due to user request/ ], [ 'pg_terminate_backend', qr/terminating connection due to administrator command|server closed the connection/ ])
{
	my ($function, $message) = @$case;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', "SET application_name = 'long one'", '-c', 'CALL guardrail_check()' ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'long one' AND query LIKE 'CALL%' AND state = 'active'}) or die;
	$node->safe_psql('postgres', "SELECT $function(pid) FROM pg_stat_activity WHERE application_name = 'long one' AND backend_type = 'client backend'");
	eval { $session->finish };
	is($@, '', "$function: the session ends");
	like($err, $message, "$function: says why");
}

# nothing is left behind: no process, no temporary file, no lock
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'long one' OR backend_type = 'parallel worker'}) or die;
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_tmpdir()}), '0', 'no temporary file');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE relation::regclass::text LIKE 'guardrail%'}), '0', 'no lock');
is($node->safe_psql('postgres', 'SELECT guardrail_units(guardrail_summarize(x)) FROM generate_series(1, 1000) x'), '1000', 'the server answers');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no process has crashed');

$node->stop;
done_testing();

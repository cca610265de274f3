# Restores by several processes: the rows of the extension's tables come in any order, each table in a transaction of its
# own. Experiments with stored slices go on where they were, and a row of an experiment that cannot be restored does not
# take the others along.
#
# Expected: the rows and verdicts of the original database; numbers of units by counting what is inserted.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nautovacuum = off\n");
$node->start;
my $files = PostgreSQL::Test::Utils::tempdir();
my @units = (300, 1000, 4000, 20000, 50000);
my $experiments = join ', ', map { "('u$_', 'shop.ev_$_', " . ($_ == 1000 ? "'at'" : "'id'") . ')' } @units;

# ---- the original: slices of several sizes, a log, plans in one and in two versions, a draft

$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', qq{
CREATE SCHEMA guard;
CREATE SCHEMA shop;
CREATE EXTENSION guardrail SCHEMA guard;
CREATE PROCEDURE shop.more(name text, first int, last int, age interval DEFAULT '0') LANGUAGE plpgsql AS \$\$
BEGIN
  EXECUTE format('INSERT INTO shop.%I (user_id, variant, x, at) SELECT u, CASE mod(u, 2) WHEN 0 THEN ''control'' ELSE ''treatment'' END, 1 + mod(u, 97) + mod(u, 2), now() - \$3 FROM generate_series(\$1, \$2) u', name) USING first, last, age;
END \$\$;
} . join('', map { qq{
CREATE TABLE shop.ev_$_ (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, x float8, at timestamptz NOT NULL);
CREATE INDEX ON shop.ev_$_ (at);
} } @units) . qq{
INSERT INTO guard.guardrail_experiment (experiment_id, events, experiment_column, cursor_column, planned_units) SELECT e, t::regclass, NULL, c, 1000000 FROM (VALUES $experiments) v (e, t, c);
INSERT INTO guard.guardrail_experiment (experiment_id, events, experiment_column) VALUES ('draft', 'shop.ev_300', NULL);
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
  SELECT experiment_id, r.*, 'higher', 'difference', 5 FROM guard.guardrail_experiment, (VALUES ('goal', 'primary', 'mean', 'x', NULL::float8), ('p90', 'guardrail', 'quantile', 'x', 0.9)) r;
SELECT guard.guardrail_launch(experiment_id) FROM guard.guardrail_experiment WHERE experiment_id <> 'draft';
});
# three slices each: a new one that is smaller than those before it is not merged with them; of a time of arrival the first
# only, since the others are too new
for my $part ([ 0, 0.7 ], [ 0.7, 0.9 ], [ 0.9, 1 ])
{
	$node->safe_psql('original', join '', (map { 'CALL shop.more(' . join(', ', "'ev_$_'", int(1.5 + $part->[0] * $_), int(0.5 + $part->[1] * $_), $part->[0] ? "'0'" : "'1 hour'") . ');' } @units), 'CALL guard.guardrail_check();');
}
$node->safe_psql('original', q{SELECT guard.guardrail_amend('u4000', 'the limit was too tight', '{"rules": {"goal": {"limit_value": 6}}}'); CALL guard.guardrail_check(); SELECT guard.guardrail_stop('u300');});

# rows that no trigger would have let in: temporary tables, of a session that is still there, an index, a TOAST table
my ($in, $out) = ('', '');
my $session = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('original') ], '<', \$in, '>', \$out);
$in = q{CREATE TEMP TABLE ev (user_id int, variant text, x float8);
SET session_replication_role = replica;
INSERT INTO guard.guardrail_experiment (experiment_id, events, exposures) VALUES ('temporary', 'ev', NULL), ('exposed in one', 'shop.ev_300', 'ev'), ('index', 'shop.ev_300_pkey', NULL),
 ('toast', (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'shop.ev_300'::regclass), NULL);
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, alpha) VALUES ('index', 'goal', 'primary', 'mean', 'x', 'higher', 'significance', 0.05);
SELECT 'written';
};
$session->pump until $out =~ /written/ || !$session->pumpable;
like($out, qr/written/, 'rows whose events cannot be restored');

sub rows_of
{
	my ($db) = @_;
	return $node->safe_psql($db, 'SET search_path = guard; ' . join ' UNION ALL ', map { "SELECT '$_', count(*), COALESCE(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM $_ t" . ($_ eq 'guardrail_experiment' ? q{ WHERE experiment_id NOT IN ('temporary', 'exposed in one', 'index', 'toast')} : '') }
		  map { "guardrail_$_" } qw(experiment rule watermark slice plan check_log result_log witness check_input segment_log segment_input));
}
my $verdicts = 'SELECT experiment_id, variant, verdict, status, reason, units_control, units_treatment, events_control, events_treatment, error FROM guard.guardrail_verdict ORDER BY 1';
my $plans = q{SELECT experiment_id, v.* FROM guard.guardrail_experiment e, LATERAL guard.guardrail_verify(experiment_id) v WHERE state <> 'draft' ORDER BY 1, 2};
my $rows = rows_of('original');
# what was too new to be stored is stored later
my $stored = q{SELECT count(*), md5(string_agg(s::text, ' ' ORDER BY s::text)) FROM guardrail_slice s WHERE experiment_id <> 'u1000'};
my $slices = $node->safe_psql('original', "SET search_path = guard; $stored");
my $planned = $node->safe_psql('original', $plans);
my $decided = $node->safe_psql('original', $verdicts);
is($node->safe_psql('original', q{SELECT experiment_id, count(*) FROM guard.guardrail_slice WHERE part = 0 GROUP BY 1 ORDER BY 1}), join("\n", map { "u$_|" . ($_ == 1000 ? 1 : 3) } sort { "u$a" cmp "u$b" } @units), 'there are several slices of each');
is(() = $planned =~ /\|t\|$/mg, @units + 1, 'each version of a plan is intact');
is(() = $decided =~ /\|$/mg, scalar @units, 'each experiment has a verdict');

# ---- dumps, and the restores

my %dump = (custom => [ '-Fc' ], directory => [ '-Fd', '-j', '2' ], plain => [ '-Fd', '-Z', '0' ]);
for my $name (sort keys %dump)
{
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('original'), @{ $dump{$name} }, '-f', "$files/$name" ], "pg_dump @{ $dump{$name} }");
}
$session->finish;
$node->command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-s', '-f', "$files/schema.sql" ], 'pg_dump of the schema');

# The archive's entries in another order: those of data by a hash of their names and the number of the try.
sub shuffled
{
	my ($dump, $try) = @_;
	my ($list) = run_command([ 'pg_restore', '-l', "$files/$dump" ]);
	my @list = split /^/, $list;
	my @at = grep { $list[$_] =~ / TABLE DATA guard / } 0 .. $#list;
	my %key = map { ($_ => unpack('%32C*', $list[$_] x ($try + 1)) * 7919 * ($try + 1) % 101) } @at;
	my @order = sort { $key{$a} <=> $key{$b} || $a <=> $b } @at;
	my @copy = @list;
	$list[ $at[$_] ] = $copy[ $order[$_] ] for 0 .. $#at;
	my $file = "$files/list_$try";
	unlink $file;
	PostgreSQL::Test::Utils::append_to_file($file, join '', @list);
	return $file;
}

my $try = 0;
for my $how ([ 'custom', 2 ], [ 'directory', 3 ], [ 'plain', 4 ], [ 'custom', 4, 'shuffled' ], [ 'directory', 2, 'shuffled' ], [ 'plain', 3, 'shuffled' ], [ 'custom', 3, 'data' ], [ 'directory', 4, 'data' ], [ 'custom', 4, 'data', 'shuffled' ], [ 'plain', 4 ])
{
	my ($dump, $jobs, @more) = @$how;
	my $name = "restored_" . ++$try;
	my $what = "try $try, $dump by $jobs @more";
	my @options = ('--exit-on-error', '-j', $jobs, '-d', $node->connstr($name));
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	if (grep { $_ eq 'data' } @more)
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($name), '-f', "$files/schema.sql" ], "$what: the schema first");
		push @options, '-a';
	}
	push @options, '-L', shuffled($dump, $try) if grep { $_ eq 'shuffled' } @more;
	my ($stdout, $stderr) = ('', '');
	my $done = IPC::Run::run([ 'pg_restore', @options, "$files/$dump" ], '>', \$stdout, '2>', \$stderr);
	ok($done, "$what: pg_restore ends well");
	is($stdout . $stderr, '', "$what: and says nothing");
	is(rows_of($name), $rows, "$what: each table has its rows");
	is($node->safe_psql($name, $plans), $planned, "$what: the plans are intact");
	# live functions and checks use what is stored, and say nothing against it
	my ($code, $live, $said) = $node->psql($name, q{SELECT guard.guardrail_status(); CALL guard.guardrail_check();});
	is("$code $said", '0 ', "$what: nothing that is stored is refused");
	is($node->safe_psql($name, $verdicts), $decided, "$what: checks say the same");
	is($node->safe_psql($name, "SET search_path = guard; $stored"), $slices, "$what: and store nothing again");
	$node->safe_psql($name, join '', map { "CALL shop.more('ev_$_', 1000001, 1001000);" } grep { $_ != 300 } @units);
	($code, $live, $said) = $node->psql($name, 'CALL guard.guardrail_check()');
	is("$code $said", '0 ', "$what: a check of new events");
	is($node->safe_psql($name, q{SELECT experiment_id, units_control + units_treatment FROM guard.guardrail_verdict ORDER BY 1}), join("\n", map { "u$_|" . ($_ == 300 ? 300 : $_ + 1000) } sort { "u$a" cmp "u$b" } @units), "$what: 1000 units more");
	$node->safe_psql('postgres', "DROP DATABASE $name") if $try < 10;
}

# ---- what a restore has lost is noticed

my $lost = 'restored_10';
my (undef, undef, $warned) = $node->psql($lost, q{DELETE FROM guard.guardrail_slice WHERE experiment_id IN ('u4000', 'u20000'); DELETE FROM guard.guardrail_watermark WHERE experiment_id = 'u50000'; SELECT guard.guardrail_status();});
is(() = $warned =~ /WARNING:  stored slices of experiment "u(?:4000|20000)" are incomplete or damaged and will not be used/g, 2, 'slices that are not there are noticed');
is(() = $warned =~ /DETAIL:  There are 0 slices, and the watermark states \d+\./g, 2, 'and counted');
(undef, undef, $warned) = $node->psql($lost, 'CALL guard.guardrail_check()');
is(() = $warned =~ /WARNING/g, 2, 'so does a check');
is($node->safe_psql($lost, q{SELECT experiment_id, units_control + units_treatment FROM guard.guardrail_verdict ORDER BY 1}), join("\n", map { "u$_|" . ($_ == 300 ? 300 : $_ + 1000) } sort { "u$a" cmp "u$b" } @units), 'and counts all units');
(undef, undef, $warned) = $node->psql($lost, 'CALL guard.guardrail_check()');
is($warned, '', 'once');

$node->stop;
done_testing();

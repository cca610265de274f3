# Fifty crashes in the middle of checks: a backend killed by signal 9, the postmaster killed by signal 9, an immediate
# shutdown. Three sessions check one experiment each, again and again, one checks all, one inserts events.
#
# Expected: a check that a session was told of is in the log once, with all that belongs to it; of what a session was not
# told, at most the check that it was in; looks without gaps; bounds that are remembered are those that are computed anew.

use strict;
use warnings;
use Guardrail;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = 50;
my $seed = $ENV{GUARDRAIL_SEED} // 20261122;
srand $seed;
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nlog_statement = none\nmax_connections = 30\ncheckpoint_timeout = '30s'\nautovacuum_naptime = '1s'\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8);
INSERT INTO ev (experiment_id, variant, x) SELECT e, v, 100 + i % 7 FROM unnest('{looks,always,both,other}'::text[]) e, unnest('{control,a,b}'::text[]) v, generate_series(1, 200) i;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ('looks', 'ev', 10000), ('always', 'ev', NULL), ('both', 'ev', 5000), ('other', 'ev', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT e, v.* FROM unnest('{looks,always,both,other}'::text[]) e, (VALUES ('load', 'guardrail', 'mean', 'x', NULL::float8, 'higher', 'difference', 5), ('p95', 'guardrail', 'quantile', 'x', 0.95, 'higher', 'relative', 0.2), ('goal', 'primary', 'mean', 'x', NULL, 'higher', 'difference', 0)) v;
SELECT guardrail_launch(e) FROM unnest('{looks,always,both,other}'::text[]) e;
});

# what each session runs until its server goes away; it prints the number of each check that it was told of
my $files = $PostgreSQL::Test::Utils::tmp_check;
my %script = (
	'looks' => "CALL guardrail_check('looks');\nSELECT 'looks', currval('guardrail_check_id');\n",
	'always' => "CALL guardrail_check('always');\nSELECT 'always', currval('guardrail_check_id');\n",
	# in a transaction block: told by COMMIT
	'both' => "BEGIN;\nCALL guardrail_check('both');\nSELECT currval('guardrail_check_id') AS id \\gset\nCOMMIT;\nSELECT 'both', :id;\n",
	'all' => "CALL guardrail_check();\n",
	'insert' => join('', map { "INSERT INTO ev (experiment_id, variant, x) SELECT '$_', v, random() FROM unnest('{control,a,b}'::text[]) v, generate_series(1, 3);\n" } qw(looks always always always other other both)) . "SELECT pg_sleep(0.05);\n");
for my $name (keys %script)
{
	open my $f, '>', "$files/$name.sql" or die;
	print $f $script{$name} x 1000;
	close $f;
}
# application_name is how a session is found
sub sessions
{
	return map { my %s = (name => $_, out => ''); $s{run} = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=s_$_", '-f', "$files/$_.sql" ], '<', \undef, '>', \$s{out}, '2>', \$s{err}, IPC::Run::timeout(180)); \%s } @_;
}
sub server_is_up
{
	for (1 .. 1800)
	{
		my ($rc) = $node->psql('postgres', 'SELECT 1', on_error_die => 0);
		return 1 if defined $rc && $rc == 0;
		usleep 100_000;
	}
	die 'the server does not come back';
}
# after the postmaster's end its processes may live for a moment: until then nobody can start
sub start_again
{
	for (1 .. 600)
	{
		return if $node->start(fail_ok => 1);
		# it read the process number that the dead one left
		$node->{_pid} = undef;
		usleep 100_000;
	}
	die 'the server does not start';
}

my (%told, %crashes, @lost);
my $watched = q{SELECT count(*) FROM guardrail_check_log};
for my $round (1 .. $rounds)
{
	my @how = qw(backend postmaster immediate backend postmaster);
	my $how = $how[ $round % @how ];
	my $before = $node->safe_psql('postgres', $watched);
	my @sessions = sessions(qw(looks always both all insert));
	# every session is at work, and some have done something
	$node->poll_query_until('postgres', "SELECT ($watched) > $before + 5 AND (SELECT count(*) = 5 FROM pg_stat_activity WHERE application_name LIKE 's\\_%')") or die 'no check goes on';
	usleep int rand 60_000;
	if ($how eq 'backend')
	{
		my @pids = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name LIKE 's\_%' AND application_name <> 's_insert' ORDER BY application_name});
		kill 9, $pids[ rand @pids ] if @pids;
	}
	elsif ($how eq 'postmaster') { $node->kill9 }
	else { $node->stop('immediate') }
	for my $s (@sessions)
	{
		eval { $s->{run}->finish };
		$s->{err} =~ /connection|terminat|shutting down|crash/ or diag("$how: session $s->{name} ended otherwise: $s->{err}");
		push @{ $told{$1} }, $2 while $s->{out} =~ /^(\w+)\|(\d+)$/mg;
	}
	start_again() if $how ne 'backend';
	server_is_up();
	$crashes{$how}++;
	# told is told
	my $all = join ',', map { @{ $told{$_} } } sort keys %told;
	my $missing = $node->safe_psql('postgres', "SELECT string_agg(id::text, ' ') FROM unnest('{$all}'::bigint[]) id WHERE NOT EXISTS (SELECT FROM guardrail_check_log WHERE check_id = id)");
	push @lost, "round $round ($how): $missing" if $missing ne '';
}
is(join("\n", @lost), '', 'no check is lost that a session was told of');
is(join(' ', map { "$_ $crashes{$_}" } sort keys %crashes), 'backend 20 immediate 10 postmaster 20', 'crashes');
# they were told by the session that made them, and so are told once
for my $name (qw(looks always both))
{
	my @ids = @{ $told{$name} };
	my %ids = map { $_ => 1 } @ids;
	is(scalar(keys %ids), scalar(@ids), "$name: no number is given twice");
	is($node->safe_psql('postgres', "SELECT count(DISTINCT check_id), count(*) FROM guardrail_check_log WHERE experiment_id = '$name' AND check_id = ANY ('{" . join(',', @ids) . "}')"), @ids . '|' . 2 * @ids, "$name: told of " . @ids . ' checks, each there once with both arms');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM guardrail_check_log WHERE error IS NOT NULL'), '0', 'no check has failed');
is(inconsistencies($node, 'postgres', 2), '', 'every check is whole, looks are without gaps, plans intact, and the last are replayed identically');
my $looks = $node->safe_psql('postgres', q{SELECT max(look_no) FROM guardrail_check_log WHERE experiment_id = 'looks'});
cmp_ok($looks, '>', 10, "there were looks: $looks");
is($node->safe_psql('postgres', q{SELECT last_value >= (SELECT max(check_id) FROM guardrail_check_log) FROM guardrail_check_id}), 't', 'the sequence is not behind');
# the indexes say what the tables say
is($node->safe_psql('postgres', q{CREATE EXTENSION amcheck; SELECT count(bt_index_check(i.indexrelid, true)) > 0 FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'guardrail%'}), 't', 'the indexes are sound') if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});

# what is remembered of the looks is what the log gives
my $now = q{INSERT INTO ev OVERRIDING SYSTEM VALUE SELECT 'looks', -i, (ARRAY['control', 'a', 'b'])[1 + i % 3], 100 FROM generate_series(1, 3000) i; SELECT d FROM guardrail_decide('looks') d; SELECT e FROM guardrail_evaluate('looks') e;};
my $remembered = $node->safe_psql('postgres', "BEGIN; $now ROLLBACK;");
is($node->safe_psql('postgres', "BEGIN; DELETE FROM guardrail_look_state; $now ROLLBACK;"), $remembered, 'bounds that are remembered are those that are computed anew');
$node->safe_psql('postgres', 'CALL guardrail_check()');
is(inconsistencies($node, 'postgres', 2), '', 'and it goes on');

$node->stop;
done_testing();

# pg_upgrade of a cluster that has guardrail in two databases, in two schemas: everything is there, and goes on.
#
# Expected: the old cluster's rows. Of the same major version here: pg_upgrade goes the same way, by pg_dump
# --binary-upgrade and the data files as they are. GUARDRAIL_NEW_BINDIR names the programs of a newer server that has
# guardrail installed, to upgrade to.

use strict;
use warnings;
use Guardrail;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->append_conf('postgresql.conf', "timezone = 'UTC'\n");
my $bindir = $old->config_data('--bindir');
my $new_bindir = $ENV{GUARDRAIL_NEW_BINDIR} // $bindir;
plan skip_all => 'no pg_upgrade here' unless -x "$new_bindir/pg_upgrade";
$old->start;
$old->safe_psql('postgres', 'CREATE ROLE analyst');
make_shop($old, 'shop');
# in schema public, in a second database, with rights given
$old->safe_psql('postgres', q{
CREATE ROLE cron;
CREATE EXTENSION guardrail;
CREATE TABLE ev AS SELECT i AS user_id, (ARRAY['control', 'treatment'])[1 + i % 2] AS variant, 100 + i % 7 AS x FROM generate_series(1, 900) i;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('e', 'ev', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('e', 'load', 'guardrail', 'mean', 'x', 'higher', 'difference', 5), ('e', 'goal', 'primary', 'mean', 'x', 'higher', 'difference', 0);
SELECT guardrail_launch('e');
CALL guardrail_check();
GRANT EXECUTE ON PROCEDURE guardrail_check(text) TO cron;
GRANT SELECT ON guardrail_verdict TO cron;
});
like($old->safe_psql('shop', 'SELECT guard.guardrail_protect()'), qr/^row-level security is on/, 'row-level security before');
my %before = map { $_ => [ contents($old, $_, $_ eq 'shop' ? () : (schema => 'public')), intact($old, $_, $_ eq 'shop' ? 'guard' : 'public'), replayed($old, $_, $_ eq 'shop' ? 'guard' : 'public') ] } qw(shop postgres);
my $rights = q{SELECT has_function_privilege('cron', 'guardrail_check(text)', 'EXECUTE'), has_function_privilege('analyst', 'guardrail_check(text)', 'EXECUTE'), has_table_privilege('cron', 'guardrail_verdict', 'SELECT'), has_function_privilege('cron', 'guardrail_prune(interval)', 'EXECUTE')};
is($old->safe_psql('postgres', $rights), 't|t|t|f', 'rights before');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new', ($new_bindir eq $bindir ? () : (install_path => $new_bindir =~ s{/bin$}{}r)));
$new->init;
$new->append_conf('postgresql.conf', "timezone = 'UTC'\n");
my $work = PostgreSQL::Test::Utils::tempdir_short();
chdir $work or die;
my @upgrade = ("$new_bindir/pg_upgrade", '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $new_bindir, '-s', $new->host, '-p', $old->port, '-P', $new->port);
@upgrade = grep { $_ ne '--no-sync' } @upgrade if `$new_bindir/pg_upgrade --help` !~ /--no-sync/;
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check: regclass and regrole are no obstacle, nor are the types');
command_ok([@upgrade], 'pg_upgrade');
$new->start;

for my $db (qw(shop postgres))
{
	my $schema = $db eq 'shop' ? 'guard' : 'public';
	is(contents($new, $db, $db eq 'shop' ? () : (schema => 'public')), $before{$db}[0], "$db: every row, and the sequence");
	is(intact($new, $db, $schema), $before{$db}[1], "$db: plans");
	is(replayed($new, $db, $schema), $before{$db}[2], "$db: replay, bit for bit");
	$new->safe_psql($db, "CALL $schema.guardrail_check()");
	is(inconsistencies($new, $db, 1), '', "$db: checks go on");
	my (undef, undef, $err) = $new->psql($db, "UPDATE $schema.guardrail_rule SET limit_value = 99 WHERE experiment_id IN ('ships', 'e')");
	like($err, qr/is frozen/, "$db: what was launched is frozen");
	(undef, undef, $err) = $new->psql($db, "DELETE FROM $schema.guardrail_check_log");
	like($err, qr/append-only/, "$db: the log is append-only");
	is($new->safe_psql($db, q{SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail') AND classid = 'pg_class'::regclass}) > 5, 1, "$db: the tables are the extension's");
}
is($new->safe_psql('postgres', $rights), 't|t|t|f', 'rights after');
is($new->safe_psql($_, q{SELECT count(*) FILTER (WHERE relrowsecurity), count(DISTINCT policyname) FROM pg_class JOIN pg_policies ON tablename = relname WHERE relname IN ('guardrail_experiment', 'guardrail_rule')}), $_ eq 'shop' ? '4|2' : '0|2', "$_: row-level security after") for qw(shop postgres);
like($new->safe_psql('shop', 'SELECT look_no FROM guard.guardrail_check_log WHERE experiment_id = \'looks\' ORDER BY check_id DESC LIMIT 1') . '|', qr/^\|$/, 'a check without new units is no look');
$new->safe_psql('shop', q{INSERT INTO shop.ev SELECT experiment_id, user_id + 2000, variant, at, x, goal, doomed FROM shop.ev WHERE experiment_id = 'looks' AND user_id < 1000; CALL guard.guardrail_check('looks');});
is($new->safe_psql('shop', 'SELECT look_no FROM guard.guardrail_check_log WHERE experiment_id = \'looks\' ORDER BY check_id DESC LIMIT 1'), '3', 'the next look is the third');
# what pg_dump reads of the extension is still known
my ($dump) = run_command([ "$new_bindir/pg_dump", '-d', $new->connstr('shop') ]);
like($dump, qr/^COPY guard\.guardrail_$_ /m, "guardrail_$_ is in a dump of the new cluster") for qw(experiment rule plan check_log result_log check_input);
$new->safe_psql('shop', 'DROP EXTENSION guardrail CASCADE');

$new->stop;
done_testing();

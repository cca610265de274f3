# A hot standby answers what reads, with the primary's answers, and refuses what writes; promoted, it goes on. A logical
# subscriber receives every row.
#
# Expected: the primary's rows and answers.
#
# What logical replication needs, beside wal_level = logical: the extension in both databases, in a schema of the same
# name and of the same version; on the subscriber the tables of the events, by the same names, and the owners' roles,
# before the subscription is made (rows name both); a publication of the extension's tables, named one by one or by
# schema. The rows come in as rows that were decided elsewhere: no trigger of the subscriber checks, freezes or notifies.
# Sequences are not replicated: before the subscriber records checks of its own, setval() guardrail_check_id.
# guardrail_look_state is computed anew where it is missing; it may be left out.

use strict;
use warnings;
use Guardrail;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE ROLE analyst');
make_shop($primary, 'shop');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
sub errors { my ($node, $sql) = @_; my (undef, undef, $err) = $node->psql('shop', $sql); return $err }

# ---- what reads

my $grow = q{INSERT INTO shop.ev SELECT experiment_id, user_id + (SELECT max(user_id) FROM shop.ev), variant, at, x, goal, doomed FROM shop.ev WHERE experiment_id IN ('looks', 'blocks') AND user_id <= 600; CALL guard.guardrail_check();};
$primary->safe_psql('shop', $grow);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
# of a sequence the log tells up to 32 numbers in advance
sub without_sequence { my ($text) = @_; $text =~ s/^sequence\|.*$//m; return $text }
is(without_sequence(contents($standby, 'shop')), without_sequence(contents($primary, 'shop')), 'the tables and views');
is(intact($standby, 'shop'), intact($primary, 'shop'), 'guardrail_verify');
is(replayed($standby, 'shop'), replayed($primary, 'shop'), 'guardrail_replay');
my @live = (
	'SELECT guard.guardrail_status()', (map { ("SELECT guard.guardrail_status('$_')", "SELECT * FROM guard.guardrail_decide('$_')", "SELECT * FROM guard.guardrail_evaluate('$_')", "SELECT guard.guardrail_explain('$_')") } qw(ships blocks stopped draft looks amended)),
	q{SELECT guard.guardrail_mean(guard.guardrail_summarize(x)) FROM shop.ev}, q{SELECT guard.guardrail_assert_shippable('ships', 'treatment')});
for my $set ('', q{SET guardrail.unit_memory = '64kB'; }, q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; })
{
	my $all = $set . join ';', @live;
	is($standby->safe_psql('shop', $all), $primary->safe_psql('shop', $all), "what is computed live $set");
}
is(errors($standby, q{SELECT guard.guardrail_assert_shippable('blocks', 'treatment')}), errors($primary, q{SELECT guard.guardrail_assert_shippable('blocks', 'treatment')}), 'guardrail_assert_shippable refuses as on the primary');

# ---- what writes

for my $case (
	[ 'guardrail_check', 'CALL guard.guardrail_check()' ], [ 'guardrail_check', q{CALL guard.guardrail_check('ships')} ], [ 'guardrail_launch', q{SELECT guard.guardrail_launch('draft')} ],
	[ 'guardrail_stop', q{SELECT guard.guardrail_stop('ships')} ], [ 'guardrail_amend', q{SELECT guard.guardrail_amend('ships', 'why', '{}')} ], [ 'guardrail_prune', q{SELECT guard.guardrail_prune('1 day')} ])
{
	my ($function, $sql) = @$case;
	like(errors($standby, $sql), qr/ERROR:  cannot execute $function\(\) during recovery\nHINT:  Run it on the primary[.;]/, "refused by a standby: $sql");
	like(errors($primary, "BEGIN READ ONLY; $sql"), qr/ERROR:  cannot execute $function\(\) in a read-only transaction$/m, "refused where nothing is to be written: $sql");
}
like(errors($standby, q{INSERT INTO guard.guardrail_experiment (experiment_id, events) VALUES ('new', 'shop.ev')}), qr/ERROR:  cannot execute INSERT in a read-only transaction/, 'refused by a standby: INSERT');

# ---- promoted

my $verdicts = q{SELECT experiment_id, variant, verdict, status, reason, plan_version FROM guard.guardrail_verdict ORDER BY 1, 2};
my $last = $primary->safe_psql('shop', 'SELECT max(check_id) FROM guard.guardrail_check_log');
$primary->safe_psql('shop', 'SELECT pg_switch_wal()');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$standby->promote;
$_->safe_psql('shop', $grow) for $primary, $standby;
is($standby->safe_psql('shop', $verdicts), $primary->safe_psql('shop', $verdicts), 'promoted: the next check says what the primary says');
my $looks = q{SELECT look_no, information, primary_lower, primary_upper FROM guard.guardrail_check_log WHERE experiment_id = 'looks' ORDER BY check_id DESC LIMIT 1};
is($standby->safe_psql('shop', $looks), $primary->safe_psql('shop', $looks), 'promoted: the next look is the primary\'s');
cmp_ok($standby->safe_psql('shop', 'SELECT max(check_id) FROM guard.guardrail_check_log'), '>', $last, 'promoted: checks are numbered on');
is(inconsistencies($standby, 'shop', 1), '', 'promoted: all is whole');
$standby->safe_psql('shop', q{SELECT guard.guardrail_launch('draft'); SELECT guard.guardrail_amend('ships', 'more time', '{"experiment": {"planned_units": 1000}}'); SELECT guard.guardrail_stop('fails'); SELECT guard.guardrail_prune('1 day'); CALL guard.guardrail_check();});
is(inconsistencies($standby, 'shop', 1), '', 'promoted: it is a primary like any other');
$standby->stop;

# ---- logical replication

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE ROLE analyst; CREATE DATABASE shop;');
my $schema = $PostgreSQL::Test::Utils::tmp_check . '/schema.sql';
$primary->command_ok([ 'pg_dump', '-s', '-d', $primary->connstr('shop'), '-f', $schema ], 'pg_dump of the schema');
$subscriber->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $subscriber->connstr('shop'), '-f', $schema ], 'restore of the schema');
my @tables = split /\n/, $primary->safe_psql('shop', q{SELECT 'guard.' || relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'guard'::regnamespace AND relname <> 'guardrail_look_state' ORDER BY 1});
$primary->safe_psql('shop', 'CREATE PUBLICATION guardrail FOR TABLE ' . join ', ', @tables, 'shop.ev', 'shop.kept');
my $publisher = $primary->connstr('shop') =~ s/'/''/gr;
$subscriber->safe_psql('shop', "CREATE SUBSCRIPTION guardrail CONNECTION '$publisher' PUBLICATION guardrail");
$subscriber->wait_for_subscription_sync($primary, 'guardrail', 'shop');
$subscriber->safe_psql('shop', 'REFRESH MATERIALIZED VIEW shop.ev_matview');
my @replicated = (except => [ 'guardrail_look_state' ]);
is(without_sequence(contents($subscriber, 'shop', @replicated)), without_sequence(contents($primary, 'shop', @replicated)), 'logical replication: the rows that were there');
# inserts, updates and deletes of every table: a check, a launch, an amendment, a stop, a draft that goes
$primary->safe_psql('shop', "$grow" . q{
SELECT guard.guardrail_launch('draft'), guard.guardrail_stop('fails'), guard.guardrail_amend('ships', 'more time', '{"experiment": {"planned_units": 1000}, "rules": {"load": {"limit_value": 20}, "p95": null}}');
INSERT INTO guard.guardrail_experiment (experiment_id, events, owner) VALUES ('new', 'shop.ev_view', 'analyst'), ('gone', 'shop.ev', 'analyst');
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('new', 'sales', 'primary', 'mean', 'goal', 'lower', NULL), ('gone', 'sales', 'primary', 'mean', 'goal', 'lower', NULL);
DELETE FROM guard.guardrail_experiment WHERE experiment_id = 'gone';
UPDATE guard.guardrail_experiment SET experiment_id = 'renamed' WHERE experiment_id = 'new';
CALL guard.guardrail_check();
CALL guard.guardrail_check();
CALL guard.guardrail_check();
SELECT guard.guardrail_prune('0');
});
$primary->wait_for_catchup('guardrail');
is(without_sequence(contents($subscriber, 'shop', @replicated)), without_sequence(contents($primary, 'shop', @replicated)), 'logical replication: the rows that came, changed and went');
is(intact($subscriber, 'shop'), intact($primary, 'shop'), 'logical replication: plans');
is(replayed($subscriber, 'shop'), replayed($primary, 'shop'), 'logical replication: replay');
is($subscriber->safe_psql('shop', 'SELECT guard.guardrail_status()'), $primary->safe_psql('shop', 'SELECT guard.guardrail_status()'), 'logical replication: live status');
# it takes over
$subscriber->safe_psql('shop', 'DROP SUBSCRIPTION guardrail');
like(errors($subscriber, 'CALL guard.guardrail_check()'), qr/sequence guard\.guardrail_check_id is behind guardrail_check_log\n.*ERROR:  \d of \d checks failed: .*\nDETAIL:  \d of the failures could not be recorded/s, 'with a sequence that begins anew, no check can be recorded');
is(inconsistencies($subscriber, 'shop', 1), '', 'and none is');
$subscriber->safe_psql('shop', q{SELECT setval('guard.guardrail_check_id', max(check_id)) FROM guard.guardrail_check_log});
$_->safe_psql('shop', $grow) for $primary, $subscriber;
is($subscriber->safe_psql('shop', $verdicts), $primary->safe_psql('shop', $verdicts), 'logical replication: it takes over, and the next check says what the publisher says');
is($subscriber->safe_psql('shop', $looks), $primary->safe_psql('shop', $looks), 'logical replication: so does the next look');
is(inconsistencies($subscriber, 'shop', 1), '', 'logical replication: all is whole');

$subscriber->stop;
$primary->stop;
done_testing();

# What pg_dump writes, restored in every way that pg_dump and pg_restore offer: experiments in every state, rules,
# plans, logs, inputs, the sequence, and what goes on from there.
#
# Expected: the rows of the original database, read as text. guardrail_look_state is no part of a dump: it is computed
# anew from the log.

use strict;
use warnings;
use Guardrail;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE analyst');
make_shop($node, 'original');
# what earlier versions let in: limits that no share can be beyond, a zone of POSIX, an arm that no boolean is
$node->safe_psql('original', q{SET check_function_bodies = off;
ALTER TABLE shop.ev ADD COLUMN shown boolean;
INSERT INTO guard.guardrail_experiment (experiment_id, events, time_column, variant_column, control) VALUES ('earlier', 'shop.ev', 'at', 'shown', 'f');
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES
  ('earlier', 'points', 'guardrail', 'proportion', 'x', NULL, NULL, 'lower', 'difference', 5), ('earlier', 'day 1', 'guardrail', 'retention', NULL, 1, '+08', 'lower', 'relative', 0.05)});

my $files = $PostgreSQL::Test::Utils::tmp_check;
my @dumped = (except => ['guardrail_look_state']);
my $before = contents($node, 'original', @dumped);
like($before, qr/^guardrail_$_\|/m, "there are rows of $_") for qw(segment_log segment_input segment_result);
my $plans = intact($node, 'original');
my $replays = replayed($node, 'original');
like($before, qr/guardrail_experiment\|\(ships,shop\.ev,.*running/, 'there are running experiments to dump');
like($before, qr/guardrail_check_log\|.*BLOCK/, 'verdicts');
like($before, qr/guardrail_plan\|\(amended,2,/, 'plans');
like($before, qr/guardrail_check_input\|/, 'inputs');
is(() = $plans =~ /\|t\|$/mg, 1 + split(/\n/, $node->safe_psql('original', 'SELECT experiment_id FROM guard.guardrail_experiment WHERE launched_at IS NOT NULL')), 'each plan is intact');
is(() = $replays =~ /\|t\|$/mg, $node->safe_psql('original', 'SELECT count(*) FROM guard.guardrail_check_input'), 'each check is replayed identically');

sub dump_to
{
	my ($file, @how) = @_;
	unlink "$files/$file";
	$node->command_ok([ 'pg_dump', @how, '-f', "$files/$file" ], "pg_dump @how[2 .. $#how]");
	return "$files/$file";
}
sub connstr { return ('-d', $node->connstr(shift)) }
sub psql_ok { my ($db, $file, $name) = @_; return $node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', connstr($db), '-f', $file ], $name) }
sub same
{
	my ($db, $name) = @_;
	is(contents($node, $db, @dumped), $before, "$name: everything is there again");
	is(intact($node, $db), $plans, "$name: the plans are intact");
	is(replayed($node, $db), $replays, "$name: replayed, each check is the same");
	return;
}

# ---- a whole database

my $dump = dump_to('original.sql', connstr('original'));
my $custom = dump_to('original.dump', connstr('original'), '-Fc');
$node->safe_psql('postgres', 'CREATE DATABASE plain; CREATE DATABASE custom; CREATE DATABASE parallel; CREATE DATABASE columns;');
psql_ok('plain', $dump, 'restore by psql');
same('plain', 'plain');
$node->command_ok([ 'pg_restore', '--exit-on-error', connstr('custom'), $custom ], 'restore by pg_restore');
same('custom', 'custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '4', connstr('parallel'), $custom ], 'restore by pg_restore -j 4');
same('parallel', 'parallel');
psql_ok('columns', dump_to('columns.sql', connstr('original'), '--column-inserts', '--rows-per-insert=2'), 'restore of INSERT statements');
same('columns', 'inserts');

# the archive does not say that rules wait for their experiments: they may come first
my ($list) = run_command([ 'pg_restore', '-l', $custom ]);
my @list = split /^/, $list;
my ($rules) = grep { / TABLE DATA guard guardrail_rule / } @list;
my ($experiments) = grep { $list[$_] =~ / TABLE DATA guard guardrail_experiment / } 0 .. $#list;
splice @list, $experiments, 0, $rules;
PostgreSQL::Test::Utils::append_to_file("$files/rules_first", join '', @list);
$node->safe_psql('postgres', 'CREATE DATABASE rules_first');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-L', "$files/rules_first", connstr('rules_first'), $custom ], 'restore of the rules before the experiments');
same('rules_first', 'rules first');
like($node->safe_psql('rules_first', q{DELETE FROM guard.guardrail_experiment WHERE experiment_id = 'draft' RETURNING (SELECT count(*) FROM guard.guardrail_rule WHERE experiment_id = 'draft'); SELECT count(*) FROM guard.guardrail_rule WHERE experiment_id = 'draft'}), qr/^3\n0$/, 'rules go with their experiment');
my (undef, undef, $orphan) = $node->psql('rules_first', q{INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('nosuch', 'new', 'secondary', 'mean', 'x', 'higher', NULL)});
like($orphan, qr/experiment "nosuch" of rule ".*" does not exist/, 'a rule needs its experiment when it is no restore');

# it goes on where it was
my $last = $node->safe_psql('original', 'SELECT max(check_id) FROM guard.guardrail_check_log');
$node->safe_psql('plain', 'CALL guard.guardrail_check()');
is($node->safe_psql('plain', "SELECT min(check_id) - $last FROM guard.guardrail_check_log WHERE check_id > $last"), '1', 'checks are numbered on');
my $statuses = q{SELECT experiment_id, variant, verdict, status, reason FROM guard.guardrail_verdict ORDER BY 1};
is($node->safe_psql('plain', $statuses), $node->safe_psql('original', $statuses), 'the next check says the same');
is($node->safe_psql('plain', 'SELECT guard.guardrail_status()'), $node->safe_psql('original', 'SELECT guard.guardrail_status()'), 'so does the live status');
# a look is a look where units have come
my $more = q{INSERT INTO shop.ev SELECT experiment_id, user_id + 2000, variant, at, x, goal, doomed FROM shop.ev WHERE experiment_id = 'looks' AND user_id < 1000; CALL guard.guardrail_check('looks');};
my $looks = q{SELECT look_no, information, verdict, status, primary_lower, primary_upper FROM guard.guardrail_check_log WHERE experiment_id = 'looks' ORDER BY check_id DESC LIMIT 1};
$node->safe_psql($_, $more) for 'original', 'plain';
is($node->safe_psql('plain', $looks), $node->safe_psql('original', $looks), 'the next look has the same number and bounds');
like($node->safe_psql('plain', $looks), qr/^3\|/, 'the third');
is($node->safe_psql('plain', q{SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgname IN ('guardrail_append_only', 'guardrail_frozen') ORDER BY tgrelid::regclass::text}),
	join("\n", map { "guard.guardrail_$_|O" } qw(check_input check_log experiment plan result_log rule segment_input segment_log waiver)), 'the triggers are on');
for my $frozen (
	q{UPDATE guard.guardrail_experiment SET state = 'draft' WHERE experiment_id = 'ships'}, q{UPDATE guard.guardrail_experiment SET min_units = 2 WHERE experiment_id = 'ships'},
	q{DELETE FROM guard.guardrail_experiment WHERE experiment_id = 'ships'}, q{UPDATE guard.guardrail_rule SET limit_value = 99 WHERE experiment_id = 'ships'},
	q{DELETE FROM guard.guardrail_rule WHERE experiment_id = 'ships'}, q{DELETE FROM guard.guardrail_plan}, q{UPDATE guard.guardrail_check_log SET verdict = 'SHIP'},
	q{INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('ships', 'new', 'secondary', 'mean', 'x', 'higher', NULL)})
{
	my (undef, undef, $err) = $node->psql('plain', $frozen);
	like($err, qr/ERROR:.*(frozen|append-only|can only be changed by functions)/, "frozen again: $frozen");
}

# a dump of the dump is the dump
sub lines { return join '', grep { !/^--|^\\(un)?restrict/ } split /^/, slurp_file(shift) }
is(lines(dump_to('again.sql', connstr('custom'))), lines($dump), 'a dump of the restored is the same dump');

# ---- parts of a database

$before = contents($node, 'original', @dumped);
$replays = replayed($node, 'original');

# schema first, data later: in one go, and table by table
my $schema_only = dump_to('schema.sql', connstr('original'), '-s');
$node->safe_psql('postgres', 'CREATE DATABASE data; CREATE DATABASE data_parallel; CREATE DATABASE one_schema; CREATE DATABASE by_hand; CREATE DATABASE no_events;');
psql_ok('data', $schema_only, 'restore of the schema');
psql_ok('data', dump_to('data.sql', connstr('original'), '-a'), 'restore of the data');
# a view and a function in a restored plan mean what they meant; the matview is not among the data
$node->safe_psql('data', 'REFRESH MATERIALIZED VIEW shop.ev_matview');
same('data', 'data only');
psql_ok('data_parallel', $schema_only, 'restore of the schema');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '4', connstr('data_parallel'), dump_to('data.dump', connstr('original'), '-Fc', '-a') ], 'restore of the data by four');
same('data_parallel', 'data only, by four');

# pg_dump -n: the rows of the extension's tables, not the extension
my $one = dump_to('one.sql', connstr('original'), '-n', 'guard');
unlike(lines($one), qr/CREATE EXTENSION/, 'a dump of the schema alone is without the extension');
like(lines($one), qr/^COPY guard\.guardrail_check_input/m, 'with its rows');
my $shop_schema = dump_to('shop.sql', connstr('original'), '-n', 'shop');
$node->safe_psql('by_hand', 'CREATE SCHEMA guard; CREATE EXTENSION guardrail SCHEMA guard;');
psql_ok('by_hand', $shop_schema, 'the events first');
# psql goes on after the schema, which is there
my (undef, $err) = run_command([ 'psql', '-X', '-q', connstr('by_hand'), '-f', $one ]);
like($err, qr/\A[^\n]*ERROR:  schema "guard" already exists\n?\z/, 'restore of the schema alone into one that has the extension');
same('by_hand', 'schema alone');
# -e takes the extension along; the events' schema has to come too
my $both = dump_to('both.sql', connstr('original'), '-n', 'guard', '-n', 'shop', '-e', 'guardrail');
psql_ok('one_schema', $both, 'restore of two schemas with the extension');
same('one_schema', 'two schemas with the extension');
(undef, $err) = run_command([ 'psql', '-X', '-q', connstr('no_events'), '-f', dump_to('no_events.sql', connstr('original'), '-n', 'guard', '-e', 'guardrail') ]);
like($err, qr/schema "shop" does not exist/, 'without the tables of the events, experiments cannot be restored');

# ---- what is broken can be dumped and restored

# rules that fit no longer, events that are gone, plans that somebody has tampered with
$node->safe_psql('original', q{
CREATE TABLE shop.gone AS SELECT * FROM shop.ev WHERE experiment_id = 'ships';
INSERT INTO guard.guardrail_experiment (experiment_id, events, experiment_column, owner) VALUES ('lost', 'shop.gone', NULL, 'analyst'), ('lost draft', 'shop.gone', NULL, 'analyst');
GRANT SELECT ON shop.gone TO analyst;
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('lost', 'sales', 'primary', 'mean', 'goal', 'lower', NULL);
SELECT guard.guardrail_launch('lost');
DROP TABLE shop.gone;
ALTER TABLE shop.ev DROP doomed CASCADE;
SET session_replication_role = replica;
UPDATE guard.guardrail_rule SET limit_value = 11 WHERE (experiment_id, metric) = ('ships', 'load');
INSERT INTO guard.guardrail_rule SELECT 'blocks', 'slipped in', 'secondary', north_star, severity, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, at_least, retention_day,
  window_length, covariate, cap_quantile, cap_value, worse, limit_kind, limit_value, evidence, alpha, display_unit, note FROM guard.guardrail_rule WHERE (experiment_id, metric) = ('ships', 'load');
UPDATE guard.guardrail_plan SET plan = replace(plan, '"min_units": 100', '"min_units": 3') WHERE experiment_id = 'stopped';
RESET session_replication_role;
CALL guard.guardrail_check('fails');
CALL guard.guardrail_check('ships');
});
$before = contents($node, 'original', @dumped);
$plans = intact($node, 'original');
$replays = replayed($node, 'original');
like($before, qr/column ""doomed"" does not exist/, 'an experiment whose column is gone');
(undef, undef, $err) = $node->psql('original', q{SELECT guard.guardrail_replay(max(check_id)) FROM guard.guardrail_check_input WHERE experiment_id = 'stopped'});
like($err, qr/version 1 of the plan of experiment "stopped" differs from the text that was registered/, 'a check of a plan that was tampered with is not replayed');
for my $finding (qr/^blocks\|1\|.*\|f\|.*rule "slipped in" is not in the plan/m, qr/^ships\|1\|.*\|f\|rule "load": column "limit_value" is 11, planned 10$/m, qr/^stopped\|1\|.*\|f\|.*the plan text does not have its plan_hash/m, qr/^lost\|1\|.*\|f\|column "events" is "\d+", planned "shop.gone"/m)
{
	like($plans, $finding, 'a plan that is broken');
}
$node->safe_psql('postgres', 'CREATE DATABASE broken; CREATE DATABASE broken_parallel;');
psql_ok('broken', dump_to('broken.sql', connstr('original')), 'it can be restored');
same('broken', 'as broken as it was');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '4', connstr('broken_parallel'), dump_to('broken.dump', connstr('original'), '-Fc') ], 'by four');
same('broken_parallel', 'as broken as it was, by four');

# and it can be dropped
$node->safe_psql('broken', 'DROP EXTENSION guardrail CASCADE');
is($node->safe_psql('broken', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'guardrail%'}), '0', 'DROP EXTENSION leaves no table');

$node->stop;
done_testing();

# extras/roles.sql in a schema off the search path: run twice, each right and each refusal as the roles that it makes, and the
# same again in a database restored from a dump, in every way in which pg_dump and pg_restore restore.
#
# Expected: the table of doc/production.md, row by row. The events are 200 units in each arm of each experiment; nothing here
# rests on a number.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $files = $PostgreSQL::Test::Utils::tmp_check;
my $g = '"The guard"';

# as ROLE; the output and the errors
sub as { my ($db, $role, $sql) = @_; my ($rc, $out, $err) = $node->psql($db, $sql, extra_params => [ '-U', $role ]); return ($out, $err, $rc) }

sub may
{
	my ($db, $role, $sql, $name, $want) = @_;
	my ($out, $err, $rc) = as($db, $role, $sql);
	$name = "$db: $role may $name";
	return is($rc, 0, $name) || diag($err) unless defined $want;
	return ref $want ? like($out, $want, $name) || diag($err) : is($out, $want, $name) || diag($err);
}

sub may_not
{
	my ($db, $role, $sql, $name, $why) = @_;
	my ($out, $err, $rc) = as($db, $role, $sql);
	$name = "$db: $role may not $name";
	return like($err, $why // qr/ERROR:  permission denied for/, $name) || diag($out);
}

sub run_script
{
	my ($db, @more) = @_;
	return run_command([ 'psql', '-X', '-d', $node->connstr($db), @more, '-f', 'extras/roles.sql' ]);
}

sub rights { return $node->safe_psql(shift, qq{
SELECT c.relname, c.relacl, c.relrowsecurity FROM pg_class c WHERE relnamespace = '$g'::regnamespace AND relname LIKE '%guardrail%' AND relkind IN ('r', 'v', 'S')
UNION ALL SELECT p.oid::regprocedure::text, proacl, prosecdef FROM pg_proc p WHERE pronamespace = '$g'::regnamespace UNION ALL SELECT nspname, nspacl, true FROM pg_namespace WHERE nspname = 'The guard' ORDER BY 1}) }

# ---- before the script

$node->safe_psql('postgres', q{
CREATE ROLE checkout; CREATE ROLE search;
CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE olga LOGIN; CREATE ROLE deployer LOGIN; CREATE ROLE metabase LOGIN; CREATE ROLE scheduler LOGIN; CREATE ROLE monitor LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE newcomer LOGIN;
GRANT checkout TO ann; GRANT search TO bob;
CREATE DATABASE shop; CREATE DATABASE without;});
my ($out, $err) = run_script('without');
like($err, qr/does not have the extension.*ERROR:  extension "guardrail" does not exist/s, 'without the extension the script says so');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'guardrail%'}), '0', 'and makes no role');
$node->safe_psql('shop', qq{
CREATE SCHEMA $g;
CREATE EXTENSION guardrail SCHEMA $g;
CREATE SCHEMA events;
CREATE TABLE events.ev AS
  SELECT e AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 AS ms
    FROM generate_series(1, 400) i, unnest('{one,two}'::text[]) e;
GRANT USAGE ON SCHEMA events TO PUBLIC;
GRANT SELECT ON events.ev TO checkout, search;
CREATE SCHEMA releases AUTHORIZATION deployer});
($out, $err) = run_script('shop', '-v', 'schema=public');
like($err, qr/variable "schema" names a schema that does not have the extension/, 'a schema without the extension is refused');

# the owner of an experiment needs the schema, and is told so before it is launched
$node->safe_psql('shop', qq{
INSERT INTO $g.guardrail_experiment (experiment_id, events, owner) VALUES ('early', 'events.ev', 'checkout');
INSERT INTO $g.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('early', 'goal', 'primary', 'mean', 'ms', 'lower', 'significance')});
(undef, undef, $err) = $node->psql('shop', "SELECT $g.guardrail_launch('early')");
like($err, qr/ERROR:  role "checkout", which owns experiment "early", may not use schema "The guard"\nHINT:  GRANT USAGE ON SCHEMA "The guard" TO checkout/, 'an owner that cannot use the schema cannot launch');
$node->safe_psql('shop', "DELETE FROM $g.guardrail_experiment");

# ---- twice

($out, $err) = run_script('shop', '-v', 'prefix=ab', '-v', 'schema=The guard');
is($err, '', 'the script runs');
like($out, qr/row-level security is on/, 'and turns row-level security on');
my $rights = rights('shop');
like($rights, qr/guardrail_verdict.*ab_bi=r/, 'with rights for BI');
($out, $err) = run_script('shop', '-v', 'prefix=ab');
is($err, '', 'it runs again, and finds the schema');
is(rights('shop'), $rights, 'the rights are the same');

$node->safe_psql('shop', qq{
GRANT ab_analyst TO ann, bob, newcomer; GRANT ab_operator TO olga; GRANT ab_deploy TO deployer; GRANT ab_bi TO metabase; GRANT ab_cron TO scheduler;
-- a role that somebody gave the tables, and nothing else
GRANT SELECT ON $g.guardrail_experiment, $g.guardrail_rule TO monitor;
GRANT SELECT ON events.ev TO monitor});
my %owner = (ann => [ 'one', 'checkout' ], bob => [ 'two', 'search' ]);
for my $role (sort keys %owner)
{
	my ($id, $owner) = @{ $owner{$role} };
	may('shop', $role, qq{
INSERT INTO $g.guardrail_experiment (experiment_id, events, owner) VALUES ('$id', 'events.ev', '$owner');
INSERT INTO $g.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES
  ('$id', 'goal', 'primary', 'mean', 'ms', 'lower', 'significance', NULL), ('$id', 'load', 'guardrail', 'mean', 'ms', 'higher', 'difference', 5), ('$id', 'other', 'guardrail', 'mean', 'ms', 'higher', 'difference', 5);
UPDATE $g.guardrail_experiment SET min_units = 50; UPDATE $g.guardrail_rule SET note = 'mine';
SELECT $g.guardrail_launch('$id')}, 'write and launch what its team owns');
}

# ---- each right and each refusal

my $hidden = qr/ERROR:  row-level security hides experiments from role "monitor"\nHINT:  To let it see those of all owners, GRANT EXECUTE ON FUNCTION "The guard"\.guardrail_sees_all\(\) TO monitor; .*View "The guard"\.guardrail_verdict has the recorded/;

# what is hidden from whom; nothing of it is open in a restored database
sub protected
{
	my ($db) = @_;
	may($db, 'ann', "SELECT experiment_id FROM $g.guardrail_experiment", 'see its own experiments', 'one');
	may($db, 'bob', "SELECT DISTINCT experiment_id FROM $g.guardrail_rule", 'see its own rules', 'two');
	# a role that sees nothing is told so
	may_not($db, 'monitor', $_, $_, $hidden) for "SELECT count(*) FROM $g.guardrail_experiment", "SELECT count(*) FROM $g.guardrail_rule", "SELECT $g.guardrail_status()", "SELECT $g.guardrail_status('one')";
	may($db, 'olga', "SELECT count(DISTINCT experiment_id) FROM $g.guardrail_experiment JOIN $g.guardrail_rule USING (experiment_id)", 'see all', '2');
	return;
}

sub who_may_what
{
	my ($db) = @_;
	protected($db);

	# cron
	may($db, 'scheduler', "CALL $g.guardrail_check()", 'check everything');
	may($db, 'scheduler', "SELECT experiment_id, error IS NULL FROM $g.guardrail_verdict ORDER BY 1", 'see what failed', "one|t\ntwo|t");
	may($db, 'scheduler', "SELECT $g.guardrail_prune('90 days')", 'prune');
	may($db, 'scheduler', "SELECT $g.guardrail_prune('90 days', '7 days')", 'prune results sooner');
	may_not($db, 'scheduler', $_, $_) for "SELECT 1 FROM events.ev", "SELECT 1 FROM $g.guardrail_experiment", "SELECT 1 FROM $g.guardrail_check_log", "SELECT $g.guardrail_protect(false)", "INSERT INTO $g.guardrail_check_log DEFAULT VALUES";

	# analysts
	may($db, 'ann', "CALL $g.guardrail_check('one')", 'check what its team owns');
	may($db, 'ann', "SELECT $g.guardrail_amend('one', 'again', '{\"rules\": {\"load\": {\"limit_value\": 4}}}')", 'amend it');
	may($db, 'ann', "SELECT count(DISTINCT experiment_id) FROM $g.guardrail_verdict", 'read the verdicts of all', '2');
	may($db, 'newcomer', "SELECT count(*) FROM $g.guardrail_experiment", 'see no experiment while its team has none', '0');
	may_not($db, 'newcomer', "SELECT $g.guardrail_status()", 'take that for all there is', qr/ERROR:  row-level security hides all running experiments \(2\) from role "newcomer"\nHINT:  Grant newcomer the owner role of its experiments; or, to see those of all owners, GRANT EXECUTE/);
	may($db, 'ann', "SELECT bool_and(identical) FROM $g.guardrail_check_input i, $g.guardrail_replay(i.check_id)", 'replay checks', 't');
	may($db, 'ann', "SELECT $g.guardrail_status()", 'see the status of its own, and that there is more', qr/\Aone \/ treatment: \w.*\nNOT SHOWN: row-level security hides 1 more running experiment from role "ann"\z/);
	may_not($db, 'ann', "CALL $g.guardrail_check()", 'check everything', qr/ERROR:  permission denied for procedure guardrail_check\nDETAIL:  Without an argument .*\nHINT:  Name one experiment, .*, or GRANT EXECUTE ON PROCEDURE "The guard"\.guardrail_check\(text\) TO ann/);
	may($db, 'scheduler', "CALL $g.guardrail_check('one')", 'check one by name');
	may_not($db, 'scheduler', "CALL $g.guardrail_check(1042)", 'check one that does not exist', qr/ERROR:  experiment "1042" does not exist/);
	may_not($db, 'nobody', "CALL $g.guardrail_check(1042)", 'check by number', qr/ERROR:  permission denied for procedure guardrail_check\nDETAIL/);
	may_not($db, 'ann', "CALL $g.guardrail_check('two')", 'check what another team owns', qr/ERROR:  permission denied for procedure guardrail_check\nDETAIL:  Experiment "two" belongs to role search\.\nHINT:  Call it as a member of that role/);
	may_not($db, 'ann', "CALL $g.guardrail_check('there')", 'check what does not exist', qr/ERROR:  experiment "there" does not exist/);
	may_not($db, 'ann', "SELECT $g.guardrail_$_", "$_ of another team", qr/ERROR:  experiment "two" does not exist\nHINT:  Correct the name\. Row-level security shows role ann only/) for "launch('two')", "stop('two')", "amend('two', 'x', '{}')", "status('two')", "verify('two')";
	may($db, 'ann', "WITH u AS (UPDATE $g.guardrail_experiment SET description = 'x' WHERE experiment_id = 'two' RETURNING 1) SELECT count(*) FROM u", 'update nothing of another team', '0');
	may_not($db, 'ann', $_, $_, qr/ERROR:/) for "INSERT INTO $g.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('two', 'm', 'secondary', 'mean', 'ms', 'lower', 'significance')", "INSERT INTO $g.guardrail_experiment (experiment_id, events, owner) VALUES ('three', 'events.ev', 'search')";
	may_not($db, 'ann', $_, $_) for "SELECT $g.guardrail_prune('1 day')", "SELECT $g.guardrail_protect(false)", "SELECT $g.guardrail_sees_all()", "TRUNCATE $g.guardrail_rule", "INSERT INTO $g.guardrail_check_log DEFAULT VALUES", "DELETE FROM $g.guardrail_plan", "INSERT INTO $g.guardrail_protection VALUES (true)";
	may_not($db, 'ann', "ALTER TABLE $g.guardrail_experiment DISABLE ROW LEVEL SECURITY", 'disable it', qr/ERROR:  must be owner/);
	may_not($db, 'ann', "CREATE TABLE $g.mine ()", 'create objects beside the extension', qr/ERROR:  permission denied for schema/);

	# operator
	may($db, 'olga', "CALL $g.guardrail_check()", 'check everything');
	may($db, 'olga', "SELECT $g.guardrail_prune('90 days')", 'prune');
	may($db, 'olga', "SELECT count(*) FROM $g.guardrail_experiment e, $g.guardrail_verify(e.experiment_id) v WHERE NOT intact", 'verify every plan', '0');
	may($db, 'olga', "SELECT $g.guardrail_status()", 'not take events that it may not read for good', qr/\Aone: NO DATA: permission denied for table ev: GRANT SELECT ON events\.ev TO olga\. .*\ntwo: NO DATA: permission denied for table ev: GRANT .*\z/);
	may_not($db, 'olga', "SELECT $g.guardrail_stop('one')", 'stop experiments of others', qr/ERROR:  must be owner of experiment "one"\nHINT:  Its owner is checkout/);
	may_not($db, 'olga', $_, $_) for "UPDATE $g.guardrail_experiment SET description = 'x'", "DELETE FROM $g.guardrail_rule", "SELECT 1 FROM events.ev", "SELECT $g.guardrail_protect(false)";

	# deploy
	may_not($db, 'deployer', "SELECT $g.guardrail_assert_shippable('one', 'treatment')", 'ship what is held', qr/ERROR:  variant "treatment" of experiment "one" may not ship/);
	may($db, 'deployer', "CREATE TABLE releases.$db (experiment_id text, variant text); CREATE TRIGGER gate BEFORE INSERT ON releases.$db FOR EACH ROW EXECUTE FUNCTION $g.guardrail_release_gate(); INSERT INTO releases.$db VALUES ('one', 'treatment')", 'attach the gate to its own table');
	may_not($db, 'deployer', $_, $_) for "SELECT 1 FROM $g.guardrail_experiment", "SELECT 1 FROM $g.guardrail_result", "SELECT 1 FROM $g.guardrail_check_log", "CALL $g.guardrail_check()", "CALL $g.guardrail_check('one')", "SELECT $g.guardrail_prune('1 day')";

	# BI
	may($db, 'metabase', "SELECT count(DISTINCT experiment_id) FROM $g.$_", "read $_", '2') for 'guardrail_verdict', 'guardrail_result';
	may($db, 'metabase', "SELECT count(*) FROM $g.guardrail_segment_result", 'read guardrail_segment_result', '0');
	may_not($db, 'metabase', $_, $_) for "SELECT 1 FROM $g.guardrail_experiment", "SELECT 1 FROM $g.guardrail_plan", "CALL $g.guardrail_check('one')";
	may_not($db, 'metabase', "SELECT $g.guardrail_status('one')", 'evaluate', qr/ERROR:  permission denied for table guardrail_experiment\nHINT:  GRANT SELECT ON guardrail_experiment, guardrail_rule TO metabase, or read the recorded verdicts in view guardrail_verdict/);

	# who was granted nothing
	may_not($db, 'nobody', "SELECT $g.guardrail_assert_shippable('one', 'treatment')", 'ask what may ship', qr/ERROR:  permission denied for view guardrail_verdict\nHINT:  GRANT SELECT ON guardrail_verdict TO nobody/);
	may_not($db, 'nobody', "CALL $g.guardrail_check('$_')", "check, nor learn whether $_ exists", qr/ERROR:  permission denied for procedure guardrail_check\nDETAIL:  You are not a member of the owner of experiment "$_"\.\nHINT:  Call it as a member of its owner/) for 'one', 'there';
	may_not($db, 'nobody', "SELECT * FROM $g.guardrail_replay(1)", 'replay', qr/ERROR:  permission denied for table guardrail_check_input\nHINT:  GRANT SELECT ON guardrail_check_input TO nobody, or read/);
	return;
}
who_may_what('shop');

# the right on the events is named with who lacks it
$node->safe_psql('shop', 'REVOKE SELECT ON events.ev FROM search, monitor; GRANT EXECUTE ON FUNCTION ' . "$g.guardrail_sees_all() TO monitor");
may_not('shop', 'monitor', "SELECT $g.guardrail_status('one')", 'see live results of events that it may not read', qr/ERROR:  permission denied for table ev\nHINT:  GRANT SELECT ON events\.ev TO monitor\. The recorded verdicts in view guardrail_verdict need no right on the events/);
may_not('shop', 'bob', "INSERT INTO $g.guardrail_experiment (experiment_id, events, owner) VALUES ('three', 'events.ev', 'search'); INSERT INTO $g.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('three', 'm', 'primary', 'mean', 'ms', 'lower', 'significance')",
	'measure events that the owner may not read', qr/permission denied for table ev\nHINT:  The statement runs with the rights of role search\. Grant the missing right to that role/);
may_not('shop', 'scheduler', "CALL $g.guardrail_check()", 'check what the owner may not read', qr/ERROR:  1 of 2 checks failed: "two" \(permission denied for table ev: GRANT SELECT ON events\.ev TO search/);
may('shop', 'scheduler', "SELECT error FROM $g.guardrail_verdict WHERE experiment_id = 'two'", 'see what the owner of a failed check needs', 'permission denied for table ev: GRANT SELECT ON events.ev TO search, which owns the experiment.');
$node->safe_psql('shop', "GRANT SELECT ON events.ev TO search, monitor");
may('shop', 'monitor', "SELECT $g.guardrail_status()", 'see all once it may', qr/\Aone \/ treatment: .*\ntwo \/ treatment: .*\z/);
$node->safe_psql('shop', "REVOKE EXECUTE ON FUNCTION $g.guardrail_sees_all() FROM monitor; DELETE FROM $g.guardrail_experiment WHERE experiment_id = 'three'");

# ---- dumped and restored, everything is protected as before

sub dump_to
{
	my ($file, @how) = @_;
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('shop'), @how, '-f', "$files/$file" ], "pg_dump @how");
	return "$files/$file";
}
sub restore { my ($db, $file, $name) = @_; return $node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $file ], $name) }
sub policies { return $node->safe_psql(shift, q{SELECT * FROM pg_policies ORDER BY tablename, policyname}) }

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(plain parallel data untriggered part);
restore('plain', dump_to('shop.sql'), 'restore by psql');
is(rights('plain'), rights('shop'), 'the rights are there again');
is(policies('plain'), policies('shop'), 'the policies too');
who_may_what('plain');
($out, $err) = run_script('plain', '-v', 'prefix=ab');
is($err, '', 'the script runs in a restored database');
is(rights('plain'), rights('shop'), 'and changes nothing');

$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '4', '-d', $node->connstr('parallel'), dump_to('shop.dump', '-Fc') ], 'pg_restore -j 4');
protected('parallel');
my $schema = dump_to('schema.sql', '-s');
restore('data', $schema, 'restore of the schema');
restore('data', dump_to('data.sql', '-a'), 'restore of the data');
protected('data');
restore('untriggered', $schema, 'restore of the schema');
restore('untriggered', dump_to('untriggered.sql', '-a', '--disable-triggers'), 'restore of the data without triggers');
protected('untriggered');
# without the extension's own statements there is no right at all
$node->safe_psql('part', "CREATE SCHEMA $g; CREATE EXTENSION guardrail SCHEMA $g; CREATE SCHEMA events; CREATE TABLE events.ev (experiment_id text, user_id int, variant text, ms int)");
run_command([ 'psql', '-X', '-q', '-d', $node->connstr('part'), '-f', dump_to('part.sql', '-n', $g) ]);
may_not('part', 'ann', "SELECT experiment_id FROM $g.guardrail_experiment", 'see anything', qr/ERROR:  permission denied/);
run_script('part', '-v', 'prefix=ab');
may('part', 'ann', "SELECT experiment_id FROM $g.guardrail_experiment", 'see its own after the script', 'one');

# ---- off, on, by hand

is($node->safe_psql('shop', "SELECT $g.guardrail_protect(false)"), 'row-level security is off: a role that may read guardrail_experiment sees every experiment', 'it can be turned off');
may('shop', 'ann', "SELECT count(*) FROM $g.guardrail_experiment", 'see all then', '2');
may_not('shop', 'ann', "SELECT $g.guardrail_stop('two')", 'stop what another team owns, all the same', qr/ERROR:  must be owner of experiment "two"\nHINT:  Its owner is search/);
unlike(slurp_file(dump_to('off.sql')), qr/^COPY "The guard"\.guardrail_protection .*\nt$/m, 'a dump does not turn it on');
like($node->safe_psql('shop', "SELECT $g.guardrail_protect()"), qr/^row-level security is on/, 'and on again');
protected('shop');
$node->safe_psql('shop', "ALTER TABLE $g.guardrail_experiment DISABLE ROW LEVEL SECURITY; SELECT $g.guardrail_protect()");
protected('shop');
my (undef, undef, $null) = $node->psql('shop', "SELECT $g.guardrail_protect(NULL)");
like($null, qr/ERROR:  argument "enable" must not be NULL/, 'NULL is refused');

# ---- the owner of an experiment has the last word on it

may('shop', 'ann', "SELECT $g.guardrail_stop('one')", 'stop its own');
may('shop', 'ann', "CALL $g.guardrail_check('one'); SELECT verdict IS NOT NULL FROM $g.guardrail_verdict WHERE experiment_id = 'one'", 'record the verdict of a stopped one', 't');

$node->stop;
done_testing();

# ALTER EXTENSION guardrail UPDATE from 0.1.0: what was there is there, what ran has a registered plan and goes on where
# it was, and the objects are those of a fresh installation.
#
# Expected: the rows before the update; the system catalogs of a database where CREATE EXTENSION made the newest
# version; the checks of a database that has always had it.

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
my $files = $PostgreSQL::Test::Utils::tmp_check;
my ($newest) = slurp_file('guardrail.control') =~ /^default_version = '(.*)'/m;
sub version { return $node->safe_psql(shift, q{SELECT extversion FROM pg_extension WHERE extname = 'guardrail'}) }
sub errors { my ($db, $sql) = @_; my (undef, undef, $err) = $node->psql($db, $sql); return $err }

# ---- a database as 0.1.0 left it: its functions need its library, so its rows are restored, as a dump of it would be

make_shop($node, 'always');
# 0.1.0 knew no amendments, and wrote no hash
$node->safe_psql('postgres', 'CREATE DATABASE source TEMPLATE always');
$node->safe_psql('source', q{
SET session_replication_role = replica;
DELETE FROM guard.guardrail_experiment WHERE experiment_id = 'amended';
DELETE FROM guard.guardrail_rule WHERE experiment_id = 'amended';
DELETE FROM guard.guardrail_check_log WHERE experiment_id = 'amended';
DELETE FROM guard.guardrail_result_log WHERE experiment_id = 'amended';
UPDATE guard.guardrail_experiment SET plan_hash = NULL;
});
my @tables = map { "guardrail_$_" } qw(experiment rule check_log result_log);
$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('old', q{CREATE SCHEMA guard; CREATE EXTENSION guardrail SCHEMA guard VERSION '0.1.0'; GRANT USAGE ON SCHEMA guard TO analyst;});
is(version('old'), '0.1.0', 'CREATE EXTENSION makes version 0.1.0');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('source'), '-n', 'shop', '-f', "$files/shop.sql" ], 'pg_dump of the events');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('old'), '-f', "$files/shop.sql" ], 'restore of the events');
# of each table and view the columns that 0.1.0 had
my %columns = map { split /\|/ } split /\n/, $node->safe_psql('old', q{SELECT relname, string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
 WHERE relnamespace = 'guard'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND relname <> 'guardrail_look_state' GROUP BY 1});
for my $table (@tables)
{
	$node->safe_psql('source', "COPY (SELECT $columns{$table} FROM guard.$table) TO '$files/$table'");
	$node->safe_psql('old', "SET check_function_bodies = off; COPY guard.$table ($columns{$table}) FROM '$files/$table'");
}
$node->safe_psql('old', q{SELECT setval('guard.guardrail_check_id', max(check_id)) FROM guard.guardrail_check_log});
# infinite bounds are NULL in the views of 0.3.0
sub rows_of { my $text = contents($node, shift, columns => \%columns); $text =~ s/-?Infinity//g; return $text }
my $before = rows_of('old');
is($before, rows_of('source'), 'the rows of 0.1.0');
like($before, qr/\($_,.*running,/, "$_ runs") for qw(ships blocks fails looks);
like($before, qr/\(stopped,.*stopped,/, 'one is stopped');
like($before, qr/\(draft,.*draft,/, 'one is a draft');

# ---- the library is newer than the objects

my $refused = qr/ERROR:  extension guardrail has version 0\.1\.0, but its library has version \Q$newest\E\nHINT:  Run ALTER EXTENSION guardrail UPDATE/;
$node->safe_psql('postgres', 'CREATE DATABASE waits TEMPLATE old');
like(errors('waits', $_), $refused, "$_: refused before the update") for (
	q{SELECT guard.guardrail_evaluate('ships')}, q{SELECT guard.guardrail_decide('ships')}, q{SELECT guard.guardrail_status('ships')}, q{SELECT guard.guardrail_explain('ships')},
	q{CALL guard.guardrail_check('ships')}, q{SELECT guard.guardrail_launch('draft')}, q{SELECT guard.guardrail_stop('ships')});
like($node->safe_psql('waits', 'SELECT guard.guardrail_status()'), qr/^ships: NO DATA: extension guardrail has version 0\.1\.0/m, 'the status of all says why there is none');
like(errors('waits', 'CALL guard.guardrail_check()'), qr/check of experiment "blocks" failed: extension guardrail has version 0\.1\.0/, 'a check of all records why it fails');
is($node->safe_psql('waits', q{SELECT verdict, status FROM guard.guardrail_verdict WHERE experiment_id = 'blocks'}), $node->safe_psql('old', q{SELECT verdict, status FROM guard.guardrail_verdict WHERE experiment_id = 'blocks'}), 'and a BLOCK stands');
is($node->safe_psql('waits', 'SELECT guard.guardrail_units(s) FROM shop.kept ORDER BY id'), $node->safe_psql('always', 'SELECT guard.guardrail_units(s) FROM shop.kept ORDER BY id'), 'what needs no catalog works');
$node->safe_psql('waits', 'ALTER EXTENSION guardrail UPDATE; CALL guard.guardrail_check();');
is($node->safe_psql('waits', q{SELECT verdict, status, error FROM guard.guardrail_verdict WHERE experiment_id = 'blocks'}), 'BLOCK|BLOCK: load, p95|', 'after the update the next check works');

# ---- the update

my $dump = "$files/old.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('old'), '-f', $dump ], 'pg_dump of version 0.1.0');
$node->safe_psql('postgres', 'CREATE DATABASE undone TEMPLATE old');
$node->safe_psql('undone', 'BEGIN; ALTER EXTENSION guardrail UPDATE; ROLLBACK;');
is(rows_of('undone'), $before, 'an update that is rolled back has changed nothing');
is(version('undone'), '0.1.0', 'nor the version');

sub without_hash { my ($text) = @_; $text =~ s/,[0-9a-f]{64},/,,/g; return $text }
sub updated
{
	my ($db, $name) = @_;
	is(version($db), $newest, "$name: the version");
	is(without_hash(rows_of($db)), without_hash($before), "$name: what was there is there");
	is($node->safe_psql($db, q{SELECT e.experiment_id, e.plan_version = p.version AND e.plan_hash = p.plan_hash, p.previous_hash, p.reason, p.after_data FROM guard.guardrail_experiment e LEFT JOIN guard.guardrail_plan p USING (experiment_id) ORDER BY 1}),
		join("\n", map { $_ eq 'draft' ? 'draft||||' : "$_|t||launched before plans were registered|t" } qw(blocks draft fails looks ships stopped)), "$name: what was launched has a plan");
	is($node->safe_psql($db, q{SELECT count(*), count(*) FILTER (WHERE intact) FROM guard.guardrail_experiment e, LATERAL guard.guardrail_verify(experiment_id) WHERE state <> 'draft'}), '5|5', "$name: it verifies");
	like(errors($db, $_), qr/ERROR:.*(frozen|append-only)/, "$name: frozen: $_") for (
		q{UPDATE guard.guardrail_experiment SET min_units = 2 WHERE experiment_id = 'ships'}, q{UPDATE guard.guardrail_rule SET limit_value = 99 WHERE experiment_id = 'ships'}, q{DELETE FROM guard.guardrail_plan});
	return;
}
# as the next check of the same rows by a database that has always had the newest version
my $more = q{INSERT INTO shop.ev SELECT experiment_id, user_id + 2000, variant, at, x, goal, doomed FROM shop.ev WHERE experiment_id = 'looks' AND user_id < 1000; CALL guard.guardrail_check();};
# (0.1.0 kept no more of a quantile that it proved than its standard error: the bound is a little different)
my $next = q{SELECT experiment_id, variant, verdict, status, regexp_replace(regexp_replace(reason, '; registered after data$', ''), '(p95 [^(]*)\(90 % bound [^,]*', '\1('), plan_version, look_no, information, primary_lower, primary_upper, srm_p FROM guard.guardrail_check_log
 WHERE check_id IN (SELECT max(check_id) FROM guard.guardrail_check_log GROUP BY experiment_id) AND experiment_id IN ('ships', 'blocks', 'fails', 'looks') ORDER BY 1, 2};
$node->safe_psql('always', $more);
sub goes_on
{
	my ($db, $name) = @_;
	$node->safe_psql($db, $more);
	is($node->safe_psql($db, $next), $node->safe_psql('always', $next), "$name: the next check says the same, and is the next look");
	like($node->safe_psql($db, $next), qr/^looks\|.*\|3\|/m, "$name: the third");
	is(() = replayed($node, $db) =~ /\|t\|$/mg, 4, "$name: and can be replayed");
	$node->safe_psql($db, q{SELECT guard.guardrail_launch('draft'); SELECT guard.guardrail_amend('ships', 'more time', '{"experiment": {"planned_units": 1000}}'); CALL guard.guardrail_check();});
	is($node->safe_psql($db, q{SELECT experiment_id, version, intact FROM unnest('{draft,ships}'::text[]) experiment_id, LATERAL guard.guardrail_verify(experiment_id) ORDER BY 1, 2}), "draft|1|t\nships|1|t\nships|2|t", "$name: plans can be made and changed");
	return;
}
$node->safe_psql('old', 'ALTER EXTENSION guardrail UPDATE');
updated('old', 'updated');

# ---- the same objects as in a fresh installation

$node->safe_psql('postgres', 'CREATE DATABASE fresh; CREATE DATABASE empty;');
$node->safe_psql('fresh', 'CREATE SCHEMA guard; CREATE EXTENSION guardrail SCHEMA guard;');
$node->safe_psql('empty', q{CREATE SCHEMA guard; CREATE EXTENSION guardrail SCHEMA guard VERSION '0.1.0'; ALTER EXTENSION guardrail UPDATE;});
my $of_schema = q{(SELECT oid FROM pg_namespace WHERE nspname = 'guard')};
my %objects = (
	'functions' => qq{SELECT p.oid::regprocedure, prokind, prosrc, probin, provolatile, proparallel, procost, prorows, proisstrict, prosecdef, proleakproof, proretset, prosupport, proconfig, proacl,
		pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END FROM pg_proc p WHERE pronamespace = $of_schema},
	'aggregates' => qq{SELECT aggfnoid::regprocedure, aggkind, aggnumdirectargs, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn, aggfinalextra, aggfinalmodify,
		aggtranstype::regtype, aggtransspace, agginitval FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid WHERE pronamespace = $of_schema},
	'types' => qq{SELECT typname, typtype, typlen, typbyval, typcategory, typispreferred, typdelim, typinput, typoutput, typreceive, typsend, typmodin, typanalyze, typalign, typstorage, typnotnull, typdefault, typacl FROM pg_type WHERE typnamespace = $of_schema},
	'casts' => q{SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod FROM pg_cast WHERE castsource::regtype::text ~ 'guardrail' OR casttarget::regtype::text ~ 'guardrail'},
	'operators' => qq{SELECT o.oid::regoperator, oprcode, oprrest, oprjoin, oprcanmerge, oprcanhash FROM pg_operator o WHERE oprnamespace = $of_schema},
	'operator classes' => qq{SELECT opcname, opcmethod, opcintype::regtype, opcdefault FROM pg_opclass WHERE opcnamespace = $of_schema},
	'relations' => qq{SELECT relname, relkind, relpersistence, relacl, reloptions, relrowsecurity, relreplident, relowner::regrole, relhastriggers, relnatts FROM pg_class WHERE relnamespace = $of_schema},
	'columns' => qq{SELECT attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression, attacl, attstattarget, attisdropped, attidentity, attgenerated, pg_get_expr(adbin, adrelid)
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relnamespace = $of_schema AND attnum > 0},
	'constraints' => qq{SELECT conrelid::regclass, conname, contype, convalidated, condeferrable, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = $of_schema},
	'indexes' => qq{SELECT pg_get_indexdef(indexrelid), indisunique, indisprimary, indisvalid, indisclustered, indisreplident FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = $of_schema},
	'triggers' => qq{SELECT tgrelid::regclass, regexp_replace(tgname, '[0-9]+', ''), tgenabled, tgisinternal, regexp_replace(pg_get_triggerdef(t.oid), 'TriggerName|_[0-9]+', '') FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = $of_schema},
	'policies' => q{SELECT tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'guard'},
	'views' => qq{SELECT oid::regclass, pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relnamespace = $of_schema},
	'sequences' => qq{SELECT seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle FROM pg_sequence},
	'comments' => q{SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description WHERE pg_describe_object(classoid, objoid, objsubid) ~ 'guard'},
	'members' => q{SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail')},
	'tables that are dumped' => q{SELECT t.name::regclass, t.condition FROM pg_extension, unnest(extconfig, extcondition) AS t(name, condition) WHERE extname = 'guardrail'},
	'initial privileges' => q{SELECT pg_describe_object(classoid, objoid, objsubid), privtype, initprivs FROM pg_init_privs WHERE pg_describe_object(classoid, objoid, objsubid) ~ 'guardrail'},
	'the extension' => q{SELECT extname, extversion, extrelocatable, extnamespace::regnamespace FROM pg_extension WHERE extname = 'guardrail'});
for my $what (sort keys %objects)
{
	my %found = map { $_ => $node->safe_psql($_, "SELECT o::text FROM ($objects{$what}) o ORDER BY 1") } qw(fresh empty old);
	isnt($found{fresh}, '', "$what: there are some") unless $what =~ /^(operators|operator classes|casts)$/;
	is($found{empty}, $found{fresh}, "$what: an update makes those of a fresh installation");
	is($found{old}, $found{fresh}, "$what: with rows in its tables too");
}

goes_on('old', 'updated');

# ---- a dump of version 0.1.0, restored where the newest is installed

# the script says CREATE EXTENSION IF NOT EXISTS without a version: it may be there before
$node->safe_psql('postgres', 'CREATE DATABASE later; CREATE DATABASE at_once;');
$node->safe_psql('later', q{CREATE SCHEMA guard; CREATE EXTENSION guardrail SCHEMA guard VERSION '0.1.0'; GRANT USAGE ON SCHEMA guard TO analyst;});
my (undef, $err) = run_command([ 'pg_restore', '-d', $node->connstr('later'), $dump ]);
is(join('', $err =~ /ERROR: .*/g), 'ERROR:  schema "guard" already exists', 'restore into version 0.1.0: but for the schema that is there');
$node->safe_psql('later', 'ALTER EXTENSION guardrail UPDATE');
updated('later', 'restored, then updated');
goes_on('later', 'restored, then updated');
# else the rows come without plans, and what runs is INVALID until somebody says that its plan is what it is
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('at_once'), $dump ], 'restore into the newest version');
is(version('at_once'), $newest, 'its version');
is(rows_of('at_once'), $before, 'what was there is there');
$node->safe_psql('at_once', 'CALL guard.guardrail_check()');
is($node->safe_psql('at_once', q{SELECT experiment_id, verdict, reason FROM guard.guardrail_verdict WHERE experiment_id IN ('ships', 'blocks') ORDER BY 1}),
	join("\n", map { "$_|INVALID|plan changed after launch: version 1 of the plan is not registered" } qw(blocks ships)), 'without a plan: INVALID');
$node->safe_psql('at_once', q{SELECT guard.guardrail_amend(experiment_id, 'restored from version 0.1.0', '{}') FROM guard.guardrail_experiment WHERE state = 'running'; CALL guard.guardrail_check();});
is($node->safe_psql('at_once', q{SELECT experiment_id, verdict, plan_version FROM guard.guardrail_verdict WHERE experiment_id IN ('ships', 'blocks') ORDER BY 1}), "blocks|BLOCK|2\nships|SHIP|2", 'an amendment that changes nothing registers it');

$node->stop;
done_testing();

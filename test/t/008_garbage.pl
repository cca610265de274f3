# Every function, procedure and aggregate of the extension, called with garbage: an error or an answer, never a crash and
# never an internal error (XX000). A fixed seed.
#
# Expected: nothing but SQLSTATEs that speak to the caller.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# what is freed is overwritten (glibc), so that its use shows
$ENV{MALLOC_PERTURB_} = 165;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nstatement_timeout = '60s'\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE ROLE nobody LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON guardrail_experiment, guardrail_rule TO nobody;
CREATE TYPE arm AS ENUM ('control', 'treatment');
CREATE TABLE ev AS SELECT i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, i % 7 AS x FROM generate_series(1, 400) i;
GRANT SELECT ON ev TO PUBLIC;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units) VALUES ('e', 'ev', NULL, 1), ('draft', 'ev', NULL, 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) SELECT e, 'x', 'primary', 'mean', 'x', 'higher', NULL FROM unnest('{e,draft}'::text[]) e;
SELECT guardrail_launch('e');
CREATE TABLE seen (call text, state text, message text);
GRANT ALL ON seen TO PUBLIC;
-- runs a statement; what is an internal error is kept
CREATE FUNCTION attempt(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text;
BEGIN
  EXECUTE sql;
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT;
  IF SQLSTATE LIKE 'XX%' THEN INSERT INTO seen VALUES (left(sql, 2000), SQLSTATE, m); END IF;
  RETURN SQLSTATE;
END $$;
});

srand(20260402);
sub pick { return $_[ int rand @_ ] }
my @numbers = ("'NaN'", "'Infinity'", "'-Infinity'", 0, "'-0'", 1, -1, 0.5, 0.05, 0.95, 2, 3, 100, 1e6, 1e15, "'1e308'", "'-1e308'", "'5e-324'", "'1e-300'", 0.1, 0.999999, 1.0000001, 42.42);
my @words = ('e', 'draft', 'nosuch', '', 'control', 'treatment', 'two-sided', 'greater', 'less', 'fieller', 'delta', 'holm', 'bh', 'none', 'hochberg', 'difference', 'relative', 'absolute', 'obrien_fleming', 'pocock', 'power', "it''s", '%s%n%d', 'x' x 5000, "umlaut", '$1', '\\');
my @specs = ('columns=1 filters=. folds=s0 metrics=v0', 'columns=2 filters=.f folds=s0,c0,x1,n1,h0 metrics=v0,p1,r0/1,a0/1,e4', 'columns=1 filters=f folds=h0 metrics=e0', 'columns=0 filters= folds=s0 metrics=v0', 'columns=3 filters=... folds=s0,s1,s2 metrics=r0/1,u2,w0/1');
my @summaries = ('v1 n=3 sum=6 low=0 products=2', 'v1 n=0 sum=0 low=0 products=0', 'v1 n=2 sum=6,1 low=0,0 products=2,1,2', 'v1 n=9223372036854775807 sum=1e308 low=0 products=1e308', 'v1 n=5 sum=-3 low=0 products=0 skipped=9', 'v1 n=2 sum=1e308,5e-324 low=0,0 products=1e308,0,0');
my @histograms = ('v1 skipped=0 bins=-5:1,0:2,7:1', 'v1 skipped=0 bins=', 'v1 skipped=3 bins=2096128:9223372036854775807', 'v1 skipped=0 bins=-2096128:1,2096128:1');
# a text, at times with a character bent
sub bent { my ($text) = @_; substr($text, int rand length $text, 1) = pick('0', '9', ',', '=', '-', ' ', 'x', '/', ':', '.') if $text ne '' && rand() < 0.5; return $text }
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
sub array { my ($type, @values) = @_; my $n = pick(0, 1, 2, 2, 2, 3, 5, 200); return rand() < 0.05 ? "ARRAY[[1,2],[3,4]]::${type}[]" : 'ARRAY[' . join(',', map { rand() < 0.03 ? 'NULL' : pick(@values) . "::$type" } 1 .. $n) . "]::${type}[]" }
sub argument
{
	my ($type) = @_;
	return "NULL::$type" if rand() < 0.06 && $type !~ /^(internal|"any"|cstring)$/;
	return pick(@numbers) . '::float8' if $type eq 'double precision';
	return pick(0, 1, -1, 2, 5, 1000, '2147483647', '(-2147483648)') . "::$type" if $type =~ /^(integer|smallint)$/;
	return pick(0, 1, -1, 2, 100, "'9223372036854775807'", "'-9223372036854775808'") . '::bigint' if $type eq 'bigint';
	return pick(1, 0, "'NaN'", "'1e400'", "'-1e-400'", "'Infinity'", '1.5') . '::numeric' if $type eq 'numeric';
	return pick('true', 'false') if $type eq 'boolean';
	return quoted(pick('1 day', '-1 day', '0', '178000000 years')) . '::interval' if $type eq 'interval';
	return "'\\x" . join('', map { sprintf '%02x', int rand 256 } 1 .. int rand 60) . "'::bytea" if $type eq 'bytea';
	return array('float8', @numbers) if $type eq 'double precision[]';
	return array('bigint', 0, 1, 5, 1000, "'9223372036854775807'", -1) if $type eq 'bigint[]';
	return array('text', map { quoted($_) } @words) if $type eq 'text[]';
	return quoted(bent(pick(@summaries))) . '::guardrail_summary' if $type eq 'guardrail_summary';
	return quoted(bent(pick(@histograms))) . '::guardrail_histogram' if $type eq 'guardrail_histogram';
	return quoted(bent(pick(@summaries, @histograms, @words))) . '::cstring' if $type eq 'cstring';
	return pick("'control'::text", "'treatment'::arm", '1', '1::bigint', 'true', '2.5', "'x'::varchar", "'{1,2}'::int[]", "'(1,2)'::point", 'NULL', 'NULL::int', "'a'", 'now()', 'ROW(1,2)', "'1 day'::interval", "'\\x00'::bytea", 'gen_random_uuid()', "'NaN'::float8", '1::float4', "'{}'::jsonb") if $type eq '"any"';
	return quoted(rand() < 0.5 ? pick(@specs) : bent(pick(@specs))) . '::text' if $type eq 'text' && rand() < 0.3;
	return quoted(pick(@words)) . '::text' if $type eq 'text';
	return quoted(pick('{}', '{"a": 1}', '[]', 'null', '{"limit_value": "x"}')) . '::jsonb' if $type eq 'jsonb';
	return 'NULL';
}

my @functions = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', q{
SELECT p.oid::regproc, p.prokind, p.provariadic > 0, coalesce((SELECT string_agg(format_type(t, NULL), ';' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, i)), ''), p.pronargdefaults, p.prorettype = 'internal'::regtype
  FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'guardrail'
 WHERE p.prorettype <> 'trigger'::regtype ORDER BY p.oid::regprocedure::text COLLATE "C"});
cmp_ok(scalar @functions, '>', 50, 'functions to call');

my (%calls, @batch);
my $crashed = 0;
my $total = 0;
sub run_batch
{
	my ($role) = @_;
	return unless @batch;
	my $rc = $node->psql('postgres', join("\n", "SET ROLE $role;", 'SET client_min_messages = error;', 'SET guardrail.unit_memory = ' . pick("'64kB'", "'256MB'") . ';', map { "SELECT attempt(\$garbage\$$_\$garbage\$);" } @batch), stdout => \my $out, stderr => \my $err);
	if ($rc == 2 || $err =~ /server closed|terminating connection because of crash/)
	{
		$crashed++;
		diag("the server crashed in one of:\n" . join("\n", map { substr $_, 0, 500 } @batch));
		$node->poll_query_until('postgres', 'SELECT true');
	}
	$calls{$_}++ for split /\n/, $out;
	$total += @batch;
	@batch = ();
}
for my $round (1 .. 100)
{
	for my $function (@functions)
	{
		my ($name, $kind, $variadic, $types, $defaults, $internal) = @$function;
		my @types = split /;/, $types;
		my $given = @types - int(rand($defaults + 1));
		my @arguments = map { argument($_) } @types[ 0 .. $given - 1 ];
		push @arguments, map { argument('"any"') } 1 .. int rand 5 if $variadic eq 't';
		if ($name eq '_guardrail_collect') { @arguments[ 0 .. 2 ] = (quoted(rand() < 0.7 ? pick(@specs) : bent(pick(@specs))) . '::text', pick('NULL', "'{control,treatment}'", "'{}'", "'{a,NULL}'", "'{a,a}'", array('text', map { quoted($_) } @words)) . '::text[]', pick(262144, 64, 1, 0, -1, 'NULL') . '::int') }
		my $call = "$name(" . join(', ', @arguments) . ')';
		if ($kind eq 'p') { push @batch, "CALL $call" }
		elsif ($kind eq 'a' && rand() < 0.5) { $call =~ s/, ([^,]*)\)\z/, i)/; push @batch, "SELECT $call FROM generate_series(1, 20) i" }
		else { push @batch, ($internal eq 't' ? "SELECT $call IS NULL" : "SELECT * FROM (SELECT $call AS x) AS q WHERE x::text IS NOT NULL") }
	}
	run_batch($round % 3 == 0 ? 'nobody' : 'postgres');
}
is($crashed, 0, "$total calls and no crash");
is($node->safe_psql('postgres', 'SELECT count(*) FROM seen'), '0', 'no internal error')
  or diag($node->safe_psql('postgres', 'SELECT state, message, left(call, 300) FROM seen LIMIT 20'));
cmp_ok($calls{ok} // 0, '>', 300, "some of it was good: $calls{ok}");
note(join ', ', map { "$_ $calls{$_}" } sort keys %calls);

# garbage into the catalog: every column in turn
my @columns = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', q{SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN ('guardrail_experiment'::regclass, 'guardrail_rule'::regclass) AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum});
for my $column (@columns)
{
	my ($table, $name) = @$column;
	for my $value ('NULL', "''", "'x'", "'NaN'", "'-1'", "'1e400'", "'" . 'y' x 3000 . "'", "'{}'", "'[1,2]'", "'infinity'", "'ev'", "'pg_class'", "E'\\x01'", "'1 day'", "'user_id'", 'DEFAULT')
	{
		push @batch, $table eq 'guardrail_experiment' ? "INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, $name) VALUES ('g' || random(), 'ev', NULL, $value)"
		  : "INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, $name) VALUES ('draft', 'g' || random(), 'guardrail', 'mean', 'x', 'higher', 'difference', 1, $value)";
		$batch[-1] =~ s/experiment_id, (.*), experiment_id\) VALUES \((.*?), (.*), (.*)\)/experiment_id, $1) VALUES ($4, $3)/ if $name eq 'experiment_id';
		push @batch, "UPDATE $table SET $name = $value WHERE experiment_id = 'draft'";
	}
}
run_batch('postgres');
is($crashed, 0, 'garbage in the catalog and no crash');
# whatever was taken in can be evaluated, or says why not
push @batch, map { ("SELECT * FROM guardrail_evaluate(experiment_id) FROM (SELECT experiment_id FROM guardrail_experiment OFFSET $_ LIMIT 1) x", "SELECT guardrail_explain((SELECT experiment_id FROM guardrail_experiment OFFSET $_ LIMIT 1))", "SELECT guardrail_launch((SELECT experiment_id FROM guardrail_experiment OFFSET $_ LIMIT 1))") } 0 .. 80;
push @batch, 'SELECT guardrail_status()', 'CALL guardrail_check()';
run_batch('postgres');
is($crashed, 0, 'evaluated, and no crash');
is($node->safe_psql('postgres', 'SELECT count(*) FROM seen'), '0', 'no internal error') or diag($node->safe_psql('postgres', 'SELECT state, message, left(call, 300) FROM seen LIMIT 20'));
is($node->safe_psql('postgres', q{SELECT count(*) FROM guardrail_check_log WHERE error ~ '^(cache lookup|could not find|unrecognized)'}), '0', 'none recorded either');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'no process has crashed');

$node->stop;
done_testing();

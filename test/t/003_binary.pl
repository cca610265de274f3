# Both types through COPY BINARY, and files with bytes that were bent: an error, or a value that keeps its own rules;
# never a crash.
#
# Expected: the text form of what was written.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $dir = $PostgreSQL::Test::Utils::tmp_check;
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE TABLE summaries AS SELECT k AS id, guardrail_summarize(x) AS v FROM (SELECT k, ln(i + k) * k AS x FROM generate_series(1, 12) k, generate_series(1, k) i) AS s GROUP BY 1;
INSERT INTO summaries SELECT 100 + k, guardrail_summarize(i, i % 3) FROM generate_series(1, 12) k, generate_series(1, k * k) i GROUP BY 1;
INSERT INTO summaries VALUES (200, 'v1 n=0 sum=0 low=0 products=0 skipped=3'), (201, NULL);
CREATE TABLE histograms AS SELECT k AS id, guardrail_histogram((i - 3) * 1.7 ^ k) AS v FROM generate_series(1, 12) k, generate_series(1, k * 5) i GROUP BY 1;
INSERT INTO histograms VALUES (200, 'v1 skipped=4 bins='), (201, NULL);
CREATE TABLE summaries_read (LIKE summaries);
CREATE TABLE histograms_read (LIKE histograms);
});

srand(20260401);
my ($refused, $accepted, $unsound, $died) = (0, 0, 0, 0);
for my $table (qw(summaries histograms))
{
	my $file = "$dir/$table.bin";
	$node->safe_psql('postgres', "COPY $table TO '$file' (FORMAT binary)");
	$node->safe_psql('postgres', "COPY ${table}_read FROM '$file' (FORMAT binary)");
	is($node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE r.v::text IS NOT DISTINCT FROM t.v::text) FROM $table t JOIN ${table}_read r USING (id)"),
		$node->safe_psql('postgres', "SELECT count(*), count(*) FROM $table"), "$table survive COPY BINARY");

	# one value of each size as bytes, bent in many ways, read back through COPY BINARY
	my $send = $table eq 'summaries' ? '_guardrail_summary_send' : '_guardrail_histogram_send';
	my @hex = split /\n/, $node->safe_psql('postgres', "SELECT encode($send(v), 'hex') FROM $table WHERE v IS NOT NULL ORDER BY id");
	for my $round (1 .. 200)
	{
		my $bytes = pack 'H*', $hex[ int rand @hex ];
		my $how = int rand 6;
		if    ($how == 0) { substr($bytes, int rand length $bytes, 1) = chr int rand 256 }
		elsif ($how == 1) { $bytes = substr $bytes, 0, int rand length $bytes }
		elsif ($how == 2) { $bytes .= join '', map { chr int rand 256 } 0 .. int rand 20 }
		elsif ($how == 3) { substr($bytes, int rand length $bytes, 8) = pack 'Q>', (0, 1, ~0, ~0 >> 1, ~(~0 >> 1), 0x7ff8 << 48, 0x7ff0 << 48, 0xfff0 << 48)[ int rand 8 ] }
		elsif ($how == 4) { $bytes = join '', map { chr int rand 256 } 1 .. 1 + int rand 80 }
		else { my $at = int rand length $bytes; substr($bytes, $at, 1) ^= chr(1 << int rand 8) if $at < length $bytes }
		open my $out, '>:raw', $file or die $!;
		print $out "PGCOPY\n\377\r\n\0", pack('NN', 0, 0), pack('n', 2), pack('NN', 4, 1), pack('N', length $bytes), $bytes, pack('n', 0xffff);
		close $out;
		my $rc = $node->psql('postgres', "TRUNCATE ${table}_read; COPY ${table}_read FROM '$file' (FORMAT binary)", on_error_stop => 1, stderr => \my $stderr);
		if ($rc == 3 || $rc == 1)
		{
			$refused++;
			$died++ if $stderr =~ /server closed|terminated|XX000/;
		}
		elsif ($rc == 0)
		{
			$accepted++;
			# what was taken in can be written and read again, and used
			my $use = $table eq 'summaries' ? 'guardrail_mean(v), guardrail_variance(v) >= 0, _guardrail_summary_combine(v, NULL)::text' : 'guardrail_quantile(v, 0.5), guardrail_events(v) >= 0, _guardrail_histogram_combine(v, NULL)::text';
			my $type = $table eq 'summaries' ? 'guardrail_summary' : 'guardrail_histogram';
			$unsound++ unless $node->psql('postgres', "SELECT $use FROM ${table}_read; SELECT 1 / (v::text::${type}::text = v::text)::int FROM ${table}_read", on_error_stop => 1, stderr => \$stderr, stdout => \my $stdout) == 0;
			diag($stderr) if $stderr =~ /ERROR/ && $unsound < 5;
		}
		else { $died++ }
	}
}
cmp_ok($refused, '>', 200, 'most bent values are refused');
cmp_ok($accepted, '>', 10, 'some are other values');
is($unsound, 0, 'those that are taken in can be written, read and used');
is($died, 0, 'no crash');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher' AND backend_start < now() - interval '0 s'}), '1', 'the server has not restarted its processes');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'nothing of that kind in the log');

$node->stop;
done_testing();

# Every SQL block of README.md and doc/*.md, run in order in a database of its own for each file. A block ```text that
# follows a block ```sql directly is what psql prints for its last statement.
#
# Expected: the files themselves.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# [ line, language, text ] of each block
sub blocks
{
	my ($file) = @_;
	my (@blocks, $open);
	my $line = 0;
	for (split /\n/, slurp_file($file), -1)
	{
		$line++;
		if (!$open && /^```(\w*)\s*$/) { $open = [ $line, $1, '' ] }
		elsif ($open && /^```\s*$/) { $open->[3] = $line; push @blocks, $open; undef $open }
		elsif ($open) { $open->[2] .= "$_\n" }
	}
	die "$file: a block of line $open->[0] has no end" if $open;
	return @blocks;
}

sub trimmed { my ($text) = @_; $text =~ s/[ \t]+$//mg; $text =~ s/\n+\z//; $text =~ s/\A\n+//; return $text }

my @files = grep { -e } ('README.md', sort glob 'doc/*.md');
my %blocks = map { my $file = $_; my @all = blocks($file); $file => [ map { [ @{ $all[$_] }, $all[ $_ + 1 ] ] } grep { $all[$_][1] eq 'sql' } 0 .. $#all ] } @files;
my @with = grep { @{ $blocks{$_} } } @files;
unless (@with)
{
	pass('no file has an SQL block yet');
	done_testing();
	exit;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
my $number = 0;
for my $file (@with)
{
	my $db = 'readme_' . ++$number;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	for my $block (@{ $blocks{$file} })
	{
		my ($line, undef, $sql, $end, $next) = @$block;
		# one session a block; only the last statement prints: psql says what each prints after a mark of its own
		my ($out, $err) = ('', '');
		my $input = $sql;
		IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-d', $node->connstr($db) ], '<', \$input, '>', \$out, '2>', \$err);
		my $failed = $? != 0;
		is($failed ? $err : '', '', "$file, line $line: runs") or next;
		next unless $next && $next->[1] eq 'text' && $next->[0] <= $end + 2;
		my ($got, $want) = (trimmed($out), trimmed($next->[2]));
		# what came before the last statement's result is not in the file
		my $tail = length $got > length $want ? substr $got, -length $want : $got;
		is($tail, $want, "$file, line $next->[0]: prints") or diag($out);
	}
}
$node->stop;
done_testing();

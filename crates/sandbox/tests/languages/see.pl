# Without modules: the interpreter alone is in the root.
sub first_line {
    open(my $file, '<', $_[0]) or die "$_[0]: $!";
    my $line = <$file>;
    chomp $line;
    return $line;
}

my $date = time;
open(my $new, '>', '/build/new') or die $!;
print $new "x\n";
close $new;
opendir(my $inputs, '/inputs') or die $!;
my @order = grep { !/^\./ } readdir $inputs;
open(my $cpus, '<', '/proc/cpuinfo') or die $!;
my $processors = grep { /^processor\s/ } <$cpus>;
print "date=$date\n";
print 'written=', (stat '/build/new')[9], "\n";
print 'input=', (stat '/inputs/a')[9], "\n";
print "processors=$processors\n";
print 'name=', first_line('/proc/sys/kernel/hostname'), "\n";
print 'release=', first_line('/proc/sys/kernel/osrelease'), "\n";
print "process=$$\n";
print "order=@order\n";
print 'local time=', scalar(localtime), "\n";
print 'since the start of the program=', time - $^T, "\n";
print 'numbers of files=', join(' ', map { (stat "/inputs/$_")[1] } @order), "\n";
print 'random=', rand, ' ', rand, "\n";
# The order of a hash's keys is drawn anew in every process.
my %hash = map { $_ => 1 } 'a' .. 'z';
print 'keys=', join('', keys %hash), "\n";
print 'address=', \%hash, "\n";
print 'user=', "$< $> $( $)", "\n";
print 'work=', join(' ', times), "\n";
my $before = time;
select(undef, undef, undef, 1.25);
print 'slept=', time - $before >= 1 ? 'yes' : 'no', "\n";
my $child = fork // die $!;
exit 0 unless $child;
waitpid $child, 0;
print "child=$child\n";

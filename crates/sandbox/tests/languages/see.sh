# Only what the shell itself can do: there is no other program.
set -eu
read -r release < /proc/sys/kernel/osrelease
read -r name < /proc/sys/kernel/hostname
read -r version < /proc/version
read -r uptime idle < /proc/uptime
read -r load < /proc/loadavg
read -r boot < /proc/sys/kernel/random/boot_id
processors=0
while read -r first rest; do
    [ "$first" != processor ] || processors=$((processors + 1))
done < /proc/cpuinfo
while read -r label value; do
    # When the machine began, which with the time since then is the date.
    [ "$label" != btime ] || date=$((value + ${uptime%.*}))
done < /proc/stat
echo x > /build/new
# The shell cannot ask for a file's time, only compare it.
after=no
[ /build/new -ot /inputs/a ] || after=yes
alike=yes
for file in /inputs/*; do
    if [ "$file" -ot /inputs/a ] || [ "$file" -nt /inputs/a ]; then alike=no; fi
done
cd /inputs
echo "date=$date"
echo "written after the inputs=$after"
echo "inputs of one time=$alike"
echo "processors=$processors"
echo "name=$name"
echo "release=$release"
echo "process=$$"
echo "order=$(echo *)"
echo "version=$version"
echo "since the start=$uptime $idle"
echo "load=$load"
echo "boot=$boot"
umask
times

"""What a build can learn about its host: bubblewrap, Nix's sandbox and ours, looked at by one probe.

Each runner runs the leak probe (`crates/testkit/src/bin/leak-probe`) twice on this machine, as two
callers that differ in user (where this one is root), mask, priority and processors. A row is a thing
that builds leak; a cell says whether the probe saw the host's value, saw a value that varies from
run to run, saw a fixed one, or saw none. The last rows count all observables. Not a matter of time,
so the load of the machine does not matter.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import measure
from measure import Refused, Skipped

OURS = "counterseal"
BWRAP_HOST = "bwrap, host's /"
BWRAP_BARE = "bwrap, own root"
NIX = "nix"
# Planted by us, to be found by nobody.
VARIABLE = "COUNTERSEAL_LEAK_TABLE"
PLANTED = Path("/tmp/leak-probe.host")
NOBODY = 65534
# What is looked at on the host itself, whose values are then known: everything that harms nobody.
AREAS = (
    "memory", "process", "machine", "random", "files", "procfs", "descriptors", "network", "clocks",
    "processor",
)

# What a row is about, and the observables that tell. Where they disagree the worst counts.
ROWS = (
    ("network", ("network.devices.list", "network.udp.outside")),
    ("host name", ("machine.uname.node",)),
    ("machine-id", ("machine.file./etc/machine-id",)),
    ("the host's /tmp", ("files.statx./tmp/leak-probe.host.identity",)),
    ("/sys", ("machine.file./sys/devices/system/cpu/online",)),
    ("capabilities", ("process.capabilities.effective", "process.capabilities.bounding")),
    ("a variable of the caller", (f"machine.environment.{VARIABLE}",)),
    ("umask, limits, priority", (
        "process.umask", "process.limit.nofile", "process.priority.process",
        "descriptors.stream.0.status-flags",
    )),
    ("addresses (ASLR)", ("memory.address.stack", "memory.address.mapped", "memory.vector.random")),
    ("kernel release", ("machine.uname.release", "machine.uname.version", "procfs./proc/version")),
    ("processors to use", ("machine.affinity.1024", "machine.processors.available")),
    ("/proc/cpuinfo", ("procfs./proc/cpuinfo",)),
    ("/proc/cmdline", ("procfs./proc/cmdline",)),
    ("/proc/meminfo", ("procfs./proc/meminfo", "machine.sysinfo.total", "machine.sysinfo.free")),
    ("/proc/uptime", ("procfs./proc/uptime", "machine.sysinfo.uptime")),
    ("/proc/loadavg", ("procfs./proc/loadavg", "machine.sysinfo.load-1")),
    ("boot id", ("procfs./proc/sys/kernel/random/boot_id",)),
    ("wall clock", ("clocks.gettimeofday", "clocks.vdso.clock_gettime.realtime")),
    ("other clocks", ("clocks.gettime.monotonic", "clocks.times", "clocks.gettime.process")),
    ("inode numbers", (
        "files.statx./inputs/declared.identity", "descriptors.pipe.0.read.identity",
        "descriptors.socketpair.identity", "files.fstat.1",
    )),
    ("times of new files", ("files.statx.new.written.mtime", "files.statx.new.written.btime")),
    ("size of the disk", ("files.statfs./.total", "files.statfs./tmp.total")),
    ("process ids", ("process.pid", "process.child.one.pid", "process.thread.one")),
    ("random numbers", ("random.call.first", "random./dev/urandom.first", "random.gift")),
    ("ports, socket counters", ("network.tcp.bound", "network.tcp.cookie")),
    ("processor (CPUID)", ("processor.cpuid.80000002.0", "processor.cpuid-number")),
)


def observations(text):
    """Value by name."""
    return dict(line.partition(" ")[::2] for line in text.splitlines())


def is_nothing(value):
    """Whether a value says that there was nothing to see."""
    if value is None or value in ("errno 2", "errno 13", "absent", "2", "13"):
        return True
    has_no_bit = len(value) >= 16 and not value.strip("0-")
    return has_no_bit or value.startswith("No such")


def verdict(names, runs, hosts):
    """The worst of what two runs show of some observables, beside what the callers have themselves.

    A value that merely happens to be the first caller's is not the host's if it is not the second's.
    """
    (ours, theirs), (our_host, their_host) = runs, hosts
    found = set()
    for name in names:
        one, other = ours.get(name), theirs.get(name)
        if is_nothing(one) and is_nothing(other):
            found.add("none")
        elif one != other:
            found.add("varies")
        elif one == our_host.get(name) == their_host.get(name):
            found.add("host's")
        else:
            found.add("fixed")
    return next(state for state in ("varies", "host's", "fixed", "none") if state in found)


class Caller:
    """Somebody who runs the probe."""

    def __init__(self, space, is_odd, directory="/"):
        self.is_odd = is_odd
        self.settings = {
            "env": {"PATH": os.environ.get("PATH", ""), "TMPDIR": str(space), VARIABLE: "seen"},
            "cwd": directory,
            "umask": 0o027 if is_odd else 0o022,
        }
        if is_odd and os.geteuid() == 0:
            self.settings |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def change(self):
        """In the child, before it executes."""
        if self.is_odd:
            os.nice(7)
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def run(self, argv):
        """What a program prints; it has to succeed."""
        argv = [str(word) for word in argv]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False, preexec_fn=self.change, **self.settings,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stderr.splitlines()[-10:])
            raise Refused(f"{' '.join(argv)}: exit code {done.returncode}\n{tail}")
        return done.stdout


def bubblewrap(root, on_host_root):
    """Arguments that ask bubblewrap for everything it has against leaks."""
    bwrap = measure.installed("bwrap", "bubblewrap")
    argv = [bwrap, "--unshare-all", "--die-with-parent", "--new-session"]
    if on_host_root:
        # As it is commonly used for builds: the host's tools, and the sources somewhere in it.
        return [
            *argv, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--bind", "/tmp", "/tmp",
            "--tmpfs", "/mnt", "--chdir", "/mnt", root / "leak-probe",
        ]
    return [
        *argv, "--clearenv", "--uid", "1000", "--gid", "1000", "--hostname", "assembly",
        "--cap-drop", "ALL", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--tmpfs", "/build", "--chdir", "/build", "/leak-probe",
    ]


def in_nix(root, caller):
    """The probe as the only command of a derivation, which is built anew for each caller."""
    builder, keeper = shutil.which("nix-build"), shutil.which("nix-store")
    if builder is None or keeper is None:
        raise Skipped("nix is not installed (Debian package nix-bin)")
    if caller.is_odd and os.geteuid() == 0:
        # Its store belongs to root: the second caller differs in the rest.
        caller.settings = {
            name: value for name, value in caller.settings.items()
            if name not in ("user", "group", "extra_groups")
        }
    # Nothing is looked up or built elsewhere, and the builder needs nothing but itself.
    expression = f"""derivation {{
        name = "leak-probe"; system = "x86_64-linux";
        builder = "${{{root}/leak-probe}}"; args = [ "--output" (placeholder "out") ];
    }}"""
    link = root.parent / "nix"
    caller.settings["env"] = caller.settings["env"] | {"HOME": str(root.parent)}
    caller.run([
        builder, "--option", "sandbox", "true", "--option", "sandbox-fallback", "false",
        "--option", "substitute", "false", "--option", "build-users-group", "",
        "--out-link", link, "--expr", expression,
    ])
    text, result = link.read_text(encoding="utf-8", errors="replace"), link.readlink()
    link.unlink()
    caller.run([keeper, "--delete", result])
    return text



def benchmark():
    options = measure.arguments(__doc__).parse_args()
    ours = measure.built(options, "examples/leak_probe")
    with measure.work_directory() as work, planted():
        work.chmod(0o755)
        shutil.copy(ours, work / "leak_probe")
        root = work / "root"
        root.mkdir()
        measure.run([work / "leak_probe", "--root", root])
        space = work / "space"
        space.mkdir()
        space.chmod(0o777)

        def twice(argv, directory="/"):
            return [
                observations(Caller(space, is_odd, directory).run(argv)) for is_odd in (False, True)
            ]

        runners = {
            BWRAP_HOST: lambda: twice(bubblewrap(root, True)),
            BWRAP_BARE: lambda: twice(bubblewrap(root, False)),
            NIX: lambda: [
                observations(in_nix(root, Caller(space, is_odd))) for is_odd in (False, True)
            ],
        }
        measure.title("leak-table", "what one probe sees of the host, by runner")
        hosts = twice([root / "leak-probe", *AREAS], space)
        columns = {}
        for label, look in runners.items():
            try:
                columns[label] = look()
            except (Skipped, Refused) as reason:
                print(f"  skipped {label}: {reason}")
        columns[OURS] = twice([work / "leak_probe"])
        table(columns, hosts)


@contextlib.contextmanager
def planted():
    """A file in the host's /tmp while the probe runs."""
    PLANTED.touch(exist_ok=False)
    try:
        yield
    finally:
        PLANTED.unlink()


def table(columns, hosts):
    """One row for each leak, and the counts."""
    width = max(len(row) for row, _ in ROWS) + 4
    widths = {label: max(len(label), 8) + 2 for label in columns}

    def line(first, cells):
        cells = "".join(f"{cell:>{widths[label]}}" for label, cell in cells.items())
        print(f"  {first:<{width}}{cells}")

    print("  host's: the caller's value is seen; varies: another value in each run; fixed: the runner's")
    print("  value; none: there is nothing to see")
    line("", {label: label for label in columns})
    for row, names in ROWS:
        line(row, {label: verdict(names, runs, hosts) for label, runs in columns.items()})
    line("observables", {label: str(len(runs[0])) for label, runs in columns.items()})
    line("of them different", {
        label: str(len(different(*runs))) for label, runs in columns.items()
    })
    print(f"  different in {OURS}: {', '.join(different(*columns[OURS])) or 'none'}")


def different(ours, theirs):
    """Names of what two runs do not agree about."""
    return [name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)]


measure.main(benchmark)

"""Start and end of a static program that does nothing: our sandbox against bubblewrap.

Ours is called as the library it is (`crates/sandbox/examples/bench_start.rs`), bubblewrap as the
program it is; each by a small native program. Both build a sandbox with nothing in it for every run:
all namespaces, a read-only root that holds only the program, /proc, devices, a private /tmp. Ours
also filters system calls, sets limits, answers calls and captures both streams, which bubblewrap does
not.

Two programs: one of bare system calls, whose own time is next to nothing, and one with a C library.
The start of the GNU one asks the processor again and again what it can (CPUID), which on a virtual
machine ends in its supervisor each time; bubblewrap pays for it once more, as a program with a C
library itself.

An assembly's first sandbox is prepared for, and so is the launcher's: namespaces and the process that starts
the others are made beside the looking for the root, which is not measured here. The benchmark leaves it a
millisecond.
"""

import measure
from measure import built, installed, run

FIRST, PREPARED = "sandbox, first, not prepared for", "sandbox, first, prepared for"
OURS, NEXT = "sandbox, others", "sandbox, further step"
BWRAP = "bwrap"
BAR = 0.5
PLAIN, PLAIN_TOO = "fork + exec", "fork + exec, as timed for bwrap"
FIELDS = {
    "sandbox-first": FIRST,
    "sandbox-prepared": PREPARED,
    "sandbox-fresh": OURS,
    "sandbox-next-step": NEXT,
    "fork-exec": PLAIN,
}
PROGRAMS = {
    "without a C library": ("bare.c", ["-nostdlib", "-fno-stack-protector"]),
    "with the system's C library": ("nothing.c", []),
}


def compare(kind, options, work):
    """Measures one program."""
    ours = built(options, "examples/bench_start")
    bwrap = installed("bwrap", "bubblewrap")
    root = work / "root"
    for mount_point in ("proc", "dev", "tmp"):
        (root / mount_point).mkdir(parents=True)
    source, compiler_options = PROGRAMS[kind]
    program = measure.compile_static(source, root / "true", *compiler_options)
    spawn = measure.compile_static("spawn.c", work / "spawn")
    sandboxed = [
        bwrap, "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--die-with-parent", "--new-session", "--clearenv", "/true",
    ]
    try:
        run(sandboxed)
    except measure.Refused as reason:
        raise measure.Skipped(f"bwrap does not work on this machine\n{reason}") from reason

    def spawned(argv):
        return int(run([spawn, options.block, *argv])) / 1e9

    measure.title(
        "sandbox-start",
        f"a static program that does nothing, {kind}; "
        f"medians of blocks of {options.block}, interleaved",
    )
    times = {label: [] for label in (FIRST, PREPARED, OURS, NEXT, BWRAP, PLAIN, PLAIN_TOO)}

    def block_of_ours():
        for line in run([ours, program, options.block]).splitlines():
            name, milliseconds = line.split()
            times[FIELDS[name]].append(float(milliseconds) / 1000)

    def block_of_bwrap():
        times[BWRAP].append(spawned(sandboxed))
        times[PLAIN_TOO].append(spawned([program]))

    for turn in range(options.runs):
        order = [block_of_ours, block_of_bwrap]
        for block in order if turn % 2 == 0 else reversed(order):
            block()
    medians = measure.table(times)
    for label in (FIRST, PREPARED, OURS, NEXT):
        measure.ratio(medians, label, BWRAP, BAR)


def benchmark():
    parser = measure.arguments(__doc__, runs=15)
    parser.add_argument(
        "--block", type=int, default=100, help="starts in each run (default %(default)s)"
    )
    options = parser.parse_args()
    for kind in PROGRAMS:
        with measure.work_directory() as work:
            compare(kind, options, work)


measure.main(benchmark)

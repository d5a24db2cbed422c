"""Start and end of a static program that does nothing: our sandbox against bubblewrap.

Ours is called as the library it is (`crates/sandbox/examples/bench_start.rs`), bubblewrap as the
program it is; each by a small native program. Both build a fresh sandbox for every run: all
namespaces, a read-only root that holds only the program, /proc, devices, a private /tmp. Ours also
filters system calls, sets limits and captures both streams, which bubblewrap does not.
"""

import measure
from measure import built, installed, run

OURS, NEXT, BWRAP = "sandbox, fresh", "sandbox, further step", "bwrap"
BAR = 0.5
PLAIN, PLAIN_TOO = "fork + exec", "fork + exec, as timed for bwrap"
FIELDS = {"sandbox-fresh": OURS, "sandbox-next-step": NEXT, "fork-exec": PLAIN}


def benchmark():
    parser = measure.arguments(__doc__, runs=15)
    parser.add_argument(
        "--block", type=int, default=40, help="starts in each run (default %(default)s)"
    )
    options = parser.parse_args()
    ours = built(options, "examples/bench_start")
    bwrap = installed("bwrap", "bubblewrap")
    with measure.work_directory() as work:
        root = work / "root"
        for mount_point in ("proc", "dev", "tmp"):
            (root / mount_point).mkdir(parents=True)
        program = measure.compile_static("nothing.c", root / "true")
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
            f"a static program that does nothing; medians of blocks of {options.block}, interleaved",
        )
        times = {label: [] for label in (OURS, BWRAP, NEXT, PLAIN, PLAIN_TOO)}

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
        measure.ratio(medians, OURS, BWRAP, BAR)
        measure.ratio(medians, NEXT, BWRAP, BAR)


measure.main(benchmark)

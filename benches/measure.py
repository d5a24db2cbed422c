"""What the benchmarks share: finding the programs, timing processes, medians, one table.

Python's standard library only. Deliberately absent: building anything (the `just` recipes do),
installing anything, and statistics beyond the median and the range.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BENCHES = REPOSITORY / "benches"
BUILDER_ID = "https://bench.example/builder"
RECORD_ORIGIN = "bench.record.example"


class Refused(Exception):
    """A benchmark cannot go on; the text is for a person."""


class Skipped(Exception):
    """A benchmark cannot be made on this machine, through no fault of the program."""


def arguments(description, runs=None, inputs_of_hello=False):
    """The parser that every benchmark starts from; without `runs` there is no choice of them."""
    parser = argparse.ArgumentParser(description=description)
    if runs:
        parser.add_argument(
            "--runs", type=int, default=runs, help="runs of each (default %(default)s)"
        )
    parser.add_argument(
        "--programs",
        type=Path,
        default=Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release",
        help="directory of the built programs (default: the release build)",
    )
    if inputs_of_hello:
        parser.add_argument(
            "--input-archive",
            type=Path,
            help="inputs of hello, written by `assemble --archive-inputs`, instead of a mirror",
        )
        parser.add_argument("--mirror", help="Debian mirror instead of the configured ones")
    return parser


def main(benchmark):
    """Runs `benchmark`; exit code 1 if it is refused, 0 if it is done or skipped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        benchmark()
    except Skipped as reason:
        print(f"skipped: {reason}")
    except Refused as reason:
        sys.exit(f"error: {reason}")
    except KeyboardInterrupt:
        sys.exit(130)


def built(options, name):
    """Path of a program of this workspace."""
    path = (options.programs / name).resolve()
    if not path.is_file():
        raise Refused(f"{path.name} is not built: run the benchmark through `just`")
    return str(path)


def installed(name, package):
    """Path of a foreign program, or the benchmark is skipped."""
    found = shutil.which(name)
    if found is None:
        raise Skipped(f"{name} is not installed (Debian package {package})")
    return found


@contextlib.contextmanager
def work_directory():
    """A directory that is gone afterwards, read-only trees in it included."""
    path = Path(tempfile.mkdtemp(prefix="counterseal-bench-"))
    try:
        yield path
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        remove_tree(path)


def remove_tree(path):
    """Removes a tree whose directories may be read-only, as checkouts are."""
    if not path.is_dir():
        return
    for folder, _, _ in os.walk(path):
        if not os.path.islink(folder):
            os.chmod(folder, 0o700)
    shutil.rmtree(path)


def compile_static(source, program, *options):
    """Compiles one C file of this directory into a static program."""
    compiler = installed("cc", "gcc")
    run([compiler, "-O2", "-static", *options, "-o", str(program), str(BENCHES / source)])
    return program


def run(argv, **settings):
    """Runs to the end and demands success; what it wrote is shown only if it failed."""
    argv = [str(word) for word in argv]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **settings,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise Refused(f"{' '.join(argv)}: exit code {done.returncode}\n{tail}")
    return done.stdout


def timed(argv, **settings):
    """Like `run`; returns the wall time in seconds, from before the start to after the end."""
    started = time.perf_counter()
    run(argv, **settings)
    return time.perf_counter() - started


def peak_kib(argv):
    """Peak resident memory in KiB, as /usr/bin/time sees it, or None where that is missing.

    Not taken from this process's own children: the kernel counts what a child was before it
    executed another program, and this interpreter is larger than most of what is measured.
    """
    clock = Path("/usr/bin/time")
    if not clock.is_file():
        return None
    with tempfile.NamedTemporaryFile("r") as report:
        run([clock, "-f", "%M", "-o", report.name, *argv])
        return int(report.read().split()[-1])


def interleaved(count, contestants):
    """Times each contestant once a round, `count` rounds, beginning with another one each time.

    `contestants` maps a label to a function that returns seconds; so whatever slows the machine
    down for a while hits all of them.
    """
    labels = list(contestants)
    times = {label: [] for label in labels}
    for turn in range(count):
        shift = turn % len(labels)
        for label in labels[shift:] + labels[:shift]:
            times[label].append(contestants[label]())
    return times


class Keys:
    """Throw-away keys, a record and the trust file for them, made below `directory`."""

    def __init__(self, counterseal, directory):
        directory.mkdir()
        self.counterseal = counterseal
        self.builder = directory / "builder.key"
        self.record = directory / "record.key"
        self.trust = directory / "trust.toml"
        run([counterseal, "keys", "new", "attestation", self.builder])
        run([counterseal, "keys", "new", "record", self.record, "--origin", RECORD_ORIGIN])
        run([
            counterseal, "trust", "new", "--builder", f"bench={self.builder}.pub",
            "--builder-id", BUILDER_ID, "--record", f"{self.record}.pub", "--output", self.trust,
        ])

    def new_record(self, directory):
        run([self.counterseal, "record", "init", directory, "--key", self.record])
        return directory

    def assemble(self, recipe, store, record, output, *more):
        """Argument vector of a signed and recorded assembly."""
        return [
            self.counterseal, "--quiet", "assemble", recipe, "--store", store, "--output", output,
            "--key", self.builder, "--builder-id", BUILDER_ID,
            "--record", record, "--record-key", self.record, *more,
        ]


def inputs_of_hello(options, counterseal, work, keys):
    """Copies the recipe of hello and returns it with the source of its inputs as arguments.

    Without an archive the inputs are fetched once, and kept in one.
    """
    recipe = work / "hello" / "assembly.toml"
    shutil.copytree(REPOSITORY / "products" / "hello", recipe.parent)
    if options.input_archive:
        archive = options.input_archive.resolve()
    else:
        archive, store = work / "inputs", work / "fetching"
        mirror = ["--mirror", options.mirror] if options.mirror else []
        try:
            run([counterseal, "--quiet", "fetch", recipe, "--store", store, *mirror])
        except Refused as reason:
            raise Skipped(f"the inputs of hello cannot be fetched\n{reason}") from reason
        record = keys.new_record(work / "fetched-record")
        more = ["--offline", "--archive-inputs", archive]
        run(keys.assemble(recipe, store, record, work / "fetched", *more))
        remove_tree(store)
    return recipe, ["--offline", "--input-archive", archive]


def title(name, text):
    """Says what follows and on what kind of machine, but not on which one."""
    model = "unknown processor"
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    load = os.getloadavg()[0]
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    print(f"{name}: {text}")
    print(f"  {model}, {os.cpu_count()} processors, Linux {os.uname().release}, as {user}, load {load:.1f}")


def table(times, peaks=None):
    """Prints median and range of each, in milliseconds; returns the medians in seconds."""
    medians = {}
    width = max(len(label) for label in times)
    for label, seconds in times.items():
        medians[label] = statistics.median(seconds)
        low, high = min(seconds) * 1000, max(seconds) * 1000
        peak = (peaks or {}).get(label)
        memory = f"  peak {peak / 1024:.1f} MiB" if peak else ""
        print(
            f"  {label:<{width}}  median {medians[label] * 1000:10.2f} ms"
            f"  ({low:.2f} to {high:.2f}, {len(seconds)} runs){memory}"
        )
    return medians


def ratio(medians, ours, theirs, bar=None):
    """Prints how many times `theirs` ours takes, and whether that is at most `bar`."""
    value = medians[ours] / medians[theirs]
    verdict = "" if bar is None else f" (bar {bar:.2f}: {'met' if value <= bar else 'not met'})"
    print(f"  ratio {ours} / {theirs}: {value:.3f}{verdict}")

"""Whole assembly of hello against the same steps in a plain chroot.

The chroot is a copy of the very checkout that the assembly uses, on the same file system; the steps
are the recipe's, with the environment that the sandbox sets. Nothing is bound into it. Root makes
its devices with mknod and runs the steps as user 1000; an ordinary user needs user namespaces, runs
as the mapped root, and gets the devices as binds, since mknod is refused there.

The assembly does more: it plans, isolates, captures and stores logs, packs the tar.zst, hashes and
stores the outputs, signs, records. `--no-cache` makes it run every step.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import measure
from measure import Keys, built, run, timed

WARM, COLD = "assemble, root checked out", "assemble, root not checked out"
COUNTER = "assemble, virtual time stamp counter"
# File times are always virtual.
BAR, BAR_COUNTER = 1.20, 1.30
DISK, MEMORY = "chroot, /build on disk", "chroot, /build on tmpfs"
USER = 1000
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
# As in crates/sandbox/src/plan.rs and action.rs.
ENVIRONMENT = {
    "HOME": "/build/home",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}


def benchmark():
    options = measure.arguments(__doc__, runs=7, inputs_of_hello=True).parse_args()
    counterseal = built(options, "counterseal")
    with measure.work_directory() as work:
        keys = Keys(counterseal, work / "keys")
        recipe, inputs = measure.inputs_of_hello(options, counterseal, work, keys)
        store, out = work / "store", work / "out"
        run([counterseal, "--quiet", "fetch", recipe, "--store", store, *inputs])
        record = keys.new_record(work / "record")
        assemble = keys.assemble(recipe, store, record, out, "--offline", "--no-cache")
        run(assemble)
        root = work / "root"
        copy_checkout(store, root)
        steps = work / "steps.json"
        steps.write_text(json.dumps(commands(recipe, root)), encoding="utf-8")

        def cold():
            measure.remove_tree(store / "checkouts")
            (store / "checkouts").mkdir()
            return timed(assemble)

        def chroot(place):
            return float(run(confined([sys.executable, "-B", __file__, "--inside", root, steps, place])))

        counting = with_virtual_counter(recipe, work / "counting")
        count = keys.assemble(
            counting, store, keys.new_record(work / "counted"), work / "counter-out",
            "--offline", "--no-cache",
        )
        chroot("disk")
        same = same_package(root, out)
        measure.title("hello", "whole assembly, every step run, interleaved")
        times = measure.interleaved(
            options.runs,
            {
                WARM: lambda: timed(assemble),
                COLD: cold,
                COUNTER: lambda: timed(count),
                DISK: lambda: chroot("disk"),
                MEMORY: lambda: chroot("memory"),
            },
        )
        medians = measure.table(times)
        measure.ratio(medians, WARM, DISK, BAR)
        measure.ratio(medians, WARM, MEMORY, BAR)
        measure.ratio(medians, COUNTER, MEMORY, BAR_COUNTER)
        measure.ratio(medians, COLD, DISK)
        print(f"  the chroot's .deb is byte for byte the assembled one: "
              f"{'yes' if same else 'no (its configure asks the host for the year)'}")


def with_virtual_counter(recipe, folder):
    """A copy of the recipe whose processor counts the action's time."""
    shutil.copytree(recipe.parent, folder)
    copy = folder / recipe.name
    text = copy.read_text(encoding="utf-8")
    setting = 'timestamp-counter = "virtual"\n'
    if "[host]\n" in text:
        text = text.replace("[host]\n", f"[host]\n{setting}", 1)
    else:
        text = f"{text}\n[host]\n{setting}"
    copy.write_text(text, encoding="utf-8")
    return copy


def copy_checkout(store, root, devices=True):
    """Copies the only checkout of the store and makes it writable and usable as a root.

    Without devices it is a root for the sandbox, which brings its own.
    """
    found = list(store.glob("checkouts/*/*/tree"))
    if len(found) != 1:
        raise measure.Refused(f"the store holds {len(found)} checkouts, expected 1")
    run(["cp", "-a", found[0], root])
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o755)
    if not devices:
        return
    for name in ("dev", "tmp", "build"):
        (root / name).mkdir(exist_ok=True)
    for name, (major, minor) in DEVICES.items():
        if os.geteuid() == 0:
            os.mknod(root / "dev" / name, 0o020666, os.makedev(major, minor))
            os.chmod(root / "dev" / name, 0o666)
        else:
            (root / "dev" / name).touch()


def commands(recipe, root):
    """Argument vectors of the recipe's steps in the chroot."""
    description = tomllib.loads(recipe.read_text(encoding="utf-8"))
    epoch = description["product"]["source-date-epoch"]
    user = [f"--userspec={USER}:{USER}"] if os.geteuid() == 0 else []
    vectors = []
    for step in description["step"]:
        environment = ENVIRONMENT | step.get("environment", {}) | {"SOURCE_DATE_EPOCH": str(epoch)}
        argv = step.get("argv") or [step.get("shell", "/bin/sh"), "-euc", step["script"]]
        vectors.append([
            "chroot", *user, str(root), "/usr/bin/env", "-i",
            f"--chdir={step.get('directory', '/build')}",
            *(f"{name}={value}" for name, value in environment.items()), *argv,
        ])
    return vectors


def confined(argv):
    """Namespaces of its own, so that neither a tmpfs nor a process ever stays behind."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    private = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    return ["unshare", *user, *private, *argv]


def inside(root, steps, place):
    """Runs in that namespace: prepares, times the steps, prints seconds, leaves the last result."""
    root, vectors = Path(root), json.loads(Path(steps).read_text(encoding="utf-8"))
    for name in DEVICES:
        if not (root / "dev" / name).is_char_device():
            run(["mount", "--bind", f"/dev/{name}", root / "dev" / name])
    for name in ("build", "tmp"):
        measure.remove_tree(root / name)
        (root / name).mkdir()
        if place == "memory":
            run(["mount", "-t", "tmpfs", "none", root / name])
        os.chmod(root / name, 0o1777)
    (root / "build" / "home").mkdir()
    os.umask(0o022)
    (root / "build" / "home").chmod(0o777)
    started = time.perf_counter()
    for argv in vectors:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            sys.stderr.buffer.write(done.stdout[-2000:])
            sys.exit(1)
    print(time.perf_counter() - started)


def same_package(root, out):
    """Whether both ways made the same .deb."""
    assembled = next(out.glob("*.deb")).read_bytes()
    return (root / "build" / "out" / "hello.deb").read_bytes() == assembled


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:])
    else:
        measure.main(benchmark)

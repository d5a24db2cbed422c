"""Untar and recompress 20,000 files: a step in our sandbox against the same in a plain chroot.

Both run over a copy of the root of hello, as `hello.py` makes it. Both write to memory, since the
sandbox always does. The files are made up: text of 1 to 16 KiB in 200 directories.
"""

import io
import json
import os
import random
import sys
import tarfile

import hello
import measure
from measure import Keys, built, run

FILES, DIRECTORIES = 20_000, 200
SCRIPT = "tar -xf /in/tree.tar && tar -czf tree.tar.gz tree"
OURS, CHROOT = "sandbox, one step", "chroot, /build on tmpfs"
BAR = 1.25


def benchmark():
    options = measure.arguments(__doc__, runs=5, inputs_of_hello=True).parse_args()
    counterseal = built(options, "counterseal")
    ours = built(options, "examples/bench_step")
    with measure.work_directory() as work:
        keys = Keys(counterseal, work / "keys")
        recipe, inputs = measure.inputs_of_hello(options, counterseal, work, keys)
        store = work / "store"
        run([counterseal, "--quiet", "fetch", recipe, "--store", store, *inputs])
        run(keys.assemble(
            recipe, store, keys.new_record(work / "record"), work / "out", "--offline"
        ))
        bare, root = work / "bare", work / "root"
        hello.copy_checkout(store, bare, devices=False)
        hello.copy_checkout(store, root)
        make_files(bare / "in" / "tree.tar")
        os.link(bare / "in" / "tree.tar", root / "in" / "tree.tar")
        steps = work / "steps.json"
        user = [f"--userspec={hello.USER}:{hello.USER}"] if os.geteuid() == 0 else []
        steps.write_text(json.dumps([[
            "chroot", *user, str(root), "/usr/bin/env", "-i", "--chdir=/build",
            "PATH=/usr/bin:/bin", "/bin/sh", "-euc", SCRIPT,
        ]]), encoding="utf-8")
        inside = [sys.executable, "-B", hello.__file__, "--inside", root, steps, "memory"]
        measure.title("sandbox-files", f"untar and recompress {FILES} files, interleaved")
        medians = measure.table(measure.interleaved(options.runs, {
            OURS: lambda: float(run([ours, bare, SCRIPT])),
            CHROOT: lambda: float(run(hello.confined(inside))),
        }))
        measure.ratio(medians, OURS, CHROOT, BAR)


def make_files(path):
    """A tar of text that compresses about as source code does, the same every time."""
    source = random.Random(1)
    words = ["".join(source.choices("abcdefghijklmnop", k=source.randint(2, 9))) for _ in range(4000)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for index in range(FILES):
            text = " ".join(source.choices(words, k=source.randint(150, 2500))).encode()
            entry = tarfile.TarInfo(f"tree/{index % DIRECTORIES:03}/{index}.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))


if __name__ == "__main__":
    measure.main(benchmark)

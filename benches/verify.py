"""Full verification of a large file with valid evidence against merely hashing it.

The file is assembled, signed and recorded by the real program; it lies in the page cache.
"""

import subprocess

import measure
from measure import Keys, built, installed, run, timed

OURS, OPENSSL, SHA256SUM = "counterseal-verify", "openssl dgst -sha256", "sha256sum"
NAME = "large.bin"

RECIPE = """\
format = 1

[product]
name = "large"
version = "1"
source-date-epoch = 1767225600

[[input]]
name = "fill"
kind = "file"
location = "fill"
at = "/bin/fill"
executable = true

[[step]]
name = "fill"
argv = ["/bin/fill", "/build/{name}", "{size_bytes}"]

[[output]]
name = "{name}"
path = "{name}"
kind = "file"
media-type = "application/octet-stream"
"""


def benchmark():
    parser = measure.arguments(__doc__, runs=25)
    parser.add_argument(
        "--size-bytes", type=int, default=100_000_000, help="size of the file (default %(default)s)"
    )
    options = parser.parse_args()
    counterseal, verifier = built(options, "counterseal"), built(options, "counterseal-verify")
    openssl, sha256sum = installed("openssl", "openssl"), installed("sha256sum", "coreutils")
    with measure.work_directory() as work:
        measure.compile_static("fill.c", work / "fill")
        recipe = work / "assembly.toml"
        recipe.write_text(RECIPE.format(name=NAME, size_bytes=options.size_bytes), encoding="utf-8")
        keys = Keys(counterseal, work / "keys")
        store, record, out = work / "store", keys.new_record(work / "record"), work / "out"
        run([counterseal, "--quiet", "lock", recipe, "--store", store, "--offline"])
        run(keys.assemble(recipe, store, record, out, "--offline"))
        file = out / NAME
        commands = {
            OURS: [verifier, "--trust", keys.trust, file],
            OPENSSL: [openssl, "dgst", "-sha256", file],
            SHA256SUM: [sha256sum, file],
        }
        for command in commands.values():
            run(command)
        refuse_altered(verifier, keys.trust, file)

        version = run([openssl, "version"]).split(" ")[:2]
        measure.title(
            "verify",
            f"{options.size_bytes / 1e6:g} MB, page cache warm, interleaved, {' '.join(version)}",
        )
        contestants = {
            label: lambda command=command: timed(command) for label, command in commands.items()
        }
        times = measure.interleaved(options.runs, contestants)
        peaks = {label: measure.peak_kib(command) for label, command in commands.items()}
        medians = measure.table(times, peaks)
        measure.ratio(medians, OURS, OPENSSL)
        measure.ratio(medians, OURS, SHA256SUM)


def refuse_altered(verifier, trust, file):
    """A verifier that says yes to everything would be fast: show that this one does not."""
    with file.open("r+b") as content:
        content.seek(-1, 2)
        last = content.read(1)
        content.seek(-1, 2)
        content.write(bytes([last[0] ^ 1]))
    code = subprocess.run(
        [verifier, "--trust", trust, file], capture_output=True, check=False
    ).returncode
    with file.open("r+b") as content:
        content.seek(-1, 2)
        content.write(last)
    if code != 1:
        raise measure.Refused(f"an altered file gave exit code {code}, expected 1")


measure.main(benchmark)

"""The second `counterseal assemble` of hello, with nothing changed, against the first.

First: all inputs are in the store, nothing else is. Second: the same command again. Both sign,
record and write evidence.
"""

import measure
from measure import Keys, built, run, timed

FIRST, SECOND = "first", "second, nothing changed"
FETCH = "(fetch from a local archive)"


def benchmark():
    parser = measure.arguments(__doc__, runs=15, inputs_of_hello=True)
    parser.add_argument(
        "--stores", type=int, default=3, help="stores to begin with (default %(default)s)"
    )
    options = parser.parse_args()
    counterseal = built(options, "counterseal")
    with measure.work_directory() as work:
        keys = Keys(counterseal, work / "keys")
        recipe, inputs = measure.inputs_of_hello(options, counterseal, work, keys)
        measure.title("assemble-unchanged", "hello, signed and recorded, inputs in the store")
        times = {FETCH: [], FIRST: [], SECOND: []}
        repeats = -(-options.runs // options.stores)
        for number in range(options.stores):
            place = work / f"round-{number}"
            place.mkdir()
            store = place / "store"
            times[FETCH].append(
                timed([counterseal, "--quiet", "fetch", recipe, "--store", store, *inputs])
            )
            record = keys.new_record(place / "record")
            command = keys.assemble(recipe, store, record, place / "out", "--offline")
            times[FIRST].append(timed(command))
            times[SECOND] += [timed(command) for _ in range(repeats)]
            artifacts = [path for path in (place / "out").iterdir() if path.suffix != ".jsonl"]
            run([counterseal, "verify", "--trust", keys.trust, *artifacts])
            measure.remove_tree(place)
        medians = measure.table(times)
        measure.ratio(medians, SECOND, FIRST)


measure.main(benchmark)

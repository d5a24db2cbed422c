# Comfort for those who have `just`; everything here also works with cargo and bash alone.

# List the recipes.
default:
    @just --list --unsorted

# The default test run: no network, no privilege.
test:
    cargo test --workspace --locked

# Everything that continuous integration checks.
ci:
    bash .ci/run

# The whole chain on a real product, in a directory of its own.
demo *ARGUMENTS:
    cargo run --release --locked -- demo {{ARGUMENTS}}

# Format the code.
fmt:
    cargo fmt --all

# What a reviewer should not have to say.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Run one fuzz target for some seconds (needs a nightly toolchain and cargo-fuzz).
fuzz TARGET SECONDS="60": fuzz-seeds
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}

# A second assembly with nothing changed, against the first (see benches/README.md).
bench-assemble-unchanged *ARGUMENTS:
    cargo build --release --locked -p counterseal-cli
    python3 -B benches/assemble_unchanged.py {{ARGUMENTS}}

# What the sandbox costs: its start, whole assemblies, many files (see benches/README.md).
bench-sandbox *ARGUMENTS:
    cargo build --release --locked -p counterseal-cli
    cargo build --release --locked -p counterseal-sandbox --examples
    python3 -B benches/sandbox_start.py
    python3 -B benches/hello.py {{ARGUMENTS}}
    python3 -B benches/sandbox_files.py {{ARGUMENTS}}

# What a build learns about its host in our sandbox, and in others (see benches/README.md).
leak-table *ARGUMENTS:
    cargo build --release --locked -p counterseal-sandbox --example leak_probe
    python3 -B benches/leak_table.py {{ARGUMENTS}}

# Verification of a 100 MB file, against hashing it.
bench-verify *ARGUMENTS:
    cargo build --release --locked -p counterseal-cli -p counterseal-verify-cli
    python3 -B benches/verify.py {{ARGUMENTS}}

# Write a corpus of valid inputs, without which the strict formats are hard to get into.
fuzz-seeds:
    cargo run --quiet --manifest-path fuzz/Cargo.toml --example seeds

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
fuzz TARGET SECONDS="60":
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}

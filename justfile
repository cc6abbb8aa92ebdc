# Needs only cargo. `just --list` shows what is here.

# Under a minute, no rights needed: what to run before each commit.
check:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test -p fltmgr-proto -p fltmgr --lib

# Everything CI runs, with the packages the tests need (see .ci/run).
test:
    .ci/run

# Ratios against what else one would pick, in one run.
bench:
    cargo bench --workspace

# The interleavings of the slot protocol, all of them.
loom:
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" cargo test -p fltmgr-proto --release --test loom

# The long ones: everything optimised, a million access checks against Samba, 10 million messages, loom.
deep: loom
    FLTMGR_ORACLE_ROUNDS=40 cargo test --workspace --release
    FLTMGR_LOAD=10000000 cargo test --release -p e2e --test load -- --nocapture --test-threads=1

# One fuzz target (name, sddl, descriptor, wire, slots) for so many seconds. Needs a nightly compiler, cargo-fuzz and g++.
fuzz target seconds="60":
    mkdir -p fuzz/found/{{target}}
    cargo +nightly fuzz run {{target}} fuzz/found/{{target}} fuzz/corpus/{{target}} -- -max_total_time={{seconds}}

# The protocol's tests under Miri (some minutes), which sees undefined behaviour and races. Needs: rustup component add --toolchain nightly miri rust-src
miri:
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p fltmgr-proto --lib --test words --test pair

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

# The long ones: the tests with their iteration counts raised, and the interleavings of the slot protocol under loom.
deep:
    FLTMGR_DEEP=1 cargo test --workspace --release
    just loom

# The interleavings of the slot protocol, at most three preemptions each: half a minute. LOOM_MAX_PREEMPTIONS=4 goes deeper.
loom:
    CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" cargo test -p fltmgr-proto --release --test loom

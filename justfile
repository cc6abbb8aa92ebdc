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
    RUSTFLAGS="--cfg loom" cargo test -p fltmgr-proto --release --test loom

# The long ones: everything optimised, a million access checks against Samba, loom.
deep: loom
    FLTMGR_ORACLE_ROUNDS=40 cargo test --workspace --release

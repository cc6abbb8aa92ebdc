# Needs only cargo. `just --list` shows what is here.

# Under a minute, no rights needed: what to run before each commit.
check:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test -p fltmgr-proto -p fltport -p fltmgr --lib

# Everything CI runs, with the packages the tests need (see .ci/run).
test:
    .ci/run

# Ratios against what else one would pick, in one run.
bench:
    cargo bench --workspace

# The interleavings of the slot protocol, all of them.
loom:
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" cargo test -p fltmgr-proto --release --test loom

# What may enter the dependency tree, and what is known against it: the advisories come from the network. Needs cargo-deny.
deny:
    cargo deny check

# The long ones: everything optimised, a million access checks against Samba, 10 million messages, 20,000 tries of each race, loom.
deep: loom
    FLTMGR_ORACLE_ROUNDS=40 cargo test --workspace --release
    FLTMGR_SLACK_MS=100 cargo test --release -p fltport --test it -- receive:: timeout:: --test-threads=1
    FLTMGR_TRIES=20000 cargo test --release -p e2e --test it attack::
    FLTMGR_CHANGES=1000000 cargo test --release -p e2e --test it watch_changes:: -- --test-threads=1
    FLTMGR_LOAD=10000000 cargo test --release -p e2e --test it load:: -- --nocapture --test-threads=1

# One fuzz target (name, sddl, descriptor, wire, slots, host, client) for so many seconds. Needs a nightly compiler, cargo-fuzz and g++.
fuzz target seconds="60":
    mkdir -p fuzz/found/{{target}}
    cargo +nightly fuzz run -s none {{target}} fuzz/found/{{target}} fuzz/corpus/{{target}} -- -max_total_time={{seconds}} -max_len=512

# The protocol's tests under Miri (some minutes), which sees undefined behaviour and races. Needs: rustup component add --toolchain nightly miri rust-src
miri:
    MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-tree-borrows-no-precise-interior-mut" PROPTEST_CASES=4 FLTMGR_SEEDS=${FLTMGR_SEEDS:-8} \
        cargo +nightly miri test -p fltmgr-proto --lib --test it -- words:: words_edges:: holders:: corpora:: pair::

# Fails below 95 % of the protocol's lines, or 100 % of the regions of the access check and the slot protocol. Needs cargo-llvm-cov.
coverage:
    cargo llvm-cov clean --workspace
    cargo llvm-cov -p fltmgr-proto --profile bare --fail-under-lines 95
    cargo llvm-cov report -p fltmgr-proto --profile bare --fail-under-regions 100 --ignore-filename-regex 'src/(descriptor|name|question|quota|sddl|sid|status|violation|wait|wire)'

# Breaks the access check and the slot protocol in some 500 ways (an hour): doc/testing.md says which no test notices, and why. Needs cargo-mutants.
mutants:
    FLTMGR_SEEDS=150 PROPTEST_CASES=24 cargo mutants -p fltmgr-proto --profile bare -j2 --timeout 20 \
        -o "${CARGO_TARGET_DIR:-target}/mutants/slots" -f 'crates/proto/src/slots/*.rs' -f 'crates/proto/src/host*' -f crates/proto/src/client.rs \
        -- --test it -- words:: words_edges:: holders:: pair:: words_document::
    PROPTEST_CASES=24 cargo mutants -p fltmgr-proto --profile bare -j2 --timeout 20 \
        -o "${CARGO_TARGET_DIR:-target}/mutants/access" -f 'crates/proto/src/access*' \
        -- --test it -- access_cases:: access_properties:: access_text::

//! Replays what the fuzzers started from and what they found: `fuzz/corpus`. New finds are put there by hand, small.

use std::path::Path;

use crate::checks;

type Check = fn(&[u8]);

#[test]
fn every_corpus_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let targets: [(&str, Check); 7] = [
        ("name", checks::name),
        ("sddl", checks::sddl),
        ("descriptor", checks::descriptor),
        ("wire", checks::wire),
        ("slots", checks::slots),
        ("host", checks::host),
        ("client", checks::client),
    ];
    for (target, check) in targets {
        let mut seen = 0;
        for entry in std::fs::read_dir(root.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let data = std::fs::read(&path).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| check(&data)) {
                eprintln!("{}", path.display());
                std::panic::resume_unwind(panic);
            }
            seen += 1;
        }
        assert!(seen >= 3, "{target}: {seen} seeds");
    }
}

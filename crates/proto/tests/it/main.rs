//! The rules of a port, one by one, against a model, an oracle, the documents and Microsoft's declarations. `loom` has what
//! a model checker drives: another cfg.
#![cfg(not(loom))]

mod access_binary;
mod access_cases;
mod access_oracle;
mod access_properties;
mod access_text;
// what must hold for any bytes, and the model, are shared with the fuzz targets, which are a workspace of their own
#[path = "../../../../fuzz/checks/mod.rs"]
mod checks;
mod corpora;
mod holders;
mod pair;
mod status_table;
mod status_windows;
mod words;
mod words_document;
mod words_edges;

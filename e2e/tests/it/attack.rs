//! What a hostile program can do under `fltmc run`, through the tool alone.
//!
//! The attacks are commands of the program `attacker` (`e2e/src/bin/attacker`). `FLTMGR_TRIES` says how often a race is
//! run: 1,000 times unless set, 20,000 times in `just deep`.

mod containers;
mod differential;
mod effects;
mod execs;
mod forge;
mod hangs;
mod opens;
mod programs;
mod rules;
mod runs;
mod strict;

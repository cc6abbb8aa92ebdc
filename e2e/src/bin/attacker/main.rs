//! What an attacker runs: each command does one thing that must not work, and prints what came of it as JSON.
//!
//! `attacker stage WHAT DIR` makes the files for a command, outside of any supervision; the command itself is then run
//! under `fltmc run`. Tests start both, see `e2e/tests/attack`.

mod before;
mod duel;
mod opens;
mod pages;
mod raw;

fn main() {
    // whatever hangs ends
    // SAFETY: takes a number.
    unsafe { libc::alarm(110) };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["stage", "opens", dir] => opens::stage(dir),
        ["opens", way, tries, dir, ref before @ ..] => {
            before.iter().for_each(|what| before::prepare(what));
            let duel = opens::duel(way, dir).unwrap_or_else(|| panic!("{way} is no way to open"));
            println!("{}", duel::fight(tries.parse().expect("a number of tries"), duel).json());
        }
        _ => panic!("the attacker does not know how to {args:?}"),
    }
}

//! What an attacker runs: each command does one thing that must not work, and prints what came of it as JSON.
//!
//! `attacker stage WHAT DIR` makes the files for a command, outside of any supervision; the command itself is then run
//! under `fltmc run`. Tests start both, see `e2e/tests/it/attack`.

mod acts;
mod before;
mod confine;
mod differential;
mod effects;
mod elf;
mod execs;
mod forge;
mod fuse;
mod hangs;
mod leave;
mod objects;
mod opens;
mod pages;
mod process;
mod programs;
mod race;
mod raw;

use std::sync::atomic::Ordering;
use std::time::Duration;

fn main() {
    // whatever hangs ends
    // SAFETY: takes a number.
    unsafe { libc::alarm(110 * testkit::slow()) };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["stage", "opens", dir] => opens::stage(dir),
        ["opens", way, tries, dir, ref before @ ..] => {
            before.iter().for_each(|what| before::prepare(what));
            let race = opens::race(way, dir).unwrap_or_else(|| panic!("{way} is no way to open"));
            println!("{}", race::run(number(tries), race).json());
        }
        ["stage", "effects", way, tries, dir] => effects::stage(way, number(tries), dir),
        ["effects", way, style, tries, dir, ref before @ ..] => {
            before.iter().for_each(|what| before::prepare(what));
            println!("{}", race::run(number(tries), effects::race(way, style, dir)).json());
        }
        ["effects-direct", way, tries, dir] => println!("{}", effects::direct(way, number(tries), dir).json()),
        ["effects-changed", way, tries, dir] => println!("{}", effects::changed(way, number(tries), dir)),
        ["effects-ways"] => println!("{}", effects::ways()),
        ["acts", ref acts @ ..] => println!("{}", acts::all(acts)),
        ["confine", profile, ref command @ ..] => confine::run(profile, command),
        ["open", path, times, ref before @ ..] => {
            before.iter().for_each(|what| before::prepare(what));
            println!("{}", programs::open(path, number(times)).json());
        }
        ["interrupted", path, times, beside] => {
            println!("{}", programs::interrupted(path, number(times), number(beside)));
        }
        #[cfg(target_arch = "x86_64")]
        ["old-call"] => println!("{}", programs::old_call()),
        ["chains", chains, seconds, microseconds] => {
            programs::chains(number(chains), number(seconds), Duration::from_micros(number(microseconds)));
        }
        ["crowd", path, threads] => println!("{}", programs::crowd(path, number(threads))),
        ["objects", namespace, seconds, file] => {
            println!("{}", objects::send(namespace, Duration::from_secs(number(seconds)), file));
            // one that was not taken may keep this process for long
            process::exit(0)
        }
        ["fuse", never, place, ref command @ ..] => fuse::beside(never, place, command),
        ["beside", hung, grace, threads, file, times] => {
            let grace = Duration::from_millis(number(grace));
            println!("{}", hangs::beside(hung, grace, number(threads), file, number(times)));
            // threads that hang are not waited for
            process::exit(0)
        }
        ["differential", dir] => println!("{}", serde_json::json!(differential::run(dir))),
        ["leave"] => println!("{}", leave::all()),
        ["forge", "scanner", secret] => println!("{}", forge::scanner(secret)),
        ["forge", "stopped", secret] => println!("{}", forge::stopped(secret)),
        ["forge", "orphan", secret] => forge::orphan(secret),
        ["forge", "port", how, name, place, secret] => println!("{}", forge::port(how, name, place, secret)),
        ["forge", "look"] => println!("{}", forge::look()),
        ["forge", "take"] => println!("{}", forge::take_own()),
        ["stage", "execs", dir] => execs::stage(dir),
        ["execs", way, tries, dir] => {
            let (race, began) = execs::race(way, dir);
            let mut printed = race::run(number(tries), race).json();
            printed["began"] = began.load(Ordering::Relaxed).into();
            println!("{printed}");
        }
        ["execs-once", way, dir] => std::process::exit(execs::once(way, dir)),
        ["execs-direct", dir, name] => println!("{}", execs::direct(dir, name)),
        _ => panic!("the attacker does not know how to {args:?}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

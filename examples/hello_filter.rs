//! The smallest filter: a shell whose every open and exec is decided by the application that connects to \HelloPort.
use std::process::Command;
use std::sync::Arc;

use fltmgr::filter::Manager;
use fltmgr::guard::{Applications, Guard};
use fltmgr::policy::{Rule, Rules};
use fltmgr::source::Supervise;
use fltmgr::{Port, PortOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let applications = Applications::new();
    let any_local_user = "D:(A;;GA;;;AU)".parse()?;
    let _port = Port::create(r"\HelloPort", PortOptions::default().security(any_local_user), applications.clone())?;
    let shell = Arc::new(Supervise::new(Command::new("sh")));
    let guard = Guard::new(Rules::new([Rule::ask(["**"])])?).ask(Arc::new(applications));
    let _manager = Manager::builder().filter(guard)?.start(shell.clone())?;
    println!("a shell under a filter; now run hello_app, then try: touch x.secret; cat x.secret");
    let status = shell.wait()?;
    println!("the shell ended with {status}");
    Ok(())
}

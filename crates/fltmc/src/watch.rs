//! `fltmc watch`: the same rules for every process on some file systems, until a signal ends it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use fltmgr::filter::{Manager, Record};
use fltmgr::source::{Coverage, Fanotify};
use fltmgr::{Error, Status};

use crate::args::Watch;
use crate::exit::{Code, Doing, Failure, no_thread};
use crate::filters::{Filters, Setting};
use crate::output::{self, HEAD, Safe, WARN};
use crate::report::{Collector, Line, QUEUE, Sink, json_lines};
use crate::run::create;
use crate::signals::{Event, Events};

pub(crate) fn watch(args: &Watch) -> Result<ExitCode, Failure> {
    args.rules.check()?;
    let paths = args.paths.iter().map(|path| {
        // The kernel names files by their real paths.
        path.canonicalize().doing(|| format!("watching {}", path.display()))
    });
    let paths = paths.collect::<Result<Vec<PathBuf>, _>>()?;
    if let Some(path) = paths.iter().find(|path| path.to_str().is_none()) {
        let path = path.display();
        let sentence =
            format!("{path} is no UTF-8, so no pattern can name what is below it; watch a directory above it");
        return Err(Failure::new(Code::Usage, sentence));
    }
    if let Some(path) = paths.iter().find(|path| !path.is_dir()) {
        let dir = path.parent().unwrap_or(path).display();
        let sentence = format!("{} is no directory; watch {dir}, with a rule about that file", path.display());
        return Err(Failure::new(Code::Usage, sentence));
    }
    let source = Arc::new(Fanotify::new(&paths).map_err(not_watched)?);
    source.on_coverage(|coverage| {
        let style = if matches!(coverage, Coverage::NotWatched { .. }) { WARN } else { HEAD };
        output::noteln!("{style}fltmc:{style:#} {}", Safe(coverage));
    });
    let report = args.rules.report.as_deref().map(create).transpose()?;
    let events = Events::new()?;

    let setting =
        Setting { under: paths.clone(), ops: Fanotify::OPS, on_miss: args.on_miss, admit: Arc::new(|_| Ok(())) };
    let mut filters = Filters::new(&args.rules, &setting)?;
    // An application must not wait for its own verdicts.
    filters.applications().for_each(|applications| source.exempt(Arc::new(applications.clone())));

    let (builder, records) = filters.add_to(Manager::builder())?.records(QUEUE);
    let print: Option<Sink> = args.json.then(|| Box::new(|record: &Record| output::json(&Line::from(record))) as _);
    let sinks = [print, report.map(json_lines)].into_iter().flatten();
    let below = |mut sink: Sink| {
        let under = paths.clone();
        // What has no name may be below, and was judged as if it were.
        let is_below = move |record: &Record| {
            let file = &record.operation.path;
            file.as_os_str().is_empty() || under.iter().any(|path| file.starts_with(path))
        };
        Box::new(move |record: &Record| if is_below(record) { sink(record) } else { Ok(()) }) as Sink
    };
    let collector = Collector::start(records, sinks.map(below).collect())?;
    let manager = builder.start(source.clone()).map_err(not_watched)?;
    if !args.rules.quiet {
        let list = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        output::noteln!("{HEAD}fltmc:{HEAD:#} watching {}; Ctrl-C ends it", Safe(list));
    }
    let tell = events.sender();
    let ended = std::thread::scope(|scope| {
        let source = std::thread::Builder::new().spawn_scoped(scope, || {
            let ended = manager.wait();
            let _ = tell.try_send(Event::Ended);
            ended
        });
        let source = source.map_err(no_thread)?;
        while !matches!(events.next(), Some(Event::Signal(_) | Event::Ended) | None) {}
        manager.stop();
        Ok(source.join())
    });
    let ended = ended?.unwrap_or_else(|_| Err(Error::new(Status::INTERNAL_ERROR, "waiting for the source")));
    let counters = manager.counters();
    drop(manager);
    filters.close();
    let summary = collector.finish(&counters)?;
    ended.map_err(|error| Failure::new(Code::Other, error.to_string()))?;
    if !args.rules.quiet {
        summary.print();
        if source.remembered() > 0 {
            output::noteln!("{HEAD}fltmc:{HEAD:#} {} more had been allowed and not changed since", source.remembered());
        }
        if source.lost() > 0 {
            let why = "which could not open them for the filter";
            output::noteln!("{WARN}fltmc:{WARN:#} {} more were refused by the kernel, {why}", source.lost());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn not_watched(error: Error) -> Failure {
    match error.status() {
        Status::PRIVILEGE_NOT_HELD => Failure::new(
            Code::Unsupported,
            "fltmc watch needs root (CAP_SYS_ADMIN outside any user namespace); fltmc run does the same for one program without",
        ),
        Status::NOT_SUPPORTED => Failure::new(
            Code::Unsupported,
            format!("{error}; fltmc doctor shows what there is, fltmc run does without"),
        ),
        _ => Failure::new(Code::Other, error.to_string()),
    }
}

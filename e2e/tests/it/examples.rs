//! The examples do what the README says of them.

use testkit::{World, binary};

/// An example of the library, in this world.
fn example(world: &World, name: &str) -> std::process::Command {
    world.command(binary("examples").join(name))
}

#[test]
fn the_smallest_filter_and_the_smallest_application() {
    let world = World::new();
    world.file("x.secret", "hidden\n");
    world.file("x.public", "shown\n");
    let mut filter = world.spawn(&mut example(&world, "hello_filter"));
    filter.says("a shell under a filter");
    // No application is connected, so the guard's policy allows.
    filter.tell("cat x.secret\n");
    filter.says("hidden");
    let mut app = world.spawn(&mut example(&world, "hello_app"));
    app.says("connected");
    filter.tell("cat x.public; cat x.secret\n");
    filter.says("shown");
    filter.says("x.secret: Permission denied");
    app.says("x.public");
    app.says("deny open");
    // now: the shell's error and this line come by two pipes, in any order
    filter.tell("exit 3\n");
    filter.says("exit status: 3");
    assert_eq!((filter.end(), app.end()), (0, 1), "the application ends with the filter, by an error that says so");
}

#[test]
fn the_scanner_pair() {
    let world = World::new();
    world.file("fine.txt", "good\n");
    world.file("bad.txt", "this is foul\n");
    world.file("bad.log", "foul, but of a kind that is not scanned\n");
    let mut filter = world.spawn(example(&world, "scanner_filter").arg("sh"));
    let mut app = testkit::until(|| {
        let mut app = world.spawn(&mut example(&world, "scanner_app"));
        app.said_within("connected", std::time::Duration::from_secs(1)).then_some(app)
    });
    filter.says("scanner connected");
    filter.tell("cat fine.txt bad.log\n");
    filter.says("good");
    filter.says("not scanned");
    filter.tell("cat bad.txt; exit 7\n");
    filter.says("bad.txt: Permission denied");
    app.says("safe");
    app.says("FOUL");
    assert_eq!((filter.end(), app.end()), (7, 0));
}

#[test]
fn the_readme_shows_the_examples_as_they_are() {
    let readme = include_str!("../../../README.md");
    for example in [include_str!("../../../examples/hello_filter.rs"), include_str!("../../../examples/hello_app.rs")] {
        assert!(readme.contains(&format!("```rust\n{example}```")), "README.md shows another version of:\n{example}");
    }
    let ci = include_str!("../../../.ci/run");
    assert!(
        readme.contains("\ncargo test --workspace\n") && ci.contains("\ncargo test --workspace\n"),
        "one test command"
    );
}

//! How many of a host's threads one user's callbacks hold, all of which block, while another user is served. The threads are
//! the process's, so that each test has a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fltport::{Client, Connection, PortOptions, Response, Usage};
use proto::wire::FromClient;
use testkit::raw::Raw;
use testkit::{Filter, Host, PORT, apart, other_user, uid, until};

/// Callbacks for this user, which do not return for now. Those for others do.
#[derive(Clone, Default)]
struct Held(Arc<(AtomicUsize, AtomicBool)>);

impl Held {
    fn call(&self, client: &Client) {
        let (running, let_go) = &*self.0;
        if client.peer().uid != uid() {
            return;
        }
        running.fetch_add(1, Ordering::SeqCst);
        while !let_go.load(Ordering::SeqCst) {
            thread::park_timeout(Duration::from_millis(20));
        }
        running.fetch_sub(1, Ordering::SeqCst);
    }

    fn running(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn let_go(&self) {
        self.0.1.store(true, Ordering::SeqCst);
    }

    /// Lets go at the latest when this is dropped, so that a test that fails ends: a thread that waits for a callback would hang.
    fn let_go_at_the_end(&self) -> LetGo<'_> {
        LetGo(self)
    }
}

struct LetGo<'a>(&'a Held);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

fn echo(input: &[u8], output: &mut [u8]) -> Response {
    let len = input.len().min(output.len());
    output[..len].copy_from_slice(&input[..len]);
    Response::from(len)
}

fn host(filter: impl FnOnce(&mut Filter)) -> Host {
    // however slow the machine, none of a crowd is turned away unheard
    let host =
        Host::with(filter, |options: PortOptions| options.max_connections_per_user(64).max_half_open_per_user(100));
    host.world().open_to_all();
    host
}

/// Each port lets a user have 256 requests under way, and a host may have many ports.
#[test]
fn requests_of_one_user_on_many_ports_hold_half_of_the_threads() {
    apart(|| {
        let held = Held::default();
        let hosts: Vec<_> = (0..5)
            .map(|_| {
                let held = held.clone();
                host(move |filter| {
                    filter.on_message = Box::new(move |client, input, output| {
                        held.call(client);
                        echo(input, output)
                    });
                })
            })
            .collect();
        let connections =
            || (0..80).map(|number: usize| Raw::connect(&hosts[number % 5].namespace())).collect::<Vec<_>>();
        let raws = connections();
        let requests: Vec<_> =
            raws.iter().map(|raw| (0..16).map(|_| raw.post_send(b"x", 1, 1)).collect::<Vec<_>>()).collect();
        until(|| held.running() == 512);
        hosts.iter().for_each(other_user::is_served);
        assert_eq!(held.running(), 512);
        // nothing is lost by waiting
        held.let_go();
        for (raw, requests) in raws.iter().zip(requests) {
            requests.into_iter().for_each(|request| assert_eq!(raw.completed(request).status, 0));
        }
        drop(raws);
        for host in &hosts {
            until(|| host.port().usage(uid()) == Usage::default());
        }
        assert_eq!(held.running(), 0);
        // and all can be used again
        drop(connections());
    });
}

/// A connection holds one thread for its connect or its disconnect callback; a user has 64 here.
#[test]
fn connects_and_disconnects_of_one_user_hold_a_thread_for_each_connection() {
    apart(|| {
        let (held, holds_connects) = (Held::default(), Arc::new(AtomicBool::new(false)));
        let host = host(|filter| {
            let (connects, ends, holds) = (held.clone(), held.clone(), Arc::clone(&holds_connects));
            filter.on_connect = Box::new(move |client, _| {
                if holds.load(Ordering::SeqCst) {
                    connects.call(client);
                }
                Ok(())
            });
            filter.on_disconnect = Box::new(move |client| ends.call(client));
            filter.on_message = Box::new(|_, input, output| echo(input, output));
        });
        drop((0..32).map(|_| Raw::connect(&host.namespace())).collect::<Vec<_>>());
        until(|| held.running() == 32);
        holds_connects.store(true, Ordering::SeqCst);
        thread::scope(|scope| {
            let _let_go = held.let_go_at_the_end();
            let connect = || {
                let options = Connection::options().namespace(host.namespace());
                scope.spawn(move || options.connect(PORT, b"").map(drop))
            };
            let connects: Vec<_> = (0..40).map(|_| connect()).collect();
            until(|| held.running() == 64);
            other_user::is_served(&host);
            // those for which this user has no place were refused
            until(|| connects.iter().filter(|connect| connect.is_finished()).count() == 8);
            assert_eq!(held.running(), 64);
            held.let_go();
            let connected = connects.into_iter().map(|connect| connect.join().unwrap());
            assert_eq!(connected.filter(Result::is_ok).count(), 32);
        });
        until(|| host.port().usage(uid()) == Usage::default());
    });
}

/// Kilobytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() / 1024
}

/// Whose threads are all in use has nothing wait for one without end.
#[test]
fn good_byes_without_end_of_one_user_take_no_memory() {
    apart(|| {
        let held = Held::default();
        let calls = held.clone();
        let host = Host::with(
            move |filter| {
                filter.on_message = Box::new(move |client, input, output| {
                    calls.call(client);
                    echo(input, output)
                });
            },
            |options| options.max_requests_per_user(640),
        );
        let raws: Vec<_> = (0..40).map(|_| Raw::connect(&host.namespace())).collect();
        // before there is no thread left to let it in
        let leaves = Raw::connect(&host.namespace());
        let _let_go = held.let_go_at_the_end();
        for raw in &raws {
            (0..16).for_each(|_| _ = raw.post_send(b"x", 1, 1));
        }
        until(|| held.running() == 512);
        let bye = FromClient::Bye.encode();
        let say = |times| (0..times).for_each(|_| leaves.socket.send(&bye, &[]).unwrap());
        say(1_000);
        let before = resident();
        say(200_000);
        let grown = resident().saturating_sub(before);
        held.let_go();
        assert!(grown < 2_000, "{grown} KB");
        drop((raws, leaves));
        until(|| host.port().usage(uid()) == Usage::default());
    });
}

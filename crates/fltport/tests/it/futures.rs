//! Messages as a stream and calls as futures, under tokio.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fltport::namespace::Namespace;
use fltport::{
    Client, Connection, Message, Messages, Port, PortOptions, Process, Response, SecurityDescriptor, Serve, Status,
    Timeout,
};
use futures_core::Stream;
use proto::client;
use testkit::raw::Raw;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// Sends back what it gets; what says `wait` when the test lets it.
struct Echo(SyncSender<Client>, Mutex<Receiver<()>>, SyncSender<()>);

impl Serve for Echo {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.0.send(client.clone()).map_err(|_| Status::UNSUCCESSFUL)
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        if input == b"no" {
            return Status::ACCESS_DENIED.into();
        }
        if input == b"wait" && self.2.send(()).is_ok() {
            let _ = self.1.lock().unwrap().recv();
        }
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        Response::from(len)
    }
}

struct World {
    dir: tempfile::TempDir,
    _port: Port,
    clients: Receiver<Client>,
    /// What waits has begun.
    waits: Receiver<()>,
    /// Dropped, it lets that go on.
    go_on: SyncSender<()>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sender, clients) = sync_channel(8);
        let (go_on, gone_on) = sync_channel(1);
        let (begin, waits) = sync_channel(16);
        let options = PortOptions::default()
            .max_connections(8)
            .security(SecurityDescriptor::null_dacl())
            .namespace(Namespace::at(dir.path()));
        let port = Port::create(r"\Aio", options, Echo(sender, Mutex::new(gone_on), begin)).unwrap();
        Self { dir, _port: port, clients, waits, go_on }
    }

    fn pair(&self) -> (Connection, Client) {
        let port = Connection::options().namespace(Namespace::at(self.dir.path())).connect(r"\Aio", b"").unwrap();
        (port, self.clients.recv_timeout(LONG).unwrap())
    }
}

async fn next(messages: &mut Messages) -> Option<Result<Message, fltport::Error>> {
    let next = poll_fn(|context| Pin::new(&mut *messages).poll_next(context));
    timeout(LONG, next).await.expect("no message")
}

#[tokio::test]
async fn questions_come_as_a_stream_and_are_answered() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(4).unwrap();
    let asks = std::thread::spawn(move || {
        for number in 0..500u32 {
            let mut reply = [0; 4];
            let answer = filter.ask(&number.to_le_bytes(), &mut reply, Timeout::After(LONG)).unwrap();
            assert_eq!((answer.status, u32::from_le_bytes(reply)), (Status::SUCCESS, number + 1));
        }
        let mut reply = vec![0; 300_000];
        let answer = filter.ask(b"long", &mut reply, Timeout::After(LONG)).unwrap();
        assert_eq!((answer.len, &reply), (300_000, &vec![9; 300_000]));
        filter.close();
    });
    for _ in 0..500 {
        let message = next(&mut messages).await.unwrap().unwrap();
        let number = u32::from_le_bytes(message.body().try_into().unwrap());
        message.reply_async(Status::SUCCESS, (number + 1).to_le_bytes().to_vec()).await.unwrap();
    }
    let long = timeout(LONG, messages.recv()).await.unwrap().unwrap();
    long.reply_async(Status::SUCCESS, vec![9; 300_000]).await.unwrap();
    asks.join().unwrap();
    assert_eq!(next(&mut messages).await.unwrap().unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert!(next(&mut messages).await.is_none());
    assert_eq!(messages.recv().await.unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[tokio::test]
async fn a_message_whose_future_was_dropped_goes_to_the_next() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(2).unwrap();
    let sends = std::thread::spawn(move || {
        for number in 0..300u32 {
            filter.send(&number.to_le_bytes(), Timeout::After(LONG)).unwrap();
        }
        filter
    });
    let mut received = 0u32;
    while received < 300 {
        // polled once and dropped, again and again, in the middle of whatever happens
        tokio::select! {
            biased;
            message = messages.recv() => {
                assert_eq!(message.unwrap().body(), received.to_le_bytes());
                received += 1;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    let filter = sends.join().unwrap();
    // what is delivered to a stream that is dropped is answered
    let pending = filter.start(b"?", 4, Timeout::After(LONG)).unwrap();
    drop(messages);
    assert_eq!(pending.wait(&mut []).unwrap().status, Status::CANCELLED);
    assert_eq!(filter.send(b"x", Timeout::Poll).unwrap_err().status(), Status::TIMEOUT);
}

/// Says that it has begun, and goes on when it is let: as one that wants a lock which another thread holds.
struct Slow(SyncSender<()>, Mutex<Receiver<()>>);

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
        let _ = self.1.lock().unwrap().recv();
    }
}

#[test]
fn a_stream_can_be_dropped_while_its_waker_waits_for_whoever_drops_it() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(1).unwrap();
    let (begin, begun) = sync_channel(1);
    let (let_go, wait) = sync_channel(0);
    let waker = Waker::from(Arc::new(Slow(begin, Mutex::new(wait))));
    assert!(Pin::new(&mut messages).poll_next(&mut Context::from_waker(&waker)).is_pending());
    let pending = filter.start(b"?", 4, Timeout::After(LONG)).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let (drops, dropped) = sync_channel(1);
    std::thread::spawn(move || {
        drop(messages);
        drops.send(()).unwrap();
    });
    dropped.recv_timeout(LONG).unwrap();
    drop(let_go);
    assert_eq!(pending.wait(&mut []).unwrap().status, Status::CANCELLED);
}

#[tokio::test]
async fn cancelled_receives_are_told_and_the_stream_goes_on() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(1).unwrap();
    assert!(timeout(Duration::from_millis(5), messages.recv()).await.is_err(), "nothing was sent");
    assert_eq!(port.cancel_receives(), 1);
    assert_eq!(next(&mut messages).await.unwrap().unwrap_err().status(), Status::CANCELLED);
    filter.send(b"x", Timeout::After(LONG)).unwrap();
    assert_eq!(next(&mut messages).await.unwrap().unwrap().body(), b"x");
    assert_eq!(port.messages(0).unwrap_err().status(), Status::INVALID_PARAMETER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_futures() {
    let world = World::new();
    let (port, _filter) = world.pair();
    let tasks: Vec<_> = (0..40u8).map(|byte| tokio::spawn(port.send_async(vec![byte; 100], 200))).collect();
    for (byte, task) in (0..40u8).zip(tasks) {
        assert_eq!(timeout(LONG, task).await.unwrap().unwrap().unwrap(), vec![byte; 100]);
    }
    let (answer, output) = timeout(LONG, port.request_async(b"no".to_vec(), 10)).await.unwrap().unwrap();
    assert_eq!((answer.status, output.len()), (Status::ACCESS_DENIED, 0));
    assert_eq!(port.send_async(b"no".to_vec(), 10).await.unwrap_err().status(), Status::ACCESS_DENIED);
    // a future that is not polled makes no call
    drop(port.send_async(b"x".to_vec(), 10));
}

#[tokio::test]
async fn room_that_is_not_there_is_an_error() {
    let world = World::new();
    let (port, _filter) = world.pair();
    for capacity in [1 << 46, usize::MAX] {
        let sent = port.send_async(b"x".to_vec(), capacity).await.map(drop).unwrap_err();
        assert_eq!(sent.status(), Status::INSUFFICIENT_RESOURCES, "{sent}");
        let requested = port.request_async(b"x".to_vec(), capacity).await.map(drop).unwrap_err();
        assert_eq!(requested.status(), Status::INSUFFICIENT_RESOURCES, "{requested}");
    }
    assert_eq!(port.send_async(b"x".to_vec(), 1).await.unwrap(), b"x");
}

/// A reply of more than 104 bytes needs a window.
#[tokio::test]
async fn a_reply_that_must_wait_for_its_turn_holds_up_no_other_task() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(2).unwrap();
    let (looker, holder) = Raw::open(port.duplicate().unwrap());
    let windows: Vec<_> = std::iter::from_fn(|| client::reserve_reply(looker.shared(), holder)).collect();
    let asks = std::thread::spawn(move || {
        let mut replies = [(); 2].map(|()| vec![0; 1000]);
        let asked = [(); 2].map(|()| filter.start(b"?", 1000, Timeout::After(LONG)).unwrap());
        let answers = asked.into_iter().zip(&mut replies).map(|(asked, reply)| asked.wait(reply).unwrap().len);
        answers.collect::<Vec<_>>()
    });
    let (first, second) = (next(&mut messages).await.unwrap().unwrap(), next(&mut messages).await.unwrap().unwrap());
    let mut reply = Box::pin(first.reply_async(Status::SUCCESS, vec![1; 500]));
    let mut polled = timeout(Duration::from_millis(100), &mut reply).await;
    assert!(polled.is_err(), "there was a window");
    // this task goes on, and so does what lets the reply have its turn
    timeout(LONG, second.reply_async(Status::SUCCESS, vec![2; 104])).await.unwrap().unwrap();
    windows.into_iter().for_each(|window| _ = client::release(looker.shared(), window));
    polled = timeout(LONG, &mut reply).await;
    polled.unwrap().unwrap();
    assert_eq!(asks.join().unwrap(), [500, 104]);
}

/// Starts more calls than there are threads for callbacks, all of which the filter keeps waiting.
async fn crowd(world: &World, port: &Connection) -> JoinSet<Result<Vec<u8>, fltport::Error>> {
    let mut crowd = JoinSet::new();
    for _ in 0..1100 {
        let mut call = Box::pin(port.send_async(b"wait".to_vec(), 4));
        // polled here, so that it is made
        assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
        crowd.spawn(call);
    }
    for _ in 0..16 {
        while world.waits.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    }
    crowd
}

/// The filter's callbacks for them wait for this very reply, which is too long to be sent by the thread that polls it.
#[tokio::test]
async fn a_reply_waits_for_no_request() {
    let world = World::new();
    let (port, filter) = world.pair();
    let mut messages = port.messages(4).unwrap();
    let crowd = crowd(&world, &port).await;
    let go_on = world.go_on;
    let asks = std::thread::spawn(move || {
        let mut reply = vec![0; 300_000];
        let answer = filter.ask(b"?", &mut reply, Timeout::After(LONG)).map(|answer| answer.len);
        // whatever came of it: the test must end
        drop(go_on);
        answer.map_err(|error| error.status())
    });
    let message = next(&mut messages).await.unwrap().unwrap();
    let replied = timeout(LONG / 2, message.reply_async(Status::SUCCESS, vec![9; 300_000])).await;
    drop(world.waits);
    assert_eq!(asks.join().unwrap(), Ok(300_000));
    replied.expect("it waits").unwrap();
    for sent in timeout(LONG, crowd.join_all()).await.expect("they wait") {
        assert_eq!(sent.unwrap(), b"wait");
    }
}

/// The host may be in the same process, as here.
#[tokio::test]
async fn a_callback_waits_for_no_request_of_another_connection() {
    let world = World::new();
    let (port, _filter) = world.pair();
    let (other, _) = world.pair();
    let crowd = crowd(&world, &port).await;
    let (told, tell) = sync_channel(1);
    std::thread::spawn(move || told.send(other.send(b"x", &mut [0; 1]).map_err(|error| error.status())));
    let sent = tell.recv_timeout(LONG / 2);
    // whatever came of it: the test must end
    drop((world.go_on, world.waits));
    assert_eq!(sent, Ok(Ok(1)));
    for sent in timeout(LONG, crowd.join_all()).await.expect("they wait") {
        assert_eq!(sent.unwrap(), b"wait");
    }
}

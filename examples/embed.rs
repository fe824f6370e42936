//! The smallest whole host: a hub, an authenticator, devices, a gap, a sweep, an end. The standard library only.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! It prints what each device receives and ends by itself. For clients on sockets see `threads` (try it with
//! `curl telnet://…`), `sse` and `websocket`.
#![allow(clippy::disallowed_methods)] // A host has a clock, and a thread that waits for time.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use laneway::Hub;
use laneway::{Connection, Received, UserId, UserScope};

/// Events that a device may be behind. Small, so that a device here falls behind.
const LANE_CAPACITY: usize = 4;
const SWEEP: Duration = Duration::from_secs(5);

/// Proves users' identities. No other code has the hub, for the hub reaches every user.
struct Authenticator {
    hub: Hub<String>,
}

impl Authenticator {
    /// The user's scope, for a token that is known. The scope reaches this user and no other.
    fn log_in(&self, token: &str) -> Option<UserScope<String>> {
        // A host asks its own store of sessions. Here the token of NAME is NAME-secret.
        let user = UserId::new(token.strip_suffix("-secret")?).ok()?;
        Some(self.hub.scope(user))
    }
}

/// What a host keeps while it runs.
struct Server {
    authenticator: Authenticator,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let hub = Hub::builder().lane_capacity(LANE_CAPACITY).build()?;
        // The hub has no clock and no thread: the host calls the sweep and says what time it is.
        let (sweeping, start) = (hub.clone(), Instant::now());
        thread::spawn(move || {
            while !sweeping.is_shut_down() {
                sweeping.sweep(start.elapsed());
                thread::sleep(SWEEP);
            }
        });
        let authenticator = Authenticator { hub };
        Ok(Self { authenticator })
    }

    /// Ends every connection after the events that were accepted before.
    fn stop(&self) {
        self.authenticator.hub.shutdown();
    }
}

fn print(device: &str, received: Received<String>) {
    match received {
        Received::Event(next) => println!("{device}: event {}, {}", next.number, next.event),
        Received::Gap { missed, .. } => println!("{device}: a gap of {missed} events"),
        // `Received` may grow in a later version.
        _ => {}
    }
}

/// A device with a thread of its own, which sleeps until there is something to receive.
fn listen(device: &str, mut connection: Connection<String>) {
    loop {
        match connection.recv() {
            Ok(received) => print(device, received),
            Err(closed) => return println!("{device}: {closed}"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let log_in = |token| {
        let scope = server.authenticator.log_in(token);
        scope.ok_or_else(|| format!("{token}: refused"))
    };
    let (ann, bob) = (log_in("ann-secret")?, log_in("bob-secret")?);
    if let Err(refused) = log_in("a guess") {
        println!("{refused}");
    }

    // An event for a user without a device comes back to its publisher.
    if let Err(error) = bob.publish("good morning".to_owned()) {
        print!("{error}: ");
        println!("{} came back", error.into_inner());
    }
    let watch = bob.connect()?;
    let watch = thread::spawn(move || listen("bob's watch", watch));

    // Both devices of Ann get each of her events. The phone keeps up, the tablet does not.
    let (mut phone, mut tablet) = (ann.connect()?, ann.connect()?);
    for n in 0..6 {
        let delivery = ann.publish(format!("news {n}"))?;
        let (number, devices) = (delivery.number, delivery.connections);
        println!("published event {number} for {devices} devices");
        print("ann's phone", phone.recv()?);
    }
    while let Ok(received) = tablet.try_recv() {
        print("ann's tablet", received);
    }

    bob.publish("good night".to_owned())?;
    server.stop();
    watch.join().map_err(|_| "the watch panicked")?;
    Ok(())
}

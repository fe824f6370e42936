//! The smallest host: no runtime, no server, threads and a loop.
//!
//! ```text
//! cargo run --example embed
//! ```

use std::thread;

use laneway::{Closed, Connection, Received, Router, UserId};

/// What a device does until its user is sent away.
fn device(name: &str, mut connection: Connection<String>) -> Closed {
    loop {
        match connection.recv() {
            Ok(Received::Event(next)) => println!("{name}: {} {}", next.number, next.event),
            Ok(Received::Gap { missed, .. }) => println!("{name}: {missed} events missed"),
            Ok(_) => {}
            Err(closed) => return closed,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Held by whoever knows who is who; everything else gets a user's scope.
    let router: Router<String> = Router::new();
    let (ann, bob) = (
        router.scope(UserId::new("ann")?),
        router.scope(UserId::new("bob")?),
    );
    let (phone, laptop) = (ann.connect()?, ann.connect()?);
    let devices = [
        ("phone", phone),
        ("laptop", laptop),
        ("bob", bob.connect()?),
    ];
    let devices = devices.map(|(name, c)| thread::spawn(move || device(name, c)));

    let delivery = ann.publish("hello, ann".to_owned())?;
    println!("told {} devices", delivery.connections);
    bob.publish("hello, bob".to_owned())?;

    // What was accepted can still be read; then every device is told that it is over.
    router.shutdown();
    for device in devices {
        println!("{}", device.join().expect("no panic"));
    }
    Ok(())
}

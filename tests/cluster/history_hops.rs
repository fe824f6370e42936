//! Devices that hop between nodes at random, while events are published at each of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use laneway::cluster::HistoryOptions;

use crate::kept::{Device, Place};
use crate::random::Random;
use crate::server::Server;

const USERS: u32 = 3;
const PUBLISHERS: u32 = 4;
const EVENTS: u32 = 800;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r142_devices_that_hop_at_random_get_each_event_once_and_in_its_publishers_order() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default().events(20_000);
    // A machine that runs other tests meanwhile may be slow.
    let options = options.limit(Duration::from_secs(100));
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(Place::open(&server.address(), options.clone()).await);
    }
    let mut devices = Vec::new();
    for n in 0..2 * USERS {
        let mut device = Device::new(n % USERS);
        // Its place in the history is that of before all events.
        drop(device.come(&places[n as usize % 3]).await);
        devices.push(device);
    }
    let done = AtomicU32::new(0);
    std::thread::scope(|s| {
        for publisher in 0..PUBLISHERS {
            let (places, done) = (&places, &done);
            s.spawn(move || {
                let mut random = Random(0x9e37_79b9 + u64::from(publisher));
                let place = &places[publisher as usize % 3];
                for n in 0..EVENTS {
                    for user in 0..USERS {
                        assert!(place.say(user, publisher, n).relayed.is_queued());
                    }
                    if random.below(4) == 0 {
                        std::thread::sleep(Duration::from_micros(random.below(8_000)));
                    }
                }
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let hopping = devices.iter_mut().enumerate().map(|(at, device)| {
                    let (places, done) = (&places, &done);
                    async move {
                        let mut random = Random(77 + at as u64);
                        let mut hops = 0;
                        while done.load(Ordering::Acquire) < PUBLISHERS {
                            let place = &places[random.below(3) as usize];
                            let mut connection = device.come(place).await;
                            hops += 1;
                            for _ in 0..random.below(20) {
                                let most = random.below(200) as usize;
                                device.read(place, &mut connection, most);
                                tokio::time::sleep(Duration::from_millis(random.below(8))).await;
                            }
                        }
                        hops
                    }
                });
                let hops: Vec<u32> = futures_util::future::join_all(hopping).await;
                println!("hops: {hops:?}");
                assert!(hops.iter().all(|hops| *hops > 1));
            });
        });
    });
    for place in &places {
        place.settled().await;
    }
    let mut gaps = 0;
    for device in &mut devices {
        drop(device.come(&places[0]).await);
        let counts = device.check();
        let all = (0..PUBLISHERS).all(|publisher| counts.get(&publisher) == Some(&EVENTS));
        assert!(all, "{counts:?}");
        // A gap that the server's threads had torn was filled by the next call.
        assert_eq!((device.lost, device.torn), (0, 0));
        gaps += device.gaps;
    }
    println!("missed at first: {gaps}");
}

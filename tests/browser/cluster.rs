//! R136: pages of two gateways that are one, over a real nats-server.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::driver::{Browser, LONG, gateway};
use crate::nats_server::Server as Broker;
use crate::panels::{LANE, enter, shows, submit};

#[test]
fn r136_a_direct_room_opens_on_the_pages_of_two_gateways() {
    let (Some(browser), Some(broker)) = (Browser::start(), Broker::start()) else {
        return;
    };
    let address = broker.address();
    let args = [&LANE[..], &["--cluster", &address]].concat();
    let (_one, first) = gateway(&args);
    let (_two, second) = gateway(&args);
    let ann = browser.tab(&first);
    enter(&browser, 0, "ann");
    let bob = browser.tab(&second);
    enter(&browser, 0, "bob");
    // A gateway may not listen for its users yet, so ann asks again.
    let start = Instant::now();
    let is_open = || browser.run("return panels[0].rooms.all.has('direct:ann:bob')");
    while is_open() != Value::Bool(true) {
        assert!(start.elapsed() < LONG, "bob's page accepts");
        browser.turn_to(&ann);
        submit(&browser, 0, "direct", "person", "bob");
        std::thread::sleep(Duration::from_millis(500));
        browser.turn_to(&bob);
    }
    browser.run("panels[0].part.to.value = 'direct:ann:bob'");
    submit(&browser, 0, "say", "text", "from the other gateway");
    shows(&browser, 0, 0, "from the other gateway");
    browser.turn_to(&ann);
    shows(&browser, 0, 0, "from the other gateway");
}

//! One user's page, whatever becomes of it and of the network.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::driver::{Browser, LONG, gateway};
use crate::network::Network;

fn times(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn r053_a_page_that_is_reloaded_shows_its_conversation_again() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "5"]);
    browser.tab(&address);
    browser.log_in("ann");
    browser.say("one two three");
    browser.wait_for_answers(1);
    let answer = "You wrote 3 words with 11 letters, and I read them all.";
    assert!(browser.log().contains("one two three") && browser.log().contains(answer));
    browser.run("document.getElementById('figures').click()");
    let figures = "document.getElementById('log').innerText.includes('1 answers in 24 h')";
    browser.wait_for("quality is told", figures);
    let before = browser.log();

    browser.reload();
    browser.wait_for("all of it is there again", figures);
    assert_eq!(browser.log(), before);
}

#[test]
fn r084_a_page_that_is_reloaded_in_the_middle_of_a_run_shows_the_whole_of_it() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "100"]);
    browser.tab(&address);
    browser.log_in("ann");
    browser.say("one two three");
    let under_way = "document.getElementById('log').innerText.includes('3 words')";
    browser.wait_for("the run is under way", under_way);
    browser.reload();
    assert!(!browser.log().contains("· done"), "it was in the middle");
    browser.wait_for_answers(1);
    browser.reload();
    browser.wait_for_answers(1);
    let log = browser.log();
    assert_eq!(times(&log, "one two three"), 1, "{log}");
    assert_eq!(
        times(
            &log,
            "You wrote 3 words with 11 letters, and I read them all."
        ),
        1,
        "{log}"
    );
    assert_eq!(browser.typed(), "");
}

/// Waits for so many refused handshakes, and gives when each came.
fn refusals(network: &Network, count: usize) -> Vec<Instant> {
    let (start, mut seen, mut came) = (Instant::now(), network.refused(), Vec::new());
    while came.len() < count {
        assert!(start.elapsed() < LONG, "{came:?}");
        if network.refused() > seen {
            seen += 1;
            came.push(Instant::now());
        }
        sleep(Duration::from_millis(5));
    }
    came
}

#[test]
fn r084_a_page_whose_reconnect_is_refused_comes_back_later_and_has_missed_nothing() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let network = Network::start(&["--pace", "1", "--beat", "300"]);
    let first = browser.tab(&network.address);
    browser.log_in("ann");
    browser.say("before");
    browser.wait_for_answers(1);
    browser.run("window.drawn = 0; Math.random = () => { drawn += 1; return 0 }");
    network.refuse();
    network.cut();
    // Each pause is twice the one before, less up to a half, by the draw.
    let came = refusals(&network, 4);
    let pauses: Vec<_> = came.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses[1] > pauses[0] * 3 / 2 && pauses[2] > pauses[1] * 3 / 2,
        "{pauses:?}"
    );
    assert!(
        browser.run("return drawn").as_u64().unwrap() >= 4,
        "a draw for each"
    );
    // Another tab of the same user, which reaches the gateway past the network.
    browser.tab(&network.gateway);
    browser.log_in("ann");
    browser.say("meanwhile");
    browser.wait_for_answers(1);
    // The page keeps a message that it cannot send, also over a reload.
    browser.turn_to(&first);
    browser.say("refused");
    assert_eq!(browser.typed(), "refused");
    browser.reload();
    assert_eq!(browser.typed(), "refused");
    network.pass();
    browser.wait_for_answers(3);
    let log = browser.log();
    for text in ["before", "meanwhile", "refused"] {
        assert_eq!(times(&log, text), 1, "{log}");
    }
    assert!(!log.contains("missed") && !log.contains("gone"), "{log}");
    browser.wait_for(
        "it was echoed",
        "document.getElementById('text').value === ''",
    );
}

#[test]
fn r084_a_page_that_is_one_tab_too_many_comes_back_when_there_is_room() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let network = Network::start(&["--pace", "1"]);
    let first = browser.tab(&network.address);
    browser.log_in("ann");
    browser.say("before");
    browser.wait_for_answers(1);
    // 31 sockets beside this one, and then one in its place.
    let second = browser.tab(&network.gateway);
    browser.log_in("ann");
    let more = "const { token } = JSON.parse(sessionStorage.getItem('laneway'));
         const open = () => { const s = new WebSocket(location.origin.replace('http', 'ws') + '/ws', ['laneway', token]);
           s.onmessage = () => { s.known || (s.known = true, opened += 1) };
           s.onclose = () => setTimeout(open, 20) };
         window.opened = 0; for (let i = 0; i < 31; i++) open()";
    browser.run(more);
    browser.wait_for("there is room for 30", "opened === 30");
    network.refuse();
    network.cut();
    browser.wait_for("its place is taken", "opened === 31");
    network.pass();
    browser.say("meanwhile");
    browser.wait_for_answers(1);
    browser.turn_to(&first);
    let refused = "document.getElementById('state').textContent.includes('32 connections already')";
    browser.wait_for("it is told why", refused);
    // The other tab goes, and with it its sockets.
    browser.turn_to(&second);
    browser.close_tab();
    browser.turn_to(&first);
    browser.wait_for_answers(2);
    let log = browser.log();
    assert!(
        times(&log, "before") == 1 && times(&log, "meanwhile") == 1,
        "{log}"
    );
    assert!(!log.contains("missed") && !log.contains("gone"), "{log}");
}

#[test]
fn r084_a_page_in_a_black_hole_notices_and_what_was_said_is_said_once() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let network = Network::start(&["--pace", "1", "--beat", "300"]);
    browser.tab(&network.address);
    browser.log_in("ann");
    browser.say("before");
    browser.wait_for_answers(1);
    browser.wait_for(
        "it was echoed",
        "document.getElementById('text').value === ''",
    );
    network.swallow();
    browser.say("into the hole");
    assert_eq!(browser.typed(), "into the hole");
    let began = Instant::now();
    browser.wait_for_lost();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // Also the sockets that it opens now hear nothing, and are given up.
    let again = "document.getElementById('state').textContent.includes('silent')";
    browser.wait_for("it says why", again);
    sleep(Duration::from_secs(2));
    assert_eq!(browser.typed(), "into the hole");
    assert!(!browser.log().contains("into the hole"));
    // The swallowed message arrives after all, and the page sends it once more.
    network.pass();
    browser.wait_for_answers(2);
    browser.wait_for(
        "it was echoed",
        "document.getElementById('text').value === ''",
    );
    browser.say("after");
    browser.wait_for_answers(3);
    let log = browser.log();
    for text in ["before", "into the hole", "after"] {
        assert_eq!(times(&log, text), 1, "{log}");
    }
}

#[test]
fn r084_a_device_whose_place_a_late_socket_takes_comes_back_and_misses_nothing() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    browser.tab(&address);
    browser.log_in("ann");
    browser.say("before");
    browser.wait_for_answers(1);
    // As a socket that the page has given up, whose handshake comes through after all.
    browser.run(
        "const { token, beginning } = JSON.parse(sessionStorage.getItem('laneway'));
         const address = location.origin.replace('http', 'ws') + '/ws?position=' + beginning;
         const late = new WebSocket(address, ['laneway', token]);
         const payload = { text: 'in between', thread_id: 'main' };
         late.onopen = () => late.send(JSON.stringify({ type: 'user_message', payload }));",
    );
    browser.wait_for_answers(2);
    browser.say("after");
    browser.wait_for_answers(3);
    let log = browser.log();
    for text in ["before", "in between", "after"] {
        assert_eq!(times(&log, text), 1, "{log}");
    }
    assert!(!log.contains("another page"), "{log}");
}

#[test]
fn r084_a_page_whose_message_is_refused_keeps_it_to_be_mended() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    browser.tab(&address);
    browser.log_in("ann");
    // A script may set more than a person can type.
    let long = "x".repeat(4001);
    browser.say(&long);
    let told = "document.getElementById('log').innerText.includes('1 to 4000 characters')";
    browser.wait_for("it is told", told);
    assert_eq!(browser.typed(), long);
    browser.say("short");
    browser.wait_for_answers(1);
    browser.wait_for(
        "it was echoed",
        "document.getElementById('text').value === ''",
    );
    // So long that the socket ends: it is not sent again with the next one.
    browser.say(&"x".repeat(70_000));
    let told = "document.getElementById('log').innerText.includes('too long')";
    browser.wait_for("it is told", told);
    browser.wait_for_open();
    assert_eq!(browser.typed().len(), 70_000);
    browser.say("shorter");
    browser.wait_for_answers(2);
}

#[test]
fn r084_an_error_of_another_request_neither_loses_nor_repeats_what_was_said() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    browser.tab(&address);
    browser.log_in("ann");
    // The server's answer to the first request comes before the echo of the second.
    browser.run(
        "panels[0].devices[0].socket.send(JSON.stringify({ type: 'get_quality_metrics', payload: { period_hours: 0 } }));
         document.getElementById('text').value = 'hello there';
         document.getElementById('say').requestSubmit()",
    );
    browser.wait_for_answers(1);
    let log = browser.log();
    assert!(
        times(&log, "hello there") == 1 && log.contains("period_hours"),
        "{log}"
    );
    browser.wait_for(
        "it was echoed",
        "document.getElementById('text').value === ''",
    );
    assert_eq!(
        browser.run("return document.getElementById('text').readOnly"),
        false
    );
    browser.reload();
    browser.wait_for_answers(1);
    assert_eq!(browser.typed(), "");
}

#[test]
fn r084_a_page_holds_a_limited_part_of_a_long_conversation() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    browser.tab(&address);
    browser.log_in("ann");
    browser.run(
        "for (let i = 0; i < 600; i++)
           panels[0].devices[0].socket.send(JSON.stringify({ type: 'get_quality_metrics', payload: { period_hours: 0 } }))",
    );
    browser.say("the last");
    browser.wait_for_answers(1);
    let boxes = browser.run("return document.getElementById('log').childElementCount");
    assert_eq!(boxes, 500);
}

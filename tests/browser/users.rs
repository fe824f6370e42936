//! Several users in one browser: no page shows one person's messages under another's name.

use crate::driver::{Browser, gateway};
use crate::network::Network;

#[test]
fn r084_two_users_in_one_browser_never_see_each_others_messages() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let network = Network::start(&["--pace", "1", "--beat", "300"]);
    let anns = browser.tab(&network.address);
    browser.log_in("ann");
    browser.say("first of ann");
    browser.wait_for_answers(1);
    let bobs = browser.tab(&network.address);
    assert!(
        !browser.log().contains("ann"),
        "another tab has no user yet"
    );
    browser.log_in("bob");
    browser.say("first of bob");
    browser.wait_for_answers(1);
    // Both sockets are lost after the second log-in, and come back.
    network.cut();
    browser.say("second of bob");
    browser.wait_for_answers(2);
    browser.turn_to(&anns);
    browser.say("second of ann");
    browser.wait_for_answers(2);
    for (tab, name, other) in [(&anns, "ann", "bob"), (&bobs, "bob", "ann")] {
        browser.turn_to(tab);
        for reloaded in [false, true] {
            if reloaded {
                browser.reload();
                browser.wait_for_answers(2);
            }
            let log = browser.log();
            assert_eq!(browser.text_of("who"), name);
            assert!(log.contains(&format!("first of {name}")), "{log}");
            assert!(log.contains(&format!("second of {name}")), "{log}");
            assert!(!log.contains(other), "{log}");
        }
    }
    // One logs out, in all tabs of the name, and nothing of it is left in them.
    let second = browser.tab(&network.address);
    browser.log_in("ann");
    browser.turn_to(&anns);
    browser.run("document.getElementById('leave').click()");
    for tab in [&anns, &second] {
        browser.turn_to(tab);
        let asks = "!document.getElementById('login').hidden";
        browser.wait_for("the page asks who is there", asks);
        assert_eq!(
            (browser.log(), browser.text_of("who")),
            (String::new(), String::new())
        );
    }
    browser.log_in("bob");
    browser.turn_to(&bobs);
    browser.say("third of bob");
    browser.wait_for_answers(3);
    browser.turn_to(&second);
    browser.wait_for_answers(1);
    let log = browser.log();
    assert!(
        log.contains("third of bob") && !log.contains("ann"),
        "{log}"
    );
}

#[test]
fn r084_a_page_shows_nothing_of_a_socket_that_says_another_name() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    let anns = browser.tab(&address);
    browser.log_in("ann");
    browser.say("a word of ann");
    browser.wait_for_answers(1);
    browser.tab(&address);
    browser.log_in("bob");
    browser.say("a word of bob");
    browser.wait_for_answers(1);
    let bobs = browser.run("return JSON.parse(sessionStorage.getItem('laneway'))");
    browser.turn_to(&anns);
    // As if the tab's storage had been mixed up: bob's session and position under ann's name.
    let mut mixed = bobs.clone();
    mixed["name"] = "ann".into();
    let mixed = serde_json::json!(mixed.to_string());
    let script = format!("sessionStorage.setItem('laneway', {mixed})");
    browser.run(&script);
    browser.reload();
    let asks = "!document.getElementById('login').hidden";
    browser.wait_for("the page asks who is there", asks);
    assert!(
        browser.text_of("state").contains("was ann's"),
        "{}",
        browser.text_of("state")
    );
    assert_eq!(browser.log(), "");
    // With another's position, or with none that is one, the page begins anew.
    browser.log_in("ann");
    for position in [bobs["beginning"].as_str().unwrap(), "x"] {
        let script = format!(
            "const mine = JSON.parse(sessionStorage.getItem('laneway'));
             sessionStorage.setItem('laneway', JSON.stringify({{ ...mine, beginning: '{position}' }}))"
        );
        browser.run(&script);
        browser.reload();
        browser.wait_for_open();
        let beginning = "return JSON.parse(sessionStorage.getItem('laneway')).beginning";
        assert_ne!(browser.run(beginning), position);
        let shown = (browser.text_of("who"), browser.log());
        assert_eq!(shown, ("ann".to_owned(), String::new()));
    }
}

#[test]
fn r084_a_session_that_ends_takes_its_conversation_off_the_page_and_keeps_what_is_typed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1", "--session", "3000", "--beat", "200"]);
    browser.tab(&address);
    let asks = "!document.getElementById('login').hidden";
    for (name, kept) in [("ann", ""), ("ann", "half a thought"), ("bob", "")] {
        browser.log_in(name);
        assert_eq!(browser.typed(), kept);
        browser.run("document.getElementById('text').value = 'half a thought'");
        browser.wait_for("the page asks who is there", asks);
        assert_eq!(
            (browser.log(), browser.typed()),
            (String::new(), String::new())
        );
        assert!(browser.text_of("state").contains("the session has ended"));
    }
}

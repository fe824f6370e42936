//! What a person does with the page: by keyboard, in two browsers, with names that are none.

use fantoccini::key::Key;

use crate::driver::{Browser, gateway};
use crate::panels::{LANE, enter, join, log, press, shows, submit};

/// Presses the key Tab until a part of the first panel, or of its first device, has the focus.
fn tab_to(browser: &Browser, part: &str) {
    for _ in 0..80 {
        browser.key(Key::Tab);
        let focus = format!("return document.activeElement === panels[0].{part}");
        if browser.run(&focus) == true {
            let seen = "return document.activeElement.matches(':focus-visible') \
                        && getComputedStyle(document.activeElement).outlineStyle !== 'none'";
            assert_eq!(
                browser.run(seen),
                true,
                "{part} shows that it has the focus"
            );
            return;
        }
    }
    panic!("{part} is out of reach");
}

fn write(browser: &Browser, text: &str) {
    for letter in text.chars() {
        browser.key(letter);
    }
}

#[test]
fn r084_each_thing_can_be_done_with_the_keyboard_alone() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&address);
    browser.resize(1280, 900);
    tab_to(&browser, "part.name");
    write(&browser, "ann");
    browser.key(Key::Enter);
    browser.wait_for("it is connected", "panels[0].devices[0].greeted === true");
    tab_to(&browser, "part.room");
    write(&browser, "lobby");
    browser.key(Key::Enter);
    browser.wait_for("it is in", "panels[0].part.to.value === 'lobby'");
    tab_to(&browser, "part.text");
    write(&browser, "hello lobby");
    browser.key(Key::Enter);
    shows(&browser, 0, 0, "hello lobby");
    browser.wait_for("it was echoed", "panels[0].part.text.value === ''");
    tab_to(&browser, "part.add");
    browser.key(Key::Enter);
    browser.wait_for(
        "the second device",
        "panels[0].devices[1]?.greeted === true",
    );
    tab_to(&browser, "devices[1].part.slow");
    browser.key(' ');
    browser.wait_for("it is slow", "panels[0].devices[1].slow > 0");
    tab_to(&browser, "devices[0].part.flood");
    browser.key(' ');
    browser.wait_for("the gap is shown", "panels[0].devices[1].missed > 0");
    tab_to(&browser, "devices[0].part.line");
    browser.key(' ');
    browser.wait_for("it is offline", "panels[0].devices[0].isAway");
    browser.key(' ');
    browser.wait_for("it is back", "panels[0].devices[0].greeted === true");
    tab_to(&browser, "devices[0].part.log");
    tab_to(&browser, "part.leave");
    browser.key(Key::Enter);
    browser.wait_for("it is logged out", "!panels[0].part.login.hidden");
}

#[test]
fn r084_each_control_says_in_a_line_what_it_does() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&address);
    browser.resize(1280, 900);
    browser.run("document.getElementById('demo').click()");
    let ready = "panels.every(panel => panel.devices[1]?.greeted && panel.rooms.all.get('lobby')?.members.length === 2)";
    browser.wait_for("the demo is ready", ready);
    submit(&browser, 0, "say", "text", "hello bob");
    shows(&browser, 1, 1, "hello bob");
    browser.run("panels[1].part.to.value = ''");
    submit(&browser, 1, "say", "text", "one two three");
    shows(&browser, 1, 1, "· done");
    let without = "return [...document.querySelectorAll('button')].filter(b => !b.title).map(b => b.outerHTML)";
    assert_eq!(browser.run(without), serde_json::json!([]));
    let explained = browser.text_of("help-title");
    assert_eq!(explained, "What each control shows");
    let counted = "!document.getElementById('numbers').innerText.includes('events\\n0')";
    browser.wait_for("the page counts", counted);
    browser.picture("plain");
}

#[test]
fn r084_an_answer_streams_into_each_device_of_its_user() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "150"]);
    browser.tab(&address);
    enter(&browser, 0, "ann");
    browser.run("panels[0].add()");
    browser.wait_for("the second device", "panels[0].devices[1].greeted === true");
    submit(&browser, 0, "say", "text", "one two three");
    let shown = |device: usize| {
        format!(
            "(panels[0].devices[{device}].part.log.querySelector('.agent span')?.textContent.length ?? 0)"
        )
    };
    let both = format!("Math.min({}, {})", shown(0), shown(1));
    browser.wait_for("a part of the answer", &format!("{both} > 0"));
    let part = browser.run(&format!("return Math.max({}, {})", shown(0), shown(1)));
    let part = part.as_u64().unwrap();
    let answer = "You wrote 3 words with 11 letters, and I read them all.";
    assert!(part < answer.len() as u64, "not all at once: {part}");
    browser.wait_for("more of it", &format!("{both} > {part}"));
    for device in 0..2 {
        shows(&browser, 0, device, answer);
    }
}

#[test]
fn r084_names_and_rooms_that_are_none_are_refused_as_texts() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&address);
    browser.resize(360, 740);
    let long = "x".repeat(5000);
    let hostile = [
        "<img src=x onerror=window.broken=true>",
        "\u{202e}nna",
        "\u{2066}ann\u{2069}",
        "a\0b",
        "an\u{200b}n",
        "pending_auth",
        &long,
    ];
    for name in hostile {
        let name = serde_json::json!(name);
        browser.run("panels[0].part.state.textContent = ''");
        browser.run(&format!("void panels[0].logIn({name})"));
        let told = "/(a name|this name|the body)/.test(panels[0].part.state.textContent)";
        browser.wait_for("it is told", told);
        assert_eq!(
            browser.run("return panels[0].me.token ?? null"),
            serde_json::Value::Null
        );
    }
    enter(&browser, 0, "ann");
    for (n, room) in hostile.iter().enumerate() {
        let room = serde_json::json!(room);
        browser.run(&format!("panels[0].join({room}); panels[0].direct({room})"));
        let told = format!(
            "panels[0].devices[0].part.log.querySelectorAll('.notice').length >= {}",
            2 * n + 2
        );
        browser.wait_for("both are told", &told);
    }
    assert_eq!(browser.run("return panels[0].rooms.all.size"), 0);
    // A text may have a NUL.
    submit(&browser, 0, "say", "text", "before\0behind");
    browser.wait_for(
        "it is shown",
        "panels[0].devices[0].part.log.textContent.includes('behind')",
    );
    let elements =
        "return document.querySelectorAll('.log img, .panel header img, .rooms img').length";
    assert_eq!(browser.run(elements), 0);
    assert_eq!(browser.run("return window.broken === undefined"), true);
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.run(wide), 0);
}

#[test]
fn r084_two_browsers_with_the_same_user_see_the_same_and_each_other_come_and_go() {
    let (Some(one), Some(two)) = (Browser::start(), Browser::start()) else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    for browser in [&one, &two] {
        browser.tab(&address);
        enter(browser, 0, "ann");
    }
    enter(&two, 1, "bob");
    join(&one, 0, "lobby");
    two.wait_for(
        "the other browser is in, too",
        "panels[0].rooms.all.has('lobby')",
    );
    join(&two, 1, "lobby");
    let there = "panels[0].part.rooms.innerText.includes('bob: online')";
    one.wait_for("bob is there", there);
    submit(&two, 1, "say", "text", "from the other browser");
    shows(&one, 0, 0, "from the other browser");
    shows(&two, 0, 0, "from the other browser");
    // Each has its own devices: the end of one is no end of the other.
    press(&two, 0, 0, "line");
    submit(&one, 0, "say", "text", "while it is offline");
    shows(&two, 1, 0, "while it is offline");
    let alone = two.run(&format!("return {}", log(0, 0)));
    assert!(
        !alone.as_str().unwrap().contains("while it is offline"),
        "{alone}"
    );
    press(&two, 0, 0, "line");
    shows(&two, 0, 0, "while it is offline");
    press(&two, 1, 0, "line");
    one.wait_for(
        "bob is away",
        "panels[0].part.rooms.innerText.includes('bob: away')",
    );
}

#[test]
fn r084_a_device_that_is_closed_is_told_why_and_the_other_one_goes_on() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&["--pace", "1"]);
    browser.tab(&address);
    browser.resize(1280, 900);
    enter(&browser, 0, "ann");
    browser.run("panels[0].add()");
    browser.wait_for("the second device", "panels[0].devices[1].greeted === true");
    browser.run("panels[0].devices[1].sendSlow(2000)");
    browser.wait_for("it is slow", "panels[0].devices[1].slow > 0");
    // 16 KB each. Two seconds' pause: one after the other, as an answer needs.
    browser.run(
        "const text = '\u{1f600}'.repeat(4000);
         const send = n => { if (n) { panels[0].devices[0].send({ type: 'chat', payload: { text } }); setTimeout(send, 50, n - 1) } };
         send(60)",
    );
    let told = "panels[0].devices[1].part.log.innerText.includes('too many bytes wait (4006)')";
    browser.wait_for("it is told why", told);
    browser.picture("closed");
    submit(&browser, 0, "say", "text", "the other one goes on");
    shows(&browser, 0, 0, "the other one goes on");
    assert_eq!(browser.run("return panels[0].devices[0].missed"), 0);
}

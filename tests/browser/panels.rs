//! Two users side by side: rooms, devices that are slow or offline, and how the page looks.

use crate::driver::{Browser, OPERATOR, gateway};

pub(crate) const LANE: [&str; 4] = ["--pace", "5", "--lane", "64"];

/// Logs the user of a panel in.
pub(crate) fn enter(browser: &Browser, panel: usize, name: &str) {
    browser.run(&format!("void panels[{panel}].logIn('{name}')"));
    let open = format!("panels[{panel}].devices[0].greeted === true");
    browser.wait_for("it is connected", &open);
}

/// An expression: what a device of a panel has received.
pub(crate) fn log(panel: usize, device: usize) -> String {
    format!("panels[{panel}].devices[{device}].part.log.innerText")
}

pub(crate) fn shows(browser: &Browser, panel: usize, device: usize, text: &str) {
    let shown = format!(
        "{}.includes({})",
        log(panel, device),
        serde_json::json!(text)
    );
    browser.wait_for(text, &shown);
}

/// Types into a field and submits its form, as a person does.
pub(crate) fn submit(browser: &Browser, panel: usize, form: &str, field: &str, text: &str) {
    let text = serde_json::json!(text);
    browser.run(&format!(
        "const {{ part }} = panels[{panel}]; part.{field}.value = {text}; part.{form}.requestSubmit()"
    ));
}

pub(crate) fn press(browser: &Browser, panel: usize, device: usize, button: &str) {
    browser.run(&format!(
        "panels[{panel}].devices[{device}].part.{button}.click()"
    ));
}

/// Joins a room, and waits until it is chosen.
pub(crate) fn join(browser: &Browser, panel: usize, room: &str) {
    submit(browser, panel, "join", "room", room);
    browser.wait_for(
        "it is in",
        &format!("panels[{panel}].part.to.value === '{room}'"),
    );
}

#[test]
fn r084_two_panels_talk_in_a_room_and_a_third_user_does_not_see_it() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    let carls = browser.tab(&address);
    enter(&browser, 0, "carl");
    let two = browser.tab(&address);
    enter(&browser, 0, "ann");
    enter(&browser, 1, "bob");
    join(&browser, 0, "lobby");
    join(&browser, 1, "lobby");
    let there = "panels[0].part.rooms.innerText.includes('bob: online')";
    browser.wait_for("who is in the room", there);
    submit(&browser, 0, "say", "text", "hello lobby");
    shows(&browser, 1, 0, "hello lobby");
    browser.wait_for("it was echoed", "panels[0].part.text.value === ''");
    // A direct message: a room of two.
    submit(&browser, 1, "direct", "person", "ann");
    browser.wait_for("it is open", "panels[1].part.to.value === 'direct:ann:bob'");
    submit(&browser, 1, "say", "text", "between us");
    shows(&browser, 0, 0, "between us");
    // The agent's answer is its user's own.
    browser.run("panels[0].part.to.value = ''");
    submit(&browser, 0, "say", "text", "what do you see");
    shows(&browser, 0, 0, "· done");
    let bobs = browser.run(&format!("return {}", log(1, 0)));
    assert!(
        !bobs.as_str().unwrap().contains("what do you see"),
        "{bobs}"
    );
    browser.turn_to(&carls);
    submit(&browser, 0, "say", "text", "is there more");
    shows(&browser, 0, 0, "· done");
    let carl = browser.log();
    assert!(
        !carl.contains("lobby") && !carl.contains("between us"),
        "{carl}"
    );
    // A reload keeps both users, and shows what they have said.
    browser.turn_to(&two);
    browser.reload();
    shows(&browser, 0, 0, "hello lobby");
    shows(&browser, 1, 0, "between us");
}

#[test]
fn r084_a_slow_device_in_a_flood_shows_its_gap_and_the_other_user_has_none() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&format!("{address}/#operator={OPERATOR}"));
    browser.resize(1280, 900);
    assert_eq!(browser.run("return location.hash"), "");
    enter(&browser, 0, "ann");
    enter(&browser, 1, "bob");
    browser.run("panels[0].add()");
    browser.wait_for("the second device", "panels[0].devices[1].greeted === true");
    join(&browser, 0, "lobby");
    join(&browser, 1, "lobby");
    submit(&browser, 0, "say", "text", "before the flood");
    shows(&browser, 1, 0, "before the flood");
    press(&browser, 0, 1, "slow");
    let slow = "panels[0].devices[1].part.status.innerText.includes('slow')";
    browser.wait_for("the device is slow", slow);
    press(&browser, 0, 0, "flood");
    shows(&browser, 0, 0, "to 256 of 256");
    let missed = "Number(panels[0].devices[1].part.missed.innerText) > 100";
    browser.wait_for("the gap is shown", missed);
    let shown = "[...panels[0].devices[1].part.log.querySelectorAll('.gap')]
        .reduce((sum, box) => sum + parseInt(box.innerText), 0) === panels[0].devices[1].missed";
    browser.wait_for("the boxes add up", shown);
    let figures = "document.getElementById('numbers').innerText.includes('p99')";
    browser.wait_for("the operator's figures", figures);
    let drawn = "Number(/at most (\\d+)/.exec(document.getElementById('chart').getAttribute('aria-label'))[1]) > 100";
    browser.wait_for("the chart has the flood", drawn);
    browser.picture("gap");
    let bobs = browser.run(&format!("return {}", log(1, 0)));
    assert!(!bobs.as_str().unwrap().contains("flood: "), "{bobs}");
    assert_eq!(browser.run("return panels[1].devices[0].missed"), 0);
    // Bob's events come at once, also in ann's flood.
    press(&browser, 0, 0, "flood");
    submit(&browser, 1, "say", "text", "still quick");
    browser.wait_for("it was echoed", "panels[1].part.text.value === ''");
    assert_eq!(browser.run("return panels[1].devices[0].missed"), 0);
}

#[test]
fn r084_a_device_that_comes_back_resumes_and_says_so() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&address);
    browser.resize(1280, 900);
    browser.prefer("dark");
    browser.run("document.getElementById('demo').click()");
    let ready = "panels.every(panel => panel.devices[1]?.greeted && panel.rooms.all.get('lobby')?.members.length === 2)";
    browser.wait_for("the demo is ready", ready);
    press(&browser, 1, 0, "line");
    press(&browser, 1, 1, "line");
    let away = "panels[0].part.rooms.innerText.includes('bob: away')";
    browser.wait_for("bob is away", away);
    submit(&browser, 0, "say", "text", "are you there?");
    browser.wait_for("it was echoed", "panels[0].part.text.value === ''");
    press(&browser, 1, 0, "line");
    shows(&browser, 1, 0, "are you there?");
    let told = "panels[1].devices[0].part.last.innerText";
    browser.wait_for(
        "it says how it resumed",
        &format!("{told}.includes('nothing lost')"),
    );
    let back = "panels[0].part.rooms.innerText.includes('bob: online')";
    browser.wait_for("bob is back", back);
    browser.picture("resumed-dark");
    let dark = "return getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.run(dark), "rgb(20, 22, 26)");
    browser.prefer("light");
    assert_eq!(browser.run(dark), "rgb(245, 246, 248)");
    // More than a lane while the other device is offline: the exact number is told.
    press(&browser, 1, 0, "flood");
    shows(&browser, 1, 0, "to 256 of 256");
    press(&browser, 1, 1, "line");
    browser.wait_for("the gap", "panels[1].devices[1].missed > 0");
    let lost = browser
        .run("return panels[1].devices[1].missed")
        .as_u64()
        .unwrap();
    let told = browser.run("return panels[1].devices[1].part.last.innerText");
    assert_eq!(told.as_str().unwrap(), format!("missed {lost}"));
}

#[test]
fn r084_hostile_texts_stay_texts_and_a_phone_needs_no_horizontal_scroll() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let (_server, address) = gateway(&LANE);
    browser.tab(&address);
    browser.resize(360, 740);
    enter(&browser, 0, "ann");
    enter(&browser, 1, "x".repeat(32).as_str());
    join(&browser, 0, "lobby");
    join(&browser, 1, "lobby");
    let long = "w".repeat(300);
    for text in [
        "<img src=x onerror=\"window.broken = true\">",
        "<script>window.broken = true</script>",
        "\u{202e}txt.exe \u{2066}<b>bold</b>",
        "\",\"at\":1,\"from\":\"bob\"",
        &long,
    ] {
        submit(&browser, 1, "say", "text", text);
        shows(&browser, 0, 0, text.trim_start_matches('\u{202e}'));
        browser.wait_for("it was echoed", "panels[1].part.text.value === ''");
    }
    let elements = "return document.querySelectorAll('.log img, .log script, .log b').length";
    assert_eq!(browser.run(elements), 0);
    assert_eq!(browser.run("return window.broken === undefined"), true);
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.run(wide), 0);
    // One column: the second panel is below the first.
    let below = "const [a, b] = panels.map(panel => panel.root.getBoundingClientRect()); return b.top >= a.bottom";
    assert_eq!(browser.run(below), true);
    let counted = "!document.getElementById('numbers').innerText.includes('events\\n0')";
    browser.wait_for("the page counts", counted);
    browser.picture("phone");
    // Each control has a name and can be reached with the keyboard.
    let unnamed = "return [...document.querySelectorAll('button, input, select')].filter(e =>
        e.tabIndex < 0 || !(e.innerText || e.textContent || e.getAttribute('aria-label'))).length";
    assert_eq!(browser.run(unnamed), 0);
    let outline =
        "panels[0].part.text.focus(); return document.activeElement.matches(':focus-visible')";
    assert_eq!(browser.run(outline), true);
}

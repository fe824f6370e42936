//! R084: every name is one person, and only the gateway's own pages come in.

use tokio_tungstenite::tungstenite::Error;

use crate::server::{Server, Socket, close_code, hear, status};

fn refused(handshake: Result<Socket, Error>) -> u16 {
    match handshake {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> Vec<u8> {
    serde_json::json!({ "name": name }).to_string().into_bytes()
}

#[tokio::test]
async fn r084_bytes_that_are_no_utf_8_are_nobodys_name() {
    let server = Server::start();
    // A lenient decoder makes one name of all of these.
    for name in [
        &b"\xff"[..],
        b"\xfe",
        b"ann\xc3",
        b"\xed\xa0\x80",
        b"\xc0\x80",
    ] {
        let body = [b"{\"name\":\"", name, b"\"}"].concat();
        let (status, told) = server.try_login(&body).await;
        assert!(
            status == 400 && !told.is_empty(),
            "{name:?}: {status} {told}"
        );
    }
    for body in [
        r#"{"name":"\ud800"}"#,
        r#"{"name":"ann","name":"bob"}"#,
        r#"{"name":"ann","role":"bob"}"#,
        r#"{"name":["ann"]}"#,
        r#"{"name":1}"#,
        "{}",
        "ann",
        "",
    ] {
        let (status, told) = server.try_login(body.as_bytes()).await;
        assert!(
            matches!(status, 400 | 422) && !told.is_empty(),
            "{body}: {status} {told}"
        );
    }
    // A form is decoded in one way by one decoder and in another way by the next.
    for name in ["%ff", "%fe", "ann"] {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let body = format!("name={name}");
        let (status, told) = server.post("/login", form, body.as_bytes()).await;
        assert!(status == 415 && !told.is_empty(), "{status} {told}");
    }
    assert_eq!(server.stats().await["sessions"], 0);
}

#[tokio::test]
async fn r084_names_that_look_alike_are_one_person_or_refused() {
    let server = Server::start();
    for (name, told) in [
        ("", "1 to 32"),
        (&"x".repeat(33), "1 to 32"),
        (&"x".repeat(201), "1 to 32"),
        // Case, normalisation forms, other scripts, full width.
        ("Ann", "U+0041"),
        ("zo\u{eb}", "U+00EB"),
        ("zoe\u{308}", "U+0308"),
        ("\u{430}nn", "U+0430"),
        ("\u{ff41}nn", "U+FF41"),
        ("\u{fb01}n", "U+FB01"),
        ("ann\u{fffd}", "U+FFFD"),
        // Blanks, controls, what is not seen and what reorders.
        (" ann", "U+0020"),
        ("an n", "U+0020"),
        ("ann\u{a0}", "U+00A0"),
        ("a\0b", "U+0000"),
        ("ann\n", "U+000A"),
        ("an\u{7f}n", "U+007F"),
        ("an\u{85}n", "U+0085"),
        ("an\u{200b}n", "U+200B"),
        ("an\u{200d}n", "U+200D"),
        ("an\u{ad}n", "U+00AD"),
        ("an\u{feff}n", "U+FEFF"),
        ("\u{202e}nna", "U+202E"),
        ("\u{2066}ann\u{2069}", "U+2066"),
        ("ann\u{e0041}", "U+E0041"),
        // Markup, and separators of addresses.
        ("<b>ann", "U+003C"),
        ("ann/bob", "U+002F"),
        ("-ann", "begins and ends"),
        ("ann.", "begins and ends"),
        ("...", "begins and ends"),
        // Ids that a context refuses.
        ("test", "reserved"),
        ("null", "reserved"),
        ("0", "reserved"),
        ("demo_1", "reserved"),
        ("pending_auth", "reserved"),
        ("test_ann", "reserved"),
    ] {
        let (status, said) = server.try_login(&named(name)).await;
        assert!(
            status == 400 && said.contains(told),
            "{name:?}: {status} {said}"
        );
    }
    for name in [
        "ann",
        "a",
        "7-up",
        "a.b_c-d",
        "default_user",
        &"x".repeat(32),
    ] {
        server.login(name).await;
    }
    // One way or another to write one name.
    let (status, said) = server.try_login(br#"{"name":"\u0061nn"}"#).await;
    assert!(status == 200 && said.contains(r#""name":"ann""#), "{said}");
}

#[tokio::test]
async fn r084_another_sites_page_neither_logs_in_nor_opens_a_socket() {
    let server = Server::with(&["--origin", "https://chat.example"]);
    let own = format!("http://{}", server.address);
    let port = own.rsplit_once(':').unwrap().1;
    let localhost = format!("http://localhost:{port}");
    let rebound = format!("evil.example:{port}");
    let token = server.login("ann").await;
    let offered = format!("laneway, {token}");
    let offer = ("sec-websocket-protocol", offered.as_str());
    for origin in [
        "http://evil.example",
        "null",
        "",
        &format!("https://{}", server.address),
        &format!("{own}.evil.example"),
        "http://chat.example",
        "http://127.0.0.1",
    ] {
        let handshake = server.open("", &[offer, ("origin", origin)]).await;
        assert_eq!(refused(handshake), 403, "{origin}");
        let headers = format!("Content-Type: application/json\r\nOrigin: {origin}\r\n");
        let (status, _) = server.post("/login", &headers, &named("ann")).await;
        assert_eq!(status, 403, "{origin}");
    }
    // A name of another site that leads to this address: host and origin agree.
    let origin = format!("http://{rebound}");
    let headers = [offer, ("origin", origin.as_str()), ("host", &rebound)];
    assert_eq!(refused(server.open("", &headers).await), 421);
    for host in [
        "Host: evil.example\r\n",
        "",
        "Host: \r\n",
        &format!("Host: {0}\r\nHost: {0}\r\n", &own[7..]),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{host}\r\n");
        let (head, _) = server.request(request.as_bytes()).await;
        assert!(matches!(status(&head), 400 | 421), "{host}: {head}");
    }
    for (origin, host) in [
        (&*own, &own[7..]),
        (&localhost, &localhost[7..]),
        ("https://chat.example", "chat.example"),
        ("https://chat.example", "CHAT.example"),
    ] {
        let headers = [offer, ("origin", origin), ("host", host)];
        let mut tab = server.open("", &headers).await.unwrap();
        assert_eq!(hear(&mut tab).await["user"], "ann");
    }
}

#[tokio::test]
async fn r084_a_socket_is_its_sessions_user_and_says_so_first() {
    let server = Server::start();
    let (ann, bob) = (server.login("ann").await, server.login("bob").await);
    for (token, name) in [(&ann, "ann"), (&bob, "bob")] {
        let (_tab, hello) = server.tab_at(token, "").await;
        assert_eq!(hello["user"], name);
    }
    // Nothing but the token says who a socket is.
    let cookie = format!("laneway={ann}");
    for headers in [
        &[][..],
        &[
            ("cookie", cookie.as_str()),
            ("sec-websocket-protocol", "laneway"),
        ],
        &[("sec-websocket-protocol", "laneway, made-up")],
    ] {
        let mut socket = server.open("", headers).await.unwrap();
        assert_eq!(close_code(&mut socket).await, 4401);
    }
    assert_eq!(server.logout("made-up").await, 401);
    assert_eq!(server.post("/logout", "", b"").await.0, 401);
    let (head, page) = server.get("/").await;
    assert!(page.contains("<!doctype html>") && head.contains("script-src 'self'"));
}

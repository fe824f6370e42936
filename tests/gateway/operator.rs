//! R084: what only the operator sees, what every answer says to a browser, and each setting.

use crate::server::{OPERATOR, Server, gateway, status};

#[tokio::test]
async fn r084_figures_of_all_users_are_for_the_operator_only() {
    let server = Server::start();
    let token = server.login("ann").await;
    let wrong = format!("{OPERATOR}x");
    for sent in [
        "",
        "Authorization: Bearer \r\n",
        &format!("Authorization: Bearer {token}\r\n"),
        &format!("Authorization: Bearer {wrong}\r\n"),
        &format!("Authorization: Bearer {}\r\n", &OPERATOR[1..]),
        &format!("Authorization: {OPERATOR}\r\n"),
        &format!("Cookie: operator={OPERATOR}\r\n"),
    ] {
        let (head, told) = server.get_as("/stats", sent).await;
        assert_eq!(status(&head), 401, "{sent}");
        assert_eq!(told, "for the operator only");
    }
    assert_eq!(server.stats().await["sessions"], 1);
}

#[tokio::test]
async fn r084_every_answer_forbids_frames_foreign_scripts_and_copies() {
    let server = Server::start();
    for path in ["/", "/page/main.js", "/page/page.css", "/stats", "/nothing"] {
        let (head, _) = server.get(path).await;
        let head = head.to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
    }
    for path in ["/page/..%2fmain.rs", "/page/main.rs", "/page/", "/page.js"] {
        assert_eq!(status(&server.get(path).await.0), 404, "{path}");
    }
}

#[test]
fn r084_each_setting_has_an_environment_variable_and_a_clear_error() {
    let said = |output: &std::process::Output| {
        let both = [&output.stdout[..], &output.stderr[..]].concat();
        String::from_utf8_lossy(&both).into_owned()
    };
    let version = gateway(&["--version"]).output().unwrap();
    assert!(version.status.success());
    assert_eq!(
        said(&version),
        format!("gateway {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = said(&gateway(&["--help"]).output().unwrap());
    for name in [
        "PORT",
        "ORIGIN",
        "PACE",
        "BEAT",
        "SESSION",
        "SESSIONS",
        "CONNECTIONS",
        "LANE",
        "GRACE",
        "ABSENT",
        "OPERATOR",
    ] {
        assert!(help.contains(&format!("GATEWAY_{name}")), "{name}: {help}");
    }
    assert!(!help.contains(OPERATOR), "{help}");
    for (name, value) in [
        ("PORT", "70000"),
        ("LANE", "100"),
        ("LANE", "8"),
        ("GRACE", "0"),
        ("BEAT", "x"),
        ("ABSENT", "-1"),
        ("OPERATOR", "short"),
        ("OPERATOR", "with a blank in it"),
    ] {
        let mut program = gateway(&[]);
        let output = program
            .env(format!("GATEWAY_{name}"), value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        let told = said(&output);
        assert!(
            told.contains(&format!("--{}", name.to_ascii_lowercase())),
            "{told}"
        );
    }
    // The argument goes first.
    let output = gateway(&["--lane=100"])
        .env("GATEWAY_LANE", "64")
        .output()
        .unwrap();
    assert!(said(&output).contains("power of two"));
}

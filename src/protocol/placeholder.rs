//! Ids that stand for no real user, thread or run. A context refuses them.

/// Ids that are refused as a whole.
const PLACEHOLDERS: [&str; 19] = [
    "registry",
    "placeholder",
    "default",
    "temp",
    "none",
    "null",
    "undefined",
    "0",
    "1",
    "xxx",
    "yyy",
    "example",
    "test",
    "demo",
    "sample",
    "template",
    "mock",
    "fake",
    "dummy",
];
/// Beginnings of ids that are refused.
const PLACEHOLDER_PREFIXES: [&str; 10] = [
    "placeholder_",
    "registry_",
    "temp_",
    "example_",
    "demo_",
    "sample_",
    "template_",
    "mock_",
    "fake_",
    "default_",
];
/// The beginning of ids that only [`allow_test_ids`](crate::protocol::ContextBuilder::allow_test_ids)
/// lets through.
const TEST_PREFIX: &str = "test_";
/// Real ids that begin like placeholders. They are exempt from both lists above.
const ALLOWED: [&str; 7] = [
    "default_user",
    "default_admin",
    "default_system",
    "default_account",
    "default_service",
    "default_client",
    "default_guest",
];
/// Ids that hosts use for a connection before its user has logged in.
const UNAUTHENTICATED: [&str; 2] = ["pending_auth", "awaiting_auth"];
const UNAUTHENTICATED_PREFIX: &str = "temp_auth_";

/// Returns `true` for an id of a user who has not logged in yet. Ignores ASCII case. Allocates nothing,
/// because each broadcast asks.
pub(super) fn is_unauthenticated(id: &str) -> bool {
    let prefix = id.as_bytes().get(..UNAUTHENTICATED_PREFIX.len());
    UNAUTHENTICATED
        .iter()
        .any(|name| id.eq_ignore_ascii_case(name))
        || prefix.is_some_and(|p| p.eq_ignore_ascii_case(UNAUTHENTICATED_PREFIX.as_bytes()))
}

/// Returns `true` for an id that stands for nothing real. Ignores ASCII case.
pub(super) fn is_placeholder(id: &str, test_ids: bool) -> bool {
    let id = id.to_ascii_lowercase();
    let has = |prefix: &&str| id.starts_with(prefix);
    !ALLOWED.contains(&id.as_str())
        && (PLACEHOLDERS.contains(&id.as_str())
            || PLACEHOLDER_PREFIXES.iter().any(has)
            || (!test_ids && has(&TEST_PREFIX)))
}

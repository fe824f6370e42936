//! Ids that stand for no user, thread or run.

/// Ids that name nobody.
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
/// Refused unless the host allows it.
const TEST_PREFIX: &str = "test_";
/// Ids that look like placeholders and are none.
const ALLOWED: [&str; 7] = [
    "default_user",
    "default_admin",
    "default_system",
    "default_account",
    "default_service",
    "default_client",
    "default_guest",
];
/// Users who are not known yet.
const UNAUTHENTICATED: [&str; 2] = ["pending_auth", "awaiting_auth"];
const UNAUTHENTICATED_PREFIX: &str = "temp_auth_";

pub(super) fn is_unauthenticated(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    UNAUTHENTICATED.contains(&id.as_str()) || id.starts_with(UNAUTHENTICATED_PREFIX)
}

pub(super) fn is_placeholder(id: &str, test_ids: bool) -> bool {
    let id = id.to_ascii_lowercase();
    let has = |prefix: &&str| id.starts_with(prefix);
    !ALLOWED.contains(&id.as_str())
        && (PLACEHOLDERS.contains(&id.as_str())
            || PLACEHOLDER_PREFIXES.iter().any(has)
            || (!test_ids && has(&TEST_PREFIX)))
}

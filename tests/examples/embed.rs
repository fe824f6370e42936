//! `embed` prints what its devices receive.

use super::program::Program;

#[test]
fn devices_receive_their_own_users_events_a_gap_and_the_end() {
    let (success, said) = Program::run("embed", &[]).ended();
    assert!(success, "{said:?}");
    let of = |start: &str| -> Vec<_> {
        let lines = said.iter().filter_map(|line| line.strip_prefix(start));
        lines.map(str::to_owned).collect()
    };
    let news = |range: std::ops::Range<u32>| range.map(|n| format!("event {n}, news {n}"));
    assert_eq!(of("ann's phone: "), news(0..6).collect::<Vec<_>>());
    let gap = std::iter::once("a gap of 2 events".to_owned());
    let rest = gap.chain(news(2..6)).collect::<Vec<_>>();
    assert_eq!(of("ann's tablet: "), rest);
    let bob = of("bob's watch: ");
    assert_eq!((bob.len(), bob[0].as_str()), (2, "event 0, good night"));
    assert!(bob[1].starts_with("connection closed: "), "{}", bob[1]);
    assert_eq!(of("a guess: "), ["refused"]);
    assert_eq!(of("published event ").len(), 6);
    assert!(
        said.iter()
            .any(|line| line.ends_with("good morning came back"))
    );
}

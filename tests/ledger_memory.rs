//! Memory of the ledgers of confirmations and runs. Alone in its process: what one thread takes
//! another may free.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::time::Duration;

use laneway::protocol::{
    ConfirmationLimits, Confirmations, MessageKind, RunId, RunLimits, RunRegistry,
};
use laneway::{ThreadId, UserId};

#[test]
fn r055_r056_memory_is_bounded_whatever_comes_and_goes() {
    const KEPT: usize = 500;
    const NOW: Duration = Duration::from_secs(1);
    let (ann, t) = (UserId::new("ann").unwrap(), ThreadId::new("t").unwrap());
    let all = Confirmations::new(ConfirmationLimits {
        total: KEPT,
        per_user: KEPT,
    });
    let runs = RunRegistry::new(RunLimits {
        total: KEPT,
        ..RunLimits::default()
    });
    let churn = |rounds: std::ops::Range<usize>| {
        for round in rounds {
            for n in 0..KEPT {
                let id = format!("{round} {n}");
                all.expect(&ann, &id, &MessageKind::AgentStarted, NOW)
                    .unwrap();
                all.failed(&ann, &id, NOW).unwrap();
                let run = RunId::new(id).unwrap();
                runs.register(&ann, &run, &t, NOW).unwrap();
            }
            assert_eq!(all.sweep(NOW).removed, KEPT);
            assert_eq!(runs.remove_user(&ann), KEPT);
        }
    };
    churn(0..20);
    let more = allocation_counter::measure(|| churn(20..200)).bytes_current;
    println!("{more} bytes more");
    assert!(more < 150_000, "{more} bytes more");
}

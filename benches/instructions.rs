//! Instructions a call, counted by callgrind, so that a change of a few per cent shows on a noisy
//! machine: `cargo bench -p laneway-bench --bench instructions -- [--write]`.
//!
//! Without `--write` it compares with `budgets.tsv`, where there are figures of this compiler, and
//! fails if one has grown by more than 5 %.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, exit};

use laneway::{ConflationKey, Connection, Hub, UserId, UserScope};

const CALLS: usize = 64;
const USERS: usize = 1_000_000;
const TOLERANCE: f64 = 1.05;

type Event = [u64; 8];

/// What callgrind counts: the calls in here and all they call.
#[unsafe(no_mangle)]
#[inline(never)]
fn laneway_measured(work: &mut dyn FnMut()) {
    work();
}

fn user(n: usize) -> UserId {
    UserId::new(format!("user-{n:07}")).expect("valid")
}

fn ann(devices: usize) -> (Hub<Event>, UserScope<Event>, Vec<Connection<Event>>) {
    let builder = Hub::builder().lane_capacity(CALLS);
    let hub = builder.build().expect("valid");
    let scope = hub.scope(user(0));
    let devices = (0..devices)
        .map(|_| scope.connect().expect("room"))
        .collect();
    (hub, scope, devices)
}

/// Name and work of each figure; the work does what it measures `CALLS` times.
const FIGURES: [(&str, fn()); 15] = [
    ("publish and receive in turn", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        laneway_measured(&mut || {
            for _ in 0..CALLS {
                let _ = black_box(scope.publish([1; 8]));
                let _ = black_box(tabs[0].try_recv());
            }
        });
    }),
    ("receive nothing", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        laneway_measured(&mut || receive(&mut tabs[0]));
    }),
    ("publish", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        laneway_measured(&mut || publish(&scope));
    }),
    ("publish, 4 devices", || {
        let (_hub, scope, mut tabs) = ann(4);
        warm(&scope, &mut tabs);
        laneway_measured(&mut || publish(&scope));
    }),
    ("publish by id", || {
        let (hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        let id = user(0);
        laneway_measured(&mut || {
            for _ in 0..CALLS {
                let _ = black_box(hub.to_user(&id).publish([1; 8]));
            }
        });
    }),
    ("publish to an absent user", || {
        let (_hub, scope, tabs) = ann(1);
        drop(tabs);
        laneway_measured(&mut || publish(&scope));
    }),
    ("publish the latest of a key", || {
        let builder = Hub::builder().lane_capacity(CALLS).conflation(Some(8));
        let hub = builder.build().expect("valid");
        let scope = hub.scope(user(0));
        let mut tabs = vec![scope.connect().expect("room")];
        warm(&scope, &mut tabs);
        let key = ConflationKey::new("key").expect("valid");
        let _ = scope.publish_latest(&key, [1; 8]);
        receive(&mut tabs[0]);
        laneway_measured(&mut || {
            for _ in 0..CALLS {
                let _ = black_box(scope.publish_latest(&key, [1; 8]));
            }
        });
    }),
    ("publish until a deadline", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        let deadline = std::time::Duration::from_secs(1);
        laneway_measured(&mut || {
            for _ in 0..CALLS {
                let _ = black_box(scope.until(deadline).publish([1; 8]));
            }
        });
    }),
    ("publish over unread", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        publish(&scope);
        laneway_measured(&mut || publish(&scope));
    }),
    ("receive", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        publish(&scope);
        laneway_measured(&mut || receive(&mut tabs[0]));
    }),
    ("receive, one of 4 devices", || {
        let (_hub, scope, mut tabs) = ann(4);
        warm(&scope, &mut tabs);
        publish(&scope);
        laneway_measured(&mut || receive(&mut tabs[0]));
    }),
    ("visit in a batch of 64", || {
        let (_hub, scope, mut tabs) = ann(1);
        warm(&scope, &mut tabs);
        publish(&scope);
        laneway_measured(&mut || {
            let _ = tabs[0].visit(CALLS, |_, event| {
                black_box(event);
            });
        });
    }),
    ("connect", || {
        let (_hub, scope, mut tabs) = ann(1);
        let mut more = Vec::with_capacity(CALLS);
        laneway_measured(&mut || {
            for _ in 0..CALLS / 16 {
                more.push(scope.connect().expect("room"));
            }
        });
        tabs.append(&mut more);
    }),
    ("disconnect", || {
        let (_hub, scope, _tabs) = ann(1);
        let mut more: Vec<_> = (0..CALLS / 16)
            .map(|_| scope.connect().expect("room"))
            .collect();
        laneway_measured(&mut || more.clear());
    }),
    ("publish by id, a million users", || {
        let (hub, ..) = ann(0);
        let tabs: Vec<_> = (0..USERS)
            .map(|n| hub.scope(user(n)).connect().expect("room"))
            .collect();
        let some: Vec<_> = (0..CALLS).map(|n| user(n * (USERS / CALLS))).collect();
        laneway_measured(&mut || {
            for id in &some {
                let _ = black_box(hub.to_user(id).publish([1; 8]));
            }
        });
        // Dropping a million users would take longer than the measurement.
        std::mem::forget((hub, tabs));
    }),
];

/// Calls of the works that do fewer than `CALLS`.
fn calls(figure: &str) -> usize {
    match figure {
        "connect" | "disconnect" => CALLS / 16,
        _ => CALLS,
    }
}

fn publish(scope: &UserScope<Event>) {
    for _ in 0..CALLS {
        let _ = black_box(scope.publish([1; 8]));
    }
}

fn receive(tab: &mut Connection<Event>) {
    for _ in 0..CALLS {
        let _ = black_box(tab.try_recv());
    }
}

/// Two laps, so that everything that is allocated once has been.
fn warm(scope: &UserScope<Event>, tabs: &mut [Connection<Event>]) {
    for _ in 0..2 {
        publish(scope);
        tabs.iter_mut().for_each(receive);
    }
}

/// Instructions a call.
fn count(figure: &str) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--toggle-collect=laneway_measured", "--collect-atstart=no"])
        .arg(std::env::current_exe().expect("a program has a path"))
        .args(["--figure", figure])
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected"));
    let collected = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    let Some(collected) = collected else {
        panic!("callgrind counted nothing:\n{text}");
    };
    collected / calls(figure) as f64
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = String::from_utf8_lossy(&output.expect("rustc is there").stdout).into_owned();
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn main() {
    let args: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [flag, figure] = args.as_slice()
        && flag == "--figure"
    {
        let work = FIGURES.iter().find(|(name, _)| name == figure);
        work.expect("a figure").1();
        return;
    }
    let write = args.first().is_some_and(|a| a == "--write");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("budgets.tsv");
    let compiler = compiler();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mine = |line: &&str| line.split('\t').next() == Some(compiler.as_str());
    let budgets: Vec<_> = text.lines().filter(mine).collect();
    if budgets.is_empty() && !write {
        println!("no budgets for rustc {compiler}: nothing to compare with");
    }
    let (mut grown, mut lines) = (false, Vec::new());
    for (name, _) in FIGURES {
        let now = count(name);
        let budget = budgets.iter().find_map(|line| {
            line.split_once(&format!("\t{name}\t"))?
                .1
                .parse::<f64>()
                .ok()
        });
        let over = budget.is_some_and(|budget| now > budget * TOLERANCE);
        grown |= over;
        let before = budget.map_or_else(String::new, |b| format!("{b:>9.1}"));
        println!(
            "{name:<32} {now:>9.1} {before} {}",
            if over { "GROWN" } else { "" }
        );
        lines.push(format!("{compiler}\t{name}\t{now:.1}"));
    }
    if write {
        let others = text.lines().filter(|line| !mine(line)).map(str::to_owned);
        let all: Vec<_> = others.chain(lines).collect();
        std::fs::write(file, all.join("\n") + "\n").expect("can be written");
    } else if grown {
        eprintln!("a figure has grown by more than 5 %: make it smaller, or say why and --write");
        exit(1);
    }
}

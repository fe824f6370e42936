//! A thread is stopped for good in the middle of something rare; the others go on, and lose nothing.

use super::halves::Stop;
use super::stand::*;
use crate::sync::model;

fn stopped(stop: Stop, before: u64) {
    let (l, c) = (lane(), counts());
    let (mut r, mut gone) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    if before == 0 {
        // A lane that is hot and has arenas.
        publish(&l, c, 80, &mut d);
        publish(&l, c, 81, &mut d);
        all_read(&l, &mut r);
        all_read(&l, &mut gone);
        assert!(!l.is_burst(), "{}", l.told());
    }
    let leaves = matches!(stop, Stop::Leaving | Stop::Departed);
    if !leaves {
        drop(gone.leave());
        publish(&l, c, 90, &mut d);
        for i in 0..before {
            publish(&l, c, i, &mut d);
        }
        l.stop(stop);
    } else {
        publish(&l, c, 90, &mut d);
        for i in 0..before {
            publish(&l, c, i, &mut d);
        }
        l.stop(stop);
        std::mem::forget(gone);
    }
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 20, &mut d);
        publish(&l2, c, 21, &mut d);
        d
    });
    r.read(false);
    r.read(false);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    let missed = r.missed;
    for i in 30..40 {
        publish(&l, c, i, &mut d);
        all_read(&l, &mut r);
    }
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, missed);
    assert!(l.used_arenas() <= 5, "{}", l.told());
    if !leaves {
        drop(r.leave());
        assert_eq!(l.count(), 1);
    }
}

macro_rules! stops {
    ($($name:ident: $stop:ident $before:literal;)*) => {$(
        #[test]
        fn $name() {
            model::sound(stringify!($name), 2, || stopped(Stop::$stop, $before));
        }
    )*};
}
stops! {
    stopped_armed: Taken 2;
    stopped_armed_hot: Taken 0;
    stopped_installed: Installed 2;
    stopped_installed_hot: Installed 0;
    stopped_evicting: Evicting 4;
    stopped_lining_up: LinedUp 1;
    stopped_closing: Leaving 1;
    stopped_telling: Departed 1;
    stopped_pinned: Pinned 1;
    stopped_voiding: Voiding 1;
}

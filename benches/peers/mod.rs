//! What is compared: one small adapter each, written as somebody would who builds a server on it.

pub(crate) mod laneway;
pub(crate) mod papaya_arrayqueue;
pub(crate) mod scc_kanal;

/// Events that a connection may be behind, for everybody who has a bound.
pub(crate) const CAPACITY: usize = 64;

/// Something that routes events to users' connections.
pub(crate) trait Hub<E>: Send + Sync + 'static {
    /// How a publisher names a user.
    type User: Send + Sync;
    /// One device's receiving end.
    type Tab: Send;

    /// `capacity`: the events that a connection may be behind, for everybody who has a bound.
    fn new(capacity: usize) -> Self;
    fn user(&self, name: &str) -> Self::User;
    fn connect(&self, user: &Self::User) -> Self::Tab;
    #[allow(dead_code)] // Churn is measured next.
    fn disconnect(&self, user: &Self::User, tab: Self::Tab);
    /// To every device of the user. `false` if a device did not get it, as far as the peer tells.
    fn publish(&self, user: &Self::User, event: E) -> bool;
    fn receive(&self, tab: &mut Self::Tab) -> Option<E>;
    /// Reads all there is; peers that have a batch form use it.
    fn drain(&self, tab: &mut Self::Tab, mut f: impl FnMut(&E)) {
        while let Some(event) = self.receive(tab) {
            f(&event);
        }
    }
}

/// The peers' names, in the order of the report.
pub(crate) const NAMES: [&str; 4] = [
    "laneway by id",
    "laneway by scope",
    "scc + kanal",
    "papaya + ArrayQueue",
];

/// Calls `$f::<Hub>($args)` for the peer with the given name.
#[macro_export]
macro_rules! with_peer {
    ($name:expr, $f:ident::<_, $event:ty>($($arg:expr),*)) => {
        match $name {
            "laneway by id" => $f::<$crate::peers::laneway::ById<$event>, $event>($($arg),*),
            "laneway by scope" => $f::<$crate::peers::laneway::ByScope<$event>, $event>($($arg),*),
            "scc + kanal" => $f::<$crate::peers::scc_kanal::Peer<$event>, $event>($($arg),*),
            "papaya + ArrayQueue" => $f::<$crate::peers::papaya_arrayqueue::Peer<$event>, $event>($($arg),*),
            other => panic!("no such peer: {other}"),
        }
    };
}

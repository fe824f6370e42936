//! What a message with an id of its own costs.

use laneway::protocol::{Handled, Message, Sender};

use crate::{Host, by};

#[test]
fn r078_a_message_with_a_fresh_id_takes_no_more_memory_the_more_ids_are_known() {
    let host = Host::new();
    host.register("echo", |sender: &Sender<'_>, message: &Message| {
        let _ = sender.reply(message);
        Ok(Handled::Done)
    });
    // The least of 16 messages: the collector sometimes allocates inside of one.
    let least = |first: u64| {
        let bytes = (first..first + 16).map(|n| {
            let json = format!(r#"{{"type":"chat","message_id":"m-{n:08}"}}"#);
            let send = || assert_eq!(host.route(&json), by("echo"));
            allocation_counter::measure(send).bytes_total
        });
        bytes.min()
    };
    let few_known = least(0);
    let _ = least(100);
    let _ = least(200);
    let _ = least(300);
    // All 64 that are known at a time, and each message replaces the oldest.
    assert_eq!(least(400), few_known);
}

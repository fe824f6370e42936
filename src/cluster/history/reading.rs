//! The requests of one call to the broker.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::Info;
use futures_core::Stream;

use super::{History, HistoryError, Missed};
use crate::cluster::codec::Codec;
use crate::cluster::scan::Scan;
use crate::cluster::trail::{Reached, Trail};

/// Frames in one request of a reader.
const BATCH: usize = 256;
/// After this time without a request the server forgets a reader.
const IDLE: Duration = Duration::from_secs(30);

impl History {
    /// Marks how far the history is, and reads what the trail does not have up to there.
    pub(super) async fn read<E, C: Codec<E>>(
        &self,
        mut scan: Scan<'_, E>,
        trail: &Trail,
        subject: &str,
        codec: &C,
    ) -> Result<Missed<E>, HistoryError> {
        // The question goes behind the subscription, and its answer is there before the mark is sent. The server takes
        // the commands of several connections at once. A frame of another connection for which it had looked for
        // subscriptions before this one was there has the time of this round trip to come into the stream.
        self.info().await?;
        let mark = self.mark().await?;
        let before = self.info().await?;
        // Of another stream, or of one that has lost its end: all that is there is read, and the trail chooses.
        let is_same = is_same(trail, &before, mark);
        let from = if is_same { trail.floor + 1 } else { 1 };
        if !trail.is_new() && from < mark {
            self.scan(&mut scan, subject, (from, mark), codec).await?;
        }
        // After the reading: the history may have dropped something meanwhile.
        let info = self.info().await?;
        let is_whole = trail.is_new()
            || (is_same && self.reaches_back(&info, trail.floor, mark, subject).await?);
        let floor = scan.held.map_or(mark, |held| held - 1);
        let reached = Reached {
            user: trail.user(),
            stream: nanos(info.created),
            floor,
            floor_at: nanos(info.state.last_timestamp),
            numbers: scan.handled(),
        };
        let (lost, undecodable) = (scan.lost, scan.undecodable);
        Ok(Missed {
            events: scan.events,
            is_whole: is_whole && lost == 0 && undecodable == 0,
            lost,
            undecodable,
            reached,
        })
    }

    /// Puts a mark into the stream. Returns its sequence.
    ///
    /// The server takes the commands of one connection in their order. So what the subscription does not bring, and what
    /// this node has sent before, is in the stream before the mark.
    async fn mark(&self) -> Result<u64, HistoryError> {
        let publishing = self
            .context
            .publish(self.subjects.mark(), Vec::new().into())
            .await;
        let published = publishing.map_err(HistoryError::broker)?.await;
        Ok(published.map_err(HistoryError::broker)?.sequence)
    }

    async fn info(&self) -> Result<Info, HistoryError> {
        self.stream.get_info().await.map_err(HistoryError::broker)
    }

    /// Reads the frames of the subject from one sequence up to another one.
    async fn scan<E, C: Codec<E>>(
        &self,
        scan: &mut Scan<'_, E>,
        subject: &str,
        (from, to): (u64, u64),
        codec: &C,
    ) -> Result<(), HistoryError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: from,
            },
            filter_subject: subject.to_owned(),
            ack_policy: AckPolicy::None,
            inactive_threshold: IDLE,
            num_replicas: 1,
            memory_storage: true,
            ..pull::Config::default()
        };
        let made = self.stream.create_consumer(config).await;
        let reader = made.map_err(HistoryError::broker)?;
        let mut waiting = reader.cached_info().num_pending;
        let mut taken = 0;
        'reading: while waiting > 0 {
            let batch = reader.fetch().max_messages(BATCH).messages().await;
            let mut batch = pin!(batch.map_err(HistoryError::broker)?);
            while let Some(message) = poll_fn(|cx| batch.as_mut().poll_next(cx)).await {
                let message = message.map_err(HistoryError::broker)?;
                let info = message.info().map_err(HistoryError::broker)?;
                taken += 1;
                // A message that was lost on its way is not sent again. Its number in the reader's count shows it.
                if info.consumer_sequence != taken || message.subject.as_str() != subject {
                    return Err(HistoryError::broker("the broker has lost a message"));
                }
                if info.stream_sequence > to {
                    break 'reading;
                }
                waiting = info.pending;
                scan.take(info.stream_sequence, &message.payload, codec);
            }
        }
        let (stream, name) = (self.stream.clone(), reader.cached_info().name.clone());
        // The call does not wait for it. If it is lost, the server forgets the reader itself.
        tokio::spawn(async move { drop(stream.delete_consumer(&name).await) });
        Ok(())
    }

    /// Returns whether the history has dropped no frame of the subject behind the floor.
    async fn reaches_back(
        &self,
        info: &Info,
        floor: u64,
        mark: u64,
        subject: &str,
    ) -> Result<bool, HistoryError> {
        // By age and by bytes, the oldest of all users go first.
        if info.state.first_sequence > floor + 1 && mark != floor + 1 {
            return Ok(false);
        }
        let found = self.stream.info_with_subjects(subject).await;
        let mut counts = found.map_err(HistoryError::broker)?;
        let count = poll_fn(|cx| Pin::new(&mut counts).poll_next(cx)).await;
        let count = match count {
            Some(Ok((_, count))) => count,
            Some(Err(error)) => return Err(HistoryError::broker(error)),
            None => 0,
        };
        // A subject that has never been full has dropped none: what is dropped by age is older than the first message.
        let limit = counts.info.config.max_messages_per_subject;
        if limit <= 0 || i64::try_from(count).is_ok_and(|count| count < limit) {
            return Ok(true);
        }
        // The oldest of a subject go first. If one from before the floor is there, none behind it has gone.
        let oldest = self
            .stream
            .get_first_raw_message_by_subject(subject, 1)
            .await;
        Ok(oldest.map_err(HistoryError::broker)?.sequence <= floor)
    }
}

/// Returns whether a trail's place is one of this stream, as it is now.
fn is_same(trail: &Trail, info: &Info, mark: u64) -> bool {
    // A server that has lost the end of its store gives sequences again. Then messages before the floor are younger
    // than the floor.
    let is_older = info.state.first_sequence > trail.floor
        || nanos(info.state.first_timestamp) <= trail.floor_at;
    trail.stream == nanos(info.created) && trail.floor < mark && is_older
}

/// Returns a time in nanoseconds, which fit until the year 2262.
fn nanos(time: impl Into<std::time::SystemTime>) -> i64 {
    let since = time.into().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

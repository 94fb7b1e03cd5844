//! The laws of [`ProgressStore`] as functions, for every implementation of it.
//!
//! Make a [`Bed`] and name it in [`progress_store_conformance!`](crate::progress_store_conformance), which makes one test
//! of each law. A law that does not hold panics; a store that fails answers its error.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use crate::{
    Append, Appended, Error, EventId, EventKind, Frame, LiveFeed, LiveSignal, MAX_FRAMES, ProgressId, ProgressStore,
    WriterId,
};

/// A store under test, and an operation that nothing else uses.
#[derive(Debug)]
pub struct Bed {
    /// The store.
    pub store: Arc<dyn ProgressStore>,
    /// The operation.
    pub id: ProgressId,
    /// What the store was made with as [`Config::history`](crate::Config::history).
    pub history: usize,
}

/// One test for each law, against the [`Bed`] that the expression makes; it is awaited. With `in turn` before it, one
/// future that runs all of them.
#[macro_export]
macro_rules! progress_store_conformance {
    (in turn $bed:expr) => {
        $crate::progress_store_conformance!(@every in_turn $bed)
    };
    (@every $how:ident $bed:expr) => {
        $crate::progress_store_conformance! { @$how $bed;
            ids_increase, one_writer, repeatable, history, resume, live, bounded, expiry, never_from_nothing }
    };
    (@in_turn $bed:expr; $($law:ident),*) => {
        async {
            $($crate::conformance::$law(&$bed.await).await?;)*
            Ok::<(), $crate::Error>(())
        }
    };
    (@laws $bed:expr; $($law:ident),*) => {
        $(
            #[tokio::test]
            async fn $law() {
                let bed = $bed.await;
                $crate::conformance::$law(&bed).await.unwrap();
            }
        )*
    };
    ($bed:expr) => {
        $crate::progress_store_conformance!(@every laws $bed);
    };
}

const WRITER: WriterId = WriterId(7);
const OTHER: WriterId = WriterId(8);
const MINUTE: Duration = Duration::from_secs(60);
/// How long a store may take to tell or to forget something.
const SOON: Duration = Duration::from_secs(20);

// === the laws ===

/// P-L1.
pub async fn ids_increase(bed: &Bed) -> Result<(), Error> {
    assert_eq!(bed.add(WRITER, None, 10, 1, 3).await?, Appended::Stored);
    let last = Some(EventId { epoch: 10, seq: 3 });
    assert_eq!(bed.add(OTHER, last, 9, 1, 1).await?, Appended::Fenced { stored: 0 }, "an older epoch");
    assert_eq!(bed.add(OTHER, last, 11, 1, 1).await?, Appended::Stored);
    let late = bed.add(WRITER, last, 10, 4, 1).await?;
    assert_eq!(late, Appended::Fenced { stored: 0 }, "the writer before");
    assert_eq!(bed.seen().await?, ["10-1", "10-2", "10-3", "11-1"]);
    Ok(())
}

/// P-L2.
pub async fn one_writer(bed: &Bed) -> Result<(), Error> {
    assert_eq!(bed.add(WRITER, None, 10, 1, 1).await?, Appended::Stored);
    assert_eq!(bed.add(OTHER, None, 11, 1, 1).await?, Appended::Fenced { stored: 0 }, "believes that there is nothing");
    let first = Some(EventId { epoch: 10, seq: 1 });
    assert_eq!(bed.add(WRITER, first, 10, 2, 1).await?, Appended::Stored);
    assert_eq!(bed.add(OTHER, first, 11, 1, 1).await?, Appended::Fenced { stored: 0 }, "has not seen the last event");
    assert_eq!(bed.seen().await?, ["10-1", "10-2"]);
    Ok(())
}

/// P-L3.
pub async fn repeatable(bed: &Bed) -> Result<(), Error> {
    for _ in 0..2 {
        assert_eq!(bed.add(WRITER, None, 10, 1, 2).await?, Appended::Stored);
    }
    assert_eq!(bed.add(OTHER, None, 10, 1, 2).await?, Appended::Fenced { stored: 0 }, "not the one who wrote it");
    let previous = Some(EventId { epoch: 10, seq: 2 });
    assert_eq!(bed.add(WRITER, previous, 10, 3, 2).await?, Appended::Stored);
    // An earlier attempt had written two of these four; the rest is written now.
    assert_eq!(bed.add(WRITER, previous, 10, 3, 4).await?, Appended::Stored);
    assert_eq!(bed.add(OTHER, Some(EventId { epoch: 10, seq: 6 }), 11, 1, 1).await?, Appended::Stored);
    // Another writer came between: what had been written is counted.
    let fenced = bed.add(WRITER, Some(EventId { epoch: 10, seq: 5 }), 10, 6, 2).await?;
    assert_eq!(fenced, Appended::Fenced { stored: 1 });
    assert_eq!(bed.seen().await?, ["10-1", "10-2", "10-3", "10-4", "10-5", "10-6", "11-1"]);
    Ok(())
}

/// P-L4.
pub async fn history(bed: &Bed) -> Result<(), Error> {
    bed.add(WRITER, None, 10, 1, 1).await?;
    let total = u64::try_from(bed.history * 20).unwrap_or(u64::MAX);
    for seq in 2..=total {
        bed.add(WRITER, Some(EventId { epoch: 10, seq: seq - 1 }), 10, seq, 1).await?;
    }
    let kept_from = total - u64::try_from(bed.history).unwrap_or(0) + 1;
    let after = bed.store.read_after(&bed.id, EventId { epoch: 10, seq: kept_from }).await?;
    assert_eq!(after.map(|frames| frames.len()), Some((bed.history - 1).min(MAX_FRAMES)));
    assert_eq!(bed.store.read_after(&bed.id, EventId { epoch: 10, seq: 1 }).await?, None, "history is not bounded");
    let head = bed.store.head(&bed.id).await?;
    assert!(head.frames.first().is_some_and(|frame| frame.keyframe.is_some()), "no keyframe is left");
    assert_eq!(head.frames.last().map(|frame| frame.id), Some(EventId { epoch: 10, seq: total }));
    Ok(())
}

/// P-L5.
pub async fn resume(bed: &Bed) -> Result<(), Error> {
    bed.add(WRITER, None, 10, 1, 4).await?;
    let after = |epoch, seq| bed.store.read_after(&bed.id, EventId { epoch, seq });
    let ids =
        |frames: Option<Vec<Frame>>| frames.map(|frames| frames.iter().map(|frame| frame.id.seq).collect::<Vec<_>>());
    assert_eq!(ids(after(10, 2).await?), Some(vec![3, 4]));
    assert_eq!(ids(after(10, 4).await?), Some(vec![]));
    for (epoch, seq) in [(10, 5), (9, 1), (11, 1), (10, 0)] {
        assert_eq!(after(epoch, seq).await?, None, "{epoch}-{seq} never was");
    }
    let frames = after(10, 1).await?.unwrap_or_default();
    assert_eq!(frames[0], frame(EventId { epoch: 10, seq: 2 }), "a frame comes back as it was");
    Ok(())
}

/// P-L6.
pub async fn live(bed: &Bed) -> Result<(), Error> {
    let mut feed = bed.store.listen(&bed.id);
    bed.add(WRITER, None, 10, 1, 2).await?;
    let mut last = None;
    loop {
        match next(&mut feed).await {
            // Whoever reads after this has missed nothing.
            LiveSignal::Gap => last = bed.store.head(&bed.id).await?.frames.last().map(|frame| frame.id),
            LiveSignal::Frame { previous, frame } if last.is_none_or(|last| frame.id > last) => {
                assert_eq!(previous, last, "something was missed in silence");
                last = Some(frame.id);
            }
            _ => {}
        }
        if last == Some(EventId { epoch: 10, seq: 2 }) {
            break;
        }
    }
    bed.add(WRITER, last, 10, 3, 1).await?;
    let expected = frame(EventId { epoch: 10, seq: 3 });
    loop {
        if let LiveSignal::Frame { previous, frame } = next(&mut feed).await
            && frame.id > (EventId { epoch: 10, seq: 2 })
        {
            assert_eq!((previous, frame.id, &frame.data), (last, expected.id, &expected.data));
            return Ok(());
        }
    }
}

/// P-L7.
pub async fn bounded(bed: &Bed) -> Result<(), Error> {
    let mut feed = bed.store.listen(&bed.id);
    bed.add(WRITER, None, 10, 1, 1).await?;
    while next(&mut feed).await == LiveSignal::Lost {}
    for seq in 2..=600 {
        bed.add(WRITER, Some(EventId { epoch: 10, seq: seq - 1 }), 10, seq, 1).await?;
    }
    // Not read meanwhile: it says that it overflowed, and what comes then goes up to the last frame.
    let mut gaps = 0;
    loop {
        match next(&mut feed).await {
            LiveSignal::Gap => gaps += 1,
            LiveSignal::Frame { frame, .. } if frame.id.seq == 600 => break,
            _ => {}
        }
    }
    assert!(gaps > 0, "600 frames were kept for a feed that nobody read");
    Ok(())
}

/// P-L8.
pub async fn expiry(bed: &Bed) -> Result<(), Error> {
    let mut append = bed.append(WRITER, None, 10, 1, 1);
    append.ttl = Some(Duration::from_millis(40));
    bed.store.append(&bed.id, &append).await?;
    let start = Instant::now();
    while !bed.store.head(&bed.id).await?.frames.is_empty() {
        assert!(start.elapsed() < SOON, "it lives for ever");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.store.read_after(&bed.id, EventId::first(10)).await?, None);
    Ok(())
}

/// P-L9.
pub async fn never_from_nothing(bed: &Bed) -> Result<(), Error> {
    let gone = Some(EventId { epoch: 10, seq: 3 });
    assert_eq!(bed.add(WRITER, gone, 10, 4, 1).await?, Appended::Fenced { stored: 0 });
    assert_eq!(bed.add(WRITER, gone, 11, 1, 1).await?, Appended::Fenced { stored: 0 });
    assert!(bed.store.head(&bed.id).await?.frames.is_empty());
    Ok(())
}

// === impl Bed ===

impl Bed {
    fn append(&self, writer: WriterId, previous: Option<EventId>, epoch: u64, seq: u64, count: u64) -> Append {
        let frames = (seq..seq + count).map(|seq| frame(EventId { epoch, seq })).collect();
        Append { writer, previous, frames, ttl: Some(MINUTE) }
    }

    async fn add(
        &self,
        writer: WriterId,
        previous: Option<EventId>,
        epoch: u64,
        seq: u64,
        count: u64,
    ) -> Result<Appended, Error> {
        self.store.append(&self.id, &self.append(writer, previous, epoch, seq, count)).await
    }

    /// All ids from the last keyframe on: in these laws, the first of each epoch and every tenth frame carry one.
    async fn seen(&self) -> Result<Vec<String>, Error> {
        let first = EventId::first(10);
        let later = self.store.read_after(&self.id, first).await?.unwrap_or_default();
        Ok(std::iter::once(first).chain(later.iter().map(|frame| frame.id)).map(|id| id.to_string()).collect())
    }
}

fn frame(id: EventId) -> Frame {
    let keyframe = if id.seq % 10 == 1 { Some(format!("{{\"state\":{}}}", id.seq).into()) } else { None };
    Frame { id, kind: EventKind::Log, data: format!("{{\"line\":\"line {} of it\"}}", id.seq).into(), keyframe }
}

async fn next(feed: &mut LiveFeed) -> LiveSignal {
    let told = timeout(SOON, feed.next()).await;
    assert!(told.is_ok(), "nothing was told within {SOON:?}");
    told.unwrap_or(LiveSignal::Lost)
}

//! Records of any task: read as they were written, and cut or changed ones without harm.

use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::*;
use crate::{Dependency, OnFailure, TaskOptions};

fn label() -> impl Strategy<Value = String> {
    "[^\\x00-\\x1f]{1,20}"
}

fn duration() -> impl Strategy<Value = Duration> {
    (0_u64..9_999_999_999_999).prop_map(Duration::from_millis)
}

fn dependency() -> impl Strategy<Value = Dependency> {
    let id = any::<u64>().prop_map(|seed| TaskId::derived(&queue(), Timestamp::from_millis(seed >> 20), seed));
    (id, option::of("[a-zA-Z0-9_.-]{1,64}"))
        .prop_map(|(id, queue)| Dependency { id, queue: queue.map(|queue| queue.parse().unwrap()) })
}

fn options() -> impl Strategy<Value = TaskOptions> {
    let names = (option::of("[!-~]{1,64}"), option::of(label()), option::of(label()), vec(label(), 0..4));
    let times = (option::of(duration()), option::of(duration()), 1_u32.., option::of("[A-Za-z0-9._-]{1,64}"));
    let retry = prop_oneof![
        Just(RetryPolicy::default()),
        (0..9_999_u64, 0..9_999_u64).prop_map(|(base_ms, max_ms)| RetryPolicy::Exponential { base_ms, max_ms }),
        (0..9_999_u64).prop_map(|delay_ms| RetryPolicy::Fixed { delay_ms }),
        vec(0..9_999_u64, 1..5).prop_map(|delays_ms| RetryPolicy::List { delays_ms }),
    ];
    (names, times, retry, vec(dependency(), 0..4), option::of(0_u64..9_999_999_999_999)).prop_map(
        |((user, project_id, tenant_id, tags), (timeout, lease, max, correlation), retry, depends_on, expires)| {
            TaskOptions {
                user_id: user.map(|user| user.parse().unwrap()),
                project_id,
                tenant_id,
                tags,
                timeout,
                lease,
                max_attempts: NonZeroU32::new(max).unwrap_or(NonZeroU32::MIN),
                correlation_id: correlation.map(|id| id.parse().unwrap()),
                retry,
                depends_on,
                on_failure: OnFailure::Continue,
                expires_at: expires.map(Timestamp::from_millis),
                ..TaskOptions::default()
            }
        },
    )
}

fn queue() -> QueueName {
    "exports".parse().unwrap()
}

/// The record as the script completes it.
fn written(options: TaskOptions, kind: &str, payload: &[u8], above: usize) -> Bytes {
    let task = NewTask { options, ..NewTask::new(&queue(), kind, payload.to_vec()) };
    [b"l1700000000000".to_vec(), Record::write(&task, above).unwrap()].concat().into()
}

proptest! {
    #[test]
    fn a_task_is_claimed_as_it_was_enqueued(
        options in options(), kind in "[!-~]{1,128}", payload in vec(0_u8..3, 0..300), above in 0_usize..300,
    ) {
        let record = written(options.clone(), &kind, &payload, above);
        let id = TaskId::generate(&queue());
        let lease = Duration::from_secs(30);
        let now = Timestamp::from_millis(5);
        let claim = Claim { id, fence: Fence(7), crashes: 2, lease, now };
        let task = Record::read(&record).unwrap().claimed(&queue(), claim).unwrap();
        prop_assert_eq!((&task.kind, &task.payload[..], task.priority), (&kind, &payload[..], Priority::Low));
        prop_assert_eq!((task.attempt, task.max_attempts), (1, options.max_attempts));
        prop_assert_eq!((task.timeout, task.lease), (options.timeout, options.lease.unwrap_or(lease)));
        prop_assert_eq!(&task.depends_on, &options.depends_on);
        prop_assert_eq!((&task.user_id, &task.project_id), (&options.user_id, &options.project_id));
        prop_assert_eq!(&task.tenant_id, &options.tenant_id);

        let status = Record::read(&record).unwrap().status(&queue(), id, TaskState::Queued, None);
        prop_assert_eq!((status.tags, status.expires_at), (options.tags, options.expires_at));
        prop_assert_eq!(status.correlation_id, limits::correlation(id, options.correlation_id.as_ref()));
    }

    #[test]
    fn a_record_that_was_cut_or_changed_does_no_harm(options in options(), cut: Index, changed: Index, byte: u8) {
        let record = written(options, "a.kind", b"{}", usize::MAX);
        let _cut = Record::read(&record.slice(..cut.index(record.len())));
        let mut other = record.to_vec();
        let at = changed.index(other.len());
        other[at] = byte;
        if let Some(read) = Record::read(&other.into()) {
            let status = read.status(&queue(), TaskId::generate(&queue()), TaskState::Queued, None);
            prop_assert_eq!(status.state, TaskState::Queued);
        }
    }
}

//! Subscriptions on a server that is well.

use bytes::Bytes;
use tokio::time::timeout;
use trackside_redis::{PubSubEvent, Subscription};

use crate::support::{PATIENCE, shared};

async fn next(subscription: &mut Subscription) -> PubSubEvent {
    timeout(PATIENCE, subscription.next()).await.expect("an event comes").expect("the subscription lives")
}

fn message(channel: &str, payload: &'static str) -> PubSubEvent {
    PubSubEvent::Message { channel: channel.into(), payload: Bytes::from_static(payload.as_bytes()) }
}

#[tokio::test]
async fn what_is_published_after_ready_is_heard() {
    let redis = shared().await;
    let channel = redis.prefix().key("news");
    let mut subscription = redis.subscribe(vec![channel.clone()]).unwrap();
    subscription.ready().await.unwrap();
    assert_eq!(redis.publish(&channel, "one").await.unwrap(), 1);
    assert_eq!(next(&mut subscription).await, message(&channel, "one"));
}

#[tokio::test]
async fn overlapping_patterns_hear_each_message_once() {
    let redis = shared().await;
    let p = redis.prefix().as_str().to_owned();
    let mut all = redis.subscribe_patterns(vec![format!("{p}*")]).unwrap();
    let mut some = redis.subscribe_patterns(vec![format!("{p}agent:*"), format!("{p}other")]).unwrap();
    let mut exact = redis.subscribe(vec![format!("{p}agent:1")]).unwrap();
    for subscription in [&all, &some, &exact] {
        subscription.ready().await.unwrap();
    }
    for _ in 0..2 {
        redis.publish(format!("{p}agent:1"), "same").await.unwrap();
    }
    redis.publish(format!("{p}end"), "end").await.unwrap();
    redis.publish(format!("{p}other"), "end").await.unwrap();
    let expected = message(&format!("{p}agent:1"), "same");
    for subscription in [&mut all, &mut some, &mut exact] {
        assert_eq!(next(subscription).await, expected);
        assert_eq!(next(subscription).await, expected);
    }
    assert_eq!(next(&mut all).await, message(&format!("{p}end"), "end"));
    assert_eq!(next(&mut some).await, message(&format!("{p}other"), "end"));
}

#[tokio::test]
async fn a_channel_is_given_up_with_its_last_subscription() {
    let redis = shared().await;
    let channel = redis.prefix().key("counted");
    let one = redis.subscribe(vec![channel.clone()]).unwrap();
    let two = redis.subscribe(vec![channel.clone()]).unwrap();
    one.ready().await.unwrap();
    two.ready().await.unwrap();
    assert_eq!(redis.publish(&channel, "x").await.unwrap(), 1, "one connection for both");
    drop(one);
    assert_eq!(redis.publish(&channel, "x").await.unwrap(), 1);
    drop(two);
    let given_up = async || redis.publish(&channel, "x").await.unwrap() == 0;
    trackside_testkit::eventually(given_up, PATIENCE).await;
}

#[tokio::test]
async fn a_slow_reader_gets_a_gap_and_then_the_newest_messages() {
    let redis = shared().await;
    let channel = redis.prefix().key("flood");
    let mut slow = redis.subscribe(vec![channel.clone()]).unwrap();
    slow.ready().await.unwrap();
    for index in 0..3_000 {
        redis.publish(&channel, Bytes::from(index.to_string())).await.unwrap();
    }
    let (mut gaps, mut last) = (0, None);
    while last.as_deref() != Some(b"2999".as_slice()) {
        match next(&mut slow).await {
            PubSubEvent::Gap { .. } => gaps += 1,
            PubSubEvent::Message { payload, .. } => last = Some(payload),
        }
    }
    assert_eq!(gaps, 1, "a gap that is not read yet covers what is lost after it");
}

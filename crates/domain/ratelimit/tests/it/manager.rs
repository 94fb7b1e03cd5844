//! Policies as users see them.

use std::time::Duration;

use trackside_ratelimit::{
    Algorithm, Config, Dimension, Error, Limit, Outage, Policy, Quota, RateLimiter, Settlement, Source, Subject, Unit,
};

use crate::kit::{memory, name, only, user};

const MINUTE: Duration = Duration::from_secs(60);

fn per_minute(dimension: Dimension, limit: u64) -> Limit {
    Limit::new(dimension, Quota::new(limit, MINUTE))
}

async fn is_allowed(limiter: &RateLimiter, subject: &Subject, cost: u64) -> bool {
    limiter.check(&name("p"), subject, cost).await.unwrap().allowed
}

#[tokio::test]
async fn a_subject_is_held_against_the_dimensions_it_has() {
    let (limiter, _) = memory(only(Policy::of([per_minute(Dimension::User, 3), per_minute(Dimension::Ip, 2)])));
    let at_home = user("alice").with(Dimension::Ip, "192.0.2.1").unwrap();
    assert!(is_allowed(&limiter, &at_home, 1).await);
    assert!(is_allowed(&limiter, &at_home, 1).await);
    let denied = limiter.check(&name("p"), &at_home, 1).await.unwrap();
    let states: Vec<_> = denied.limits().map(|state| (state.dimension, state.remaining, state.is_exceeded)).collect();
    assert_eq!(states, [(Dimension::User, 1, false), (Dimension::Ip, 0, true)]);
    assert!(is_allowed(&limiter, &user("alice"), 1).await, "elsewhere she has one left");
    assert!(!is_allowed(&limiter, &user("alice"), 1).await);
    let nobody = Subject::of(Dimension::Route, "/").unwrap();
    let error = limiter.check(&name("p"), &nobody, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid subject: the policy limits by user, ip");
    assert!(matches!(limiter.check(&name("gold"), &nobody, 1).await, Err(Error::UnknownPolicy { .. })));
}

#[tokio::test]
async fn a_denied_call_is_told_the_exact_time_after_which_it_may() {
    for algorithm in [Algorithm::Exact, Algorithm::Window, Algorithm::Smooth, Algorithm::Fast] {
        let limit = Limit::new(Dimension::User, Quota { algorithm, ..Quota::new(10, MINUTE) });
        // The process' own memory of denials has another clock than the test moves.
        let config = Config { deny_for: Duration::ZERO, ..only(Policy::of([limit])) };
        let (limiter, clock) = memory(config);
        clock.advance(Duration::from_millis(7_321));
        assert!(is_allowed(&limiter, &user("alice"), 7).await);
        clock.advance(Duration::from_millis(3_210));
        assert!(is_allowed(&limiter, &user("alice"), 3).await);
        clock.advance(Duration::from_millis(1_000));
        let denied = limiter.check(&name("p"), &user("alice"), 4).await.unwrap();
        let wait = denied.retry_after.unwrap();
        clock.advance(wait - Duration::from_millis(1));
        assert!(!limiter.peek(&name("p"), &user("alice"), 4).await.unwrap().allowed, "{algorithm:?}: before {wait:?}");
        clock.advance(Duration::from_millis(1));
        assert!(is_allowed(&limiter, &user("alice"), 4).await, "{algorithm:?}: after {wait:?}");
    }
}

#[tokio::test]
async fn a_policy_within_tenants_counts_in_each_of_them() {
    let within = Policy { within: Some(Dimension::Tenant), ..Policy::of([per_minute(Dimension::User, 1)]) };
    let (limiter, _) = memory(only(within));
    let of = |tenant| user("alice").with(Dimension::Tenant, tenant).unwrap();
    assert!(is_allowed(&limiter, &of("acme"), 1).await);
    assert!(!is_allowed(&limiter, &of("acme"), 1).await);
    assert!(is_allowed(&limiter, &of("other"), 1).await);
    let error = limiter.check(&name("p"), &user("alice"), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid subject: the policy limits by tenant");
}

#[tokio::test]
async fn requests_and_tokens_are_separate_budgets_and_places_are_freed_by_the_settlement() {
    let limits = [
        Limit { unit: Unit::Request, ..per_minute(Dimension::User, 3) }.named("requests".parse().unwrap()),
        per_minute(Dimension::User, 10_000).named("tokens".parse().unwrap()),
        Limit::new(Dimension::User, Quota { algorithm: Algorithm::Concurrent, ..Quota::new(1, MINUTE) })
            .named("running".parse().unwrap()),
    ];
    let (limiter, clock) = memory(only(Policy::of(limits)));
    let left = async || -> Vec<u64> {
        let seen = limiter.peek(&name("p"), &user("alice"), 1).await.unwrap();
        seen.limits().map(|state| state.remaining).collect()
    };
    let (decision, reservation) = limiter.reserve(&name("p"), &user("alice"), 4_000).await.unwrap();
    assert!(decision.allowed);
    assert_eq!(left().await, [2, 6_000, 0]);
    let (decision, none) = limiter.reserve(&name("p"), &user("alice"), 4_000).await.unwrap();
    assert!(!decision.allowed && none.is_none(), "one runs already");
    clock.advance(MINUTE / 2);
    assert!(limiter.renew(&reservation.clone().unwrap()).await.unwrap());
    clock.advance(MINUTE / 4);
    let token = reservation.unwrap().to_string().parse().unwrap();
    assert!(limiter.settle(&token, Settlement::Used(1_000)).await.unwrap());
    assert_eq!(left().await, [2, 9_000, 1]);
    assert!(!limiter.settle(&token, Settlement::Used(0)).await.unwrap());
    assert!(!limiter.renew(&token).await.unwrap());
    // Without a reservation nobody holds a place.
    assert_eq!(limiter.check(&name("p"), &user("alice"), 1).await.unwrap().limits().len(), 2);
}

#[tokio::test]
async fn an_override_changes_the_limit_of_one_subject_at_once() {
    let (limiter, _) = memory(only(Policy::of([per_minute(Dimension::User, 1)])));
    let limit = "user".parse().unwrap();
    let set = async |to| limiter.set_override(&name("p"), &limit, &user("alice"), to).await;
    assert!(is_allowed(&limiter, &user("alice"), 1).await);
    assert!(!is_allowed(&limiter, &user("alice"), 1).await);
    set(Some(5)).await.unwrap();
    let raised = limiter.check(&name("p"), &user("alice"), 1).await.unwrap();
    let states: Vec<_> = raised.limits().map(|state| (state.limit, state.remaining)).collect();
    assert_eq!((raised.allowed, states), (true, vec![(5, 3)]));
    assert_eq!(limiter.overrides().len(), 1);
    set(Some(0)).await.unwrap();
    let banned = limiter.check(&name("p"), &user("alice"), 1).await.unwrap();
    assert_eq!((banned.allowed, banned.retry_after), (false, None));
    set(None).await.unwrap();
    assert!(!is_allowed(&limiter, &user("alice"), 1).await);
    assert!(is_allowed(&limiter, &user("bob"), 1).await, "others keep theirs");
    assert!(matches!(set(Some(u64::MAX)).await, Err(Error::InvalidInput { field: "limit", .. })));
    let unknown = "gold".parse().unwrap();
    let error = limiter.set_override(&name("p"), &unknown, &user("alice"), Some(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid limit: the policy p has none that is called gold");
}

#[tokio::test]
async fn a_shadow_lets_everything_pass_and_says_what_it_would_deny() {
    let shadow = Policy { is_shadow: true, ..Policy::of([per_minute(Dimension::User, 1)]) };
    let (limiter, _) = memory(only(shadow));
    let check = async || limiter.check(&name("p"), &user("alice"), 1).await.unwrap();
    let first = check().await;
    assert_eq!((first.allowed, first.would_deny, first.source), (true, false, Source::Local));
    let second = check().await;
    assert_eq!((second.allowed, second.would_deny, second.retry_after), (true, true, None));
}

#[test]
fn a_policy_that_could_not_be_obeyed_is_refused_by_its_name() {
    let policy = Policy { outage: Outage::Closed, ..Policy::of([per_minute(Dimension::User, u64::MAX)]) };
    let store = std::sync::Arc::new(trackside_ratelimit::MemoryRateLimitStore::new(std::sync::Arc::new(
        trackside_core::ManualClock::default(),
    )));
    let error = RateLimiter::new(store, only(policy)).unwrap_err();
    assert_eq!(error.to_string(), "invalid limit: policy p: of user: 1000000000 at most with `window`");
}

//! The laws of [`QueueStore`] as functions, for every implementation of it.
//!
//! Implement [`Harness`] for the store and name it in [`queue_store_conformance!`](crate::queue_store_conformance),
//! which makes one test of each law. A law that does not hold panics; a store that fails answers its error.

mod accounts;
mod admission;
mod audit;
mod brake;
mod chains;
mod claims;
mod crashes;
mod dependencies;
mod driver;
mod fair;
mod intake;
mod letters;
mod limits;
mod orders;
mod outbox;
mod policy;
mod repair;
mod settlements;
mod workers;

use std::time::Duration;

use async_trait::async_trait;
use trackside_core::QueueName;

pub use self::{
    accounts::*, admission::*, audit::*, brake::*, chains::*, claims::*, crashes::*, dependencies::*, fair::*,
    intake::*, letters::*, limits::*, orders::*, outbox::*, policy::*, repair::*, settlements::*, workers::*,
};
pub use crate::schedule::conformance::*;
use crate::{Config, QueueStore};

/// A store under test.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use trackside_core::{ManualClock, QueueName};
/// use trackside_queue::{Config, MemoryQueueStore, QueueStore, conformance::{self, Harness}};
///
/// struct InMemory(Config, ManualClock, MemoryQueueStore);
///
/// #[async_trait::async_trait]
/// impl Harness for InMemory {
///     fn store(&self) -> &dyn QueueStore { &self.2 }
///     fn config(&self) -> &Config { &self.0 }
///     async fn advance(&self, by: Duration) { self.1.advance(by) }
///     // One store for each law, so the name may always be the same.
///     fn queue(&self) -> QueueName { "law".parse().unwrap() }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let (config, clock) = (Config::default(), ManualClock::default());
/// let store = MemoryQueueStore::new(config.clone(), Arc::new(clock.clone()));
/// conformance::l5_levels_are_strict_and_each_is_first_in_first_out(&InMemory(config, clock, store)).await?;
/// # Ok::<(), trackside_queue::Error>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait Harness: Send + Sync {
    /// The store, made with [`Harness::config`].
    fn store(&self) -> &dyn QueueStore;

    /// What the store was made with.
    fn config(&self) -> &Config;

    /// Lets time pass on the store's clock: leases, delays and retention.
    async fn advance(&self, by: Duration);

    /// The name of a queue that nothing else uses.
    fn queue(&self) -> QueueName;
}

/// One test for each law, against the [`Harness`] that the expression makes; it is awaited. With `in turn` before the
/// expression, a block that tries one law after the other, for stores that are costly to start; it answers the first error.
///
/// The calling crate needs tokio with its `macros` and `rt` features.
#[macro_export]
macro_rules! queue_store_conformance {
    ($harness:expr) => {
        $crate::queue_store_conformance! { @laws each $harness }
    };
    (in turn $harness:expr) => {
        $crate::queue_store_conformance! { @laws turn $harness }
    };
    (@laws $how:ident $harness:expr) => {
        $crate::queue_store_conformance! { @$how $harness;
            l1_enqueueing_an_id_again_changes_nothing
            l1_an_id_may_come_back_when_its_retention_is_over
            l2_every_task_is_in_exactly_one_place
            l2_a_full_batch_goes_through_every_operation
            l2_a_batch_that_is_too_large_changes_nothing
            l3_a_task_has_one_holder_and_fences_increase
            l3_many_workers_at_once_share_the_tasks
            l4_a_settlement_with_a_stale_fence_changes_nothing
            l4_a_repeated_settlement_is_answered_as_the_first_time
            l4_a_lease_is_renewed_by_its_holder_only
            l5_levels_are_strict_and_each_is_first_in_first_out
            l6_released_tasks_return_to_the_head_and_are_not_counted
            l7_a_delayed_task_waits_until_it_is_due
            l7_due_tasks_are_promoted_in_bounded_rounds
            l8_a_failed_attempt_waits_as_its_policy_says
            l8_the_last_failure_makes_a_dead_letter
            l8_a_failure_that_must_not_be_retried_makes_a_dead_letter
            l9_a_lease_that_ends_returns_the_task_to_the_head
            l9_a_crash_loop_makes_a_dead_letter
            l9_ended_leases_are_taken_back_in_bounded_rounds
            l10_leases_that_ended_during_a_stall_get_a_grace
            l10_a_queue_with_rare_steps_still_takes_leases_back
            l11_tasks_of_a_braked_user_are_parked_and_return_in_order
            l11_leases_of_a_braked_user_carry_the_order_to_pause
            l11_the_brake_for_everyone_parks_everything
            l11_an_older_revision_changes_nothing
            l11_everyone_is_unparked_except_who_is_braked
            l11_parked_tasks_return_in_order_over_many_calls
            l11_brakes_that_are_on_are_listed
            l11_parked_tasks_are_counted_by_user
            l12_a_waiting_task_is_cancelled_at_once
            l12_a_running_task_carries_the_order_to_cancel
            l12_an_order_to_cancel_outlives_release_failure_and_crash
            l12_a_finished_task_is_left_as_it_is
            l13_a_paused_queue_hands_out_nothing
            l14_a_task_has_a_status_all_its_life
            l14_a_peek_takes_nothing
            l15_a_wait_ends_when_there_is_work
            l15_a_wait_ends_after_its_timeout
            l15_a_dropped_wait_loses_nothing
            l15_a_step_may_wait_for_its_work
            l15_a_step_that_waits_can_be_hurried
            l25_no_more_tasks_than_allowed_are_under_lease
            l25_no_more_tasks_of_a_tenant_than_allowed_are_under_lease
            l25_a_place_that_becomes_free_wakes_who_waits
            l26_tasks_are_handed_out_no_more_often_than_allowed
            l26_tasks_of_a_tenant_are_handed_out_no_more_often_than_allowed
            l27_tenants_take_turns
            l27_levels_stay_strict_where_tenants_take_turns
            l27_turns_may_be_switched_on_and_off
            l27_more_tenants_than_a_step_looks_at_have_their_turns
            l27_tasks_in_turns_are_cancelled_parked_and_returned
            l28_a_task_that_waited_for_long_goes_before_higher_levels
            l28_the_age_of_a_dependent_counts_from_when_it_is_free
            policies_are_kept_for_everybody
            l16_an_expired_task_is_cancelled_instead_of_handed_out
            l16_no_way_back_leads_past_the_expiry
            l16_many_expired_tasks_are_worked_off
            l17_a_key_answers_the_task_that_it_named_first
            l17_a_key_with_another_request_is_refused_with_the_whole_call
            l17_a_key_is_forgotten_when_its_time_is_over
            l17_a_repeated_call_answers_the_tasks_that_it_made
            l29_every_task_is_accounted_for_after_each_move
            l30_a_repair_leaves_a_sound_queue_as_it_is
            l18_a_unique_key_is_held_until_the_task_is_done
            l18_every_end_frees_the_unique_key
            l18_a_unique_key_may_be_free_once_the_task_starts
            l18_an_idempotency_key_may_name_the_holder
            l19_a_task_may_have_a_retention_of_its_own
            l19_nothing_is_kept_of_a_task_without_retention
            l20_a_full_queue_refuses_new_tasks_and_nothing_else
            l20_a_request_of_several_calls_is_refused_by_the_first
            l20_a_queue_may_be_full_of_bytes
            l31_a_task_tells_the_attempts_that_failed
            l31_a_step_that_asks_is_told_the_attempts_that_it_ends
            l31_a_letter_that_died_anew_is_left_alone
            l32_old_and_surplus_letters_are_told
            l33_a_worker_is_listed_with_what_it_holds
            l33_a_worker_that_is_gone_is_listed_while_it_holds_something
            l33_a_worker_has_the_places_that_it_asks_for_and_those_in_use
            l21_a_task_waits_until_all_its_predecessors_have_completed
            l21_the_step_that_brings_the_completion_may_claim_the_successor
            l21_an_unknown_predecessor_is_refused
            l21_predecessors_may_stand_before_in_the_same_call
            l21_a_predecessor_that_has_completed_holds_nothing_back
            l21_a_delayed_task_waits_for_its_time_as_well
            l21_the_step_that_frees_a_delayed_task_tells_when_it_is_due
            l21_a_task_that_expired_is_told_in_the_same_step
            l21_a_wide_fan_out_reaches_everyone
            l21_a_wide_fan_in_waits_for_everyone
            l21_a_long_chain_runs_in_order
            l22_a_task_dies_of_a_failed_predecessor
            l22_a_task_may_continue_after_a_failure
            l22_a_task_may_be_called_off_with_its_predecessor
            l22_a_predecessor_that_had_failed_before_counts_as_well
            l22_a_waiting_task_can_be_cancelled
            l23_a_completion_brings_the_next_tasks_once
            l23_a_lost_lease_brings_nothing
            l23_a_completion_said_twice_at_once_brings_them_once
            l23_next_tasks_are_not_refused_for_want_of_room
            l23_a_next_task_dies_of_an_unknown_predecessor
            l23_a_next_task_may_be_known_by_a_unique_key
            l23_a_full_step_brings_tasks_for_each_completion
            l24_tasks_for_other_queues_are_kept_until_delivered
            l24_next_tasks_of_several_queues_wait_for_each_other
            l24_a_task_of_which_nothing_is_kept_is_brought_once
            l24_messages_come_in_the_order_in_which_they_were_written
            l24_a_fate_is_shared_across_queues_and_back
            l24_one_relay_at_a_time_has_its_turn
            l24_a_task_waits_for_those_of_other_queues
            l24_a_failure_in_another_queue_is_told
            l24_hearing_it_again_changes_nothing
            dead_letters_are_paged_newest_first
            dead_letters_are_requeued_as_if_new
            purged_dead_letters_leave_only_their_status
            registered_queues_are_listed
        }
    };
    (@turn $harness:expr; $($law:ident)*) => {
        async {
            $(
                let harness = $harness.await;
                ::std::boxed::Box::pin($crate::conformance::$law(&harness)).await?;
            )*
            Ok::<(), $crate::Error>(())
        }
    };
    (@each $harness:expr; $($law:ident)*) => {
        $(
            #[tokio::test]
            async fn $law() -> Result<(), $crate::Error> {
                let harness = $harness.await;
                $crate::conformance::$law(&harness).await
            }
        )*
    };
}

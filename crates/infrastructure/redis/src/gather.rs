//! Calls of many callers in one.
//!
//! A call costs the server several times what a question in it costs. While a few are on their way, further callers leave
//! their questions; the next call takes all of them along, so that load makes its own batches and nobody waits for company.
//! Questions that fill a call go at once: whoever waits does so for one call at most, however slow the server is.

use std::sync::{Mutex, PoisonError};

use tokio::{runtime::Handle, sync::oneshot, task::yield_now};
use tokio_util::task::TaskTracker;

/// Who asks the questions that callers have left, many in one call. A clone asks the same.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use tokio_util::task::TaskTracker;
/// use trackside_redis::gather::{Entry, Gather, Gathering, enter};
///
/// #[derive(Clone, Default)]
/// struct Doubling(Arc<Gathering<u32, u32>>, TaskTracker);
///
/// impl Gather for Doubling {
///     type Question = u32;
///     type Answer = u32;
///     const MAX_CALLS: usize = 1;
///
///     fn gathering(&self) -> &Gathering<u32, u32> {
///         &self.0
///     }
///     fn tasks(&self) -> &TaskTracker {
///         &self.1
///     }
///     fn fitting<'q>(&self, left: impl Iterator<Item = &'q u32>) -> usize {
///         left.take(64).count()
///     }
///     async fn ask(&self, questions: Vec<u32>) -> Vec<u32> {
///         questions.into_iter().map(|number| 2 * number).collect()
///     }
/// }
///
/// let doubling = Doubling::default();
/// let double = async |number| match enter(&doubling, || number).await {
///     Entry::Answered(twice) => twice,
///     Entry::Alone(_turn) => doubling.ask(vec![number]).await[0],
/// };
/// assert_eq!(double(21).await, 42);
/// # })
/// ```
pub trait Gather: Clone + Send + Sync + 'static {
    /// What a caller leaves.
    type Question: Send + 'static;
    /// What it hears.
    type Answer: Send + 'static;

    /// Calls that may be on their way before further callers are gathered.
    const MAX_CALLS: usize;

    /// Where questions are left.
    fn gathering(&self) -> &Gathering<Self::Question, Self::Answer>;

    /// Where the calls run that nobody waits for alone.
    fn tasks(&self) -> &TaskTracker;

    /// How many of these, from the first on, go into one call. One goes in any case.
    fn fitting<'q>(&self, left: impl Iterator<Item = &'q Self::Question>) -> usize;

    /// Asks them in one call, and answers each in its turn.
    fn ask(&self, questions: Vec<Self::Question>) -> impl Future<Output = Vec<Self::Answer>> + Send;
}

/// What callers have left.
#[derive(Debug)]
pub struct Gathering<Q, A> {
    state: Mutex<State<Q, A>>,
}

#[derive(Debug)]
struct State<Q, A> {
    calls: usize,
    left: Vec<(Q, oneshot::Sender<A>)>,
}

/// Questions with those who wait for their answers.
type Batch<Q, A> = (Vec<Q>, Vec<oneshot::Sender<A>>);

/// What has become of a question.
#[derive(Debug)]
pub enum Entry<G: Gather> {
    /// It was asked along with others.
    Answered(G::Answer),
    /// Its caller asks by itself, and drops this behind its call. There is none when nobody was left to take the question along.
    Alone(Option<Turn<G>>),
}

/// A call on its way. When it ends, however it does, somebody takes along what was left.
#[derive(Debug)]
pub struct Turn<G: Gather>(G);

/// Lets a caller in: to ask by itself, or to leave its question and hear the answer.
///
/// Not cancel-safe: a question that was left may be asked all the same.
pub async fn enter<G: Gather>(gather: &G, question: impl FnOnce() -> G::Question) -> Entry<G> {
    match turn_or_leave(gather, question) {
        Ok(turn) => Entry::Alone(Some(turn)),
        Err(answer) => answer.await.map_or(Entry::Alone(None), Entry::Answered),
    }
}

fn turn_or_leave<G: Gather>(
    gather: &G,
    question: impl FnOnce() -> G::Question,
) -> Result<Turn<G>, oneshot::Receiver<G::Answer>> {
    let mut full = None;
    let entered = gather.gathering().with(|state| {
        if state.calls < G::MAX_CALLS {
            state.calls += 1;
            return Ok(Turn(gather.clone()));
        }
        let (caller, answer) = oneshot::channel();
        state.left.push((question(), caller));
        let fitting = state.fitting(gather);
        // What fills a call does not wait for another one to end: a slow server must not have callers wait in line.
        if fitting < state.left.len() {
            state.calls += 1;
            full = Some(state.take(fitting));
        }
        Err(answer)
    });
    if let Some(batch) = full {
        Turn(gather.clone()).set_off(batch);
    }
    entered
}

// === impl Gathering ===

impl<Q, A> Default for Gathering<Q, A> {
    fn default() -> Self {
        Self { state: Mutex::new(State { calls: 0, left: Vec::new() }) }
    }
}

impl<Q, A> Gathering<Q, A> {
    fn with<T>(&self, change: impl FnOnce(&mut State<Q, A>) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl State ===

impl<Q, A> State<Q, A> {
    /// How many go into the next call.
    fn fitting<G: Gather<Question = Q>>(&self, gather: &G) -> usize {
        gather.fitting(self.left.iter().map(|(question, _)| question)).max(1).min(self.left.len())
    }

    /// The first that were left.
    fn take(&mut self, count: usize) -> Batch<Q, A> {
        self.left.drain(..count).unzip()
    }
}

// === impl Turn ===

impl<G: Gather> Turn<G> {
    /// Asks these, and then what was left meanwhile.
    fn set_off(self, batch: Batch<G::Question, G::Answer>) {
        // Dropped where nothing can run, a question has its caller ask alone.
        if let Ok(runtime) = Handle::try_current() {
            let tasks = self.0.tasks().clone();
            tasks.spawn_on(self.take_along(batch), &runtime);
        }
    }

    async fn take_along(self, (mut questions, mut callers): Batch<G::Question, G::Answer>) {
        while !questions.is_empty() {
            let answers = self.0.ask(questions).await;
            for (caller, answer) in callers.into_iter().zip(answers) {
                // A caller that is gone needs no answer.
                let _gone = caller.send(answer);
            }
            // Whoever has heard may ask again at once, and goes along then.
            yield_now().await;
            (questions, callers) = self.next();
        }
    }

    /// What goes into the next call, the oldest first; nothing when nobody left anything.
    fn next(&self) -> Batch<G::Question, G::Answer> {
        self.0.gathering().with(|state| state.take(state.fitting(&self.0)))
    }
}

impl<G: Gather> Drop for Turn<G> {
    fn drop(&mut self) {
        let next = self.0.gathering().with(|state| {
            if state.left.is_empty() {
                state.calls -= 1;
                return None;
            }
            Some(state.take(state.fitting(&self.0)))
        });
        if let Some(batch) = next {
            Self(self.0.clone()).set_off(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;

    /// Answers with the number of questions that were asked along with each, and tells what was asked in one call.
    #[derive(Debug, Clone)]
    struct Counting {
        gathering: Arc<Gathering<u32, usize>>,
        tasks: TaskTracker,
        calls: mpsc::UnboundedSender<Vec<u32>>,
    }

    impl Gather for Counting {
        type Question = u32;
        type Answer = usize;

        const MAX_CALLS: usize = 1;

        fn gathering(&self) -> &Gathering<u32, usize> {
            &self.gathering
        }

        fn tasks(&self) -> &TaskTracker {
            &self.tasks
        }

        fn fitting<'q>(&self, left: impl Iterator<Item = &'q u32>) -> usize {
            left.take_while(|question| **question < 100).take(3).count()
        }

        async fn ask(&self, questions: Vec<u32>) -> Vec<usize> {
            self.calls.send(questions.clone()).unwrap();
            tokio::task::yield_now().await;
            assert!(!questions.contains(&13), "nobody answers that");
            vec![questions.len(); questions.len()]
        }
    }

    fn counting() -> (Counting, mpsc::UnboundedReceiver<Vec<u32>>) {
        let (calls, told) = mpsc::unbounded_channel();
        (Counting { gathering: Arc::default(), tasks: TaskTracker::new(), calls }, told)
    }

    fn turn(counting: &Counting) -> Turn<Counting> {
        turn_or_leave(counting, || 0).expect("a call is on its way")
    }

    fn leave(counting: &Counting, question: u32) -> oneshot::Receiver<usize> {
        turn_or_leave(counting, || question).expect_err("no call is on its way")
    }

    #[tokio::test]
    async fn what_was_left_goes_along_in_its_order_and_as_much_as_fits() {
        let (counting, mut told) = counting();
        let first = turn(&counting);
        let answers: Vec<_> = [1, 2, 3, 4, 500, 5].into_iter().map(|question| leave(&counting, question)).collect();
        drop(first);
        for (answer, company) in answers.into_iter().zip([3, 3, 3, 1, 1, 1]) {
            assert_eq!(answer.await, Ok(company));
        }
        let calls: Vec<Vec<u32>> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(calls, [vec![1, 2, 3], vec![4], vec![500], vec![5]]);
        counting.tasks.close();
        counting.tasks.wait().await;
        drop(turn(&counting));
    }

    #[tokio::test]
    async fn what_fills_a_call_waits_for_no_other_to_end() {
        let (counting, _told) = counting();
        let first = turn(&counting);
        let mut answers: Vec<_> = (1..=4).map(|question| leave(&counting, question)).collect();
        let last = answers.pop().expect("four");
        for answer in answers {
            assert_eq!(answer.await, Ok(3));
        }
        // And the call behind it takes along what was left too.
        assert_eq!(last.await, Ok(1));
        drop(first);
        counting.tasks.close();
        counting.tasks.wait().await;
        drop(turn(&counting));
    }

    #[tokio::test]
    async fn whoever_is_dropped_in_his_turn_leaves_nobody_waiting() {
        let (counting, _told) = counting();
        let caller = tokio::spawn({
            let first = turn(&counting);
            async move {
                std::future::pending::<()>().await;
                drop(first);
            }
        });
        let answer = leave(&counting, 1);
        caller.abort();
        assert_eq!(answer.await, Ok(1));
    }

    #[tokio::test]
    async fn a_call_that_panics_is_heard_of_and_the_next_one_made() {
        let (counting, _told) = counting();
        let first = turn(&counting);
        let [lost, later] = [13, 500].map(|question| leave(&counting, question));
        drop(first);
        assert!(lost.await.is_err());
        assert_eq!(later.await, Ok(1));
    }

    #[tokio::test]
    async fn whoever_enters_hears_the_answer_or_asks_alone() {
        let (counting, _told) = counting();
        let Entry::Alone(Some(first)) = enter(&counting, || 0).await else { panic!("a call is on its way") };
        let others = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        let (with_others, lost, ()) = tokio::join!(enter(&counting, || 1), enter(&counting, || 13), others);
        assert!(matches!((with_others, lost), (Entry::Alone(None), Entry::Alone(None))), "one of them panics");
        let first = turn(&counting);
        let (answer, ()) = tokio::join!(enter(&counting, || 1), async { drop(first) });
        assert!(matches!(answer, Entry::Answered(1)));
    }

    #[test]
    fn where_nothing_can_run_whoever_left_something_is_told() {
        let (counting, _told) = counting();
        let first = turn(&counting);
        let mut left = leave(&counting, 1);
        drop(first);
        assert_eq!(left.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        drop(turn(&counting));
    }
}

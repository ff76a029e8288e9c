//! The limiter, on a clock that advances only while all tasks wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::*;

const LIMIT: Limit = Limit::new(4, Duration::from_millis(1000));

/// One caller: when it comes, how long its request takes, when the request arrives at the other
/// side, and when the caller loses patience.
#[derive(Debug, Clone)]
struct Caller {
    comes_at: u64,
    takes: u64,
    arrives_after: f64,
    patience: Option<u64>,
}

prop_compose! {
    fn any_caller()(
        comes_at in 0_u64..5000,
        takes in 0_u64..3000,
        arrives_after in 0.0..=1.0,
        patience in prop::option::weighted(0.2, 0_u64..3000),
    ) -> Caller {
        Caller { comes_at, takes, arrives_after, patience }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Plays callers on a paused clock and gives the moments at which requests arrived.
fn arrivals(callers: Vec<Caller>) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let window = Window::new(LIMIT);
        let start = Instant::now();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for caller in callers {
            let (window, seen) = (window.clone(), seen.clone());
            tasks.spawn(async move {
                sleep(millis(caller.comes_at)).await;
                let call = async {
                    let _turn = window.turn().await;
                    let takes = millis(caller.takes);
                    let travels = takes.mul_f64(caller.arrives_after);
                    sleep(travels).await;
                    lock(&seen).push(start.elapsed());
                    sleep(takes - travels).await;
                };
                match caller.patience {
                    Some(patience) => drop(timeout(millis(patience), call).await),
                    None => call.await,
                }
            });
        }
        tasks.join_all().await;
        let mut seen = lock(&seen).clone();
        seen.sort();
        seen
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_other_side_never_sees_more_than_the_limit_in_any_window(
        callers in prop::collection::vec(any_caller(), 0..40),
    ) {
        let patient = callers.iter().filter(|caller| caller.patience.is_none()).count();
        let arrivals = arrivals(callers);
        for few in arrivals.windows(LIMIT.count + 1) {
            let span = few[LIMIT.count] - few[0];
            prop_assert!(span >= LIMIT.window, "{few:?}");
        }
        prop_assert!(arrivals.len() >= patient, "a patient caller had no turn");
    }
}

#[tokio::test(start_paused = true)]
async fn turns_are_taken_in_order_of_arrival() {
    let window = Window::new(Limit::new(2, Duration::from_secs(1)));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let (window, order) = (window.clone(), order.clone());
        tasks.spawn(async move {
            sleep(millis(number)).await;
            drop(window.turn().await);
            lock(&order).push(number);
        });
    }
    tasks.join_all().await;
    assert_eq!(*lock(&order), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_used_to_the_full() {
    let window = Window::new(Limit::SUBMITS);
    let start = Instant::now();
    for _ in 0..60 {
        drop(window.clone().turn().await);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_takes_nothing_and_blocks_nobody() {
    let window = Window::new(Limit::new(1, Duration::from_secs(1)));
    let first = window.clone().turn().await;
    let gone = timeout(millis(10), window.clone().turn()).await;
    assert!(gone.is_err());
    drop(first);
    let start = Instant::now();
    drop(window.clone().turn().await);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_window_without_an_end_is_never_free_again() {
    let window = Window::new(Limit::new(1, Duration::MAX));
    drop(window.clone().turn().await);
    let year = Duration::from_secs(365 * 86_400);
    assert!(timeout(year, window.turn()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn tasks_are_limited_one_by_one() {
    let limiter = Limiter::new(None, Some(Limit::POLLS));
    let start = Instant::now();
    for number in 0..100 {
        let task = TaskId::new(format!("task-{number}")).expect("an id");
        for _ in 0..3 {
            drop(limiter.poll(&task).await);
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let task = TaskId::new("task-0").expect("an id");
    drop(limiter.poll(&task).await);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_were_not_polled_lately_are_forgotten() {
    let limiter = Limiter::new(None, Some(Limit::POLLS));
    let most = AtomicUsize::new(0);
    for number in 0..10_000 {
        let task = TaskId::new(format!("task-{number}")).expect("an id");
        drop(limiter.poll(&task).await);
        sleep(millis(10)).await;
        most.fetch_max(limiter.tasks_remembered(), Ordering::Relaxed);
    }
    // 100 are within the last second.
    let most = most.into_inner();
    assert!(most <= 202, "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_request_is_under_way_is_not_forgotten() {
    let limiter = Limiter::new(None, Some(Limit::new(1, Duration::from_secs(1))));
    let task = TaskId::new("slow").expect("an id");
    let turn = limiter.poll(&task).await;
    sleep(Duration::from_secs(60)).await;
    for number in 0..1000 {
        let other = TaskId::new(format!("task-{number}")).expect("an id");
        drop(limiter.poll(&other).await);
    }
    assert!(timeout(millis(500), limiter.poll(&task)).await.is_err());
    drop(turn);
}

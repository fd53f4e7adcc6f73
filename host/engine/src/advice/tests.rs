use super::*;
use crate::watch::Times;

/// Percent of the time of each part, in the order of [`Phase::ALL`].
type Shares = [u64; 7];

/// What it is, channels, tasks, whether these are even, and the advice.
type Case = (&'static str, u32, u64, bool, Shares, &'static [&'static str]);

/// Ten seconds with `lanes` channels and `tasks` tasks that fill them all, or one that takes all the time
/// beside short ones.
fn numbers(lanes: u32, tasks: u64, even: bool, shares: Shares) -> Numbers {
    let moving = Duration::from_secs(10);
    let mut ledger = Ledger::default();
    for task in 0..tasks {
        let elapsed = match even {
            true => moving * lanes.min(tasks as u32) / tasks as u32,
            false if task == 0 => moving,
            false => moving / 20,
        };
        let mut times = Times::default();
        for (part, share) in Phase::ALL.into_iter().zip(shares) {
            times.set(part, elapsed * share as u32 / 100);
        }
        let records = elapsed.as_millis() as u64;
        let spent = Spent {
            tasks: 1,
            elapsed,
            times,
            records,
            bytes: records * 100,
            commits: 5,
            ..Spent::default()
        };
        let lane = task as u32 % lanes;
        let started = Duration::ZERO;
        let label = format!("id {task}");
        ledger.take(TaskSpent { task: task as u32, label, lane, started, done: true, spent });
    }
    Numbers { moving, concurrent: lanes, lanes_max: 0, ledger }
}

fn codes(numbers: &Numbers) -> Vec<&'static str> {
    advise(numbers).into_iter().map(|advice| advice.code).collect()
}

const SOURCE: Shares = [90, 5, 0, 5, 85, 10, 5];
const DESTINATION: Shares = [10, 5, 0, 85, 5, 90, 5];
const COMMITS: Shares = [10, 5, 0, 85, 5, 20, 75];
const PROCESSING: Shares = [20, 75, 0, 5, 80, 15, 5];
const THROTTLE: Shares = [10, 5, 80, 5, 85, 10, 5];
const BALANCED: Shares = [70, 10, 0, 20, 20, 70, 10];

#[test]
fn the_table_of_advice() {
    let table: [Case; 10] = [
        ("a slow source", 4, 4, true, SOURCE, &["source"]),
        ("a slow destination", 4, 4, true, DESTINATION, &["destination"]),
        ("small commits", 4, 4, true, COMMITS, &["commits", "destination"]),
        ("slow casts", 4, 4, true, PROCESSING, &["processing"]),
        ("the job's own limit", 4, 4, true, THROTTLE, &["throttle"]),
        ("balanced, and nothing waits", 4, 4, true, BALANCED, &[]),
        ("balanced, and splits wait", 4, 40, true, BALANCED, &["channels"]),
        ("at the limit of channels", 32, 320, true, BALANCED, &[]),
        ("one hot split", 4, 5, false, SOURCE, &["one_split", "source"]),
        ("one split for all", 4, 1, true, SOURCE, &["few_splits", "source"]),
    ];
    for (name, lanes, tasks, even, shares, expected) in table {
        assert_eq!(codes(&numbers(lanes, tasks, even, shares)), expected, "{name}");
    }
}

#[test]
fn advice_has_its_numbers() {
    let text = |numbers: &Numbers| advise(numbers).remove(0).text;
    let hot = text(&numbers(4, 5, false, SOURCE));
    assert!(hot.contains("task 0 (id 0) took 100 % of the time with 83 % of the records"), "{hot}");
    let slow = text(&numbers(4, 40, true, DESTINATION));
    assert!(
        slow.contains("waited 85 % of the time for it (writing 90 %, committing 5 %)"),
        "{slow}"
    );
    assert!(slow.ends_with("or try more channels (\"concurrent\")"), "{slow}");
    let single = Numbers { lanes_max: 1, ..numbers(1, 40, true, DESTINATION) };
    assert!(!text(&single).contains("concurrent"), "it takes no more");
    let few = text(&numbers(4, 1, true, SOURCE));
    assert!(few.contains("came in one split, so 3 of 4 channels had nothing to do"), "{few}");
}

#[test]
fn tries_again_are_told_where_they_cost_time() {
    let mut numbers = numbers(1, 1, true, [20, 5, 0, 5, 10, 10, 10]);
    assert_eq!(codes(&numbers), [""; 0]);
    numbers.ledger.lanes.values_mut().for_each(|lane| lane.retries = 3);
    let advice = advise(&numbers);
    assert_eq!(advice[0].code, "retries");
    assert!(advice[0].text.starts_with("3 tries again cost 70 % of the time"), "{advice:?}");
}

#[test]
fn a_short_run_gets_none() {
    let short = Numbers { moving: Duration::from_secs(1), ..numbers(4, 1, true, SOURCE) };
    assert_eq!(codes(&short), [""; 0]);
    assert_eq!(codes(&Numbers::default()), [""; 0]);
}

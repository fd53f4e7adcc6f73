//! A run with transformers: its sums, positions and dirty records.

#![allow(dead_code, reason = "the play serves other tests too")]

mod play;

use domain::job::{Action, Category, Comparison, Condition, ErrorLimit, Transformer, Work};
use domain::run::RunState;
use domain::{Fault, Result};
use engine::Settings;
use play::{Play, ended, rows};

fn transformer(column: usize, action: Action) -> Transformer {
    let (name, category) = (action.word().to_owned(), Category::Map);
    let place = "/job/content/0/transformer/0".into();
    Transformer { name, category, work: Work::Column { column, action }, place }
}

fn dropping(comparison: Comparison, value: &str) -> Transformer {
    transformer(0, Action::Drop(Condition::Compare(comparison, value.into())))
}

fn settings(transformers: &[Transformer]) -> Settings {
    let settings = Settings { error_limit: ErrorLimit::NONE, ..Settings::default() };
    Settings { transformers: transformers.to_vec(), ..settings }
}

fn three_steps((_, step): (String, u64)) -> Result<domain::port::Step> {
    Ok(match step {
        0 => rows(0..10),
        1 => rows(10..20),
        2 => rows(20..30),
        _ => ended(),
    })
}

#[test]
fn dropped_records_are_filtered_and_positions_go_on() {
    let second = Action::Substring { start: 1, length: 1 };
    let (play, played) = Play {
        next: Box::new(three_steps),
        settings: settings(&[
            // All of the last step, which brings a position none the less.
            dropping(Comparison::GreaterOrEqual, "20"),
            dropping(Comparison::Equal, "7"),
            transformer(0, second),
            // The empty texts of 0 to 9 have nothing there.
            transformer(0, Action::Replace { start: 1, length: 0, replacement: "".into() }),
        ]),
        ..Play::default()
    }
    .run();
    assert_eq!(played.state(), RunState::Succeeded, "{:?}", played.summary.fault);
    let counts = played.summary.counts;
    assert!(counts.add_up(), "{counts:?}");
    assert_eq!((counts.records_read, counts.records_filtered), (30, 11));
    assert_eq!((counts.records_written, counts.records_dirty, played.dirty), (10, 9, 9));
    // Up to the step of which nothing was left.
    assert_eq!(play.count("acknowledge"), 1);
}

#[test]
fn a_transformer_that_cannot_be_changes_nothing() {
    let (_, played) = Play {
        prepare: Box::new(|()| Err(Fault::internal("test.prepared", "it must not be"))),
        settings: settings(&[transformer(3, Action::Substring { start: 0, length: 1 })]),
        ..Play::default()
    }
    .run();
    let fault: Fault = played.summary.fault.clone().expect("a fault");
    assert_eq!((fault.code.as_str(), played.state()), ("transform.column", RunState::Failed));
    assert_eq!(fault.place.as_deref(), Some("/job/content/0/transformer/0"));
}

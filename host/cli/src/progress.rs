//! What is shown of a run while it goes on: bars, lines or JSON events, always on standard error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::run::RunId;
use engine::{Progress, Seen, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::arguments::ProgressMode;
use crate::human;
use crate::terminal;

/// How often a bar is redrawn.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often a line or an event is written.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// JSON events come more often: programs read them.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Shows progress until it is ended or dropped.
pub(crate) struct Shown {
    task: Option<JoinHandle<()>>,
    bar: Option<ProgressBar>,
    events: Option<RunId>,
}

impl Shown {
    /// Must be called within the runtime.
    pub(crate) fn start(
        mode: ProgressMode,
        interactive: bool,
        run: &RunId,
        progress: Arc<Progress>,
    ) -> Self {
        match (mode, interactive) {
            (ProgressMode::None, _) => Self { task: None, bar: None, events: None },
            (ProgressMode::Json, _) => {
                event(&json!({"event": "started", "run_id": run.0}));
                let name = run.clone();
                let show = move |now: &Seen, rate| event(&progress_event(&name, now, rate));
                let task = Some(every(EVENT_EVERY, progress, show));
                Self { task, bar: None, events: Some(run.clone()) }
            }
            (ProgressMode::Auto, true) => {
                let bar = bar();
                let drawn = bar.clone();
                let show = move |now: &Seen, rate| {
                    drawn.set_length(now.tasks_known.max(1));
                    drawn.set_position(now.tasks_done);
                    drawn.set_message(line(now, rate));
                };
                Self { task: Some(every(BAR_EVERY, progress, show)), bar: Some(bar), events: None }
            }
            (ProgressMode::Auto, false) => {
                let show = |now: &Seen, rate| terminal::say(&format!("{}\n", line(now, rate)));
                Self { task: Some(every(LINE_EVERY, progress, show)), bar: None, events: None }
            }
        }
    }

    /// Nothing more is shown after this.
    pub(crate) fn end(mut self, status: &str) {
        self.stop();
        if let Some(run) = &self.events {
            event(&json!({"event": "ended", "run_id": run.0, "status": status}));
        }
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bar() -> ProgressBar {
    let bar = terminal::bars().add(ProgressBar::new(1));
    let style =
        ProgressStyle::with_template("{elapsed_precise} [{bar:24}] {pos}/{len} tasks  {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar
}

/// Calls `show` with the counters and the records of the last second, each `period`.
fn every(
    period: Duration,
    progress: Arc<Progress>,
    show: impl Fn(&Seen, u64) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut at) = (progress.seen(), Instant::now());
        loop {
            ticks.tick().await;
            let now = progress.seen();
            let records = now.records_read.saturating_sub(before.records_read);
            show(&now, human::per_second(records, at.elapsed()));
            (before, at) = (now, Instant::now());
        }
    })
}

fn line(now: &Seen, rate: u64) -> String {
    let Seen { records_read, records_written, records_dirty, .. } = now;
    let mut text = format!(
        "read {}, written {}, {} records/s, {}",
        human::count(*records_read),
        human::count(*records_written),
        human::count(rate),
        human::bytes(now.bytes_read),
    );
    if *records_dirty > 0 {
        text += &format!(", dirty {}", human::count(*records_dirty));
    }
    // Where nothing moves, what is waited for.
    if now.stage != Stage::Moving {
        text += &format!(", {}", now.stage.word());
    }
    text
}

fn progress_event(run: &RunId, now: &Seen, rate: u64) -> Value {
    json!({
        "event": "progress",
        "run_id": run.0,
        "stage": now.stage.word(),
        "records_read": now.records_read,
        "records_written": now.records_written,
        "records_dirty": now.records_dirty,
        "bytes_read": now.bytes_read,
        "bytes_written": now.bytes_written,
        "tasks_known": now.tasks_known,
        "tasks_done": now.tasks_done,
        "retries": now.retries,
        "records_per_second": rate,
    })
}

fn event(value: &Value) {
    terminal::say(&format!("{value}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_dirty_records_and_stages_only_where_there_is_need() {
        let now = Seen {
            stage: Stage::Moving,
            records_read: 1000,
            records_written: 900,
            bytes_read: 2048,
            ..Seen::default()
        };
        assert_eq!(line(&now, 50), "read 1,000, written 900, 50 records/s, 2.0 KiB");
        let dirty = Seen { records_dirty: 1, ..now };
        assert!(line(&dirty, 50).ends_with(", dirty 1"));
        let finishing = Seen { stage: Stage::Finishing, ..now };
        assert_eq!(line(&finishing, 0), "read 1,000, written 900, 0 records/s, 2.0 KiB, finishing");
    }
}

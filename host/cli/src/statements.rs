//! What `--explain` shows: the statements that plug-ins sent to their services.

use std::sync::{Mutex, PoisonError};

use domain::configuration::Side;
use serde_json::{Value, json};

use crate::human;

/// Statements that are kept, of each series the first.
const STATEMENTS_MAX: usize = 200;

/// The statements of this process, in the order in which they were first sent.
#[derive(Default)]
pub(crate) struct Statements {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    statements: Vec<Statement>,
    /// Those that found no room.
    others: u64,
}

struct Statement {
    side: Option<Side>,
    plugin: String,
    series: String,
    text: String,
    times: u64,
}

impl Statements {
    pub(crate) fn add(&self, told: &sandbox::Statement<'_>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.statements.iter_mut().find(|known| {
            known.side == told.side && known.plugin == told.plugin && known.series == told.series
        });
        if let Some(known) = same {
            known.times += 1;
        } else if kept.statements.len() < STATEMENTS_MAX {
            kept.statements.push(Statement {
                side: told.side,
                plugin: told.plugin.to_owned(),
                series: told.series.to_owned(),
                text: told.text.trim().to_owned(),
                times: 1,
            });
        } else {
            kept.others += 1;
        }
    }

    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("statements:\n");
        for statement in &kept.statements {
            let more = match statement.times {
                1 => String::new(),
                times => format!(" (and {} like it)", human::count(times - 1)),
            };
            let who = match statement.side {
                Some(side) => format!("{} {}", side.word(), statement.plugin),
                None => statement.plugin.clone(),
            };
            let lines = statement.text.replace('\n', "\n    ");
            text += &format!("  {who}{more}:\n    {lines}\n");
        }
        match (kept.statements.is_empty(), kept.others) {
            (true, _) => text += "  none was sent\n",
            (false, 0) => {}
            (false, others) => text += &format!("  and {} others\n", human::count(others)),
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = |statement: &Statement| {
            json!({
                "side": statement.side.map(Side::word),
                "plugin": statement.plugin,
                "text": statement.text,
                "times": statement.times,
            })
        };
        json!({
            "shown": kept.statements.iter().map(statement).collect::<Vec<_>>(),
            "others": kept.others,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_shown_once() {
        let statements = Statements::default();
        let tell = |series: &str, text: &str| {
            let (plugin, side) = ("postgresql", Some(Side::Reader));
            statements.add(&sandbox::Statement { plugin, side, series, text });
        };
        tell("a", "SELECT\n1");
        tell("b", "COPY 1");
        tell("b", "COPY 2");
        assert_eq!(
            statements.text(),
            "statements:\n  reader postgresql:\n    SELECT\n    1\n  reader postgresql (and 1 like it):\n    COPY 1\n"
        );
        assert_eq!(statements.json()["shown"][1]["times"], 2);
        (0..1000).for_each(|n: u32| tell(&n.to_string(), "x"));
        assert_eq!(statements.json()["others"], 802);
        assert!(statements.text().ends_with("  and 802 others\n"));
        assert_eq!(Statements::default().text(), "statements:\n  none was sent\n");
    }
}

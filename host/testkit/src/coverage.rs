//! How often each fault met each step of a run, over many simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::fault::{FaultKind, Met, Operation, Phase};

/// A call in a phase.
type Step = (Phase, Operation);

/// How often each kind of fault came at each step.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<(Step, FaultKind), u64>);

impl Coverage {
    pub fn add(&mut self, met: &[Met]) {
        for one in met {
            *self.0.entry(((one.phase, one.operation), one.kind)).or_default() += 1;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (cell, times) in &other.0 {
            *self.0.entry(*cell).or_default() += times;
        }
    }

    /// What can come and never did.
    pub fn missing(&self) -> Vec<String> {
        let steps = Phase::ALL
            .into_iter()
            .flat_map(|phase| phase.operations().iter().map(move |operation| (phase, *operation)));
        let cells = steps.flat_map(|step| {
            let fit = FaultKind::ALL.into_iter().filter(move |kind| kind.fits(step.1));
            fit.map(move |kind| (step, kind))
        });
        let never = cells.filter(|cell| !self.0.contains_key(cell));
        let text = |((phase, operation), kind): (Step, FaultKind)| {
            format!("{} at {} while {}", kind.word(), operation.word(), phase.word())
        };
        never.map(text).collect()
    }

    fn steps(&self) -> BTreeSet<Step> {
        self.0.keys().map(|(step, _)| *step).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} {:<20}", "phase", "call")?;
        FaultKind::ALL.iter().try_for_each(|kind| write!(f, " {:>12}", kind.word()))?;
        writeln!(f)?;
        for step in self.steps() {
            write!(f, "{:<10} {:<20}", step.0.word(), step.1.word())?;
            for kind in FaultKind::ALL {
                let times = self.0.get(&(step, kind)).copied().unwrap_or(0);
                match kind.fits(step.1) {
                    true => write!(f, " {times:>12}")?,
                    false => write!(f, " {:>12}", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

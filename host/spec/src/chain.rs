//! The order of steps: hops lead from the reader through each transformer to the writer, and no step
//! has two of a kind.

use crate::document::{Notes, Spot};
use crate::draft::DraftTransformer;

pub(crate) struct Hop {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) spot: Spot,
}

/// The hops of a document, whose ends are steps of it.
pub(crate) struct Hops {
    pub(crate) hops: Vec<Hop>,
    pub(crate) spot: Spot,
    /// What could stand there, for hints.
    pub(crate) example: String,
}

/// The order that a document with these steps may have.
pub(crate) fn example<'n>(
    (reader, writer): (&'n str, &'n str),
    between: impl Iterator<Item = &'n str>,
) -> String {
    let mut from = reader;
    let hops = between.chain([writer]).map(|to| {
        let hop = format!("{{\"from\": \"{from}\", \"to\": \"{to}\"}}");
        from = to;
        hop
    });
    let hops: Vec<_> = hops.collect();
    format!("\"order\": {{\"hops\": [{}]}}", hops.join(", "))
}

impl Hops {
    /// Brings the steps between into the order of the hops; tells each that is not on the way.
    pub(crate) fn order(
        &self,
        (reader, writer): (&str, &str),
        between: &mut Vec<DraftTransformer>,
        notes: &mut Notes,
    ) {
        self.refuse_forks(notes);
        let mut left = std::mem::take(between);
        let mut at = reader;
        while let Some(hop) = self.hops.iter().find(|hop| hop.from == at) {
            at = &hop.to;
            match left.iter().position(|step| step.name == *at) {
                Some(index) => between.push(left.remove(index)),
                // The writer, or a step that was met before.
                None => break,
            }
        }
        if at != writer {
            let message = match at == reader {
                true => format!("no hop leads from \"{reader}\" to \"{writer}\""),
                false => format!("the hops from \"{reader}\" end at \"{at}\", not at \"{writer}\""),
            };
            let hint = format!("write {}", self.example);
            notes.faults.push(self.spot.fault("spec.hop", message).hint(hint));
        } else {
            for step in &left {
                let message = format!(
                    "no hops lead from \"{reader}\" through \"{}\" to \"{writer}\"",
                    step.name
                );
                let hint = format!("write {}, or remove the step", self.example);
                notes.faults.push(step.spot.fault("spec.hop", message).hint(hint));
            }
        }
        between.append(&mut left);
    }

    fn refuse_forks(&self, notes: &mut Notes) {
        for (index, hop) in self.hops.iter().enumerate() {
            let before = &self.hops[..index];
            let ends = [
                ("from", &hop.from, before.iter().any(|other| other.from == hop.from)),
                ("to", &hop.to, before.iter().any(|other| other.to == hop.to)),
            ];
            for (key, name, _) in ends.into_iter().filter(|(_, _, again)| *again) {
                let message = format!("two hops go {key} \"{name}\"");
                let hint = "steps are a chain: one hop goes from each, and one to each";
                notes.faults.push(hop.spot.key(key).fault("spec.hop", message).hint(hint));
            }
        }
    }
}

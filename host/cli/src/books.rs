//! What the command line keeps of its own with a run: parameters and clock of the first attempt.

use std::collections::BTreeSet;

use domain::fault::{Fault, Result};
use domain::port::RunRecord;
use domain::run::RunId;
use serde::{Deserialize, Serialize};
use spec::{Clock, Parameters};

use crate::difference;

/// Parameters and clock, as they stand in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    clock: String,
    /// The machine's zone, for people.
    pub(crate) zone: String,
    /// As they were given: constants and expressions.
    parameters: Vec<(String, String)>,
    /// Names of those that stand in a secret's place; their values are not kept.
    secret: Vec<String>,
}

impl Given {
    /// Without the values of `secret` parameters (invariant 8). A parameter that the document does
    /// not use is left out: it may be anything.
    pub(crate) fn new(
        clock: &Clock,
        zone: &str,
        parameters: &Parameters,
        used: &[(String, String)],
        secret: &[String],
    ) -> Self {
        let is_used = |name: &str| used.iter().any(|(used, _)| used == name);
        let kept = |name: &str| is_used(name) && !secret.iter().any(|secret| secret == name);
        let pairs = parameters.pairs().filter(|(name, _)| kept(name));
        Self {
            clock: clock.to_string(),
            zone: zone.to_owned(),
            parameters: pairs.map(|(name, value)| (name.into(), value.into())).collect(),
            secret: secret.to_vec(),
        }
    }

    pub(crate) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| {
            Fault::internal("books.parameters", format!("cannot write them: {error}"))
        })
    }

    pub(crate) fn read(record: &RunRecord) -> Result<Self> {
        serde_json::from_str(&record.new.parameters).map_err(|error| {
            Fault::internal(
                "books.parameters",
                format!("the parameters of run \"{}\" are unreadable: {error}", record.new.id),
            )
        })
    }

    pub(crate) fn clock(&self) -> Result<Clock> {
        self.clock.parse()
    }

    /// The parameters of the first attempt; secret ones come from `now`, since no book keeps them.
    ///
    /// # Errors
    /// `run.secret_parameter` for each that `now` lacks.
    pub(crate) fn parameters(&self, now: &Parameters) -> Result<Parameters, Vec<Fault>> {
        let mut pairs = self.parameters.clone();
        let mut faults = Vec::new();
        for name in &self.secret {
            match now.pairs().find(|(given, _)| given == name) {
                Some((_, value)) => pairs.push((name.clone(), value.to_owned())),
                None => faults.push(
                    Fault::user(
                        "run.secret_parameter",
                        format!("parameter \"{name}\" is a secret, which the books do not keep"),
                    )
                    .hint(format!("give it again: -p {name}=...")),
                ),
            }
        }
        if faults.is_empty() { Ok(Parameters::from_pairs(pairs)) } else { Err(faults) }
    }

    /// Names of parameters that are given now with another value than at the first attempt.
    pub(crate) fn differing(&self, now: &Parameters) -> Vec<String> {
        let secret: BTreeSet<_> = self.secret.iter().map(String::as_str).collect();
        let kept = |name: &str, value: &str| {
            self.parameters.iter().any(|(kept, text)| kept == name && text == value)
        };
        let others =
            now.pairs().filter(|(name, value)| !secret.contains(name) && !kept(name, value));
        others.map(|(name, _)| name.to_owned()).collect()
    }
}

/// Refuses to go on with a run whose document is another one by now.
pub(crate) fn same_document(run: &RunId, before: &str, now: &str) -> Result<()> {
    if before == now {
        return Ok(());
    }
    let difference = difference::lines(before, now);
    Err(Fault::user(
        "run.document_changed",
        format!("the document is not the one that run \"{run}\" began with"),
    )
    .hint(format!(
        "undo the change, or start a new run without --resume; the difference is\n{}",
        difference.trim_end()
    )))
}

#[cfg(test)]
mod tests {
    use domain::port::NewRun;

    use super::*;

    fn given() -> (Parameters, Given) {
        let parameters = ["a=1", "password=p4ss", "unused=x"];
        let parameters = Parameters::from_arguments(parameters).unwrap();
        let clock: Clock = "20251101023045 20251031".parse().unwrap();
        let used = [("a".to_owned(), "1".to_owned()), ("password".to_owned(), "p4ss".to_owned())];
        let given = Given::new(&clock, "UTC", &parameters, &used, &["password".to_owned()]);
        (parameters, given)
    }

    #[test]
    fn the_books_keep_no_secret() {
        let (parameters, given) = given();
        let text = given.text().unwrap();
        assert!(!text.contains("p4ss") && !text.contains("unused"), "{text}");
        let new = NewRun {
            id: RunId("r1".into()),
            document: "d".into(),
            text: String::new(),
            parameters: text,
            created_ms: 0,
        };
        let read = Given::read(&RunRecord::new(new)).unwrap();
        assert_eq!(read, given);
        assert_eq!(read.clock().unwrap().to_string(), "20251101023045 20251031");
        let again = read.parameters(&parameters).unwrap();
        assert_eq!(again.pairs().collect::<Vec<_>>(), [("a", "1"), ("password", "p4ss")]);
        let fault = &read.parameters(&Parameters::default()).unwrap_err()[0];
        assert_eq!(fault.code, "run.secret_parameter");
    }

    #[test]
    fn other_values_are_noticed() {
        let (_, given) = given();
        let now = Parameters::from_arguments(["a=2", "password=other"]).unwrap();
        assert_eq!(given.differing(&now), ["a"]);
        let same = Parameters::from_arguments(["a=1"]).unwrap();
        assert!(given.differing(&same).is_empty());
    }

    #[test]
    fn a_changed_document_is_refused_with_the_difference() {
        let run = RunId("r1".into());
        assert_eq!(same_document(&run, "a", "a"), Ok(()));
        let fault = same_document(&run, "{\n\"a\": 1\n}", "{\n\"a\": 2\n}").unwrap_err();
        assert_eq!(fault.code, "run.document_changed");
        assert!(fault.hint.unwrap().ends_with("-\"a\": 1\n+\"a\": 2\n }"));
    }
}

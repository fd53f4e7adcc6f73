//! What the command line keeps of its own with a run: parameters and clock of the first attempt.

use std::collections::BTreeSet;

use domain::fault::{Fault, Result};
use domain::port::RunRecord;
use domain::run::RunId;
use serde::{Deserialize, Serialize};
use spec::{Clock, Parameters};

use crate::{difference, document};

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
    /// The keys whose values were blanked in the document that the books keep.
    secret_keys: BTreeSet<String>,
}

impl Given {
    /// Without the values of `secret` parameters (invariant 8). A parameter that the document does
    /// not use is left out: it may be anything.
    pub(crate) fn new(clock: &Clock, zone: &str, given: &Parameters, read: &spec::Read) -> Self {
        let (used, secret) = (&read.parameters_used, &read.secret_parameters);
        let keys = read.secret_keys.clone();
        Self::kept(clock, zone, given, used, secret, keys)
    }

    fn kept(
        clock: &Clock,
        zone: &str,
        parameters: &Parameters,
        used: &[(String, String)],
        secret: &[String],
        secret_keys: BTreeSet<String>,
    ) -> Self {
        let is_used = |name: &str| used.iter().any(|(used, _)| used == name);
        let kept = |name: &str| is_used(name) && !secret.iter().any(|secret| secret == name);
        let pairs = parameters.pairs().filter(|(name, _)| kept(name));
        Self {
            clock: clock.to_string(),
            zone: zone.to_owned(),
            parameters: pairs.map(|(name, value)| (name.into(), value.into())).collect(),
            secret: secret.to_vec(),
            secret_keys,
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

/// Refuses to go on with the run of one document by another.
pub(crate) fn same_place(run: &RunId, before: &str, now: &str) -> Result<()> {
    if document::same_place(before, now) {
        return Ok(());
    }
    let message = format!("run \"{run}\" is one of \"{before}\", not of \"{now}\"");
    let hint = "name the document that the run began with, or start a new run without --resume";
    Err(Fault::user("run.other_document", message).hint(hint))
}

/// Refuses to go on with a run whose document has changed since, told before what the change may
/// have broken.
///
/// `before` is the text in the books; `all_keys` answers the secret keys of every plug-in, since the
/// change may bring one that the books do not know.
pub(crate) fn same_text(
    run: &RunId,
    before: &str,
    given: &Given,
    now: &str,
    all_keys: impl FnOnce() -> BTreeSet<String>,
) -> Result<()> {
    if before == spec::blank_document(now, &given.secret_keys) {
        return Ok(());
    }
    let keys = all_keys().union(&given.secret_keys).cloned().collect();
    let blanked = |text| spec::blank_document(text, &keys);
    let difference = difference::lines(&blanked(before), &blanked(now));
    let message = format!("the document is not the one that run \"{run}\" began with");
    let undo = "undo the change, or start a new run without --resume; the difference is";
    Err(Fault::user("run.document_changed", message).hint(match difference.trim_end() {
        "" => format!("{undo} in the ends of lines alone"),
        difference => format!("{undo}\n{difference}"),
    }))
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
        let secret = ["password".to_owned()];
        let keys = BTreeSet::from(["pin".to_owned()]);
        let given = Given::kept(&clock, "UTC", &parameters, &used, &secret, keys);
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
            verify: None,
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
        let (_, given) = given();
        let same = |before: &str, now: &str| {
            let all_keys = || BTreeSet::from(["code".to_owned()]);
            same_text(&RunId("r1".into()), before, &given, now, all_keys)
        };
        assert_eq!(
            same("{\"pin\": \"\"}", "{\"pin\": \"1\"}"),
            Ok(()),
            "blanked, they are the same"
        );
        let fault = same("{\n\"a\": 1\n}", "{\n\"a\": 2,\n\"code\": \"s3cret\",\n").unwrap_err();
        assert_eq!(fault.code, "run.document_changed");
        let hint = fault.hint.unwrap();
        assert!(hint.ends_with("-\"a\": 1\n-}\n+\"a\": 2,\n+\"code\": \"\","), "{hint}");
        let fault = same("{\n\"a\": 1\n}", "{\r\n\"a\": 1\r\n}").unwrap_err();
        assert!(fault.hint.unwrap().ends_with("is in the ends of lines alone"));
    }

    #[test]
    fn the_same_text_elsewhere_is_another_document() {
        let run = RunId("r1".into());
        assert_eq!(same_place(&run, "/a/job.json", "/a/job.json"), Ok(()));
        let fault = same_place(&run, "/a/job.json", "/b/job.json").unwrap_err();
        assert_eq!(fault.code, "run.other_document");
    }
}

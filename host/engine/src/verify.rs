//! Verification: what a run wrote is read back by the destination's own reader and compared.
//!
//! While rows are written, their fingerprints (`prints`) are summed up in buckets of their keys, in the
//! destination's types. A task's sums are stored before the destination gets the mark that covers them,
//! so that a resumed run goes on with those of the mark that the destination holds. When the run is
//! published, `back` reads it again (`scan`) and sums up the same; only keys of buckets that differ are
//! looked at one by one (`narrow`), on both sides.

use domain::port::{Form, ReadBack};
use domain::{Dataset, Fault, Result};

use self::prints::Printer;
use crate::settings::Settings;

mod back;
mod narrow;
mod prints;
mod scan;

/// The fault of a destination that does not hold what was written.
const MISMATCH: &str = "verify.mismatch";
/// The fault of a run that cannot be verified.
const IMPOSSIBLE: &str = "verify.impossible";

/// How the rows of a run are compared.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) printer: Printer,
    /// The parameter of the destination's own reader; `None`: there is nothing to read.
    parameter: Option<String>,
    /// Names of the key's fields, as the destination has them.
    key: Vec<String>,
    /// Rows of one key replace each other.
    replaces: bool,
    /// What is not compared.
    notes: Vec<String>,
}

fn impossible(why: &str) -> Fault {
    Fault::user(IMPOSSIBLE, format!("what this run writes cannot be verified: {why}"))
        .hint("run the job without --verify")
}

impl Comparison {
    /// `from` is what the mapping gets, `to` what it makes of it; `wanted` the key that the user named.
    ///
    /// # Errors
    /// `verify.impossible`; `verify.key`: the user named a field that is not there.
    pub(crate) fn new(
        wanted: &[String],
        (from, to): (&[Dataset], &[Dataset]),
        back: ReadBack,
        settings: &Settings,
    ) -> Result<Self> {
        let ([from], [to]) = (from, to) else {
            return Err(impossible("only one table at a time can be"));
        };
        let (parameter, mut forms, replaces_by) = match back {
            ReadBack::By { parameter, forms, replaces_by } => (Some(parameter), forms, replaces_by),
            ReadBack::Nothing => (None, Vec::new(), Vec::new()),
            ReadBack::Impossible(why) => return Err(impossible(&why)),
        };
        let fields = from.schema.fields().iter().zip(to.schema.fields());
        for (form, (from, to)) in forms.iter_mut().zip(fields) {
            // What came out of a type of the same name is in that type's own form already.
            let is_own = from.extension_type_name() == Some("arrow.opaque")
                && from.extension_type_name() == to.extension_type_name()
                && from.extension_type_metadata() == to.extension_type_metadata();
            if *form == Form::Reshaped && is_own && settings.transformers.is_empty() {
                *form = Form::Same;
            }
        }
        let reshaped: Vec<_> = names(to, |index| forms.get(index) == Some(&Form::Reshaped));
        let mut notes = Vec::new();
        if !reshaped.is_empty() {
            notes.push(format!(
                "the destination keeps values of {} in a form of its own: only whether they are NULL was compared",
                quoted(&reshaped)
            ));
        }
        let replaces = !replaces_by.is_empty();
        let mut key = key_of(wanted, &replaces_by, from, to)?;
        if let Some(name) = key.iter().find(|name| reshaped.contains(name)) {
            let why =
                format!("the destination keeps values of the key \"{name}\" in a form of its own");
            if replaces || !wanted.is_empty() {
                return Err(impossible(&why));
            }
            notes.push(format!("{why}, so that rows have no key to go by"));
            key.clear();
        }
        let columns = key.iter().filter_map(|name| to.schema.index_of(name).ok()).collect();
        let printer = Printer::new(forms, columns);
        Ok(Self { printer, parameter, key, replaces, notes })
    }
}

/// The key's names at the destination: by which rows replace each other, else what the user said, else
/// the destination's own key, else the source's.
fn key_of(
    wanted: &[String],
    replaces_by: &[String],
    from: &Dataset,
    to: &Dataset,
) -> Result<Vec<String>> {
    let fields = to.schema.fields();
    if let Some(name) = wanted.iter().find(|name| to.schema.index_of(name).is_err()) {
        let all: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
        return Err(Fault::user("verify.key", format!("no column \"{name}\" is written"))
            .hint(format!("the key for --verify-key can be made of {}", quoted(&all))));
    }
    let missing = |name: &String| to.schema.index_of(name).is_err();
    if replaces_by.iter().any(missing) {
        return Err(impossible("rows replace each other by columns that are not written"));
    }
    for key in [replaces_by, wanted, &to.primary_key] {
        if !key.is_empty() && !key.iter().any(missing) {
            return Ok(key.to_vec());
        }
    }
    let at = |name: &String| Some(fields.get(from.schema.index_of(name).ok()?)?.name().clone());
    Ok(from.primary_key.iter().map(at).collect::<Option<_>>().unwrap_or_default())
}

fn names(dataset: &Dataset, which: impl Fn(usize) -> bool) -> Vec<String> {
    let fields = dataset.schema.fields().iter().enumerate();
    fields.filter(|(index, _)| which(*index)).map(|(_, field)| field.name().clone()).collect()
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

//! From a plug-in's words to the user's document: which step, which pointer, which line.
//!
//! A plug-in says `/parameter/path`; a person wants `job.json:12 /steps/0/parameter/path`.

use domain::configuration::Side;
use domain::fault::Fault;
use domain::job::{Job, Step, Work};
use spec::{Lines, Moved};

/// Knows where a job's steps stand.
#[derive(Clone, Debug)]
pub(crate) struct Locator {
    /// Readers, transformers, then writer; a data source by itself is one.
    ends: Vec<End>,
    lines: Lines,
}

#[derive(Clone, Debug)]
struct End {
    side: Side,
    /// As faults name it: `reader`, `reader of "orders"`.
    word: String,
    /// `reader "file"`, `reader "postgresql" of "orders"`.
    title: String,
    /// `None`: a data source by itself has no step, and what was asked for stands in no document.
    parameter_place: Option<String>,
    connection_place: String,
    /// What stands elsewhere.
    moved: Vec<Moved>,
}

impl Locator {
    pub(crate) fn of_job(read: &spec::Read) -> Self {
        let end = |((word, step), moved): ((String, &Step), &Vec<Moved>)| End {
            side: step.configuration.side,
            title: title(&word, step.configuration.side, &step.configuration.source_type),
            word,
            parameter_place: Some(step.parameter_place.clone()),
            connection_place: step.connection_place.clone(),
            moved: moved.clone(),
        };
        let ends = steps(&read.job).into_iter().zip(read.moved.steps()).map(end).collect();
        Self { ends, lines: read.lines.clone() }
    }

    pub(crate) fn of_source(source: &spec::Source) -> Self {
        let configuration = &source.configuration;
        let word = configuration.side.word().to_owned();
        let end = End {
            side: configuration.side,
            title: title(&word, configuration.side, &configuration.source_type),
            word,
            parameter_place: None,
            connection_place: source.connection_place.clone(),
            moved: source.moved.clone(),
        };
        Self { ends: vec![end], lines: source.lines.clone() }
    }

    /// Names the step and the line that a fault is about.
    pub(crate) fn locate(&self, mut fault: Fault) -> Fault {
        let named = |end: &&End| fault.context.contains(&end.word);
        let of_side = |end: &&End| is_about(&fault, end.side);
        let end = self.ends.iter().find(named).or_else(|| self.ends.iter().find(of_side)).cloned();
        if let Some(end) = end {
            for who in fault.context.iter_mut().filter(|who| **who == end.word) {
                who.clone_from(&end.title);
            }
            fault.place = fault.place.and_then(|place| end.translate(place));
        }
        if let (None, Some(place)) = (&fault.line, &fault.place) {
            fault.line = self.lines.of(place);
        }
        fault
    }

    /// The same for a fault of an end that does not say so itself.
    pub(crate) fn locate_in(&self, word: &str, fault: Fault) -> Fault {
        let one =
            self.ends.iter().find(|end| end.word == word).filter(|end| end.word == end.side.word());
        self.locate(match one.is_some_and(|end| is_about(&fault, end.side)) {
            true => fault,
            false => fault.within(word),
        })
    }
}

impl End {
    fn translate(&self, place: String) -> Option<String> {
        let moved = self.moved.iter().find_map(|moved| {
            let rest = place.strip_prefix(&moved.from)?;
            let whole = format!("{}{rest}", moved.to);
            let found = rest.is_empty() || rest.starts_with('/');
            found.then_some(if moved.whole { moved.to.clone() } else { whole })
        });
        if moved.is_some() {
            return moved;
        }
        let connection = Some(&self.connection_place);
        for (word, stands) in
            [("/parameter", self.parameter_place.as_ref()), ("/connection", connection)]
        {
            match place.strip_prefix(word) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    return stands.map(|stands| format!("{stands}{rest}"));
                }
                _ => {}
            }
        }
        Some(place)
    }
}

/// A side is named by its word alone or with the plug-in behind it.
fn is_about(fault: &Fault, side: Side) -> bool {
    let named = |who: &String| {
        who.strip_prefix(side.word()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    fault.context.iter().any(named)
}

/// The word of an end with its plug-in: `reader "postgresql" of "orders"`.
pub(crate) fn title(word: &str, side: Side, source_type: &str) -> String {
    let rest = word.strip_prefix(side.word()).unwrap_or_default();
    format!("{} \"{source_type}\"{rest}", side.word())
}

/// What people call the sources of a job; nothing where there is one.
pub(crate) fn source_names(job: &Job) -> Vec<String> {
    match job.readers.as_slice() {
        [_] => Vec::new(),
        readers => readers.iter().map(|reader| reader.source.clone()).collect(),
    }
}

/// The steps that plug-ins do, in their order, with what faults call them.
pub(crate) fn steps(job: &Job) -> Vec<(String, &Step)> {
    let settings =
        engine::Settings { source_names: source_names(job), ..engine::Settings::default() };
    let readers = (0..).zip(&job.readers);
    let mut steps: Vec<_> =
        readers.map(|(source, step)| (settings.reader_word(source), step)).collect();
    let between = job.transformers.iter().filter_map(|transformer| match &transformer.work {
        Work::Plugin(step) => Some((engine::transformer_word(&transformer.name), step)),
        _ => None,
    });
    steps.extend(between);
    steps.push((Side::Writer.word().to_owned(), &job.writer));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator() -> Locator {
        let end = |side, parameter: &str, connection: &str| End {
            side,
            word: side.word().into(),
            title: title(side.word(), side, "file"),
            parameter_place: Some(parameter.into()),
            connection_place: connection.into(),
            moved: Vec::new(),
        };
        let reader = end(Side::Reader, "/steps/0/parameter", "datasources.json#/a/properties");
        let mut writer = end(Side::Writer, "/steps/1/parameter", "/steps/1/parameter/connection/0");
        let moved = |from: &str, to: &str, whole| Moved { from: from.into(), to: to.into(), whole };
        writer.moved = vec![
            moved("/parameter/table", "/steps/1/parameter/connection/0/table", false),
            moved("/connection/host", "/steps/1/parameter/connection/0/jdbcUrl/0", true),
            moved("/connection/username", "/steps/1/parameter/username", false),
        ];
        Locator { ends: vec![reader, writer], lines: Lines::default() }
    }

    #[test]
    fn places_of_plugins_become_places_of_the_document() {
        let fault = |place: &str, who: &str| Fault::user("x", "y").at(place).within(who);
        let table = [
            ("/parameter/path", "reader", "/steps/0/parameter/path"),
            ("/parameter", "writer", "/steps/1/parameter"),
            ("/connection/host", "reader \"file\"", "datasources.json#/a/properties/host"),
            ("/connection/port", "writer", "/steps/1/parameter/connection/0/port"),
            ("/parameter/table/0", "writer", "/steps/1/parameter/connection/0/table/0"),
            ("/parameter/tables", "writer", "/steps/1/parameter/tables"),
            ("/connection/host", "writer", "/steps/1/parameter/connection/0/jdbcUrl/0"),
            ("/connection/host/0", "writer", "/steps/1/parameter/connection/0/jdbcUrl/0"),
            ("/connection/username", "writer", "/steps/1/parameter/username"),
            ("/parameters/path", "reader", "/parameters/path"),
            ("/steps/0/parameter/path", "reader", "/steps/0/parameter/path"),
            ("/parameter/path", "readers", "/parameter/path"),
        ];
        for (place, who, expected) in table {
            let located = locator().locate(fault(place, who).within("task 1"));
            assert_eq!(located.place.as_deref(), Some(expected), "{place} {who}");
        }
    }

    #[test]
    fn the_plugin_is_named() {
        let located = locator().locate(Fault::user("x", "y").within("reader").within("task 1"));
        assert_eq!(located.context, ["reader \"file\"", "task 1"]);
        let located = locator().locate_in("writer", Fault::user("x", "y").at("/parameter/a"));
        assert_eq!(located.context, ["writer \"file\""]);
        assert_eq!(located.place.as_deref(), Some("/steps/1/parameter/a"));
    }
}

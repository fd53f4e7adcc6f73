//! The reader: pages become splits, or one after another the rows of one.
//!
//! A position is a page and how many of its records were read. A broken read asks for that page again and
//! passes over those records, which is exact where the service answers a page the same way twice; the plan
//! says so.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use formats::parameters::ReadParameters;
use formats::{Input, Memory};
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows,
    Split, Splits, Step,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ureq::http::HeaderMap;

use crate::client::{Client, Request};
use crate::page::{self, How, Page};
use crate::paging::{At, Paging};
use crate::records::{Path, Projection};
use crate::settings::{Asking, Connection, FileParameter, ReaderParameter, ResponseType};
use crate::stream::{self, BodyInput, Lines};
use crate::url::Url;

/// The type of one file behind HTTP.
pub(crate) const FILE_TYPE: &str = "httpfile";
/// Splits for each lane where all pages are known before.
const SPLIT_FACTOR: u64 = 4;

/// What a step reads, checked.
pub(crate) struct Source {
    connection: Connection,
    /// For the first page.
    pub(crate) request: Request,
    paging: Paging,
    kind: ResponseType,
    how: How,
    /// Bytes of a body at most, unpacked.
    body_bytes_max: u64,
    /// For the answers of one call.
    wait: Duration,
}

impl Source {
    /// # Errors
    /// `connection.invalid`, `parameter.invalid`.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        let connection = Connection::read(configuration)?;
        match configuration.source_type.as_str() {
            FILE_TYPE => Self::of_file(
                connection,
                &sdk::parameters::parameter(configuration)?,
                &sdk::parameters::parameter(configuration)?,
            ),
            _ => Self::new(
                connection,
                &sdk::parameters::parameter(configuration)?,
                &sdk::parameters::parameter(configuration)?,
            ),
        }
    }

    fn of_file(
        connection: Connection,
        parameter: &FileParameter,
        format: &ReadParameters,
    ) -> Result<Self> {
        Ok(Self {
            request: parameter.request(&connection)?,
            connection,
            paging: Paging::Single,
            kind: ResponseType::Csv,
            how: How {
                format: parameter.format(format)?,
                projection: Projection::Whole,
                null_misfits: false,
                has_one_record: false,
                data_path: Path::default(),
            },
            body_bytes_max: parameter.body_bytes_max(),
            wait: parameter.wait(),
        })
    }

    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn new(
        connection: Connection,
        asking: &Asking,
        parameter: &ReaderParameter,
    ) -> Result<Self> {
        let request = parameter.request(&connection, asking)?;
        let paging = parameter.paging()?;
        paging.request(&paging.first(), &request)?;
        let (format, projection) = parameter.format()?;
        let how = How {
            format,
            projection,
            null_misfits: parameter.dirty_is_null(),
            has_one_record: parameter.has_one_record(),
            data_path: parameter.data_path()?,
        };
        let (kind, body_bytes_max) = (parameter.response_type(), parameter.body_bytes_max());
        let wait = asking.wait();
        Ok(Self { connection, request, paging, kind, how, body_bytes_max, wait })
    }

    /// # Errors
    /// `connection.invalid`.
    pub(crate) fn client(&self) -> Result<Client> {
        self.connection.client()
    }

    /// Asks for the first page, and reads as much of it as tells whether it can be read.
    ///
    /// # Errors
    /// Those of the client, and of the body.
    pub(crate) fn try_read(&self, client: &mut Client) -> Result<()> {
        self.sample(client).map(drop)
    }

    /// What the step reads. Where types are inferred or names are missing, by a look at the first page.
    ///
    /// # Errors
    /// Those of the client; `format.no_columns` where the first page says nothing.
    pub(crate) fn dataset(&self, client: &mut Client) -> Result<Dataset> {
        let infers = self.how.format.infers_types();
        let sample = if infers || self.kind == ResponseType::Csv {
            self.sample(client)?
        } else {
            Vec::new()
        };
        self.dataset_of(sample, infers)
    }

    fn dataset_of(&self, sample: Vec<u8>, infers: bool) -> Result<Dataset> {
        let name = self.request.url.name();
        let input: Arc<dyn Input> = Arc::new(Memory { label: name.clone(), bytes: sample });
        let schema = self.how.format.text_schema(1, &|_| Ok(input.clone()))?;
        let mut metadata = vec![("pages".to_owned(), self.paging.words().to_owned())];
        if infers {
            metadata.push(("inferred".to_owned(), "true".to_owned()));
        }
        let told = "a page is asked for again and the records that were read of it are passed over; exact where the service answers a page the same way twice";
        metadata.push(("after a break".to_owned(), told.to_owned()));
        Ok(Dataset { path: vec![name], schema, primary_key: Vec::new(), metadata })
    }

    /// Looks for the list of records by itself, for a service of which only the URL is known.
    ///
    /// # Errors
    /// As [`Self::dataset`].
    pub(crate) fn guessed(mut self, client: &mut Client) -> Result<Dataset> {
        let body = client.fetch(&self.request, self.body_bytes_max)?.body;
        let text = page::json_text(body)?;
        let root = page::root(&text)?;
        let lists = crate::records::lists(root);
        let mut said = None;
        match lists.first() {
            Some(first) => {
                self.how.data_path = Path::of_name(first);
                said = Some(first.clone()).filter(|path| !path.is_empty());
            }
            None => self.how.has_one_record = true,
        }
        let mut dataset = self.dataset_of(self.lines(root)?, true)?;
        dataset.metadata.retain(|(key, _)| key == "inferred");
        dataset.metadata.extend(said.map(|path| ("dataPath".to_owned(), path)));
        Ok(dataset)
    }

    /// The first page as the lines that rows are read of.
    fn sample(&self, client: &mut Client) -> Result<Vec<u8>> {
        let request = self.paging.request(&self.paging.first(), &self.request)?;
        let most = self.body_bytes_max;
        match self.kind {
            ResponseType::Json => {
                let text = page::json_text(client.fetch(&request, most)?.body)?;
                self.lines(page::root(&text)?)
            }
            ResponseType::Ndjson => {
                let mut lines = Lines::new(client.send(&request)?.into_reader(most));
                let block = lines.next()?.unwrap_or_default();
                let records = block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                Ok(self.projected(records.filter_map(|line| serde_json::from_slice(line).ok())))
            }
            ResponseType::Csv => stream::sample(client.send(&request)?.into_reader(most)),
        }
    }

    fn lines(&self, root: &RawValue) -> Result<Vec<u8>> {
        Ok(self.projected(self.how.records(root)?.into_iter()))
    }

    /// What is no good shows when it is read.
    fn projected<'a>(&self, records: impl Iterator<Item = &'a RawValue>) -> Vec<u8> {
        let mut lines = Vec::new();
        for record in records {
            let _ = self.how.projection.push(record, &mut lines);
        }
        lines
    }
}

/// One session with a service.
pub struct RestReader {
    source: Rc<Source>,
    client: Rc<RefCell<Client>>,
}

/// Which pages a split has: all, or those of a range.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    range: Option<(u64, u64)>,
}

/// Where the making of splits goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Next {
    /// The first value that no split has yet; `None` where there is one split.
    from: Option<u64>,
    /// Values of each split.
    values: u64,
}

/// Where a cursor stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    at: At,
    /// How many pages were read before.
    page: u64,
    /// Records of this one that were read.
    records: u64,
    /// Where the reader of a CSV body stands.
    inner: Option<Vec<u8>>,
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Fault::plugin("http.position", error.to_string()))
}

fn decoded<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| {
        Fault::plugin("http.position", "a stored split or position can't be read")
            .hint("the run was begun with another version of this plug-in; start a new run")
    })
}

impl RestReader {
    fn split(&self, range: Option<(u64, u64)>) -> Result<Split> {
        let name = self.source.request.url.name();
        let label = match (&self.source.paging, range) {
            (Paging::Range { param, .. }, Some((first, last))) if first == last => {
                format!("{name} {param} {first}")
            }
            (Paging::Range { param, .. }, Some((first, last))) => {
                format!("{name} {param} {first} to {last}")
            }
            _ => name,
        };
        let token = encoded(&Token { range })?;
        Ok(Split { token, label, stage: 0, rows_estimate: None, bytes_estimate: None })
    }
}

impl Reader for RestReader {
    type Cursor = RestCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let source = Source::of(configuration)?;
        let client = source.client()?;
        Ok(Self { source: Rc::new(source), client: Rc::new(RefCell::new(client)) })
    }

    fn plan(&mut self, parallelism: u32, _since: &[Position]) -> Result<Plan> {
        let mut client = self.client.borrow_mut();
        client.deadline.allow(self.source.wait);
        let dataset = self.source.dataset(&mut client)?;
        let next = match &self.source.paging {
            Paging::Range { start, end, step, .. } => {
                let count = (end - start) / step + 1;
                let lanes = u64::from(parallelism.max(1));
                let splits = if lanes > 1 { lanes * SPLIT_FACTOR } else { 1 };
                Next { from: Some(*start), values: count.div_ceil(splits) }
            }
            _ => Next { from: None, values: 0 },
        };
        Ok(Plan { datasets: vec![dataset], bounded: true, start: encoded(&next)? })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let Next { from, values } = decoded(at)?;
        let (Paging::Range { end, step, .. }, Some(mut first)) = (&self.source.paging, from) else {
            let next = encoded(&Next { from: None, values })?;
            return Ok(Splits { splits: vec![self.split(None)?], last: true, next });
        };
        let mut splits = Vec::new();
        let mut left = true;
        while left && splits.len() < limit.max(1) as usize {
            // The last value at or before the end.
            let last = first.saturating_add(step.saturating_mul(values.max(1) - 1)).min(*end);
            let last = first + (last - first) / step * step;
            splits.push(self.split(Some((first, last)))?);
            left = end - last >= *step;
            first = last.saturating_add(*step);
        }
        Ok(Splits { splits, last: !left, next: encoded(&Next { from: Some(first), values })? })
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<RestCursor> {
        let Token { range } = decoded(&split.token)?;
        let mut paging = self.source.paging.clone();
        if let (Paging::Range { start, end, .. }, Some((first, last))) = (&mut paging, range) {
            (*start, *end) = (first, last);
        }
        let dataset = datasets
            .into_iter()
            .next()
            .ok_or_else(|| Fault::plugin("http.position", "the plan has no dataset"))?;
        let place = match start {
            Some(start) => decoded(&start)?,
            None => Place { at: paging.first(), page: 0, records: 0, inner: None },
        };
        Ok(RestCursor {
            source: self.source.clone(),
            client: self.client.clone(),
            paging,
            schema: dataset.schema,
            place,
            open: None,
        })
    }
}

/// A page that is being read, and what is known of the next.
struct Open {
    page: Page,
    url: Url,
    onward: Option<String>,
}

/// Reads one split.
pub struct RestCursor {
    source: Rc<Source>,
    client: Rc<RefCell<Client>>,
    paging: Paging,
    schema: SchemaRef,
    place: Place,
    open: Option<Open>,
}

impl RestCursor {
    fn label(&self) -> String {
        let name = self.source.request.url.name();
        match (&self.paging, &self.place.at) {
            (Paging::Single, _) => name,
            (
                Paging::Range { param, .. }
                | Paging::Page { param, .. }
                | Paging::Offset { param, .. },
                At::Number(number),
            ) => {
                format!("{name} {param} {number}")
            }
            _ => format!("{name} page {}", self.place.page + 1),
        }
    }

    /// Asks for the page that is next.
    fn ask(&self) -> Result<Open> {
        let client = &mut *self.client.borrow_mut();
        let request = self.paging.request(&self.place.at, &self.source.request)?;
        let Source { how, kind, body_bytes_max: most, .. } = &*self.source;
        let (most, label, skip) = (*most, self.label(), self.place.records);
        let onward =
            |headers: &HeaderMap, body: Option<&RawValue>| self.paging.onward(headers, body);
        if *kind == ResponseType::Json {
            let answer = client.fetch(&request, most)?;
            let text = page::json_text(answer.body)?;
            let onward = onward(&answer.headers, Some(page::root(&text)?))?;
            let page = Page::json(how, &self.schema, &label, text, skip)?;
            return Ok(Open { page, url: answer.url, onward });
        }
        let answer = client.send(&request)?;
        let onward = onward(&answer.headers, None)?;
        let url = answer.url.clone();
        let body = answer.into_reader(most);
        let page = match kind {
            ResponseType::Csv => {
                let inner = self.place.inner.as_deref();
                Page::csv(how, &self.schema, BodyInput::new(label, body), inner, skip)?
            }
            _ => Page::lines(&label, Lines::new(body), skip),
        };
        Ok(Open { page, url, onward })
    }

    /// Goes to the page behind `open`, which was read to its end.
    fn turn(&mut self, open: Open) -> Result<()> {
        let client = self.client.borrow();
        let page = self.place.page + 1;
        let read = (page, self.place.records);
        let from = (&open.url, &client.auth);
        let at = self.paging.next(&self.place.at, read, open.onward.as_deref(), from)?;
        self.place = Place { at, page, records: 0, inner: None };
        Ok(())
    }
}

impl Cursor for RestCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        self.client.borrow().deadline.allow(self.source.wait);
        if self.place.at == At::End {
            return Ok(Step::Ended(None));
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.ask()?,
        };
        let Some(part) = open.page.next(&self.source.how, &self.schema, budget)? else {
            self.turn(open)?;
            return Ok(match self.place.at {
                At::End => Step::Ended(None),
                _ => Step::Advanced(encoded(&self.place)?),
            });
        };
        self.place.records = part.records;
        self.place.inner = part.inner;
        match open.page.is_done() {
            true => self.turn(open)?,
            false => self.open = Some(open),
        }
        Ok(Step::Rows(Rows {
            batches: part.batch.map(Batch::inserts).into_iter().collect(),
            undecodable: part.undecodable,
            nulled: part.nulled,
            position: Some(encoded(&self.place)?),
            ..Rows::default()
        }))
    }
}

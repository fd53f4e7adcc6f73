//! Every limit of a plug-in: its default, its name for people, and how to change it.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Fault, Result};

/// What a plug-in may use. Each field has a row in [`Limits::table`], from which the command line's
/// option, its help and the hints of faults are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a component's file, bytes.
    pub component_bytes: u64,
    /// All memories and tables of an instance together, bytes.
    pub memory_bytes: u64,
    /// Calls that only compute, or move one batch.
    pub short_call: Duration,
    /// Calls that log in, look around or list: connect, check, discover, splits.
    pub long_call: Duration,
    /// Calls that may do the destination's real work: plan, prepare, commit, close, finish.
    pub run_call: Duration,
    /// Time on the processor within one call.
    pub cpu_call: Duration,
    /// Time on the processor over a session.
    pub cpu_session: Duration,
    /// Lines of log and standard error of a session; what is beyond is dropped and counted.
    pub log_lines: u64,
    /// Bytes of log and standard error of a session.
    pub log_bytes: u64,
    /// Bytes of standard output of a session; what is beyond is dropped.
    pub output_bytes: u64,
    /// What one call may hand to the host in all, bytes.
    pub message_bytes: u64,
    /// Rows of one batch.
    pub batch_rows: u64,
    /// Bytes of the buffers of one batch.
    pub batch_bytes: u64,
    /// A position or a mark, bytes.
    pub position_bytes: u64,
    /// The token of a split, and where the next call for splits goes on, bytes.
    pub token_bytes: u64,
    /// Handles and host resources that an instance holds at one time.
    pub handles: u64,
    /// Looking up one granted name.
    pub name_lookup: Duration,
    /// Instances side by side in this process; the next one waits.
    pub instances: u64,
    /// How long a reader may bring neither a record nor a new position; kept by the engine.
    pub no_progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 32 << 20,
            memory_bytes: 256 << 20,
            short_call: Duration::from_secs(60),
            long_call: Duration::from_secs(5 * 60),
            run_call: Duration::from_secs(24 * 3600),
            cpu_call: Duration::from_secs(30 * 60),
            cpu_session: Duration::from_secs(24 * 3600),
            log_lines: 10_000,
            log_bytes: 1 << 20,
            output_bytes: 64 << 20,
            message_bytes: 128 << 20,
            batch_rows: 1 << 20,
            batch_bytes: 64 << 20,
            position_bytes: 256 << 10,
            token_bytes: 64 << 10,
            handles: 10_000,
            name_lookup: Duration::from_secs(10),
            instances: 128,
            no_progress: Duration::from_secs(3600),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    Time,
}

/// One limit as people see it.
pub struct LimitRow {
    /// The name in `NAME=VALUE`.
    pub name: &'static str,
    pub unit: Unit,
    /// What it bounds.
    pub about: &'static str,
    /// Smallest and largest value that can be set; bytes, count or milliseconds.
    pub range: (u64, u64),
    field: Field,
}

/// A place in [`Limits`] to read or set.
enum Field {
    Number(fn(&mut Limits) -> &mut u64),
    Time(fn(&mut Limits) -> &mut Duration),
}

const DAY_MS: u64 = 24 * 3600 * 1000;
/// A batch of more rows than this has more rows than the contract can count.
const ROWS_MAX: u64 = u32::MAX as u64;

macro_rules! number {
    ($name:literal, $unit:ident, $field:ident, $range:expr, $about:literal) => {
        LimitRow {
            name: $name,
            unit: Unit::$unit,
            about: $about,
            range: $range,
            field: Field::Number(|limits| &mut limits.$field),
        }
    };
}

macro_rules! time {
    ($name:literal, $field:ident, $days:literal, $about:literal) => {
        LimitRow {
            name: $name,
            unit: Unit::Time,
            about: $about,
            range: (10, $days * DAY_MS),
            field: Field::Time(|limits| &mut limits.$field),
        }
    };
}

static TABLE: [LimitRow; 19] = [
    number!("component", Bytes, component_bytes, (1 << 10, 1 << 30), "size of a plug-in's file"),
    number!("memory", Bytes, memory_bytes, (1 << 20, 4 << 30), "memory of an instance"),
    time!("short-call", short_call, 1, "time of a call that computes or moves a batch"),
    time!("long-call", long_call, 1, "time of a call that connects, looks or lists"),
    time!("run-call", run_call, 30, "time of a call that plans, prepares or commits"),
    time!("cpu-call", cpu_call, 30, "time on the processor in one call"),
    time!("cpu-session", cpu_session, 365, "time on the processor in one session"),
    number!("log-lines", Count, log_lines, (0, 1 << 32), "lines of log of a session"),
    number!("log-bytes", Bytes, log_bytes, (0, 1 << 32), "bytes of log of a session"),
    number!("output", Bytes, output_bytes, (0, 1 << 40), "standard output of a session"),
    number!("message", Bytes, message_bytes, (1 << 16, 4 << 30), "what one call hands to the host"),
    number!("batch-rows", Count, batch_rows, (1, ROWS_MAX), "rows of a batch"),
    number!("batch-bytes", Bytes, batch_bytes, (1 << 10, 2 << 30), "bytes of a batch"),
    number!("position", Bytes, position_bytes, (16, 16 << 20), "bytes of a position"),
    number!("token", Bytes, token_bytes, (16, 16 << 20), "bytes of a split's token"),
    number!("handles", Count, handles, (16, 1 << 20), "open handles of an instance"),
    time!("name-lookup", name_lookup, 1, "looking up one name"),
    number!("instances", Count, instances, (4, 1000), "instances side by side"),
    time!("no-progress", no_progress, 30, "time without a record or a new position"),
];

impl Limits {
    /// Every limit, in the order of the documentation.
    pub fn table() -> &'static [LimitRow] {
        &TABLE
    }

    /// Sets one limit from `NAME=VALUE`: a count, `512MiB`, `90s`, `5m`, `24h`, `250ms`.
    ///
    /// # Errors
    /// `limits.unknown` and `limits.value`, domain user.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let row = TABLE.iter().find(|row| row.name == name.trim()).ok_or_else(|| {
            let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
            Fault::user("limits.unknown", format!("there is no limit \"{name}\""))
                .hint(format!("the limits are {}", names.join(", ")))
        })?;
        let number = parse(row.unit, value.trim())
            .filter(|number| (row.range.0..=row.range.1).contains(number))
            .ok_or_else(|| bad_value(row, value))?;
        match row.field {
            Field::Number(field) => *field(self) = number,
            Field::Time(field) => *field(self) = Duration::from_millis(number),
        }
        Ok(())
    }
}

impl LimitRow {
    /// The value in `limits`, with its unit.
    pub fn value(&self, limits: &Limits) -> String {
        let mut limits = limits.clone();
        match self.field {
            Field::Number(field) => self.show(*field(&mut limits)),
            Field::Time(field) => self.show(field(&mut limits).as_millis() as u64),
        }
    }

    fn show(&self, number: u64) -> String {
        match self.unit {
            Unit::Count => number.to_string(),
            Unit::Bytes => largest_unit(number, &BYTES),
            Unit::Time => largest_unit(number, &TIMES),
        }
    }
}

const BYTES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn largest_unit(number: u64, units: &[(&str, u64)]) -> String {
    let mut text = String::new();
    let unit = units.iter().find(|(_, size)| number >= *size && number.is_multiple_of(*size));
    let (name, size) = unit.copied().unwrap_or(("", 1));
    let _ = write!(text, "{}{name}", number / size);
    text
}

fn parse(unit: Unit, text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let units: &[(&str, u64)] = match unit {
        Unit::Count => &[],
        Unit::Bytes => &BYTES,
        Unit::Time => &TIMES,
    };
    let suffix = suffix.trim();
    if suffix.is_empty() && unit != Unit::Time {
        return Some(number);
    }
    let (_, size) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix))?;
    number.checked_mul(*size)
}

fn bad_value(row: &LimitRow, value: &str) -> Fault {
    let (low, high) = (row.show(row.range.0), row.show(row.range.1));
    Fault::user(
        "limits.value",
        format!("the limit \"{}\" cannot be \"{value}\": it goes from {low} to {high}", row.name),
    )
}

/// Which limit it is, its value, and how to raise it.
pub(crate) fn how_to_raise(limits: &Limits, name: &str) -> String {
    let row = TABLE.iter().find(|row| row.name == name).expect("a limit of the table");
    format!("the limit is {}, --limit {name}=VALUE raises it", row.value(limits))
}

/// The fault of a plug-in that passed the limit `name`.
pub(crate) fn passed(limits: &Limits, who: &str, call: &str, name: &str) -> Fault {
    let row = TABLE.iter().find(|row| row.name == name).expect("a limit of the table");
    let value = row.value(limits);
    Fault::plugin(
        format!("plugin.limit.{}", name.replace('-', "_")),
        format!("{who} passed the limit on the {} in \"{call}\": {value}", row.about),
    )
    .hint(format!("if the work needs it, raise the limit: --limit {name}=VALUE (now {value})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = Limits::default();
        for (text, shown) in [
            ("memory=512MiB", "512MiB"),
            ("memory=1gib", "1GiB"),
            ("short-call=90s", "90s"),
            ("run-call=2h", "2h"),
            ("batch-rows=1000", "1000"),
            ("name-lookup=250ms", "250ms"),
        ] {
            limits.set(text).unwrap();
            let name = text.split('=').next().unwrap();
            let row = Limits::table().iter().find(|row| row.name == name).unwrap();
            assert_eq!(row.value(&limits), shown, "{text}");
        }
        assert_eq!(limits.memory_bytes, 1 << 30);
        assert_eq!(limits.short_call, Duration::from_secs(90));
    }

    #[test]
    fn bad_settings_say_what_is_allowed() {
        let mut limits = Limits::default();
        let bad = [
            "memory",
            "memory=",
            "memory=1TiB",
            "memory=0",
            "memory=9999999999GiB",
            "short-call=5",
            "short-call=-1s",
            "batch-rows=1MiB",
            "batch-rows=0",
        ];
        for text in bad {
            assert_eq!(limits.set(text).unwrap_err().code, "limits.value", "{text}");
        }
        assert_eq!(limits.set("ram=1").unwrap_err().code, "limits.unknown");
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn every_default_lies_in_its_range() {
        let mut limits = Limits::default();
        for row in Limits::table() {
            let value = row.value(&limits);
            limits.set(&format!("{}={value}", row.name)).unwrap();
        }
        assert_eq!(limits, Limits::default());
    }
}

//! `setting`: how many lanes, how fast, how many dirty records, which casts, which zone.
//!
//! The kind of document decides the defaults: script mode allows no dirty record and exact casts only;
//! DataX has no limit and its own table of conversions.

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::job::{Casts, DocumentKind, ErrorLimit, MissingColumn, Rate, Rates, Settings};
use serde_json::{Map, Value};

use crate::document::{Document, Notes, Spot, kind_of, object, unknown_keys};
use crate::json::{exact_number, is_number};

/// Lanes at most.
const CONCURRENT_MAX: u64 = 32;
/// Lanes of a script-mode job that does not say how many.
const CONCURRENT_DEFAULT: u32 = 3;
/// Bytes of one MB in `mbps`.
pub(crate) const MB: u64 = 1 << 20;
/// Several nodes are worth it from here on.
const DISTRIBUTED_MIN: u32 = 8;

const KEYS: [&str; 12] = [
    "errorLimit",
    "speed",
    "executeMode",
    "failoverEnable",
    "common",
    "jvmOption",
    "jvmMemory",
    "locale",
    "casts",
    "dryRun",
    "keyVersion",
    "transform",
];
const SPEED_KEYS: [&str; 7] =
    ["concurrent", "throttle", "mbps", "dmu", "channel", "byte", "record"];

const COMMON_KEYS: [&str; 1] = ["column"];
const COLUMN_KEYS: [&str; 6] =
    ["timeZone", "encoding", "datetimeFormat", "dateFormat", "timeFormat", "extraFormats"];
/// Keys of DataX's `core` and what lies within, and which of them count here.
const CORE_KEYS: [&str; 4] = ["transport", "container", "statistics", "dataXServer"];
const TRANSPORT_KEYS: [&str; 2] = ["channel", "exchanger"];
const CHANNEL_KEYS: [&str; 5] =
    ["speed", "class", "flowControlInterval", "capacity", "byteCapacity"];

/// An object of settings, and where it stands.
struct Section<'v> {
    members: Option<&'v Map<String, Value>>,
    spot: Spot,
}

impl<'v> Section<'v> {
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// Whether a key has a value; the empty text is none.
    fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.as_str() != Some(""))
    }

    /// The object under a key; without members where there is none.
    fn section(&self, key: &str, notes: &mut Notes) -> Section<'v> {
        let spot = self.spot.key(key);
        let members = self.get(key).and_then(|value| object(value, &spot, notes));
        Section { members, spot }
    }

    /// Warns of keys that nothing knows, and of those that are known and without effect here: all
    /// but `counting`.
    fn judge_keys(&self, known: &[&str], counting: &[&str], notes: &mut Notes) {
        let Some(members) = self.members else { return };
        unknown_keys(members, known, &self.spot, notes);
        for key in known.iter().filter(|key| !counting.contains(key)) {
            if self.get(key).is_some() {
                self.no_effect(key, "this program has its own way, or none", notes);
            }
        }
    }

    fn wrong(&self, key: &str, message: String, hint: &str, notes: &mut Notes) {
        notes.faults.push(self.spot.key(key).fault("spec.setting", message).hint(hint));
    }

    fn no_effect(&self, key: &str, why: &str, notes: &mut Notes) {
        let message = format!("\"{key}\" has no effect: {why}");
        notes.warnings.push(self.spot.key(key).fault("spec.no_effect", message));
    }

    /// A number, also written as a text; the empty text counts as absent.
    fn number(&self, key: &str, notes: &mut Notes) -> Option<f64> {
        let value = self.get(key).filter(|value| value.as_str() != Some(""))?;
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if is_number(text.trim()) => {
                exact_number(text.trim()).and_then(|number| number.as_f64())
            }
            _ => None,
        };
        if number.is_none() {
            let message = format!("\"{key}\" must be a number, not {}", kind_of(value));
            self.wrong(key, message, "write digits only", notes);
        }
        number
    }

    /// A whole number from `least` on.
    fn whole(&self, key: &str, least: u64, notes: &mut Notes) -> Option<u64> {
        let number = self.number(key, notes)?;
        if number.fract() == 0.0 && number >= least as f64 {
            return Some(number as u64);
        }
        let message = format!("\"{key}\" is {number}, not a whole number from {least} on");
        self.wrong(key, message, "write a whole number", notes);
        None
    }

    fn boolean(&self, key: &str, notes: &mut Notes) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") || text.is_empty() => {
                false
            }
            Some(other) => {
                let message = format!("\"{key}\" must be true or false, not {}", kind_of(other));
                self.wrong(key, message, "write true or false", notes);
                false
            }
        }
    }
}

pub(crate) fn read(kind: DocumentKind, document: &Rc<Document>, notes: &mut Notes) -> Settings {
    let root = Section { members: document.value().as_object(), spot: document.root() };
    let (above, common) = match kind {
        DocumentKind::Script => (None, None),
        DocumentKind::DataX => {
            (Some(root.section("job", notes)), Some(root.section("common", notes)))
        }
    };
    let setting = above.as_ref().unwrap_or(&root).section("setting", notes);
    if let Some(members) = setting.members {
        unknown_keys(members, &KEYS, &setting.spot, notes);
    }
    let speed = setting.section("speed", notes);
    if let Some(members) = speed.members {
        unknown_keys(members, &SPEED_KEYS, &speed.spot, notes);
    }
    let (concurrent, rates) = match kind {
        DocumentKind::Script => script_speed(&speed, notes),
        DocumentKind::DataX => datax_speed(&speed, &root, notes),
    };
    check_execution(&setting, concurrent, notes);
    let common = common.filter(|common| common.members.is_some());
    let common = common.unwrap_or_else(|| setting.section("common", notes));
    common.judge_keys(&COMMON_KEYS, &COMMON_KEYS, notes);
    let column = common.section("column", notes);
    column.judge_keys(&COLUMN_KEYS, &["timeZone"], notes);
    let (casts, column_casts) = casts(kind, &setting, notes);
    Settings {
        concurrent,
        rates,
        error_limit: error_limit(kind, &setting.section("errorLimit", notes), notes),
        casts,
        column_casts,
        missing_column: MissingColumn::default(),
        time_zone: time_zone(&column, notes),
    }
}

/// `mbps`, and beside it `record`, are of the whole job.
fn script_speed(speed: &Section<'_>, notes: &mut Notes) -> (u32, Rates) {
    let limited = speed.boolean("throttle", notes);
    let mut job = Rate::default();
    if limited {
        job.records = rate(speed, "record", notes);
        job.bytes = mbps(speed, job.records.is_some(), notes);
    } else {
        for key in ["mbps", "record"].into_iter().filter(|key| speed.has(key)) {
            speed.no_effect(key, "\"throttle\" is not true", notes);
        }
    }
    if speed.has("dmu") {
        speed.no_effect(
            "dmu",
            "lanes are not measured in DMU; script mode has \"concurrent\"",
            notes,
        );
    }
    for (key, own) in [("channel", "concurrent"), ("byte", "mbps")] {
        if speed.has(key) {
            speed.no_effect(key, &format!("script mode has \"{own}\""), notes);
        }
    }
    let concurrent = lanes(speed, "concurrent", notes).unwrap_or(CONCURRENT_DEFAULT);
    (concurrent, Rates { job, lane: Rate::default() })
}

/// Bytes a second of a job whose `throttle` is true.
fn mbps(speed: &Section<'_>, optional: bool, notes: &mut Notes) -> Option<u64> {
    if speed.has("mbps") {
        return Some(speed.whole("mbps", 1, notes)?.saturating_mul(MB));
    }
    if !optional {
        let message = "\"throttle\" is true, but \"mbps\" is missing".to_owned();
        speed.wrong("throttle", message, "give \"mbps\" as a positive whole number", notes);
    }
    None
}

/// Bytes or records a second; a number that is not positive is no limit.
fn rate(speed: &Section<'_>, key: &str, notes: &mut Notes) -> Option<u64> {
    let rate = speed.number(key, notes).filter(|rate| *rate > 0.0)?;
    Some(rate.ceil() as u64)
}

fn lanes(speed: &Section<'_>, key: &str, notes: &mut Notes) -> Option<u32> {
    let count = speed.whole(key, 1, notes)?;
    if count > CONCURRENT_MAX {
        let message = format!("\"{key}\" is {count}, more than {CONCURRENT_MAX}");
        speed.wrong(key, message, "write 1 to 32", notes);
        return None;
    }
    u32::try_from(count).ok()
}

/// The job's rates stand in `speed`, those of one channel in `core`.
fn datax_speed(speed: &Section<'_>, root: &Section<'_>, notes: &mut Notes) -> (u32, Rates) {
    let core = root.section("core", notes);
    core.judge_keys(&CORE_KEYS, &["transport"], notes);
    let core = core.section("transport", notes);
    core.judge_keys(&TRANSPORT_KEYS, &["channel"], notes);
    let core = core.section("channel", notes);
    core.judge_keys(&CHANNEL_KEYS, &["speed"], notes);
    let core = core.section("speed", notes);
    core.judge_keys(&["byte", "record"], &["byte", "record"], notes);
    let rates = |section: &Section<'_>, notes: &mut Notes| Rate {
        bytes: rate(section, "byte", notes),
        records: rate(section, "record", notes),
    };
    let mut rates = Rates { job: rates(speed, notes), lane: rates(&core, notes) };
    let lanes = datax_lanes(speed, &rates, notes);
    if speed.boolean("throttle", notes) {
        let mbps = mbps(speed, rates.job != Rate::default(), notes);
        rates.job.bytes = rates.job.bytes.into_iter().chain(mbps).min();
    }
    (lanes, rates)
}

/// DataX's rule: bytes and records over those of one channel, the smaller of both; else `channel`.
fn datax_lanes(speed: &Section<'_>, rates: &Rates, notes: &mut Notes) -> u32 {
    let mut by_rate: Option<u64> = None;
    for (key, total, each) in [
        ("byte", rates.job.bytes, rates.lane.bytes),
        ("record", rates.job.records, rates.lane.records),
    ] {
        let Some(total) = total else { continue };
        let Some(each) = each else {
            let message = format!("\"{key}\" needs the rate of one channel");
            let hint = format!(
                "give \"core\": {{\"transport\": {{\"channel\": {{\"speed\": {{\"{key}\": …}}}}}}}}, or only \"channel\""
            );
            speed.wrong(key, message, &hint, notes);
            continue;
        };
        let channels = (total / each).max(1);
        by_rate = Some(by_rate.map_or(channels, |other| other.min(channels)));
    }
    let key = if speed.get("channel").is_none() && speed.get("concurrent").is_some() {
        "concurrent"
    } else {
        "channel"
    };
    let Some(channels) = by_rate.or_else(|| speed.whole(key, 1, notes)) else { return 1 };
    if channels > CONCURRENT_MAX {
        let message = format!(
            "{channels} channels are more than {CONCURRENT_MAX}; {CONCURRENT_MAX} are used"
        );
        notes.warnings.push(speed.spot.fault("spec.setting", message));
    }
    channels.min(CONCURRENT_MAX) as u32
}

fn check_execution(setting: &Section<'_>, concurrent: u32, notes: &mut Notes) {
    if let Some(mode) = setting.get("executeMode") {
        match mode.as_str() {
            Some("distribute") if concurrent < DISTRIBUTED_MIN => {
                let message = format!(
                    "\"executeMode\" is \"distribute\", but \"concurrent\" is {concurrent}"
                );
                setting.wrong(
                    "executeMode",
                    message,
                    "several nodes need \"concurrent\" from 8 on",
                    notes,
                );
            }
            Some("distribute") => {
                setting.no_effect("executeMode", "this version runs a job on one node", notes);
            }
            Some("") => {}
            _ => {
                let message = "\"executeMode\" is neither null nor \"distribute\"".to_owned();
                setting.wrong("executeMode", message, "remove it", notes);
            }
        }
    }
    if setting.boolean("dryRun", notes) {
        let message = "\"dryRun\" is not supported: the run would move data".to_owned();
        setting.wrong("dryRun", message, "remove it, and use the command plan or check", notes);
    }
    if setting.boolean("failoverEnable", notes) {
        setting.no_effect("failoverEnable", "an unfinished run can always be resumed", notes);
    }
    for (key, why) in [
        ("jvmOption", "there is no Java machine"),
        ("jvmMemory", "there is no Java machine"),
        ("locale", "what this program says is English"),
        ("keyVersion", "encrypted values are not read"),
    ] {
        if setting.get(key).is_some_and(|value| value.as_str() != Some("")) {
            setting.no_effect(key, why, notes);
        }
    }
}

fn error_limit(kind: DocumentKind, limit: &Section<'_>, notes: &mut Notes) -> ErrorLimit {
    if let Some(members) = limit.members {
        unknown_keys(members, &["strategy", "record", "percentage"], &limit.spot, notes);
    }
    let default = match kind {
        DocumentKind::Script => ErrorLimit::ZERO,
        DocumentKind::DataX => ErrorLimit::NONE,
    };
    let strategy = limit.get("strategy").filter(|value| value.as_str() != Some(""));
    if let Some(strategy) = strategy {
        return by_strategy(strategy, limit, notes);
    }
    let records = limit.whole("record", 0, notes);
    let share = limit.number("percentage", notes);
    if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
        let message = format!("\"percentage\" is {share}, not between 0 and 1");
        limit.wrong("percentage", message, "write 0.02 for two in a hundred", notes);
    }
    match (records, share) {
        (Some(_), Some(_)) => {
            limit.no_effect("percentage", "\"record\" wins", notes);
            ErrorLimit { records, share }
        }
        (Some(_), None) | (None, Some(_)) => ErrorLimit { records, share },
        // Exports write the empty text for "ignore".
        (None, None) if limit.get("record").and_then(Value::as_str) == Some("") => ErrorLimit::NONE,
        (None, None) => default,
    }
}

fn by_strategy(strategy: &Value, limit: &Section<'_>, notes: &mut Notes) -> ErrorLimit {
    const STRATEGIES: [&str; 3] = ["ZeroTolerance", "Tolerance", "Ignore"];
    let word = strategy.as_str().unwrap_or_default();
    let known = STRATEGIES.into_iter().find(|known| known.eq_ignore_ascii_case(word));
    if limit.has("percentage") {
        limit.no_effect("percentage", "\"strategy\" wins", notes);
    }
    match known {
        Some("Tolerance") => {
            let records = limit.whole("record", 1, &mut Notes::default());
            if records.is_none() {
                let message = "\"strategy\" is \"Tolerance\", which needs \"record\"".to_owned();
                let hint = "give \"record\" as a positive whole number, or choose \"ZeroTolerance\" or \"Ignore\"";
                limit.wrong("record", message, hint, notes);
            }
            ErrorLimit { records: records.or(Some(0)), share: None }
        }
        Some("Ignore") => {
            if limit.has("record") {
                limit.no_effect("record", "\"strategy\" is \"Ignore\"", notes);
            }
            ErrorLimit::NONE
        }
        Some(_) => {
            if limit.whole("record", 0, notes).is_some_and(|record| record > 0) {
                limit.no_effect("record", "\"strategy\" is \"ZeroTolerance\"", notes);
            }
            ErrorLimit::ZERO
        }
        None => {
            let message =
                format!("\"strategy\" is {strategy}, none of \"{}\"", STRATEGIES.join("\", \""));
            limit.wrong("strategy", message, "remove it, or choose one of them", notes);
            ErrorLimit::ZERO
        }
    }
}

/// The rule of all columns, and the other rules of some. Beside a word for all there is an object by
/// column, with `*` for the rest, and a list of columns that may be lossy.
fn casts(
    kind: DocumentKind,
    setting: &Section<'_>,
    notes: &mut Notes,
) -> (Casts, BTreeMap<String, Casts>) {
    let mut rest = match kind {
        DocumentKind::Script => Casts::Exact,
        DocumentKind::DataX => Casts::DataX,
    };
    let mut columns = BTreeMap::new();
    match setting.get("casts") {
        None => {}
        Some(Value::String(word)) if word.eq_ignore_ascii_case("exact") => rest = Casts::Exact,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("datax") => rest = Casts::DataX,
        Some(Value::Object(rules)) => {
            for (column, rule) in rules {
                match column_rule(rule) {
                    Some(rule) if column == "*" => rest = rule,
                    Some(rule) => drop(columns.insert(column.clone(), rule)),
                    None => {
                        let message = format!(
                            "the rule of \"{column}\" is {rule}, none of \"exact\", \"lossy\""
                        );
                        let spot = setting.spot.key("casts").key(column);
                        notes.faults.push(spot.fault("spec.setting", message).hint(
                            "\"lossy\" allows a cast that changes values for this column alone",
                        ));
                    }
                }
            }
        }
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
            let names = names.iter().filter_map(Value::as_str);
            columns.extend(names.map(|name| (name.to_owned(), Casts::DataX)));
        }
        Some(other) => {
            let message = format!("\"casts\" is {other}, none of \"exact\", \"datax\"");
            let hint = "\"exact\" refuses every cast that would change a value; {\"amount\": \"lossy\"} allows it for one column";
            setting.wrong("casts", message, hint, notes);
        }
    }
    (rest, columns)
}

fn column_rule(rule: &Value) -> Option<Casts> {
    let word = rule.as_str()?;
    let table = [("exact", Casts::Exact), ("lossy", Casts::DataX), ("datax", Casts::DataX)];
    table.into_iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, rule)| rule)
}

fn time_zone(column: &Section<'_>, notes: &mut Notes) -> Option<String> {
    let value = column.get("timeZone").filter(|value| value.as_str() != Some(""))?;
    let name = value.as_str().unwrap_or_default();
    if let Some(offset) = offset(name) {
        return Some(offset);
    }
    match region(name) {
        Some(region) if region == name => return Some(region),
        // The casts know zones by their exact names only.
        Some(region) => {
            let message = format!("\"timeZone\" is {value}, which is not how the zone is written");
            column.wrong("timeZone", message, &format!("write \"{region}\""), notes);
        }
        None => {
            let message = format!("\"timeZone\" is {value}, which is no time zone");
            let hint = "write a name such as \"Asia/Shanghai\" or \"GMT+8\"";
            column.wrong("timeZone", message, hint, notes);
        }
    }
    None
}

/// `GMT+8`, `GMT-03:30`, `UTC` as they are; `GMT+0800` with its colon.
fn offset(name: &str) -> Option<String> {
    let rest = ["GMT", "UTC"].iter().find_map(|word| name.strip_prefix(word))?;
    let Some(digits) = rest.strip_prefix(['+', '-']) else {
        return rest.is_empty().then(|| name.to_owned());
    };
    let colon = digits.contains(':') || digits.len() < 3;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if colon => (digits, "00"),
        None => digits.split_at_checked(digits.len() - 2)?,
    };
    let below = |text: &str, most: u32| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number <= most)
    };
    if !below(hours, 14) || minutes.len() != 2 || !below(minutes, 59) {
        return None;
    }
    let before = name.len() - minutes.len();
    Some(if colon { name.to_owned() } else { format!("{}:{minutes}", &name[..before]) })
}

/// The name that the time zone database has for a zone; any, on a machine without one.
fn region(name: &str) -> Option<String> {
    let database = jiff::tz::db();
    if database.is_definitively_empty() {
        return Some(name.to_owned());
    }
    database.get(name).ok()?.iana_name().map(str::to_owned)
}

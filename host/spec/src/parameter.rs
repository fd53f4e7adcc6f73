//! Scheduling parameters: what `$bizdate`, `${yyyymmdd-1}` and `$[hh24miss-1/24]` mean at a clock.
//!
//! Two families: `${…}` formats the business date in days, `$[…]` the scheduled time in seconds. A
//! value is text with any number of expressions in it; a value in single or double quotes is a
//! constant, whatever is in it. Where variables stand in a document is `substitute`'s matter.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use domain::fault::{Fault, Result};
use jiff::Span;
use jiff::civil::{Date, DateTime, Time};
use regex::Regex;

/// Parameters of one job at most.
const PARAMETERS_MAX: usize = 1000;
/// Years that a format can show with four digits.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

/// What time a run is for. Written as text by `Display`, so that a resumed run has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The scheduled time, whole seconds, in the zone of the schedule.
    pub cyctime: DateTime,
    /// The business date: the day before the scheduled date, unless it was given.
    pub bizdate: Date,
    /// The day whose month is the current one for `$bizmonth`: the scheduled date, or, where only a
    /// business date was given, the day on which that was done.
    pub created: Date,
}

impl Clock {
    /// From `--bizdate` and `--cyctime`; without either, a run is for `now`. A business date alone
    /// means the day after it at midnight.
    ///
    /// # Errors
    /// `spec.clock` for texts that are no date or time.
    pub fn from_arguments(
        now: DateTime,
        bizdate: Option<&str>,
        cyctime: Option<&str>,
    ) -> Result<Self> {
        let bizdate = bizdate.map(parse_date).transpose()?;
        let cyctime = cyctime.map(parse_time).transpose()?;
        let created = cyctime.unwrap_or(now).date();
        let cyctime = match (cyctime, bizdate) {
            (Some(cyctime), _) => cyctime,
            (None, Some(bizdate)) => {
                bizdate.tomorrow().map_err(|_| out_of_range())?.to_datetime(Time::midnight())
            }
            (None, None) => now,
        };
        let cyctime = cyctime.with().subsec_nanosecond(0).build().map_err(|_| out_of_range())?;
        let bizdate = match bizdate {
            Some(bizdate) => bizdate,
            None => cyctime.date().yesterday().map_err(|_| out_of_range())?,
        };
        Ok(Self { cyctime, bizdate, created })
    }

    /// For looking at a document that is not run: all dates are that of `now`.
    pub fn standing_in(now: DateTime) -> Self {
        Self { cyctime: now, bizdate: now.date(), created: now.date() }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cyctime = render(&tokenise("yyyymmddhh24miss"), self.cyctime);
        let day = |date: Date| render(&tokenise("yyyymmdd"), date.to_datetime(Time::midnight()));
        write!(f, "{cyctime} {}", day(self.bizdate))?;
        if self.created == self.cyctime.date() {
            return Ok(());
        }
        write!(f, " {}", day(self.created))
    }
}

impl FromStr for Clock {
    type Err = Fault;

    /// Reads what `Display` wrote.
    fn from_str(text: &str) -> Result<Self> {
        let (cyctime, rest) = text
            .split_once(' ')
            .ok_or_else(|| Fault::user("spec.clock", format!("\"{text}\" is no clock")))?;
        let (bizdate, created) = rest.split_once(' ').unzip();
        let (cyctime, bizdate) = (parse_time(cyctime)?, parse_date(bizdate.unwrap_or(rest))?);
        let created = created.map(parse_date).transpose()?.unwrap_or(cyctime.date());
        Ok(Self { cyctime, bizdate, created })
    }
}

fn parse_date(text: &str) -> Result<Date> {
    let date = match text.len() {
        8 => Date::strptime("%Y%m%d", text),
        _ => Date::strptime("%Y-%m-%d", text),
    };
    date.ok().filter(|date| YEARS.contains(&date.year())).ok_or_else(|| {
        let message = format!("\"{text}\" is no business date");
        Fault::user("spec.clock", message).hint("write a day as 20251031 or 2025-10-31")
    })
}

fn parse_time(text: &str) -> Result<DateTime> {
    let time = match text.len() {
        14 => DateTime::strptime("%Y%m%d%H%M%S", text),
        _ => DateTime::strptime("%Y-%m-%d %H:%M:%S", text.replace('T', " ")),
    };
    time.ok().filter(|time| YEARS.contains(&time.year())).ok_or_else(|| {
        let message = format!("\"{text}\" is no scheduled time");
        let hint = "write a time as 20251101023045 or \"2025-11-01 02:30:45\"";
        Fault::user("spec.clock", message).hint(hint)
    })
}

fn out_of_range() -> Fault {
    Fault::user("spec.clock", "the date leaves the years 1 to 9999")
}

/// The parameters of a run as they were given: constants and expressions, not yet evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// From the texts after `-p`: `name=value` each.
    ///
    /// # Errors
    /// Every text that is no assignment, and every name that is assigned twice.
    pub fn from_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let parameters = Self::gather(arguments, &mut faults);
        if faults.is_empty() { Ok(parameters) } else { Err(faults) }
    }

    /// The same; what is wrong is left out and added to `faults`, so that the document can be looked
    /// at too.
    pub fn gather<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut parameters = Self::default();
        for argument in arguments {
            match assignment(argument) {
                Ok((name, value)) if parameters.0.insert(name.into(), value.into()).is_none() => {}
                Ok((name, _)) => faults.push(Fault::user(
                    "spec.parameter_twice",
                    format!("parameter \"{name}\" is given twice"),
                )),
                Err(fault) => faults.push(fault),
            }
        }
        if parameters.0.len() > PARAMETERS_MAX {
            let message = format!("more than {PARAMETERS_MAX} parameters are given");
            faults.push(Fault::user("spec.parameter_assignment", message));
        }
        parameters
    }

    /// Names and texts as given, for the books; [`Parameters::from_pairs`] reads them again.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// From pairs that [`Parameters::pairs`] gave.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Name and value of `name=value`. No blanks around the sign; the value may hold any.
fn assignment(argument: &str) -> Result<(&str, &str)> {
    let wrong = |message: String| {
        let hint = "write NAME=VALUE without blanks around the sign, such as -p bizdate=20251031";
        Fault::user("spec.parameter_assignment", message).hint(hint)
    };
    // The value may be a secret, so it is not shown.
    let (name, value) =
        argument.split_once('=').ok_or_else(|| wrong("a parameter has no \"=\"".into()))?;
    if !is_name(name) {
        return Err(wrong(format!("\"{name}\" is no name of a parameter")));
    }
    if value.starts_with(char::is_whitespace) {
        return Err(wrong(format!("a blank stands behind \"{name}=\"")));
    }
    Ok((name, value))
}

/// Letters, digits, `_` and `.`, the first no digit unless all are.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !text.is_empty()
        && text.chars().all(plain)
        && (digits(text) || !text.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

/// Names and texts of variables; `None` where an expression was wrong, which was told.
pub(crate) type Values = BTreeMap<String, Option<String>>;

/// Evaluates all parameters, and adds the variables that need no assignment.
pub(crate) fn evaluate_all(
    parameters: &Parameters,
    clock: &Clock,
    faults: &mut Vec<Fault>,
) -> Values {
    let mut values = Values::new();
    for (name, variable) in [
        ("bizdate", "$bizdate"),
        ("bdp.system.bizdate", "$bizdate"),
        ("bdp.system.cyctime", "$cyctime"),
    ] {
        values.insert(name.into(), evaluate(variable, clock).ok());
    }
    for (name, text) in &parameters.0 {
        let value = evaluate(text, clock)
            .map_err(|fault| faults.push(fault.within(format!("parameter \"{name}\""))))
            .ok();
        values.insert(name.clone(), value);
    }
    values
}

/// Gives the variable `date` its value where nothing else did: DataWorks does so, DataX does not.
pub(crate) fn assign_date(values: &mut Values, clock: &Clock) {
    let bizdate = || evaluate("$bizdate", clock).ok();
    values.entry("date".to_owned()).or_insert_with(bizdate);
}

/// The text that a parameter's value means at a clock.
///
/// # Errors
/// `spec.expression`, saying what is wrong with which expression.
pub fn evaluate(value: &str, clock: &Clock) -> Result<String> {
    for quote in ['\'', '"'] {
        let inner = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(constant) = inner {
            return Ok(constant.to_owned());
        }
    }
    let mut text = String::new();
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        text.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (part, length) = expression(rest, clock)?;
        text.push_str(&part);
        rest = &rest[length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The text and length of the expression behind a `$`.
fn expression(rest: &str, clock: &Clock) -> Result<(String, usize)> {
    let closed = |close: char| {
        rest[1..].find(close).map(|length| &rest[1..=length]).ok_or_else(|| {
            wrong(
                format!("an expression has no closing \"{close}\""),
                "close it, or quote the value",
            )
        })
    };
    match rest.chars().next() {
        Some('{') => {
            let inner = closed('}')?;
            Ok((braces(inner, clock)?, inner.len() + 2))
        }
        Some('[') => {
            let inner = closed(']')?;
            Ok((brackets(inner, clock)?, inner.len() + 2))
        }
        Some(c) if c.is_ascii_alphabetic() => {
            let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            Ok((builtin(&rest[..length], clock)?, length))
        }
        _ => Ok(("$".into(), 0)),
    }
}

fn wrong(message: impl Into<String>, hint: &str) -> Fault {
    Fault::user("spec.expression", message).hint(hint)
}

fn builtin(word: &str, clock: &Clock) -> Result<String> {
    let date = |date: Date, format| render(&tokenise(format), date.to_datetime(Time::midnight()));
    Ok(match word {
        "bizdate" => date(clock.bizdate, "yyyymmdd"),
        "cyctime" => render(&tokenise("yyyymmddhh24miss"), clock.cyctime),
        "gmtdate" => date(clock.cyctime.date(), "yyyymmdd"),
        "bizmonth" => {
            let current = (clock.created.year(), clock.created.month());
            let back = i64::from((clock.bizdate.year(), clock.bizdate.month()) == current);
            date(shift_date(clock.bizdate, Unit::Months, -back)?, "yyyymm")
        }
        "jobid" | "nodeid" | "taskid" => {
            return Err(wrong(
                format!("\"${word}\" has a value only in a scheduled run"),
                "give a constant",
            ));
        }
        _ if tokenise(word).iter().all(|piece| matches!(piece, Piece::Token(_))) => {
            return Err(wrong(
                format!("\"${word}\" is no variable"),
                "write $bizdate, or a format such as ${yyyymmdd} or $[yyyymmdd]",
            ));
        }
        // The word is not shown: it may be part of a secret.
        _ => {
            let known = ["bizdate", "cyctime", "gmtdate", "bizmonth"];
            let fault = wrong(
                "\"$\" and letters behind it are no variable",
                "put the value in single quotes where it is a constant",
            );
            let hint = crate::nearest::hint(word, known.into_iter()).or(fault.hint.clone());
            return Err(Fault { hint, ..fault });
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Year,
    ShortYear,
    Month,
    Day,
    Hour24,
    Hour12,
    Minute,
    Second,
}

/// Longest first, so that `yyyy` is not twice `yy`.
const TOKENS: [(&str, Token); 9] = [
    ("yyyy", Token::Year),
    ("yy", Token::ShortYear),
    ("hh24", Token::Hour24),
    ("hh12", Token::Hour12),
    ("hh", Token::Hour12),
    ("mm", Token::Month),
    ("mi", Token::Minute),
    ("ss", Token::Second),
    ("dd", Token::Day),
];

enum Piece<'a> {
    Token(Token),
    Literal(&'a str),
}

/// Cuts a format into tokens and single literal characters.
fn tokenise(format: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let found = TOKENS.iter().find(|(word, _)| rest.starts_with(word));
        let length = match found {
            Some((word, token)) => {
                pieces.push(Piece::Token(*token));
                word.len()
            }
            None => {
                pieces.push(Piece::Literal(&rest[..first.len_utf8()]));
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    pieces
}

fn render(pieces: &[Piece<'_>], at: DateTime) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text += literal,
            Piece::Token(Token::Year) => text += &format!("{:04}", at.year()),
            Piece::Token(Token::ShortYear) => text += &format!("{:02}", at.year() % 100),
            Piece::Token(Token::Month) => text += &format!("{:02}", at.month()),
            Piece::Token(Token::Day) => text += &format!("{:02}", at.day()),
            Piece::Token(Token::Hour24) => text += &format!("{:02}", at.hour()),
            Piece::Token(Token::Hour12) => text += &format!("{:02}", (at.hour() + 11) % 12 + 1),
            Piece::Token(Token::Minute) => text += &format!("{:02}", at.minute()),
            Piece::Token(Token::Second) => text += &format!("{:02}", at.second()),
        }
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Years,
    Months,
    Days,
    Hours,
    Minutes,
}

/// The offsets that end an expression: `-1`, `+7*2`, `-3/24`, `-15/24/60`.
static OFFSETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(.*?)((?:[+-]\d+(?:\*\d+)?(?:/24(?:/60)?)?)+)$").expect("the pattern is valid")
});
static OFFSET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"([+-]\d+)(?:\*(\d+))?(/24)?(/60)?").expect("the pattern is valid")
});
static ADD_MONTHS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^add_months\((.*),([+-]?\d+)(?:\*(\d+))?\)$").expect("the pattern is valid")
});

/// A format and the offsets behind it; a plain number counts as days.
fn split_offsets(inner: &str) -> Result<(&str, Vec<(Unit, i64)>)> {
    let Some(parts) = OFFSETS.captures(inner) else { return Ok((inner, Vec::new())) };
    let (Some(format), Some(offsets)) = (parts.get(1), parts.get(2)) else {
        return Ok((inner, Vec::new()));
    };
    let offsets = OFFSET.captures_iter(offsets.as_str()).map(|offset| {
        let unit = match (offset.get(3), offset.get(4)) {
            (None, _) => Unit::Days,
            (Some(_), None) => Unit::Hours,
            (Some(_), Some(_)) => Unit::Minutes,
        };
        let number = offset.get(1).map_or("", |text| text.as_str());
        Ok((unit, amount(number, offset.get(2).map(|text| text.as_str()))?))
    });
    Ok((format.as_str(), offsets.collect::<Result<_>>()?))
}

fn amount(number: &str, factor: Option<&str>) -> Result<i64> {
    // `i32` each, so that the product fits.
    let number: Option<i32> = number.parse().ok();
    let factor: Option<i32> = factor.map_or(Some(1), |text| text.parse().ok());
    match (number, factor) {
        (Some(number), Some(factor)) => Ok(i64::from(number) * i64::from(factor)),
        _ => Err(too_far()),
    }
}

fn too_far() -> Fault {
    wrong("an offset leaves the years 1 to 9999", "use a smaller offset")
}

/// Whether a text is made like an expression: tokens, digits, signs and separators.
pub(crate) fn is_expression(text: &str) -> bool {
    let format = text.strip_prefix("add_months").unwrap_or(text);
    let plain = |c: char| "ymdhis0123456789+-*/:._,() =".contains(c);
    let has_token = tokenise(format).iter().any(|piece| matches!(piece, Piece::Token(_)));
    has_token && format.chars().all(plain)
}

/// The expression, unless it may be part of a secret that happens to hold `${`.
fn shown(inner: &str) -> &str {
    if is_expression(inner) { inner } else { "…" }
}

fn check_characters(inner: &str) -> Result<()> {
    if inner.contains(char::is_whitespace) || inner.contains('=') {
        return Err(wrong(
            format!("the expression \"{}\" has a blank or \"=\" in it", shown(inner)),
            "use two parameters, and join them in the document: ${day} ${time}",
        ));
    }
    Ok(())
}

/// `${…}`: the business date, shifted by the smallest unit that the format shows.
fn braces(inner: &str, clock: &Clock) -> Result<String> {
    check_characters(inner)?;
    let (format, offsets) = split_offsets(inner)?;
    let pieces = tokenise(format);
    let mut tokens = Vec::new();
    for piece in &pieces {
        match piece {
            Piece::Token(token) if *token > Token::Day => {
                return Err(wrong(
                    format!(
                        "\"${{{}}}\" asks the business date for an hour, minute or second",
                        shown(inner)
                    ),
                    "use the scheduled time: $[…]",
                ));
            }
            Piece::Token(token) => tokens.push(*token),
            Piece::Literal(text) if text.starts_with(char::is_alphabetic) => {
                return Err(no_tokens(&format!("${{{}}}", shown(inner))));
            }
            Piece::Literal(_) => {}
        }
    }
    let Some(smallest) = tokens.iter().max() else {
        return Err(no_tokens(&format!("${{{}}}", shown(inner))));
    };
    let unit = match smallest {
        Token::Year | Token::ShortYear => Unit::Years,
        Token::Month => Unit::Months,
        _ => Unit::Days,
    };
    let date = match offsets.as_slice() {
        [] => clock.bizdate,
        [(Unit::Days, amount)] => shift_date(clock.bizdate, unit, *amount)?,
        _ => {
            return Err(wrong(
                format!("\"${{{}}}\" has an offset that is no whole number", shown(inner)),
                "${…} takes one offset such as -1 or -7*2; hours and minutes need $[…]",
            ));
        }
    };
    Ok(render(&pieces, date.to_datetime(Time::midnight())))
}

fn no_tokens(expression: &str) -> Fault {
    wrong(
        format!("\"{expression}\" is no format"),
        "a format is made of yyyy, yy, mm, dd, and within $[…] also hh24, hh12, mi, ss",
    )
}

/// `$[…]`: the scheduled time, shifted by days, hours and minutes, or by months with `add_months`.
fn brackets(inner: &str, clock: &Clock) -> Result<String> {
    check_characters(inner)?;
    if let Some(parts) = ADD_MONTHS.captures(inner) {
        let part = |index| parts.get(index).map(|text: regex::Match<'_>| text.as_str());
        let months = amount(part(2).unwrap_or_default(), part(3))?;
        let pieces = bracket_pieces(inner, part(1).unwrap_or_default())?;
        return Ok(render(&pieces, shift(clock.cyctime, Unit::Months, months)?));
    }
    let (format, offsets) = split_offsets(inner)?;
    let pieces = bracket_pieces(inner, format)?;
    let shows_days =
        pieces.iter().any(|piece| matches!(piece, Piece::Token(token) if *token >= Token::Day));
    if !shows_days && offsets.iter().any(|(unit, _)| *unit == Unit::Days) {
        return Err(wrong(
            format!("\"$[{}]\" shifts a format of years and months by days", shown(inner)),
            "shift months and years with $[add_months(yyyymm,-1)]",
        ));
    }
    let mut at = clock.cyctime;
    for (unit, amount) in offsets {
        at = shift(at, unit, amount)?;
    }
    Ok(render(&pieces, at))
}

fn bracket_pieces<'a>(inner: &str, format: &'a str) -> Result<Vec<Piece<'a>>> {
    let pieces = tokenise(format);
    let has_token = pieces.iter().any(|piece| matches!(piece, Piece::Token(_)));
    if !has_token || format.contains(['(', ')']) {
        return Err(no_tokens(&format!("$[{}]", shown(inner))));
    }
    Ok(pieces)
}

fn shift_date(date: Date, unit: Unit, amount: i64) -> Result<Date> {
    Ok(shift(date.to_datetime(Time::midnight()), unit, amount)?.date())
}

/// Months and years keep the day, or take the last one of a shorter month.
fn shift(at: DateTime, unit: Unit, amount: i64) -> Result<DateTime> {
    let span = match unit {
        Unit::Years => Span::new().try_years(amount),
        Unit::Months => Span::new().try_months(amount),
        Unit::Days => Span::new().try_days(amount),
        Unit::Hours => Span::new().try_hours(amount),
        Unit::Minutes => Span::new().try_minutes(amount),
    };
    let shifted = span.and_then(|span| at.checked_add(span)).map_err(|_| too_far())?;
    if YEARS.contains(&shifted.year()) { Ok(shifted) } else { Err(too_far()) }
}

#[cfg(test)]
mod tests;

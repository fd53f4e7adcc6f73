//! The functions of expressions: one table, which the documentation and all messages are made from.

use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use domain::{Fault, Result, nearest};

use crate::compile::Compiler;
use crate::node::{Node, Value};
use crate::types::{Kind, kind};

pub(crate) mod calls;
mod general;
mod numbers;
mod texts;
mod times;

pub(crate) use calls::{Arguments, Call};

/// A function as it is documented and called.
pub struct Function {
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Its arguments, for people: `text, from [, count]`.
    pub arguments: &'static str,
    /// What it gives, in one sentence.
    pub about: &'static str,
    takes: &'static [Takes],
    /// How many of the last arguments may be left out.
    optional: usize,
    /// The last argument may stand any number of times.
    repeats: bool,
    gives: Gives,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Any,
    Text,
    Integer,
    Number,
    /// A date or a timestamp.
    Moment,
    /// Literals, which are made ready once.
    Pattern,
    Path,
    Format,
    Field,
}

/// What a call becomes.
#[derive(Clone, Copy)]
enum Gives {
    Values(fn() -> DataType, fn(&Arguments<'_>) -> Result<Value>),
    /// Another node, or a call whose type depends on the arguments.
    Node(fn(&Compiler<'_>, Vec<Node>) -> Result<Node>),
}

fn text() -> DataType {
    DataType::Utf8
}

fn integer() -> DataType {
    DataType::Int64
}

fn boolean() -> DataType {
    DataType::Boolean
}

const fn plain(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    takes: &'static [Takes],
    gives: Gives,
) -> Function {
    Function { name, aliases: &[], arguments, about, takes, optional: 0, repeats: false, gives }
}

const fn called(function: Function, aliases: &'static [&'static str]) -> Function {
    Function { aliases, ..function }
}

const fn optional(function: Function, optional: usize) -> Function {
    Function { optional, ..function }
}

const fn repeated(function: Function) -> Function {
    Function { repeats: true, ..function }
}

use Gives::{Node as N, Values as V};
use Takes::{Any, Field as Unit, Format, Integer, Moment, Number, Path, Pattern, Text};

/// All functions.
pub const FUNCTIONS: &[Function] = &[
    repeated(plain(
        "coalesce",
        "a, b, …",
        "the first argument that is not NULL",
        &[Any],
        N(general::coalesce),
    )),
    plain("nullif", "a, b", "NULL where both are equal, else `a`", &[Any, Any], N(general::nullif)),
    repeated(plain(
        "greatest",
        "a, b, …",
        "the greatest argument; NULL ones are passed over",
        &[Any],
        N(general::greatest),
    )),
    repeated(plain(
        "least",
        "a, b, …",
        "the least argument; NULL ones are passed over",
        &[Any],
        N(general::least),
    )),
    plain("lower", "text", "in small letters", &[Text], V(text, texts::lower)),
    plain("upper", "text", "in capital letters", &[Text], V(text, texts::upper)),
    called(
        optional(
            plain(
                "trim",
                "text [, characters]",
                "without blanks, or these characters, at both ends",
                &[Text, Text],
                V(text, texts::trim),
            ),
            1,
        ),
        &["btrim"],
    ),
    optional(
        plain(
            "ltrim",
            "text [, characters]",
            "the same at the start",
            &[Text, Text],
            V(text, texts::ltrim),
        ),
        1,
    ),
    optional(
        plain(
            "rtrim",
            "text [, characters]",
            "the same at the end",
            &[Text, Text],
            V(text, texts::rtrim),
        ),
        1,
    ),
    called(
        optional(
            plain(
                "substring",
                "text, from [, count]",
                "the characters from the `from`th on, counted from 1",
                &[Text, Integer, Integer],
                V(text, texts::substring),
            ),
            1,
        ),
        &["substr"],
    ),
    called(
        plain("length", "text", "how many characters it has", &[Text], V(integer, texts::length)),
        &["char_length", "character_length"],
    ),
    plain(
        "position",
        "part, text",
        "where the part begins, counted from 1; 0 where it does not occur",
        &[Text, Text],
        V(integer, texts::position),
    ),
    plain(
        "replace",
        "text, find, by",
        "each `find` replaced",
        &[Text, Text, Text],
        V(text, texts::replace),
    ),
    plain(
        "regexp_replace",
        "text, pattern, by",
        "each match replaced; `$1` is the first group",
        &[Text, Pattern, Text],
        V(text, texts::regexp_replace),
    ),
    plain(
        "regexp_like",
        "text, pattern",
        "whether the pattern occurs",
        &[Text, Pattern],
        V(boolean, texts::regexp_like),
    ),
    plain(
        "split_part",
        "text, separator, n",
        "the `n`th part, counted from 1, or from the end where negative; empty where there is none",
        &[Text, Text, Integer],
        V(text, texts::split_part),
    ),
    plain(
        "left",
        "text, n",
        "the first `n` characters; all but the last ones where negative",
        &[Text, Integer],
        V(text, texts::left),
    ),
    plain(
        "right",
        "text, n",
        "the last `n` characters; all but the first ones where negative",
        &[Text, Integer],
        V(text, texts::right),
    ),
    optional(
        plain(
            "lpad",
            "text, length [, fill]",
            "filled up at the start, or cut, to `length` characters",
            &[Text, Integer, Text],
            V(text, texts::lpad),
        ),
        1,
    ),
    optional(
        plain(
            "rpad",
            "text, length [, fill]",
            "filled up at the end, or cut, to `length` characters",
            &[Text, Integer, Text],
            V(text, texts::rpad),
        ),
        1,
    ),
    repeated(plain(
        "concat",
        "a, b, …",
        "all as one text; NULL is empty, unlike with `||`",
        &[Any],
        N(calls::concat),
    )),
    plain(
        "reverse",
        "text",
        "from the last character to the first",
        &[Text],
        V(text, texts::reverse),
    ),
    plain("md5", "text", "the MD5 digest, in hexadecimal digits", &[Text], V(text, texts::md5)),
    plain(
        "sha256",
        "text",
        "the SHA-256 digest, in hexadecimal digits",
        &[Text],
        V(text, texts::sha256),
    ),
    plain("abs", "number", "without its sign", &[Number], N(numbers::abs)),
    optional(
        plain(
            "round",
            "number [, digits]",
            "rounded to so many digits behind the point, half away from zero",
            &[Number, Integer],
            N(numbers::round),
        ),
        1,
    ),
    plain("floor", "number", "the whole number that is not greater", &[Number], N(numbers::floor)),
    called(
        plain("ceil", "number", "the whole number that is not less", &[Number], N(numbers::ceil)),
        &["ceiling"],
    ),
    plain("mod", "a, b", "the rest of `a / b`, as `a % b`", &[Number, Number], N(numbers::modulo)),
    plain(
        "to_date",
        "text, format",
        "the date that a text says",
        &[Text, Format],
        V(times::date, times::to_date),
    ),
    plain(
        "to_timestamp",
        "text, format",
        "the timestamp that a text says",
        &[Text, Format],
        V(times::timestamp, times::to_timestamp),
    ),
    plain(
        "to_char",
        "date, format",
        "a date or timestamp as a text",
        &[Moment, Format],
        V(text, times::to_char),
    ),
    plain(
        "date_trunc",
        "field, date",
        "the begin of its year, quarter, month, week (Monday), day, hour, minute or second",
        &[Unit, Moment],
        N(times::date_trunc),
    ),
    called(
        plain(
            "extract",
            "field FROM date",
            "its year, quarter, month, week, day, dow (Sunday is 0), isodow, doy, hour, minute, second or epoch, as a whole number",
            &[Unit, Moment],
            V(integer, times::extract),
        ),
        &["date_part"],
    ),
    plain(
        "json_value",
        "text, path",
        "what a path of RFC 9535 finds in a JSON text, as a text; NULL where it finds nothing",
        &[Text, Path],
        V(text, texts::json_value),
    ),
];

/// The function with this name in small letters.
///
/// # Errors
/// `expression.unknown_function`.
pub(crate) fn find(name: &str) -> Result<&'static Function> {
    let named = |function: &&Function| function.name == name || function.aliases.contains(&name);
    FUNCTIONS.iter().find(named).ok_or_else(|| {
        let message = format!("there is no function \"{name}\"");
        let fault = Fault::user("expression.unknown_function", message);
        let names = || {
            let all = FUNCTIONS.iter();
            all.flat_map(|function| {
                [function.name].into_iter().chain(function.aliases.iter().copied())
            })
        };
        let own = FUNCTIONS.iter().map(|function| function.name);
        let all = || format!("there are {}", own.collect::<Vec<_>>().join(", "));
        fault.hint(nearest::hint(name, names()).unwrap_or_else(all))
    })
}

/// The text of a literal.
pub(crate) fn constant_text(node: &Node) -> Option<&str> {
    let texts = node.as_literal()?.as_string_opt::<i32>()?;
    texts.iter().next()?
}

/// What a cast to a narrower type keeps of a value: digits and days are rounded and cut as SQL does.
pub(crate) fn narrowed(compiler: &Compiler<'_>, node: Node, to: &DataType) -> Result<Node> {
    use DataType as T;
    if compiler.schema.is_none() {
        return Ok(node);
    }
    let target = kind(to);
    match (kind(&node.kind), target) {
        (Kind::Decimal | Kind::Float, Kind::Integer) => numbers::rounded_to(compiler, node, 0),
        (Kind::Decimal, Kind::Decimal) => match (&node.kind, to) {
            (T::Decimal128(_, from), T::Decimal128(_, scale)) if scale < from => {
                numbers::rounded_to(compiler, node, i32::from(*scale))
            }
            _ => Ok(node),
        },
        (Kind::Timestamp | Kind::Instant, Kind::Date) => times::day_of(compiler, node),
        (Kind::Instant, Kind::Timestamp) => times::local_of(node),
        _ => Ok(node),
    }
}

//! What is told before a row comes.

use super::check;

#[test]
fn is_refused() {
    check(&[
        (r#"x"#, r#"expression.unknown_column: there is no column "x""#),
        (r#"nam"#, r#"expression.unknown_column: there is no column "nam""#),
        (
            r#"i +"#,
            r#"expression.syntax: the expression is not well formed: Expected: an expression, found: EOF"#,
        ),
        (r#"i + 't'"#, r#"expression.type: a whole number and a text have no "+""#),
        (r#"i = 't'"#, r#"expression.value: a part without columns has no value: no counterpart"#),
        (r#"t + 1"#, r#"expression.type: a text and a whole number have no "+""#),
        (r#"lowr(t)"#, r#"expression.unknown_function: there is no function "lowr""#),
        (r#"lower(i)"#, r#"expression.type: lower takes a text, not a whole number"#),
        (r#"lower()"#, r#"expression.type: lower takes other arguments than 0"#),
        (r#"substring(t)"#, r#"expression.type: substring takes other arguments than 1"#),
        (
            r#"i AND b"#,
            r#"expression.type: a condition is expected, which is true or false, not a whole number"#,
        ),
        (
            r#"NOT i"#,
            r#"expression.type: a condition is expected, which is true or false, not a whole number"#,
        ),
        (
            r#"CASE WHEN i THEN 1 END"#,
            r#"expression.type: a condition is expected, which is true or false, not a whole number"#,
        ),
        (
            r#"CASE WHEN b THEN 1 ELSE 'x' END"#,
            r#"expression.value: a part without columns has no value: no counterpart"#,
        ),
        (r#"date = day"#, r#"expression.unknown_column: there is no column "date""#),
        (r#"CAST(t AS nothing)"#, r#"expression.type: there is no type "nothing""#),
        (r#"CAST(t AS varchar(5))"#, r#"expression.type: there is no type "VARCHAR(5)""#),
        (r#"CAST(d AS decimal)"#, r#"expression.type: there is no type "DECIMAL""#),
        (
            r#"1 / 0"#,
            r#"expression.value: a part without columns has no value: a division by zero has no result"#,
        ),
        (
            r#"CAST('x' AS int)"#,
            r#"expression.value: a part without columns has no value: no counterpart"#,
        ),
        (
            r#"regexp_like(t, '(')"#,
            r#"expression.value: "(" is no regular expression: unclosed group"#,
        ),
        (
            r#"regexp_like(t, t)"#,
            r#"expression.type: the pattern of regexp_like must be a text that stands there itself"#,
        ),
        (
            r#"to_date(t, 'YYYY-QQ')"#,
            r#"expression.value: "Q" means nothing in the format "YYYY-QQ""#,
        ),
        (
            r#"to_date(t, 'YYYY YYYY')"#,
            r#"expression.value: "YYYY" stands twice in the format "YYYY YYYY""#,
        ),
        (r#"json_value(j, 'a')"#, r#"expression.value: "a" is no path of JSON: parser error"#),
        (r#"date_trunc('moon', ts)"#, r#"expression.value: "moon" is no field of a date"#),
        (
            r#"date_trunc('dow', ts)"#,
            r#"expression.value: date_trunc takes year, quarter, month, week, day, hour, minute or second"#,
        ),
        (r#"extract(century FROM ts)"#, r#"expression.value: "century" is no field of a date"#),
        (
            r#"round(d, i)"#,
            r#"expression.type: the digits of round must be a number from -38 to 38 that stands there itself"#,
        ),
        (r#"(SELECT 1)"#, r#"expression.syntax: "(SELECT 1)" is not supported in an expression"#),
        (
            r#"i IN (SELECT 1)"#,
            r#"expression.syntax: "i IN (SELECT 1)" is not supported in an expression"#,
        ),
        (r#"count(*)"#, r#"expression.syntax: "count(*)" is not supported in an expression"#),
        (
            r#"sum(i) OVER ()"#,
            r#"expression.syntax: "sum(i) OVER ()" is not supported in an expression"#,
        ),
        (
            r#"EXISTS (SELECT 1)"#,
            r#"expression.syntax: "EXISTS (SELECT 1)" is not supported in an expression"#,
        ),
        (
            r#"i; DROP TABLE x"#,
            r#"expression.syntax: the expression is not well formed: nothing is expected before ";""#,
        ),
        (r#"a.b"#, r#"expression.syntax: "a.b" is not supported in an expression"#),
        (r#"$1"#, r#"expression.syntax: "$1" is not supported in an expression"#),
        (
            r#"INTERVAL '1 day'"#,
            r#"expression.syntax: "INTERVAL '1 day'" is not supported in an expression"#,
        ),
        (
            r#"'unclosed"#,
            r#"expression.syntax: the expression is not well formed: Unterminated string literal at Line: 1, Column: 1"#,
        ),
        (r#"now()"#, r#"expression.unknown_function: there is no function "now""#),
    ]);
}

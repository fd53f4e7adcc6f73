//! From a text to its syntax tree, within bounds.

use domain::{Fault, Result};
use sqlparser::ast::Expr;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of one expression.
const TEXT_MAX: usize = 64 << 10;
/// Operators and keywords of one expression: a tree is no deeper than it has of them.
const OPERATORS_MAX: usize = 2_000;
/// Parentheses within each other, and the like.
const DEPTH_MAX: usize = 40;

pub(crate) fn parse(text: &str) -> Result<Expr> {
    if text.len() > TEXT_MAX {
        let message = format!("the expression has {} bytes, more than {TEXT_MAX}", text.len());
        return Err(Fault::user("expression.size", message));
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize();
    let tokens = tokens.map_err(|error| wrong(&error.to_string()))?;
    if tokens.iter().filter(|token| is_operator(token)).count() > OPERATORS_MAX {
        let message = format!("the expression has more than {OPERATORS_MAX} operators");
        return Err(Fault::user("expression.size", message));
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    let parsed = parser.parse_expr().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            Fault::user("expression.size", "the expression is nested too deep")
        }
        ParserError::TokenizerError(reason) | ParserError::ParserError(reason) => wrong(&reason),
    })?;
    match parser.peek_token().token {
        Token::EOF => Ok(parsed),
        rest => Err(wrong(&format!("nothing is expected before \"{rest}\""))),
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::EOF | Token::Number(..) | Token::SingleQuotedString(_) => false,
        Token::Comma | Token::Whitespace(_) => false,
        _ => true,
    }
}

fn wrong(reason: &str) -> Fault {
    let message = format!("the expression is not well formed: {reason}");
    Fault::user("expression.syntax", message)
        .hint("texts stand in single quotes, names that are words of SQL in double quotes")
}

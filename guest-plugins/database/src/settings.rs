//! What documents of all databases say the same way.

use schemars::JsonSchema;
use sdk::parameters::OneOrMany;
use sdk::{Fault, Result};
use serde::Deserialize;

use crate::tls::Mode;

/// Where to log in.
pub struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub username: &'a str,
    pub password: &'a str,
}

impl Login<'_> {
    /// # Errors
    /// `connection.invalid` with the place of what is empty.
    pub fn checked(self) -> Result<Self> {
        let texts = [(self.host, "host"), (self.database, "database"), (self.username, "username")];
        let bad = |text: &str| text.is_empty() || text.contains('\0');
        if let Some((_, name)) = texts.into_iter().find(|(text, _)| bad(text)) {
            return Err(missing(name));
        }
        if self.port == 0 {
            return Err(Fault::user("connection.invalid", "the port is not between 1 and 65535")
                .at("/connection/port"));
        }
        Ok(self)
    }
}

/// Encryption of the connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ssl {
    /// How much is asked of the server: `disable`, `prefer` (encryption where the server offers it),
    /// `require` (nobody's identity is checked unless there is a `ca`), `verify-ca` (the certificate comes
    /// from an authority that is trusted), `verify-full` (and is made out for the host). MySQL's words for
    /// them, such as `preferred` and `verify-identity`, are taken too.
    mode: Option<String>,
    /// Certificates (PEM) of the authorities that are trusted; usually `{"file": "ca.pem"}`.
    ca: Option<String>,
}

impl Ssl {
    /// What is asked for by `mode`.
    ///
    /// # Errors
    /// `connection.invalid` for a word that is none.
    pub fn mode(&self) -> Result<Option<Mode>> {
        self.mode.as_deref().map(|word| mode_of(word, "/connection/ssl/mode")).transpose()
    }

    /// The certificates of authorities.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }
}

/// The mode that a word of PostgreSQL's or MySQL's clients, or of their JDBC drivers, means.
///
/// # Errors
/// `connection.invalid` at `place` for a word that is none.
pub fn mode_of(word: &str, place: &str) -> Result<Mode> {
    Ok(match word.trim().to_ascii_lowercase().replace('_', "-").as_str() {
        "disabled" | "disable" => Mode::Disable,
        "preferred" | "prefer" => Mode::Prefer,
        "required" | "require" | "trust" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-identity" | "verify-full" => Mode::VerifyName,
        _ => {
            return Err(Fault::user("connection.invalid", "this is no mode of encryption")
                .hint("the modes are disable, prefer, require, verify-ca and verify-full")
                .at(place));
        }
    })
}

/// The connection lacks what stands at `path` in it.
pub fn missing(path: &str) -> Fault {
    let name = path.replace('/', ".");
    Fault::user("connection.invalid", format!("the connection has no \"{name}\""))
        .at(format!("/connection/{path}"))
}

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Query(String),
    Table { table: String, columns: Vec<String>, filter: Option<String>, split_by: Option<String> },
}

impl Selection {
    /// # Errors
    /// `parameter.invalid` where it is more than one query, or empty.
    pub fn query(query: &OneOrMany<String>) -> Result<Self> {
        single(query.as_slice(), "querySql")
            .map(|query| Self::Query(without_semicolon(query).to_owned()))
    }

    /// Of one table, by `column`, `where` and `splitPk`.
    pub fn table(
        table: &str,
        column: Option<&OneOrMany<String>>,
        filter: Option<&str>,
        split_by: Option<&str>,
    ) -> Self {
        let text =
            |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        Self::Table {
            table: table.to_owned(),
            columns: columns(column),
            filter: text(filter.map(without_semicolon)),
            split_by: text(split_by),
        }
    }
}

fn without_semicolon(text: &str) -> &str {
    text.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

/// The entries of a parameter that may be left out.
pub fn list(texts: Option<&OneOrMany<String>>) -> &[String] {
    texts.map(OneOrMany::as_slice).unwrap_or_default()
}

/// The entries of `column`; where there are none, `*`.
pub fn columns(texts: Option<&OneOrMany<String>>) -> Vec<String> {
    match list(texts) {
        [] => vec!["*".to_owned()],
        columns => columns.to_vec(),
    }
}

/// The only entry of the parameter `name`.
///
/// # Errors
/// `parameter.invalid` where there is none, or more than one.
pub fn single<'a>(texts: &'a [String], name: &str) -> Result<&'a str> {
    match texts {
        [text] if !text.trim().is_empty() => Ok(text.trim()),
        [] | [_] => Err(Fault::user("parameter.invalid", format!("\"{name}\" is missing"))
            .at(format!("/parameter/{name}"))),
        _ => Err(Fault::user("parameter.invalid", format!("\"{name}\" names more than one"))
            .hint("a step reads or writes one table; use a step for each")
            .at(format!("/parameter/{name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_at_the_end_go() {
        assert_eq!(without_semicolon(" select 1 ; ;\n"), "select 1");
        assert_eq!(without_semicolon("a = ';'"), "a = ';'");
    }
}

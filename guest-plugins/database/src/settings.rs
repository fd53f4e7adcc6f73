//! What documents of all databases say the same way.

use sdk::parameters::OneOrMany;
use sdk::{Fault, Result};

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

/// The connection lacks what stands at `path` in it.
pub fn missing(path: &str) -> Fault {
    let name = path.replace('/', ".");
    Fault::user("connection.invalid", format!("the connection has no \"{name}\""))
        .at(format!("/connection/{path}"))
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

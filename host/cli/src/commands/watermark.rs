//! `airlock watermark show JOB` and `airlock watermark reset JOB [--to VALUE]`: where the next run of a
//! document goes on.

use std::path::Path;

use domain::Position;
use domain::bookmark::{self, Bookmark};
use domain::fault::{Fault, Result};
use domain::port::Store;
use serde_json::{Value, json};
use store::SqliteStore;

use crate::arguments::{WatermarkCommand, WatermarkResetArguments};
use crate::document::DocumentFile;
use crate::failure::Ending;
use crate::host::Host;
use crate::render::table;

pub(crate) async fn watermark(host: &Host, command: &WatermarkCommand) -> Ending {
    let (text, marks) = match command {
        WatermarkCommand::Show(arguments) => {
            let (store, document) = open(host, &arguments.job)?;
            let marks = store.bookmarks(&document).await?;
            (shown(&marks), marks)
        }
        WatermarkCommand::Reset(arguments) => {
            let (store, document) = open(host, &arguments.job)?;
            let marks = reset(&store, &document, arguments).await?;
            let text = match marks.is_empty() {
                true => "no mark is left, so the next run reads from the beginning\n".to_owned(),
                false => shown(&marks),
            };
            (text, marks)
        }
    };
    host.console.result(|| text, || json(&marks))?;
    Ok(0)
}

fn open(host: &Host, job: &Path) -> Result<(SqliteStore, String)> {
    let document = DocumentFile::read(job)?;
    Ok((SqliteStore::open(&host.folders()?.state)?, document.identity))
}

async fn reset(
    store: &SqliteStore,
    document: &str,
    arguments: &WatermarkResetArguments,
) -> Result<Vec<Position>> {
    let (to, wanted) = (arguments.to.clone(), arguments.mark.clone());
    let changed = store.change_bookmarks(document, move |kept| change(kept, to, wanted)).await?;
    Ok(changed.into_iter().map(|bookmark| bookmark.position).collect())
}

/// Forgets marks, or sets the one that is meant.
///
/// # Errors
/// `watermark.unknown` where no mark is meant, `watermark.several` where `to` may mean several.
fn change(
    kept: Vec<Bookmark>,
    to: Option<String>,
    wanted: Option<String>,
) -> Result<Vec<Bookmark>> {
    let is_meant = |kept: &Bookmark| match &wanted {
        Some(wanted) => split(&kept.position).0 == *wanted,
        None => true,
    };
    let meant = kept.iter().filter(|kept| is_meant(kept)).count();
    if meant == 0 && (wanted.is_some() || to.is_some()) {
        let message = "no run of this document has left such a mark";
        return Err(Fault::user("watermark.unknown", message)
            .hint("\"airlock watermark show\" lists them; the first run begins where the reader's parameters say"));
    }
    if meant > 1 && to.is_some() {
        let message = format!("this document has {meant} marks, and a value is for one");
        return Err(Fault::user("watermark.several", message).hint("name it with --mark"));
    }
    let mut left = Vec::new();
    for mut bookmark in kept {
        match (is_meant(&bookmark), &to) {
            (false, _) => left.push(bookmark),
            (true, Some(to)) => {
                let name = split(&bookmark.position).0;
                bookmark.position = format!("{name}={to}").into_bytes();
                left.push(bookmark);
            }
            (true, None) => {}
        }
    }
    Ok(left)
}

/// Name and value for people, also of a bookmark that does not follow the convention.
fn split(position: &[u8]) -> (String, String) {
    match bookmark::parts(position) {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (String::new(), String::from_utf8_lossy(position).into_owned()),
    }
}

fn shown(marks: &[Position]) -> String {
    if marks.is_empty() {
        return "no run of this document has left a mark\n".to_owned();
    }
    let rows: Vec<_> = marks.iter().map(|mark| <[String; 2]>::from(split(mark))).collect();
    table::text(["mark", "value"], &rows)
}

fn json(marks: &[Position]) -> Value {
    let mark = |mark: &Position| {
        let (name, value) = split(mark);
        json!({"name": name, "value": value})
    };
    json!({"status": "succeeded", "marks": marks.iter().map(mark).collect::<Vec<_>>(), "error": null})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(kept: &[&str], to: Option<&str>, mark: Option<&str>) -> Result<Vec<String>, String> {
        let kept =
            kept.iter().map(|text| Bookmark { position: text.as_bytes().to_vec(), created_ms: 1 });
        let left = change(kept.collect(), to.map(str::to_owned), mark.map(str::to_owned));
        let text = |bookmark: Bookmark| String::from_utf8_lossy(&bookmark.position).into_owned();
        left.map(|left| left.into_iter().map(text).collect()).map_err(|fault| fault.code)
    }

    #[test]
    fn marks_are_forgotten_or_set() {
        let both = ["a.id=1", "b.id=2"];
        assert_eq!(changed(&both, None, None), Ok(vec![]));
        assert_eq!(changed(&both, None, Some("a.id")), Ok(vec!["b.id=2".into()]));
        assert_eq!(
            changed(&both, Some("7=8"), Some("b.id")),
            Ok(vec!["a.id=1".into(), "b.id=7=8".into()])
        );
        assert_eq!(changed(&["a.id=1"], Some("0"), None), Ok(vec!["a.id=0".into()]));
        assert_eq!(changed(&both, Some("0"), None), Err("watermark.several".into()));
        assert_eq!(changed(&both, None, Some("c")), Err("watermark.unknown".into()));
        assert_eq!(changed(&[], Some("0"), None), Err("watermark.unknown".into()));
        assert_eq!(changed(&[], None, None), Ok(vec![]));
    }

    #[test]
    fn marks_are_shown_as_text() {
        let marks = vec![b"shop.public.t.at=2025-01-01 00:00:00".to_vec()];
        assert_eq!(
            shown(&marks),
            "  mark              value\n  shop.public.t.at  2025-01-01 00:00:00\n"
        );
        assert_eq!(json(&marks)["marks"][0]["name"], "shop.public.t.at");
    }
}

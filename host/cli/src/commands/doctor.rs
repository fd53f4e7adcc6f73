//! `airlock doctor`: whether this machine has what a run needs.

use std::io::Write;
use std::path::Path;

use domain::fault::{Fault, Result};
use rustix::process::{Resource, getrlimit};
use sandbox::{Compiled, Limits, Sandbox};
use serde_json::{Value, json};
use store::SqliteStore;

use crate::arguments::LimitArguments;
use crate::catalogue::Plugin;
use crate::failure::Ending;
use crate::folders::Folders;
use crate::host::Host;
use crate::render::{fault, table};
use crate::{human, job};

/// Open files below this are too few for many lanes.
const OPEN_FILES_WANTED: u64 = 1024;
/// The first kernel with `openat2`, which keeps a plug-in's paths in its folders by one call.
const KERNEL_WANTED: (u32, u32) = (5, 6);
/// The exit code when something is missing.
const EXIT_FAILED: u8 = 3;

/// How one look ended.
#[derive(Clone, Debug)]
enum Finding {
    Good(String),
    /// Runs work, but not as well as they could.
    Poor(String),
    Bad(Fault),
}

struct Look {
    name: String,
    finding: Finding,
}

pub(crate) async fn doctor(host: &Host, arguments: &LimitArguments) -> Ending {
    let limits = job::read_limits(arguments)?;
    let mut looks = vec![
        look("version", Finding::Good(env!("CARGO_PKG_VERSION").into())),
        look("time zone", time_zone(host)),
        look("kernel", kernel()),
        look("processors", processors()),
        look("open files", open_files()),
    ];
    match host.folders() {
        Ok(folders) => {
            looks.extend(folder_looks(&folders));
            looks.extend(plugin_looks(&folders, limits.clone()).await);
        }
        Err(fault) => looks.push(look("state folder", Finding::Bad(fault))),
    }
    let failed = looks.iter().find_map(|look| match &look.finding {
        Finding::Bad(fault) => Some(fault),
        Finding::Good(_) | Finding::Poor(_) => None,
    });
    host.console.result(|| text(&looks, &limits), || json(&looks, &limits, failed))?;
    Ok(if failed.is_some() { EXIT_FAILED } else { 0 })
}

fn look(name: &str, finding: Finding) -> Look {
    Look { name: name.to_owned(), finding }
}

fn time_zone(host: &Host) -> Finding {
    let now = host.now.strftime("%Y-%m-%d %H:%M:%S");
    let text = format!("{}, it is {now}", host.zone());
    match host.now.time_zone().is_unknown() {
        true => {
            Finding::Poor(format!("{text}; the machine's zone is unknown, UTC is used (set TZ)"))
        }
        false => Finding::Good(text),
    }
}

fn kernel() -> Finding {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else {
        return Finding::Poor("unknown: /proc is not there".into());
    };
    let release = release.trim().to_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version >= KERNEL_WANTED {
        true => Finding::Good(release),
        false => Finding::Poor(format!("{release}, without openat2: opening files takes longer")),
    }
}

fn processors() -> Finding {
    match std::thread::available_parallelism() {
        Ok(count) => Finding::Good(count.to_string()),
        Err(error) => Finding::Poor(format!("unknown: {error}")),
    }
}

fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_WANTED => Finding::Poor(format!(
            "{limit} at most, raise it with \"ulimit -n {OPEN_FILES_WANTED}\""
        )),
        Some(limit) => Finding::Good(format!("{limit} at most")),
        None => Finding::Good("no limit".into()),
    }
}

fn folder_looks(folders: &Folders) -> Vec<Look> {
    let finding = |result: Result<String>| match result {
        Ok(text) => Finding::Good(text),
        Err(fault) => Finding::Bad(fault),
    };
    let created = folders.create();
    let writable = |folder: &Path| created.clone().and_then(|()| writable(folder));
    let books = created.clone().and_then(|()| SqliteStore::open(&folders.state));
    vec![
        look("state folder", finding(writable(&folders.state))),
        look("cache folder", finding(writable(&folders.cache))),
        look("books", finding(books.map(|_| "can be read and written".into()))),
    ]
}

fn writable(folder: &Path) -> Result<String> {
    let file = folder.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::File::create(&file).and_then(|mut file| file.write_all(b"airlock"));
    // What was not written need not be removed.
    let _ = std::fs::remove_file(&file);
    match written {
        Ok(()) => Ok(format!("{} is writable", folder.display())),
        Err(error) => Err(Fault::external(
            "state.folder",
            format!("cannot write in \"{}\": {error}", folder.display()),
        )
        .hint("name a writable folder with --state-dir or AIRLOCK_STATE_DIR")),
    }
}

async fn plugin_looks(folders: &Folders, limits: Limits) -> Vec<Look> {
    let settings = sandbox::Settings {
        cache_dir: Some(folders.cache.clone()),
        limits,
        ..sandbox::Settings::default()
    };
    let sandbox = match Sandbox::new(settings) {
        Ok(sandbox) => sandbox,
        Err(fault) => return vec![look("sandbox", Finding::Bad(fault))],
    };
    let mut looks = vec![look("sandbox", Finding::Good("starts".into()))];
    for built_in in bundle::plugins() {
        let finding = match Plugin::built_in(&sandbox, *built_in).await {
            Ok(plugin) => Finding::Good(compiled_text(plugin.component.compiled())),
            Err(fault) => Finding::Bad(fault),
        };
        looks.push(look(&format!("plug-in {}", built_in.name), finding));
    }
    looks
}

fn compiled_text(compiled: Compiled) -> String {
    match compiled {
        Compiled::FromCache(time) => format!("loads from the cache in {}", human::duration(time)),
        Compiled::Fresh(time) => format!("compiled in {}", human::duration(time)),
    }
}

fn text(looks: &[Look], limits: &Limits) -> String {
    let mut text = String::new();
    let width = looks.iter().map(|look| look.name.len()).max().unwrap_or(0);
    for Look { name, finding } in looks {
        let (word, said) = match finding {
            Finding::Good(said) => ("ok", said.clone()),
            Finding::Poor(said) => ("warning", said.clone()),
            Finding::Bad(fault) => ("failed", fault::text(fault).replace('\n', "\n    ")),
        };
        text += &format!("{word:7}  {name:width$}  {said}\n");
    }
    let rows: Vec<_> = Limits::table()
        .iter()
        .map(|row| [row.name.to_owned(), row.value(limits), row.about.to_owned()])
        .collect();
    text += "\nlimits of each plug-in (--limit NAME=VALUE)\n";
    text + &table::text(["name", "value", "bounds"], &rows)
}

fn json(looks: &[Look], limits: &Limits, failed: Option<&Fault>) -> Value {
    let look = |Look { name, finding }: &Look| {
        let (status, detail, error) = match finding {
            Finding::Good(said) => ("ok", Some(said), None),
            Finding::Poor(said) => ("warning", Some(said), None),
            Finding::Bad(fault) => ("failed", None, Some(fault::json(fault))),
        };
        json!({"name": name, "status": status, "detail": detail, "error": error})
    };
    let limit = |row: &sandbox::LimitRow| json!({"name": row.name, "value": row.value(limits), "about": row.about});
    json!({
        "status": if failed.is_some() { "failed" } else { "succeeded" },
        "checks": looks.iter().map(look).collect::<Vec<_>>(),
        "limits": Limits::table().iter().map(limit).collect::<Vec<_>>(),
        "error": failed.map(fault::json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_finding_decides() {
        let looks = [
            look("kernel", Finding::Good("6.1".into())),
            look("state folder", Finding::Bad(Fault::external("state.folder", "no").hint("do"))),
        ];
        let limits = Limits::default();
        let text = text(&looks, &limits);
        let expected =
            "ok       kernel        6.1\nfailed   state folder  no [state.folder]\n      fix: do\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("memory"), "{text}");
        let Finding::Bad(fault) = &looks[1].finding else { panic!("it is bad") };
        let object = json(&looks, &limits, Some(fault));
        assert_eq!(object["status"], "failed");
        assert_eq!(object["checks"][1]["error"]["code"], "state.folder");
    }

    #[test]
    fn a_folder_is_tried_and_left_clean() {
        let folder = tempfile::tempdir().unwrap();
        assert!(writable(folder.path()).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(writable(&folder.path().join("none")).unwrap_err().code, "state.folder");
    }
}

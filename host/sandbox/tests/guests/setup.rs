//! What the tests share: a sandbox, components, configurations.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use domain::grant::{Access, Grant, Place, Requirement};
use domain::port::{Attempt, Budget};
use domain::{Configuration, RunId, Secret, Side};
use sandbox::{Component, Limits, Output, Reach, Sandbox, Settings};
use tokio::sync::OnceCell;

pub(crate) const BUDGET: Budget =
    Budget { rows: 1000, bytes: 1 << 20, wait: Duration::from_millis(100) };

/// One cache for all tests of this binary, so that each guest is compiled once.
static CACHE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Keeps what guests print.
#[derive(Default)]
pub(crate) struct Printed(Mutex<String>);

impl Output for Printed {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

impl Printed {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// Limits that make a test of a limit quick. The short call must be long enough for an honest call on
/// a machine that is busy with everything else.
pub(crate) fn tight() -> Limits {
    Limits {
        memory_bytes: 32 << 20,
        short_call: Duration::from_secs(3),
        long_call: Duration::from_secs(3),
        run_call: Duration::from_secs(3),
        instances: 32,
        ..Limits::default()
    }
}

pub(crate) fn sandbox(limits: Limits) -> (Sandbox, Arc<Printed>) {
    let printed = Arc::new(Printed::default());
    let settings = Settings {
        cache_dir: Some(CACHE.path().join("cache")),
        limits,
        output: printed.clone(),
        ..Settings::default()
    };
    (Sandbox::new(settings).unwrap(), printed)
}

/// A guest in a sandbox with its own limits.
pub(crate) async fn guest_within(name: &str, limits: Limits) -> (Component, Arc<Printed>) {
    // One compilation at a time, so that the others find it in the cache.
    static TURN: OnceCell<tokio::sync::Mutex<()>> = OnceCell::const_new();
    let turn = TURN.get_or_init(|| async { tokio::sync::Mutex::new(()) }).await;
    let _turn = turn.lock().await;
    let (sandbox, printed) = sandbox(limits);
    let component = sandbox.load(testkit::guest::component(name), name).await.unwrap();
    (component, printed)
}

pub(crate) async fn guest(name: &str) -> Component {
    guest_within(name, Limits::default()).await.0
}

pub(crate) fn configuration(kind: &str, side: Side, parameter: &str) -> Configuration {
    Configuration {
        source_type: kind.into(),
        side,
        connection: Secret::new(r#"{"password":"canary"}"#),
        connection_blanked: r#"{"password":""}"#.into(),
        parameter: parameter.into(),
        parameter_blanked: parameter.into(),
    }
}

pub(crate) fn faulty(side: Side, parameter: &str) -> Configuration {
    configuration("faulty", side, parameter)
}

pub(crate) fn attempt() -> Attempt {
    Attempt { run: RunId("r1".into()), epoch: 1, bounded: true, verify: false }
}

pub(crate) fn tcp(host: &str, port: u16) -> Reach {
    let requirement = Requirement::Tcp { host: host.into(), first_port: port, last_port: port };
    let place = Place::Tcp { host: host.into(), port };
    let grant = Grant { requirement, place, origin: "/connection/host".into() };
    Reach::new(&[grant], Path::new("/")).unwrap()
}

pub(crate) fn folder(base: &Path, path: &str, access: Access) -> Reach {
    let requirement = Requirement::Directory { path: path.into(), access };
    let place = Place::Directory { path: path.into(), access };
    let grant = Grant { requirement, place, origin: "/parameter/path".into() };
    Reach::new(&[grant], base).unwrap()
}

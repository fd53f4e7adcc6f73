//! Which call is the one to stop at, and the stop.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Side;

/// How often the file that lets a stopped program go on is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

#[derive(Debug)]
struct Point {
    /// `writer.commit`, `writer.commit.host`, `any` or `host`.
    call: String,
    nth: u32,
    moment: Moment,
}

/// The calls that are under way.
#[derive(Debug, Default)]
struct UnderWay {
    reader: Option<&'static str>,
    transformer: Option<&'static str>,
    writer: Option<&'static str>,
}

impl UnderWay {
    fn of(&mut self, side: Side) -> &mut Option<&'static str> {
        match side {
            Side::Reader => &mut self.reader,
            Side::Transformer => &mut self.transformer,
            Side::Writer => &mut self.writer,
        }
    }
}

/// The point of this process, and the calls so far.
pub(crate) struct Points {
    point: Option<Point>,
    reached: PathBuf,
    seen: Mutex<u32>,
    under_way: Mutex<UnderWay>,
    trace: Option<Mutex<File>>,
}

impl Points {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let point = variable("AIRLOCK_STOP").map(|text| parse(&text)).transpose()?;
        let reached = variable("AIRLOCK_STOP_REACHED").unwrap_or_default().into();
        let open = |path: String| OpenOptions::new().create(true).append(true).open(path);
        let trace = variable("AIRLOCK_STOP_TRACE").map(open).transpose();
        let trace = trace.map_err(|error| error.to_string())?.map(Mutex::new);
        Ok(Self { point, reached, seen: Mutex::new(0), under_way: Mutex::default(), trace })
    }

    /// The call's work, with the stop before or after it where it is due.
    pub(crate) async fn around<T>(&self, call: &'static str, work: impl Future<Output = T>) -> T {
        let due = self.due(call);
        if due == Some(Moment::Before) {
            self.stop(call).await;
        }
        let side = side(call);
        if let Some(side) = side {
            *locked(&self.under_way).of(side) = Some(call);
        }
        let answer = work.await;
        if let Some(side) = side {
            *locked(&self.under_way).of(side) = None;
        }
        self.write_down(&format!("{call} done"));
        if due == Some(Moment::After) {
            self.stop(call).await;
        }
        answer
    }

    /// A guest is about to call its host. Blocks where that is the point.
    pub(crate) fn host_call(&self, side: Side) {
        let Some(call) = *locked(&self.under_way).of(side) else { return };
        let call = format!("{call}.host");
        if self.due(&call).is_some() {
            self.say_reached(&call);
            while !self.may_go_on() {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn due(&self, call: &str) -> Option<Moment> {
        self.write_down(call);
        let point = self.point.as_ref()?;
        let each = if call.ends_with(".host") { "host" } else { "any" };
        if point.call != call && point.call != each {
            return None;
        }
        let mut seen = locked(&self.seen);
        *seen += 1;
        (*seen == point.nth).then_some(point.moment)
    }

    fn write_down(&self, line: &str) {
        if let Some(trace) = &self.trace {
            // A trace that cannot be written is one that the test will miss.
            let _ = locked(trace).write_all(format!("{line}\n").as_bytes());
        }
    }

    async fn stop(&self, call: &str) {
        self.say_reached(call);
        while !self.may_go_on() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn say_reached(&self, call: &str) {
        // Written apart and renamed: who sees the file sees all of it.
        let making = self.reached.with_extension("making");
        let _ =
            std::fs::write(&making, call).and_then(|()| std::fs::rename(&making, &self.reached));
    }

    fn may_go_on(&self) -> bool {
        let mut go = self.reached.clone().into_os_string();
        go.push(".go");
        PathBuf::from(go).exists()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On whose side a call of a port is; `None` for the store.
fn side(call: &str) -> Option<Side> {
    match call.split('.').next() {
        Some("source" | "reader") => Some(Side::Reader),
        Some("destination" | "writer") => Some(Side::Writer),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Point, String> {
    let wrong = || format!("\"{text}\" is no stop point, such as writer.commit:2:before");
    let mut parts = text.split(':');
    let (call, nth, moment) = (parts.next(), parts.next(), parts.next());
    let (Some(call), Some(nth), Some(moment)) = (call, nth, moment) else { return Err(wrong()) };
    let moment = match moment {
        "before" => Moment::Before,
        "after" => Moment::After,
        _ => return Err(wrong()),
    };
    Ok(Point { call: call.into(), nth: nth.parse().map_err(|_| wrong())?, moment })
}

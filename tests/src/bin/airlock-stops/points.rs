//! Which call is the one to stop at, and the stop.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// How often the file that lets a stopped program go on is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

#[derive(Debug)]
struct Point {
    /// `writer.commit`, or `any`.
    call: String,
    nth: u32,
    moment: Moment,
}

/// The point of this process, and the calls so far.
pub(crate) struct Points {
    point: Option<Point>,
    reached: PathBuf,
    seen: Mutex<u32>,
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
        Ok(Self { point, reached, seen: Mutex::new(0), trace })
    }

    /// The call's work, with the stop before or after it where it is due.
    pub(crate) async fn around<T>(&self, call: &str, work: impl Future<Output = T>) -> T {
        let due = self.due(call);
        if due == Some(Moment::Before) {
            self.stop(call).await;
        }
        let answer = work.await;
        if due == Some(Moment::After) {
            self.stop(call).await;
        }
        answer
    }

    fn due(&self, call: &str) -> Option<Moment> {
        if let Some(trace) = &self.trace {
            let mut trace = trace.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            // A trace that cannot be written is one that the test will miss.
            let _ = writeln!(trace, "{call}");
        }
        let point = self.point.as_ref()?;
        if point.call != call && point.call != "any" {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *seen += 1;
        (*seen == point.nth).then_some(point.moment)
    }

    async fn stop(&self, call: &str) {
        // Written apart and renamed: who sees the file sees all of it.
        let making = self.reached.with_extension("making");
        let _ =
            std::fs::write(&making, call).and_then(|()| std::fs::rename(&making, &self.reached));
        let mut go = self.reached.clone().into_os_string();
        go.push(".go");
        let go = PathBuf::from(go);
        while !go.exists() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
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

//! The report of a run as one HTML file: no script, nothing from elsewhere.
//!
//! Names come from servers and plug-ins, so every text goes through [`html`].

use std::fmt::Write;
use std::time::Duration;

use domain::run::RunState;
use store::DirtyReason;

use crate::human;
use crate::kept::{Kept, KeptColumn, KeptSpent, KeptTask};
use crate::render::escape;

mod plot;

const STYLE: &str = include_str!("report/style.css");
/// Tasks that the page lists.
const TASKS_MAX: usize = 50;

/// All that is told of a run.
pub(crate) struct Report {
    pub(crate) run: String,
    pub(crate) document: String,
    pub(crate) state: RunState,
    /// What stopped or broke the run last.
    pub(crate) fault: Option<String>,
    /// The newest last, each with the time when it began, for people.
    pub(crate) attempts: Vec<(String, Kept)>,
    pub(crate) dirty: Vec<DirtyReason>,
    /// When the page was made, for people.
    pub(crate) now: String,
}

/// A text in HTML, also within an attribute; controls are shown, not obeyed.
fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in escape::line(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // A name must not turn the words around it.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                safe.extend(character.escape_unicode());
            }
            other => safe.push(other),
        }
    }
    safe
}

pub(crate) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Run {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        html(&report.run)
    );
    page += &head(report);
    match report.attempts.last() {
        Some((_, kept)) => page += &body(report, kept),
        None => {
            page += "<p>The books have no report of this run: it was not begun, or by an older version.</p>\n"
        }
    }
    page += &attempts(&report.attempts);
    write!(
        page,
        "<p class=\"quiet\">Made {} by airlock report.</p>\n</body>\n</html>\n",
        html(&report.now)
    )
    .ok();
    page
}

fn head(report: &Report) -> String {
    let (word, class) = match report.state {
        RunState::Succeeded => ("succeeded", "succeeded"),
        RunState::Failed => ("failed", "failed"),
        other => (other.word(), "open"),
    };
    let mut text = format!(
        "<h1>Run {} <span class=\"state {class}\">{word}</span></h1>\n<p class=\"quiet\">{}</p>\n",
        html(&report.run),
        html(&report.document)
    );
    if let Some(fault) = &report.fault {
        writeln!(text, "<p class=\"note bad\">{}</p>", html(fault)).ok();
    }
    text
}

fn body(report: &Report, kept: &Kept) -> String {
    let mut text = tiles(kept);
    for advice in &kept.advice {
        writeln!(text, "<p class=\"note\"><b>Advice:</b> {}</p>", html(&advice.text)).ok();
    }
    text += &notes(kept);
    text += &rates(kept);
    text += &stages(kept);
    text += &lanes(kept);
    text += &tasks(kept);
    text += &dirty(&report.dirty);
    text += &columns(kept);
    text + &grants(kept)
}

fn tiles(kept: &Kept) -> String {
    let counts = &kept.counts;
    let elapsed = Duration::from_millis(kept.elapsed_ms);
    let mut tiles = vec![
        ("read", human::count(counts.records_read), human::bytes(counts.bytes_read)),
        ("written", human::count(counts.records_written), human::bytes(counts.bytes_written)),
        ("dirty", human::count(counts.records_dirty), String::new()),
    ];
    if counts.records_nulled > 0 {
        tiles.push((
            "with NULL in place of a value",
            human::count(counts.records_nulled),
            String::new(),
        ));
    }
    if counts.records_filtered > 0 {
        tiles.push(("filtered", human::count(counts.records_filtered), String::new()));
    }
    if counts.records_changed > 0 {
        tiles.push((
            "changed by the destination",
            human::count(counts.records_changed),
            String::new(),
        ));
    }
    let commit = kept.commit_mode.clone().unwrap_or_default();
    tiles.push(("elapsed", human::duration(elapsed), format!("clock {}", kept.clock)));
    let retries = human::plural(total(kept).retries, "try").replace("trys", "tries");
    tiles.push((
        "tasks",
        human::count(total(kept).tasks),
        format!("{retries} again; commit {commit}"),
    ));
    let tile = |(word, big, small): &(&str, String, String)| {
        let small = if small.is_empty() { String::new() } else { format!("<br>{}", html(small)) };
        format!("<div class=\"tile\"><b>{}</b><span>{word}{small}</span></div>\n", html(big))
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.iter().map(tile).collect::<String>())
}

/// Of all lanes.
fn total(kept: &Kept) -> KeptSpent {
    let mut total = KeptSpent::default();
    for lane in &kept.lanes {
        total.tasks += lane.spent.tasks;
        total.retries += lane.spent.retries;
    }
    total
}

fn notes(kept: &Kept) -> String {
    let note =
        |class: &str, text: &String| format!("<p class=\"note {class}\">{}</p>\n", html(text));
    let notes = kept.notes.iter().map(|text| note("", text));
    notes.chain(kept.warnings.iter().map(|text| note("warn", text))).collect()
}

fn rates(kept: &Kept) -> String {
    let records = plot::rates(&kept.samples, |one| [one.records_read, one.records_written], 1.0);
    let bytes =
        plot::rates(&kept.samples, |one| [one.bytes_read, one.bytes_written], f64::from(1 << 20));
    if records.is_empty() {
        return String::new();
    }
    format!(
        "<section>\n<h2>Rates</h2>\n<div class=\"key\"><span><i class=\"line mark-read\"></i>read</span>\
         <span><i class=\"line dash mark-write\"></i>written</span></div>\n\
         <figure><figcaption>Records a second</figcaption>{records}</figure>\n\
         <figure><figcaption>MiB a second</figcaption>{bytes}</figure>\n</section>\n"
    )
}

/// A table; cells of columns whose head begins with `#` are numbers. Cells are HTML already.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let class = |name: &str| if name.starts_with('#') { " class=\"n\"" } else { "" };
    let mut text = "<div class=\"scroll\"><table><thead><tr>".to_owned();
    for name in head {
        write!(text, "<th{}>{}</th>", class(name), html(name.trim_start_matches('#'))).ok();
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in rows {
        text += "<tr>";
        for (name, cell) in head.iter().zip(row) {
            let class = if name.is_empty() { " class=\"bar\"" } else { class(name) };
            write!(text, "<td{class}>{cell}</td>").ok();
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

fn time(milliseconds: u64) -> String {
    human::duration(Duration::from_millis(milliseconds))
}

fn stages(kept: &Kept) -> String {
    if kept.stages.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = kept.stages.iter().map(|(word, took)| [html(word), time(*took)]).collect();
    format!("<section>\n<h2>Stages</h2>\n{}</section>\n", table(["stage", "#took"], &rows))
}

const KEY: &str = "<div class=\"key\"><span><i class=\"reading\"></i>reading</span><span><i class=\"processing\"></i>processing</span>\
<span><i class=\"writing\"></i>writing</span><span><i class=\"committing\"></i>committing</span>\
<span><i class=\"waiting\"></i>waiting</span><span>upper bar: reading half, lower bar: writing half</span></div>\n";

/// How a time was spent, in the columns that lanes and tasks share.
fn spent(spent: &KeptSpent, longest: u64) -> [String; 9] {
    [
        time(spent.elapsed_ms),
        plot::bars(spent, longest),
        time(spent.reading_ms),
        time(spent.writing_ms + spent.committing_ms),
        time(spent.waiting_reader_ms),
        time(spent.waiting_writer_ms),
        time(spent.waiting_throttle_ms),
        human::count(spent.records),
        human::bytes(spent.bytes),
    ]
}

fn lanes(kept: &Kept) -> String {
    let longest = kept.lanes.iter().map(|lane| lane.spent.elapsed_ms).max().unwrap_or(0);
    let row = |(name, one): (String, &KeptSpent)| {
        let [took, bars, reading, writing, reader, writer, throttle, records, bytes] =
            spent(one, longest);
        let tasks = human::count(one.tasks);
        [name, tasks, took, bars, reading, writing, reader, writer, throttle, records, bytes]
    };
    let rows: Vec<_> =
        kept.lanes.iter().map(|lane| row((lane.lane.to_string(), &lane.spent))).collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = [
        "lane",
        "#tasks",
        "#at work",
        "",
        "#reading",
        "#writing",
        "#waits for reader",
        "#for writer",
        "#for rate",
        "#records",
        "#bytes",
    ];
    let allowed = human::plural(kept.concurrent.into(), "channel");
    format!(
        "<section>\n<h2>Lanes and waits</h2>\n<p class=\"quiet\">The job allows {allowed}.</p>\n{KEY}{}</section>\n",
        table(head, &rows)
    )
}

fn tasks(kept: &Kept) -> String {
    if kept.slowest.is_empty() {
        return String::new();
    }
    let longest = kept.slowest.first().map_or(0, |task| task.spent.elapsed_ms);
    let row = |task: &KeptTask| {
        let [took, bars, reading, writing, reader, writer, throttle, records, bytes] =
            spent(&task.spent, longest);
        let label = format!(
            "{} {}{}",
            task.task,
            html(&task.label),
            if task.done { "" } else { " <span class=\"open\">(unfinished)</span>" }
        );
        [
            label,
            task.lane.to_string(),
            took,
            bars,
            reading,
            writing,
            reader,
            writer,
            throttle,
            records,
            bytes,
        ]
    };
    let rows: Vec<_> = kept.slowest.iter().take(TASKS_MAX).map(row).collect();
    let head = [
        "split",
        "#lane",
        "#took",
        "",
        "#reading",
        "#writing",
        "#waits for reader",
        "#for writer",
        "#for rate",
        "#records",
        "#bytes",
    ];
    let others = kept.slowest.len().saturating_sub(TASKS_MAX) as u64 + kept.rest.tasks;
    let more = match others {
        0 => String::new(),
        others => format!(
            "<p class=\"quiet\">and {} that were quicker</p>\n",
            human::plural(others, "task")
        ),
    };
    format!("<section>\n<h2>Slowest splits</h2>\n{KEY}{}{more}</section>\n", table(head, &rows))
}

fn dirty(reasons: &[DirtyReason]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let row = |reason: &DirtyReason| {
        let text = |text: &Option<String>| html(text.as_deref().unwrap_or_default());
        [
            human::count(reason.records),
            reason.stage.word().into(),
            text(&reason.column),
            format!("<code>{}</code>", html(&reason.code)),
            html(&reason.message),
            text(&reason.origin),
        ]
    };
    let rows: Vec<_> = reasons.iter().map(row).collect();
    let head = ["#records", "stage", "column", "code", "first message", "first at"];
    format!("<section>\n<h2>Dirty records</h2>\n{}</section>\n", table(head, &rows))
}

fn columns(kept: &Kept) -> String {
    let mut text = String::new();
    let mut rest = kept.columns.as_slice();
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|column| column.dataset == first.dataset).count();
        let (ours, others) = rest.split_at(count);
        rest = others;
        let row = |column: &KeptColumn| {
            let cast = match (column.cast.as_str(), column.allowed) {
                ("lossy" | "impossible", allowed) => {
                    let word = if allowed { "allowed" } else { "refused" };
                    format!("<b class=\"open\">{}, {word}</b>", html(&column.cast))
                }
                (cast, _) => html(cast),
            };
            let kind = |kind: &str| format!("<code>{}</code>", html(kind));
            [
                html(&column.from),
                kind(&column.from_type),
                html(&column.to),
                kind(&column.to_type),
                cast,
            ]
        };
        let rows: Vec<_> = ours.iter().map(row).collect();
        let table = table(["from", "type", "to", "type", "cast"], &rows);
        write!(text, "<h3>{}</h3>\n{table}", html(&first.dataset)).ok();
    }
    if text.is_empty() {
        return text;
    }
    let more = match kept.columns_more {
        0 => String::new(),
        more => {
            format!("<p class=\"quiet\">and {} more</p>\n", human::plural(more as u64, "column"))
        }
    };
    format!("<section>\n<h2>Mapping and casts</h2>\n{text}{more}</section>\n")
}

fn grants(kept: &Kept) -> String {
    let rows: Vec<_> = kept
        .grants
        .iter()
        .map(|grant| {
            [
                html(&grant.side),
                html(&grant.place),
                format!("<code>{}</code>", html(&grant.named_by)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let table = table(["side", "place", "named by"], &rows);
    format!("<section>\n<h2>Grants</h2>\n{table}</section>\n")
}

/// Where there was more than one.
fn attempts(attempts: &[(String, Kept)]) -> String {
    if attempts.len() < 2 {
        return String::new();
    }
    let rows: Vec<_> = attempts
        .iter()
        .map(|(began, kept)| {
            let error = kept.error.as_deref().unwrap_or_default();
            let read = human::count(kept.counts.records_read);
            [html(began), html(&kept.status), time(kept.elapsed_ms), read, html(error)]
        })
        .collect();
    let table = table(["began", "ended", "#took", "#read so far", "why"], &rows);
    format!("<section>\n<h2>Attempts</h2>\n{table}</section>\n")
}

#[cfg(test)]
mod tests;

use domain::grant::{Access, Place, Requirement};
use domain::verify::DifferenceKind;

use engine::advice::Advice;

use super::*;

fn full() -> Summary {
    let requirement = Requirement::Directory { path: "in".into(), access: Access::Read };
    let place = Place::Directory { path: "in".into(), access: Access::Read };
    let counts = Counts {
        records_read: 1_000_000,
        records_written: 999_998,
        records_dirty: 2,
        bytes_read: 3 << 20,
        bytes_written: 2 << 20,
        ..Counts::default()
    };
    Summary {
        run: Some(RunId("r1".into())),
        status: Status::Succeeded,
        resumed: false,
        counts,
        elapsed: Duration::from_secs(2),
        waited_reader: Duration::from_millis(1500),
        waited_writer: Duration::ZERO,
        waited_throttle: Duration::ZERO,
        tasks: 4,
        tasks_resumed: 1,
        retries: 1,
        commit_mode: Some(CommitMode::Staged),
        grants: vec![(
            "reader",
            Grant { requirement, place, origin: "/steps/0/parameter/path".into() },
        )],
        clock: "2025-11-01 02:30:45 (UTC), business date 20251031".into(),
        dirty: vec![DirtyReason {
            stage: "cast",
            code: "cast.overflow".into(),
            column: Some("amount".into()),
            message: "out of range".into(),
            origin: Some("a.csv line 7".into()),
            records: 2,
        }],
        watermarks: vec!["t.id above 1 up to 9".into()],
        advice: vec![Advice { code: "source", text: "the source is slow".into() }],
        notes: vec!["types were inferred".into()],
        verified: None,
        warnings: Vec::new(),
        resume: None,
        fault: None,
    }
}

fn verified_lines(verified: Verified) -> Vec<String> {
    let text = text(&Summary { verified: Some(verified), ..full() });
    let lines = text.lines().skip_while(|line| !line.contains("verified"));
    lines.take_while(|line| !line.contains("elapsed")).map(str::to_owned).collect()
}

#[test]
fn what_was_read_back_is_told() {
    let key = vec!["id".to_owned()];
    let right = Verified { written: 2, found: 2, key: key.clone(), ..Verified::default() };
    assert_eq!(
        verified_lines(right.clone()),
        ["  verified  2 records read back as written, compared by id"]
    );
    let no_key = Verified { key: Vec::new(), ..right.clone() };
    assert!(verified_lines(no_key)[0].ends_with("one checksum, since there is no key"));
    let difference = |kind, value: Option<&str>, columns: &[&str]| Difference {
        kind,
        key: vec![("id".into(), value.map(str::to_owned))],
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    };
    let wrong = Verified {
        buckets_differ: 3,
        missing: 1,
        different: 2,
        differences: vec![
            difference(DifferenceKind::Missing, None, &[]),
            difference(DifferenceKind::Different, Some("7"), &["amount", "note"]),
        ],
        ..right
    };
    assert_eq!(
        verified_lines(wrong),
        [
            "  verified  NOT as written: 2 records read back, 2 written; of the keys 1 missing, 0 too often, 2 differ",
            "            missing id=NULL",
            "            different id=7 in amount, note",
            "            and 1 other",
        ]
    );
}

#[test]
fn a_summary_for_people() {
    assert_eq!(
        text(&full()),
        "\
succeeded run r1
  read      1,000,000 records, 3.0 MiB
  written   999,998 records, 2.0 MiB
  dirty     2 records
            2 x cast column \"amount\": out of range [cast.overflow], first at a.csv line 7
            all of them: airlock dirty show r1
  elapsed   2.0 s, 500,000 records/s, 1.5 MiB/s (waited 1.5 s for the reader, 0 ms for the writer)
  tasks     4, 1 done before, 1 retry
  commit    staged
  watermark t.id above 1 up to 9
  granted   reader: read in (named by /steps/0/parameter/path)
  clock     2025-11-01 02:30:45 (UTC), business date 20251031
  advice    the source is slow
  note      types were inferred
"
    );
}

#[test]
fn a_summary_for_programs_has_every_key() {
    let object = json(&full());
    let keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "run_id",
        "status",
        "records_read",
        "records_nulled",
        "records_written",
        "records_added",
        "records_filtered",
        "records_dirty",
        "bytes_read",
        "bytes_written",
        "elapsed_ms",
        "tasks",
        "grants",
        "error",
    ] {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(object["status"], "succeeded");
    assert_eq!(object["error"], Value::Null);
    assert_eq!(object["grants"][0]["place"], "read in");
    let mut failed = full();
    failed.fault = Some(Fault::data("run.dirty_limit", "too many"));
    assert_eq!(json(&failed)["error"]["code"], "run.dirty_limit");
}

#[test]
fn the_wait_for_the_rate_is_shown_where_there_is_one() {
    let summary = Summary { waited_throttle: Duration::from_secs(1), retries: 3, ..full() };
    let text = text(&summary);
    assert!(text.contains("0 ms for the writer, 1.0 s for the limit on the rate)\n"), "{text}");
    assert!(text.contains("  tasks     4, 1 done before, 3 retries\n"), "{text}");
    assert_eq!(json(&summary)["waited_throttle_ms"], 1000);
}

#[test]
fn a_resumed_run_has_no_rate() {
    let summary = Summary { resumed: true, ..full() };
    assert!(
        text(&summary).contains("  elapsed   2.0 s in this attempt (waited"),
        "{}",
        text(&summary)
    );
}

#[test]
fn a_run_that_never_began_has_every_key() {
    let begun = json(&full());
    let nothing = of_nothing();
    assert!(begun.as_object().unwrap().keys().eq(nothing.keys()));
    assert_eq!((&nothing["run_id"], &nothing["records_read"]), (&Value::Null, &0.into()));
    assert_eq!(nothing["status"], "failed");
}

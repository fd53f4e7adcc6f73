use domain::port::DirtyStage;

use super::*;
use crate::kept::{KeptAdvice, KeptGrant, KeptLane};
use crate::sampler::Sample;

/// What a server or a plug-in might call its things.
const HOSTILE: &str = "<script>alert('1')</script>\"&\u{1b}[2J\u{202e}x";

fn full() -> Report {
    let hostile = || HOSTILE.to_owned();
    let spent = KeptSpent {
        tasks: 2,
        elapsed_ms: 4000,
        reading_ms: 3000,
        writing_ms: 500,
        waiting_reader_ms: 3400,
        records: 1000,
        bytes: 1 << 20,
        ..KeptSpent::default()
    };
    let task = KeptTask { label: hostile(), spent, ..KeptTask::default() };
    let column = KeptColumn {
        dataset: hostile(),
        from: hostile(),
        from_type: hostile(),
        to: hostile(),
        to_type: hostile(),
        cast: "lossy".into(),
        allowed: true,
    };
    let sample = |at_ms: u64| Sample { at_ms, records_read: at_ms, ..Sample::default() };
    let kept = Kept {
        elapsed_ms: 4000,
        status: hostile(),
        commit_mode: Some(hostile()),
        stages: vec![("moving".into(), 4000)],
        lanes: vec![KeptLane { lane: 0, spent }],
        slowest: vec![task; 60],
        samples: (1..20).map(|tick| sample(tick * 200)).collect(),
        advice: vec![KeptAdvice { code: "source".into(), text: hostile() }],
        clock: hostile(),
        grants: vec![KeptGrant { side: hostile(), place: hostile(), named_by: hostile() }],
        columns: vec![column],
        columns_more: 3,
        notes: vec![hostile()],
        warnings: vec![hostile()],
        error: Some(hostile()),
        ..Kept::default()
    };
    let reason = DirtyReason {
        stage: DirtyStage::Cast,
        code: hostile(),
        column: Some(hostile()),
        message: hostile(),
        origin: Some(hostile()),
        records: 7,
        replayed: 0,
    };
    Report {
        run: hostile(),
        document: hostile(),
        state: RunState::Failed,
        fault: Some(hostile()),
        attempts: vec![(hostile(), kept.clone()), (hostile(), kept)],
        dirty: vec![reason],
        now: hostile(),
    }
}

#[test]
fn no_name_is_more_than_a_name() {
    let page = page(&full());
    for mark in ["<script", "alert('1')", "\u{1b}", "\u{202e}"] {
        assert!(!page.contains(mark), "{mark} in {page}");
    }
    let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{1b}[2J\\u{202e}x";
    assert_eq!(page.matches(escaped).count(), 78, "every place shows it");
}

#[test]
fn the_page_stands_alone_and_has_all_parts() {
    let page = page(&full());
    for elsewhere in ["http://", "https://", "src=", "url(", "@import", "<link", "<script"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    for part in [
        "Rates",
        "Stages",
        "Lanes and waits",
        "Slowest splits",
        "Dirty records",
        "Mapping and casts",
        "Grants",
        "Attempts",
        "Advice:",
        "and 10 tasks that were quicker",
        "and 3 columns more",
        "lossy, allowed",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let opened = page.matches("<section>").count();
    assert_eq!((opened, page.matches("</section>").count()), (8, 8));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_run_without_a_report_says_so() {
    let bare = Report { attempts: Vec::new(), state: RunState::Interrupted, ..full() };
    assert!(page(&bare).contains("The books have no report of this run"));
}

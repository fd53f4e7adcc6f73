//! Every act of `faulty`, in every call: the fault that it must be, and a well-behaved session beside
//! it that goes on.

use std::time::Duration;

use domain::port::{Reader as _, Source as _, Step};
use domain::{Fault, FaultDomain, Retry, Side};
use sandbox::{Limits, Reach};

use crate::listening::Listening;
use crate::play::{Beside, Case, all, in_every_call, play, read};
use crate::setup::{BUDGET, faulty, guest, guest_within, tight};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_t24_crashes_and_bombs_end_their_session_alone() {
    let (component, _) = guest_within("faulty", tight()).await;
    let cases = in_every_call(&[
        ("panic", "plugin.trap"),
        ("trap", "plugin.trap"),
        ("recurse", "plugin.trap"),
        ("exit", "plugin.exit"),
        ("memory-abort", "plugin.limit.memory"),
    ]);
    assert_eq!(cases.len(), 5 * 27);
    all(&component, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_t27_endless_loops_end_by_processor_time() {
    // Time on the processor is short, time on the clock is not: a busy machine changes nothing.
    let limits = Limits { cpu_call: Duration::from_millis(200), ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    all(&component, in_every_call(&[("spin", "plugin.limit.cpu_call")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_sleepers_end_by_the_clock() {
    let (component, _) = guest_within("faulty", tight()).await;
    let mut cases = in_every_call(&[("sleep", "")]);
    for case in &mut cases {
        case.code = match case.call {
            "connect" | "check" | "browse" | "discover" | "next-splits" => "plugin.limit.long_call",
            "make-plan" | "preview" | "prepare" | "commit" | "close" | "finish" | "read-back" => {
                "plugin.limit.run_call"
            }
            _ => "plugin.limit.short_call",
        };
    }
    all(&component, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t28_floods_of_host_calls_end_in_time() {
    let limits = Limits { cpu_call: Duration::from_millis(300), ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let flood = |act, code| Case { side: Side::Reader, call: "next", act, more: "", code };
    let slow = Limits { cpu_call: Duration::from_secs(600), ..Limits::default() };
    // Some eight times the limit on output.
    let lines = |act| Case { more: r#", "amount": 100000"#, ..flood(act, "") };
    let (patient, printed) = guest_within("faulty", Limits { output_bytes: 1 << 20, ..slow }).await;
    all(&component, vec![flood("clock-flood", "plugin.limit.cpu_call")]).await;
    let logs = ["log-flood", "log-huge", "log-escapes"].map(|act| flood(act, ""));
    let outputs = ["stdout-flood", "stderr-flood"].map(lines);
    all(&patient, logs.into_iter().chain(outputs).collect()).await;
    assert!(printed.text().len() <= 1 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_t41_lies_are_refused() {
    use Side::{Reader as R, Transformer as T, Writer as W};
    let component = guest("faulty").await;
    let case = |(side, call, act, more, code)| Case { side, call, act, more, code };
    let lie = "plugin.lie.batch";
    let table = [
        (R, "next", "offsets-negative", "", lie),
        (R, "next", "offsets-falling", "", lie),
        (R, "next", "offsets-past-end", "", lie),
        (R, "next", "offsets-short", "", lie),
        (R, "next", "validity-short", "", lie),
        (R, "next", "values-short", "", lie),
        (R, "next", "buffers-few", "", lie),
        (R, "next", "buffers-many", "", lie),
        (R, "next", "dataset-wrong", "", lie),
        (R, "next", "utf8-invalid", "", lie),
        (R, "next", "decimal-wide", "", lie),
        (R, "next", "null-forbidden", "", lie),
        (R, "next", "operations-short", "", lie),
        (R, "next", "operations-odd", "", lie),
        (R, "next", "absent-short", "", lie),
        (R, "next", "absent-many", "", lie),
        (R, "next", "rows-huge", "", "plugin.lie.rows"),
        (R, "next", "rows-over-budget", "", "plugin.lie.rows"),
        // Rows are wide sometimes; the limit on a batch holds.
        (R, "next", "bytes-over-budget", "", ""),
        (R, "next", "position-huge", "", "plugin.limit.position"),
        (R, "next", "changed", "", "plugin.change_unsupported"),
        // How long nothing may come, and whether all rows came, is for the engine to say.
        (R, "next", "idle-forever", "", ""),
        (R, "next", "ended-early", "", ""),
        (R, "tend", "tend-zero", "", ""),
        (R, "next", "undecodable", "", ""),
        (R, "next", "undecodable-many", r#", "amount": 1000"#, ""),
        (R, "next", "undecodable-huge", r#", "amount": 70000000"#, "plugin.limit.batch_bytes"),
        (R, "next", "undecodable-dataset", "", "plugin.lie.dataset"),
        (R, "next", "nulled-beyond", "", "plugin.lie.nulled"),
        (R, "make-plan", "datasets-many", r#", "amount": 70000"#, "plugin.lie.datasets"),
        (R, "make-plan", "fields-many", r#", "amount": 5000"#, "contract.field"),
        (R, "make-plan", "fields-deep", "", "contract.field"),
        (R, "make-plan", "format", r#", "target": "u8""#, "contract.field"),
        (R, "make-plan", "format", r#", "target": "U""#, "contract.type_unsupported"),
        (R, "make-plan", "format", r#", "target": "w:0""#, "contract.type_unsupported"),
        (R, "make-plan", "field-name", r#", "target": "\u001b[2J""#, "contract.name"),
        (R, "make-plan", "format", r#", "target": "d:9,-2""#, "contract.type_unsupported"),
        (R, "make-plan", "format", r#", "target": "d:9,10""#, "contract.type_unsupported"),
        (R, "make-plan", "format", r#", "target": "tsu:\u001b[2J""#, "contract.name"),
        (R, "make-plan", "format", r#", "target": "\u001b[2J""#, "contract.field"),
        (R, "make-plan", "metadata-key", r#", "target": "\u001b[2J""#, "contract.name"),
        (R, "make-plan", "children-missing", "", "contract.field"),
        (R, "make-plan", "metadata-huge", "", "contract.metadata"),
        (R, "make-plan", "start-huge", "", "plugin.limit.token"),
        (R, "discover", "format", r#", "target": "vu""#, "contract.type_unsupported"),
        (R, "next-splits", "splits-many", "", "plugin.lie.splits"),
        (R, "next-splits", "token-huge", "", "plugin.limit.token"),
        (R, "next-splits", "next-huge", "", "plugin.limit.token"),
        (R, "next-splits", "label-huge", "", ""),
        (R, "requirements", "ask-many", "", "plugin.lie.requirements"),
        (
            R,
            "requirements",
            "ask-directory",
            r#", "target": "\u001b[2J""#,
            "plugin.lie.requirements",
        ),
        (R, "requirements", "ask-tcp", r#", "target": "\u202ehost:1""#, "plugin.lie.requirements"),
        // Grants are judged where the documents are known.
        (R, "requirements", "ask-write", r#", "target": "out""#, ""),
        (R, "requirements", "ask-write", r#", "target": "a\u0000b""#, "plugin.lie.requirements"),
        (R, "requirements", "ask-members", r#", "target": "db.example:5432""#, ""),
        (
            R,
            "requirements",
            "ask-members",
            r#", "target": "\u202ehost:1""#,
            "plugin.lie.requirements",
        ),
        (R, "requirements", "ask-http", r#", "target": "https://example.com""#, ""),
        (R, "requirements", "ask-http", r#", "target": "\u001b[2J""#, "plugin.lie.requirements"),
        (R, "check", "steps-many", "", "plugin.lie.steps"),
        // An answer, and no fault of the call.
        (R, "check", "step-fault", "", ""),
        (R, "browse", "entries-many", "", "plugin.lie.entries"),
        (W, "read-back", "forms-missing", "", "plugin.lie.forms"),
        (T, "open", "datasets-few", "", "plugin.lie.datasets"),
        (T, "open", "datasets-many", r#", "amount": 7"#, "plugin.lie.datasets"),
        (T, "open", "format", r#", "target": "vu""#, "contract.type_unsupported"),
        (T, "apply", "offsets-past-end", "", lie),
        (T, "apply", "utf8-invalid", "", lie),
        (T, "apply", "null-forbidden", "", lie),
        (T, "apply", "operations-odd", "", lie),
        (T, "apply", "buffers-few", "", lie),
        (T, "apply", "dataset-wrong", "", "plugin.lie.dataset"),
        (T, "apply", "rows-huge", "", "plugin.lie.origins"),
        (T, "apply", "rows-over-budget", "", "plugin.lie.origins"),
        (T, "apply", "origins-few", "", "plugin.lie.origins"),
        (T, "apply", "origins-beyond", "", "plugin.lie.origins"),
        (T, "apply", "origins-falling", "", "plugin.lie.origins"),
        (T, "apply", "origins-twice", "", "plugin.lie.map"),
        (T, "apply", "taken-none", "", "plugin.lie.taken"),
        (T, "apply", "taken-beyond", "", "plugin.lie.taken"),
        (T, "apply", "refused-beyond", "", "plugin.lie.refused"),
        (T, "apply", "refused-and-out", "", "plugin.lie.refused"),
        (T, "apply", "refused-column", "", "plugin.lie.refused"),
        (T, "apply", "refused-twice", "", "plugin.lie.refused"),
        (T, "apply", "refuse", "", ""),
        (T, "apply", "drop", "", ""),
        (W, "prepare", "datasets-few", "", "plugin.lie.datasets"),
        (W, "prepare", "fields-few", "", "plugin.lie.datasets"),
        (W, "preview", "format", r#", "target": "Z""#, "contract.type_unsupported"),
        (W, "prepare", "wishes-huge", "", ""),
        (W, "committed", "mark-foreign", "", "mark.unreadable"),
        (W, "write", "mark-foreign", "", "mark.unreadable"),
        (W, "commit", "mark-huge", "", "mark.unreadable"),
        (W, "write", "taken-beyond", "", "plugin.lie.taken"),
        (W, "write", "remark", "", ""),
        (W, "write", "remark-batch-beyond", "", "plugin.lie.remark"),
        (W, "write", "remark-row-beyond", "", "plugin.lie.remark"),
        (W, "write", "remark-column-beyond", "", "plugin.lie.remark"),
        // The engine refuses the second refusal of a row.
        (W, "write", "remarks-many", "", ""),
        (W, "write", "undone", "", ""),
        // A mark may become durable later; whether the last one did is for the engine to say.
        (W, "commit", "mark-none", "", ""),
        (W, "close", "mark-none", "", ""),
        (W, "close", "receipt-huge", "", "plugin.limit.position"),
    ];
    all(&component, table.into_iter().map(case).collect()).await;
}

#[tokio::test]
async fn t29_what_a_call_hands_over_is_bounded() {
    let limits = Limits { message_bytes: 1 << 20, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let case = |call, act, code| Case { side: Side::Reader, call, act, more: "", code };
    all(
        &component,
        vec![
            case("next", "position-huge", "plugin.limit.message"),
            case("next", "log-huge", "plugin.limit.message"),
            case("next-splits", "label-huge", "plugin.limit.message"),
            case("check", "steps-many", "plugin.limit.message"),
            case("make-plan", "metadata-huge", "plugin.limit.message"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let limits = Limits { batch_rows: 50, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let fault = read(&component, "{}").await.unwrap_err();
    assert_eq!(fault.code, "plugin.limit.batch_rows");
    assert!(fault.message.ends_with("50") && fault.hint.unwrap().contains("--limit batch-rows="));
    // As many rows that cannot be read are too many, too.
    let limits = Limits { batch_rows: 200, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let undecodable = r#"{"call": "next", "act": "undecodable-many", "amount": 201}"#;
    let fault = read(&component, undecodable).await.unwrap_err();
    assert_eq!(fault.code, "plugin.limit.batch_rows");
    let limits = Limits { batch_bytes: 1024, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let fault = read(&component, "{}").await.unwrap_err();
    assert_eq!(fault.code, "plugin.limit.batch_bytes");
}

#[tokio::test]
async fn describe_is_held_to_its_limits() {
    let limits = Limits { cpu_call: Duration::from_millis(200), ..tight() };
    let (sandbox, _) = crate::setup::sandbox(limits);
    for (act, code) in [
        ("panic", "plugin.trap"),
        ("trap", "plugin.trap"),
        ("recurse", "plugin.trap"),
        ("exit", "plugin.exit"),
        ("spin", "plugin.limit.cpu_call"),
        ("clock-flood", "plugin.limit.cpu_call"),
        ("sleep", "plugin.limit.short_call"),
        ("memory-abort", "plugin.limit.memory"),
    ] {
        let bytes = testkit::guest::faulty_describing(act);
        let component = sandbox.load(bytes, "faulty").await.unwrap();
        let fault = component.describe().await.unwrap_err();
        assert_eq!(fault.code, code, "{fault}");
    }
}

#[tokio::test]
async fn a_guests_own_fault_passes_with_its_words_made_harmless() {
    let component = guest("faulty").await;
    let act = async |act: &str| -> Fault {
        let parameter = format!(r#"{{"call": "connect", "act": "{act}"}}"#);
        read(&component, &parameter).await.unwrap_err()
    };
    let fault = act("fault").await;
    assert_eq!((fault.code.as_str(), fault.domain), ("faulty.fault", FaultDomain::Data));
    assert_eq!((fault.hint.as_deref(), fault.retry), (Some("none"), Retry::Never));
    let fault = act("fault-retry").await;
    assert_eq!(fault.retry, Retry::After(Duration::ZERO));
    assert!(act("fault-huge").await.message.len() < 1100);
    let fault = act("fault-escapes").await;
    let words = fault.message + &fault.hint.unwrap();
    assert!(!words.chars().any(|c| c.is_control() || c == '\u{202e}'), "{words}");
    // No environment, no arguments.
    assert_eq!(act("environment").await.message, "0 variables, 0 arguments");
}

#[tokio::test]
async fn t10_clocks_go_in_steps_of_a_millisecond() {
    let component = guest("faulty").await;
    // The looks take more than one step.
    let fault = read(&component, r#"{"call": "next", "act": "clocks"}"#).await.unwrap_err();
    assert_eq!(fault.message, "0 fine looks");
    // Who waits wakes up no sooner.
    let started = std::time::Instant::now();
    read(&component, r#"{"call": "next", "act": "sleep", "amount": 20}"#).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn a_step_of_a_check_that_fails_is_answered_with_its_fault() {
    let component = guest("faulty").await;
    let step = faulty(Side::Reader, r#"{"call": "check", "act": "step-fault"}"#);
    let checked = component.check(&step, &Reach::none()).await.unwrap();
    let codes = checked.iter().map(|step| step.fault.as_ref().map(|fault| fault.code.as_str()));
    assert_eq!(codes.collect::<Vec<_>>(), [None, Some("faulty.step")]);
}

#[tokio::test]
async fn a_panic_is_told_with_its_message() {
    let component = guest("faulty").await;
    let fault = read(&component, r#"{"call": "next", "act": "panic"}"#).await.unwrap_err();
    assert!(fault.message.contains("panicked on purpose"), "{fault}");
}

#[tokio::test]
async fn memory_that_is_refused_gently_is_no_fault_of_the_host() {
    let (component, _) = guest_within("faulty", tight()).await;
    let fault = read(&component, r#"{"call": "next", "act": "memory"}"#).await.unwrap_err();
    assert_eq!(fault.code, "faulty.refused");
    // "no more memory after 27 MiB": below the cap of 32.
    let grown: u64 = fault.message.split(' ').nth(4).unwrap().parse().unwrap();
    assert!((8..32).contains(&grown), "{fault}");
}

#[tokio::test]
async fn t57_a_call_that_is_given_up_takes_its_session_along() {
    let component = guest("faulty").await;
    let script = r#"{"call": "next", "act": "sleep"}"#;
    for wait in [0, 1, 20] {
        let source = component.source(faulty(Side::Reader, script), Reach::none());
        let mut reader = source.connect().await.unwrap();
        let plan = reader.plan(1, &[]).await.unwrap();
        let splits = reader.splits(&plan.start, 1).await.unwrap();
        reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
        let wait = Duration::from_millis(wait);
        assert!(tokio::time::timeout(wait, reader.next(BUDGET)).await.is_err());
        assert_eq!(reader.next(BUDGET).await.unwrap_err().code, "plugin.dead");
        assert_eq!(reader.tend().await.unwrap_err().code, "plugin.dead");
    }
}

#[tokio::test]
async fn a_session_is_dead_after_a_trap() {
    let component = guest("faulty").await;
    let source =
        component.source(faulty(Side::Reader, r#"{"call": "tend", "act": "trap"}"#), Reach::none());
    let mut reader = source.connect().await.unwrap();
    assert_eq!(reader.tend().await.unwrap_err().code, "plugin.trap");
    assert_eq!(reader.plan(1, &[]).await.unwrap_err().code, "plugin.dead");
}

#[tokio::test]
async fn t03_t43_secrets_and_escapes_stay_out_of_the_log_and_the_output() {
    let (component, printed) = guest_within("faulty", Limits::default()).await;
    let heard = Listening::default();
    let guard = tracing::subscriber::set_default(heard.clone());
    read(&component, r#"{"call": "connect", "act": "leak"}"#).await.unwrap();
    read(&component, r#"{"call": "next", "act": "log-escapes"}"#).await.unwrap();
    drop(guard);
    let lines = heard.lines();
    let told = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!(told("canary"), 0, "{lines:?}");
    // The log, and standard error.
    assert_eq!(told("***"), 2, "{lines:?}");
    assert_eq!(printed.text(), "{\"password\":\"***\"}\n");
    let forged = lines.iter().find(|line| line.contains("owned")).unwrap();
    assert!(!forged.chars().any(|c| c.is_control() || c == '\u{202e}'), "{forged}");
}

#[tokio::test]
async fn t03_secrets_stay_out_of_labels_origins_and_steps() {
    let component = guest("faulty").await;
    let step = |call: &str, act: &str| {
        let parameter = format!(r#"{{"call": "{call}", "act": "{act}", "target": "a canary"}}"#);
        faulty(Side::Reader, &parameter)
    };
    let checked = component.check(&step("check", "step-name"), &Reach::none()).await.unwrap();
    assert_eq!(checked[0].name, "a ***");
    let source = component.source(step("next-splits", "label"), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let plan = reader.plan(1, &[]).await.unwrap();
    assert_eq!(reader.splits(&plan.start, 1).await.unwrap().splits[0].label, "a ***");
    let source = component.source(step("next", "undecodable-origin"), Reach::none());
    let mut reader = source.connect().await.unwrap();
    let splits = reader.splits(&plan.start, 1).await.unwrap();
    reader.open(&splits.splits[0], None, &plan.datasets).await.unwrap();
    let Step::Rows(rows) = reader.next(BUDGET).await.unwrap() else { panic!("no rows") };
    assert_eq!(rows.undecodable[0].origin, "a ***");
}

#[tokio::test]
async fn t43_what_a_plugin_says_about_itself_is_made_harmless() {
    let (sandbox, _) = crate::setup::sandbox(Limits::default());
    let bytes = testkit::guest::faulty_describing("escapes");
    let component = sandbox.load(bytes, "faulty").await.unwrap();
    let said = component.describe().await.unwrap();
    let schemas = said.types.iter().flat_map(|kind| {
        let reader = kind.reader.as_ref().unwrap();
        [kind.connection_schema.clone(), reader.parameter_schema.clone()]
    });
    // As people get it: decoded.
    let decoded: Vec<_> = schemas.map(|schema| schema.replace("\\t", "")).collect();
    assert!(decoded.iter().all(|schema| !schema.contains("\\u00")), "{decoded:?}");
    let whole = format!("{}{decoded:?}", said.summary);
    assert!(whole.contains("owned"));
    let mut texts = vec![&said.name, &said.version, &said.summary];
    texts.extend(said.metadata.iter().flat_map(|(key, value)| [key, value]));
    for kind in &said.types {
        texts.extend([&kind.title, &kind.family].into_iter().chain(&kind.aliases));
        texts.extend(&kind.reader.as_ref().unwrap().features);
    }
    texts.extend(&decoded);
    for text in texts {
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
    let source = component.source(
        faulty(
            Side::Reader,
            r#"{"call": "make-plan", "act": "metadata-value", "target": "\u001b[2J\tok"}"#,
        ),
        Reach::none(),
    );
    let plan = source.connect().await.unwrap().plan(1, &[]).await.unwrap();
    let comment = ("comment".to_owned(), "\\u{1b}[2J\tok".to_owned());
    assert_eq!(plan.datasets[0].metadata, [comment]);
}

#[tokio::test]
async fn destructors_that_misbehave_hurt_nobody() {
    let limits = Limits { cpu_call: Duration::from_millis(100), ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let mut beside = Beside::start(&component).await;
    for act in ["panic", "spin", "recurse", "memory-abort", "exit", "sleep"] {
        for side in [Side::Reader, Side::Transformer, Side::Writer] {
            let parameter = format!(r#"{{"call": "drop-session", "act": "{act}"}}"#);
            assert_eq!(play(&component, side, &parameter).await, Ok(()));
            beside.go_on().await;
        }
    }
}

#[tokio::test]
async fn destructors_that_misbehave_are_told() {
    let limits = Limits { cpu_call: Duration::from_millis(100), ..tight() };
    let (component, _) = guest_within("faulty", limits).await;
    for (act, why) in [
        ("panic", "failed in \"drop\": wasm trap: wasm `unreachable` instruction executed"),
        ("spin", "passed the limit on the time on the processor in one call in \"drop\": 100ms"),
        ("memory-abort", "passed the limit on the memory of an instance in \"drop\": 32MiB"),
        ("exit", "failed in \"drop\": it ended itself with status 1"),
        ("sleep", "took more than 5s in \"drop\" and was stopped"),
    ] {
        let heard = Listening::default();
        let guard = tracing::subscriber::set_default(heard.clone());
        let parameter = format!(r#"{{"call": "drop-session", "act": "{act}"}}"#);
        let source = component.source(faulty(Side::Reader, &parameter), Reach::none());
        drop(source.connect().await.unwrap());
        // The destructor runs behind the session's back.
        let said = || heard.lines().iter().any(|line| line.contains(why));
        for _ in 0..1000 {
            if said() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        drop(guard);
        assert!(said(), "{act}: {:?}", heard.lines());
    }
}

#[tokio::test]
async fn t27_destructors_that_never_end_give_their_places_back() {
    let limits = Limits { cpu_call: Duration::from_millis(100), instances: 4, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    for _ in 0..12 {
        let step = faulty(Side::Reader, r#"{"call": "drop-session", "act": "spin"}"#);
        component.source(step, Reach::none()).connect().await.unwrap();
    }
}

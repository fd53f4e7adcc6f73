//! Misbehaviour where no call of the contract is: while a plug-in starts, where the host asks it for
//! room, and in memories and tables beside the first.

use std::time::Duration;

use domain::port::{Destination as _, Source as _};
use domain::{FaultDomain, Side};
use sandbox::{Component, Limits, Reach, Sandbox};

use crate::play::{Beside, play};
use crate::rewritten::{Code, Place, faulty_with};
use crate::setup::{faulty, sandbox, tight};

async fn load(sandbox: &Sandbox, place: Place, code: Code) -> Component {
    sandbox.load(faulty_with(place, code), "bad").await.unwrap()
}

/// Memory for some more than `faulty` needs; processor time is short, time on the clock is not.
fn short() -> Limits {
    Limits { cpu_call: Duration::from_millis(200), ..tight() }
}

#[tokio::test]
async fn t26_t35_bad_starts_end_alone() {
    let (sandbox, _) = sandbox(short());
    let honest = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
    let mut beside = Beside::start(&honest).await;
    for (code, expected, why) in [
        (Code::Trap, "plugin.trap", "unreachable"),
        (Code::Spin, "plugin.limit.cpu_call", "time on the processor in one call"),
        (Code::Sleep, "plugin.limit.short_call", "time of a call"),
    ] {
        let component = load(&sandbox, Place::Start, code).await;
        let (reader, writer) = (faulty(Side::Reader, "{}"), faulty(Side::Writer, "{}"));
        let source = component.source(reader, Reach::none());
        let destination = component.destination(writer, Reach::none());
        let (described, reads, writes) =
            tokio::join!(component.describe(), source.connect(), destination.connect());
        for fault in [described.err(), reads.err(), writes.err()] {
            let fault = fault.unwrap();
            assert_eq!((fault.code.as_str(), fault.domain), (expected, FaultDomain::Plugin));
            let named = ["plug-in \"bad\"", "\"instantiate\"", why];
            assert!(named.iter().all(|word| fault.message.contains(word)), "{fault}");
        }
        beside.go_on().await;
    }
}

#[tokio::test]
async fn t26_t35_bad_allocators_end_alone() {
    let (sandbox, _) = sandbox(short());
    let honest = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
    let mut beside = Beside::start(&honest).await;
    for (code, expected, why) in [
        (Code::Trap, "plugin.trap", "unreachable"),
        (Code::Spin, "plugin.limit.cpu_call", "time on the processor in one call"),
        // No call of the host is let through while it asks for room.
        (Code::Sleep, "plugin.trap", "cannot leave component instance"),
    ] {
        let component = load(&sandbox, Place::Realloc, code).await;
        // It takes nothing, so nothing is asked for.
        component.describe().await.unwrap();
        let fault = component.requirements(&faulty(Side::Reader, "{}")).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.domain), (expected, FaultDomain::Plugin), "{fault}");
        let named = ["plug-in \"bad\"", "\"requirements\"", why];
        assert!(named.iter().all(|word| fault.message.contains(word)), "{fault}");
        beside.go_on().await;
    }
}

#[tokio::test]
async fn t22_t24_all_memories_and_tables_have_one_limit() {
    let (sandbox, _) = sandbox(tight());
    let honest = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
    let mut beside = Beside::start(&honest).await;

    // The second memory takes what there is, and the table finds nothing left.
    let component = load(&sandbox, Place::Beside, Code::MemoryThenTable(10_000)).await;
    let fault = component.describe().await.unwrap_err();
    assert_eq!(fault.code, "plugin.limit.memory", "{fault}");
    assert!(fault.message.contains("memory of an instance in \"instantiate\": 32MiB"), "{fault}");
    assert!(fault.hint.unwrap().contains("--limit memory=VALUE"));
    beside.go_on().await;
    // An empty table takes nothing.
    load(&sandbox, Place::Beside, Code::MemoryThenTable(0)).await.describe().await.unwrap();

    // What the second memory took is missing in the first.
    let component = load(&sandbox, Place::Beside, Code::Memory(16 * 16)).await;
    let memory = r#"{"call": "next", "act": "memory"}"#;
    let fault = play(&component, Side::Reader, memory).await.unwrap_err();
    assert_eq!(fault.code, "faulty.refused", "{fault}");
    let grown: u64 = fault.message.split(' ').nth(4).unwrap().parse().unwrap();
    assert!((1..16).contains(&grown), "{fault}");
    for side in [Side::Reader, Side::Writer] {
        let abort = r#"{"call": "connect", "act": "memory-abort"}"#;
        let fault = play(&component, side, abort).await.unwrap_err();
        assert_eq!(fault.code, "plugin.limit.memory", "{fault}");
        assert!(fault.message.contains("in \"connect\""), "{fault}");
    }
    beside.go_on().await;
}

#[tokio::test]
async fn t22_t31_t40_codecs_neither_hold_nor_believe_nor_multiply_what_they_are_handed() {
    let (sandbox, _) = sandbox(Limits { memory_bytes: 64 << 20, ..Limits::default() });
    let component = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
    let mut beside = Beside::start(&component).await;
    for (act, expected) in [
        ("codec-hold", "codec.memory codec.gone"),
        (
            "codec-lie",
            "codec.unknown codec.unknown codec.options codec.options codec.options codec.fields \
             codec.batch codec.batch codec.batch none",
        ),
        ("codec-amplify", "codec.answer codec.options codec.options codec.answer"),
    ] {
        for (side, call) in [(Side::Reader, "next"), (Side::Writer, "write")] {
            let parameter = format!(r#"{{"call": "{call}", "act": "{act}"}}"#);
            let fault = play(&component, side, &parameter).await.unwrap_err();
            assert_eq!((fault.code.as_str(), fault.message.as_str()), ("faulty.refused", expected));
            beside.go_on().await;
        }
    }
}

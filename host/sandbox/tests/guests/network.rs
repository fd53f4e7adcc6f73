//! Where a guest can connect: to what its session was granted, and nowhere else.

use std::net::TcpListener;

use domain::Side;
use domain::port::Source as _;
use sandbox::{Component, Reach};

use crate::setup::{faulty, guest, tcp};

/// What became of `act` with `target`: the code and message of the guest's answer.
async fn attempt(component: &Component, reach: Reach, act: &str, target: &str) -> (String, String) {
    let parameter = format!(r#"{{"call": "connect", "act": "{act}", "target": "{target}"}}"#);
    let source = component.source(faulty(Side::Reader, &parameter), reach);
    let fault = source.connect().await.err().unwrap();
    (fault.code, fault.message)
}

async fn reaches(component: &Component, reach: Reach, act: &str, target: &str) -> bool {
    let (code, message) = attempt(component, reach, act, target).await;
    assert!(code == "faulty.reached" || code == "faulty.refused", "{code}: {message}");
    code == "faulty.reached"
}

/// A listener that counts on being asked for its connections later.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Connections that wait to be accepted.
fn connections(listener: &TcpListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| listener.accept().ok()).count()
}

#[tokio::test]
async fn t01_t16_only_the_granted_place_is_reached() {
    let component = guest("faulty").await;
    let (granted, port) = listener();
    let (other, other_port) = listener();
    let (place, elsewhere) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{other_port}"));
    assert!(!reaches(&component, Reach::none(), "connect", &place).await);
    assert!(!reaches(&component, tcp("127.0.0.1", port), "connect", &elsewhere).await);
    assert!(!reaches(&component, tcp("127.0.0.2", port), "connect", &place).await);
    assert!(!reaches(&component, tcp("db.example", port), "connect", &place).await);
    assert_eq!((connections(&granted), connections(&other)), (0, 0));
    assert!(reaches(&component, tcp("127.0.0.1", port), "connect", &place).await);
    assert_eq!((connections(&granted), connections(&other)), (1, 0));
}

#[tokio::test]
async fn a_granted_name_is_looked_up_by_the_host() {
    let component = guest("faulty").await;
    let (granted, port) = listener();
    let named = format!("localhost:{port}");
    assert!(reaches(&component, tcp("localhost", port), "connect", &named).await);
    assert!(reaches(&component, tcp("LocalHost", port), "resolve", "localhost").await);
    assert_eq!(connections(&granted), 1);
    // The name alone opens no address, and the address alone no name.
    let place = format!("127.0.0.1:{port}");
    assert!(!reaches(&component, tcp("localhost", port), "connect", &place).await);
    assert!(!reaches(&component, tcp("127.0.0.1", port), "connect", &named).await);
    assert_eq!(connections(&granted), 0);
}

#[tokio::test]
async fn t02_names_that_are_not_granted_have_no_answer() {
    let component = guest("faulty").await;
    for name in ["localhost", "6461746120.evil.example", "metadata.google.internal"] {
        let reach = tcp("db.example", 5432);
        assert!(!reaches(&component, reach, "resolve", name).await, "{name}");
    }
}

#[tokio::test]
async fn t19_no_listening_and_no_datagrams() {
    let component = guest("faulty").await;
    let (_listener, port) = listener();
    for reach in [Reach::none(), tcp("127.0.0.1", port), tcp("0.0.0.0", 0)] {
        assert!(!reaches(&component, reach.clone(), "listen", "").await);
        assert!(!reaches(&component, reach.clone(), "udp", &format!("127.0.0.1:{port}")).await);
        assert!(!reaches(&component, reach, "udp", "127.0.0.1:53").await);
    }
}

#[tokio::test]
async fn requirements_are_asked_without_grants_and_without_secrets() {
    let component = guest("faulty").await;
    let (listener, port) = listener();
    let parameter =
        format!(r#"{{"call": "requirements", "act": "connect", "target": "127.0.0.1:{port}"}}"#);
    let fault = component.requirements(&faulty(Side::Reader, &parameter)).await.unwrap_err();
    assert_eq!(fault.code, "faulty.refused");
    assert_eq!(connections(&listener), 0);
}

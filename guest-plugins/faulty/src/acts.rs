//! What any call can do wrong.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sdk::{Configuration, Fault, Result, log};

use crate::script::Script;
use crate::{codecs, reader};

const HOUR_MS: u64 = 3_600_000;
const MIB: u64 = 1 << 20;

/// A terminal's title and clipboard, a line break with a false prefix, and text from right to left.
pub(crate) const ESCAPES: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\r\nERROR airlock: false\u{202e}evil";

/// Does what is due in `call`, and answers the act where it is one of the call's own.
///
/// # Errors
/// The fault that the act means.
pub(crate) fn before<'a>(
    script: &'a Script,
    call: &str,
    configuration: Option<&Configuration>,
) -> Result<Option<&'a str>> {
    let Some(act) = script.due(call) else { return Ok(None) };
    let own = run(act, script, configuration)?;
    Ok(own.then_some(act))
}

/// As [`before`], for calls that cannot answer a fault: it goes to the log.
pub(crate) fn before_silent<'a>(script: &'a Script, call: &str) -> Option<&'a str> {
    before(script, call, None).unwrap_or_else(|fault| {
        log::warn(&format!("{}: {}", fault.code, fault.message));
        None
    })
}

/// True: the act is none of these, but the call's own.
pub(crate) fn run(act: &str, script: &Script, config: Option<&Configuration>) -> Result<bool> {
    let amount = |default| script.amount_or(default);
    match act {
        "panic" => panic!("panicked on purpose"),
        "trap" => trap(),
        "recurse" => {
            black_box(recurse(1));
        }
        "exit" => std::process::exit(7),
        "spin" => spin(u64::MAX),
        "work" => spin(amount(20_000_000)),
        "sleep" => std::thread::sleep(Duration::from_millis(amount(HOUR_MS))),
        "clock-flood" => clock_flood(amount(100_000_000)),
        "handles" => return Err(handles(script, amount(100_000))),
        "files" => return Err(files(&script.target, amount(100_000))),
        "memory" => return Err(memory_until_refused()),
        "memory-abort" => memory_until_abort(),
        "codec-hold" => return Err(codecs::hold(amount(4096))?),
        "codec-lie" => return Err(codecs::lie()?),
        "codec-amplify" => return Err(codecs::amplify()?),
        "log-flood" => (0..amount(100_000)).for_each(|line| log::info(&line_text(line))),
        "log-huge" => log::info(&"x".repeat(amount(16 * MIB) as usize)),
        "log-escapes" => log::info(ESCAPES),
        "stdout-flood" => flood(std::io::stdout(), amount(1_000_000)),
        "stderr-flood" => flood(std::io::stderr(), amount(1_000_000)),
        "leak" => leak(config),
        "environment" => return Err(environment()),
        "clocks" => return Err(clocks(amount(100_000))),
        "fault" => return Err(Fault::data("faulty.fault", "a fault on purpose").hint("none")),
        "fault-retry" => {
            return Err(Fault::external("faulty.retry", "a fault that passes").retry_after(0));
        }
        "fault-huge" => {
            return Err(Fault::data("faulty.huge", "x".repeat(amount(16 * MIB) as usize)));
        }
        "fault-escapes" => return Err(Fault::data("faulty.escapes", ESCAPES).hint(ESCAPES)),
        "connect" => return Err(outcome(TcpStream::connect(&script.target))),
        "resolve" => return Err(outcome((script.target.as_str(), 80).to_socket_addrs())),
        "read" => return Err(outcome(std::fs::read(&script.target))),
        "write" => return Err(outcome(std::fs::write(&script.target, "written by a plug-in"))),
        "link" => return Err(outcome(link(&script.target))),
        "listen" => return Err(outcome(TcpListener::bind("0.0.0.0:0"))),
        "udp" => return Err(outcome(udp(&script.target))),
        _ => return Ok(true),
    }
    Ok(false)
}

/// What became of an attempt to reach something.
fn outcome<T>(attempt: std::io::Result<T>) -> Fault {
    match attempt {
        Ok(_) => Fault::data("faulty.reached", "the host let it through"),
        Err(error) => Fault::data("faulty.refused", error.to_string()),
    }
}

fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

fn spin(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

fn clock_flood(calls: u64) {
    for _ in 0..calls {
        black_box(Instant::now());
    }
}

#[allow(unconditional_recursion, reason = "the stack is to end")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth + 1) + frame[(depth % 16) as usize]
}

/// Grows in touched blocks of one MiB until the host refuses.
fn memory_until_refused() -> Fault {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if block.try_reserve_exact(MIB as usize).is_err() {
            let grown = blocks.len();
            return Fault::data("faulty.refused", format!("no more memory after {grown} MiB"));
        }
        block.resize(MIB as usize, 1);
        blocks.push(black_box(block));
    }
}

fn memory_until_abort() {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; MIB as usize]));
    }
}

/// Holds `count` resources of its own at a time.
fn handles(script: &Script, count: u64) -> Fault {
    let script = Rc::new(script.clone());
    let held: Vec<_> = (0..count).map(|_| reader::cursor(&script, 0)).collect();
    Fault::data("faulty.reached", format!("{} resources at a time", held.len()))
}

/// Opens the file at `path`, `count` times at a time.
fn files(path: &str, count: u64) -> Fault {
    outcome((0..count).map(|_| File::open(path)).collect::<std::io::Result<Vec<_>>>())
}

fn line_text(line: u64) -> String {
    format!("line {line} of a flood that goes on and on and on and on and on and on and on and on")
}

fn flood(mut output: impl Write, lines: u64) {
    for line in 0..lines {
        // A refusal is what the test waits for, and nothing to tell.
        let _ = writeln!(output, "{}", line_text(line));
    }
}

fn leak(configuration: Option<&Configuration>) {
    let text = configuration.map(|it| it.connection.as_str()).unwrap_or_default();
    log::error(text);
    let _ = writeln!(std::io::stdout(), "{text}");
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn environment() -> Fault {
    let (variables, arguments) = (std::env::vars().count(), std::env::args().count());
    let text = format!("{variables} variables, {arguments} arguments");
    Fault::data("faulty.environment", text)
}

/// Looks at both clocks `looks` times, and counts what is finer than a millisecond.
fn clocks(looks: u64) -> Fault {
    let is_fine = |time: Duration| !time.subsec_nanos().is_multiple_of(1_000_000);
    let start = Instant::now();
    let (mut fine, mut steps, mut before) = (0, 0, Duration::ZERO);
    for _ in 0..looks {
        let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let elapsed = start.elapsed();
        fine += u64::from(is_fine(day)) + u64::from(is_fine(elapsed));
        steps += u64::from(elapsed > before);
        before = elapsed;
    }
    let stands = if steps == 0 { ", and it stands still" } else { "" };
    Fault::data("faulty.clocks", format!("{fine} fine looks{stands}"))
}

#[allow(deprecated, reason = "the one stable way to make a symbolic link on this target")]
fn link(path: &str) -> std::io::Result<()> {
    std::fs::soft_link("/etc", path)
}

fn udp(target: &str) -> std::io::Result<usize> {
    let target = if target.is_empty() { "127.0.0.1:53" } else { target };
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"datagram", target)
}

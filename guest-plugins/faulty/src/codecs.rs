//! What can be asked of the host's codecs: to hold more than there is, to believe lies, to make very much
//! of little. Each act answers a fault with the codes that it was refused with.

use sdk::bindings::airlock::connector::codec::{Budget, Decoder, Encoder};
use sdk::bindings::airlock::connector::types::Field;
use sdk::{Fault, Result};

use crate::batches;
use crate::datasets::{self, field};

const MIB: usize = 1 << 20;
const WHOLE: Budget = Budget { rows: u32::MAX, bytes: u64::MAX };
const TEXTS: &str = r#"{"kinds": ["text"]}"#;
const CSV: &str = r#"{"delimiter": ",", "quote": "\"", "escape": null, "lineEnd": "\n", "null": "",
    "header": null, "style": {"separator": " ", "date": null}, "widths": null}"#;

fn text() -> Field {
    field("value", "u", true)
}

fn refused(codes: &[String]) -> Fault {
    Fault::data("faulty.refused", codes.join(" "))
}

fn code<T>(answer: Result<T>) -> String {
    answer.map_or_else(|fault| fault.code, |_| "none".into())
}

/// Hands the server's message with a part of a COPY to a decoder.
fn copy(decoder: &Decoder, body: &[u8]) -> Result<()> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    decoder.decode(&[b"d", &length[..], body].concat(), false, WHOLE).map(drop)
}

/// A row that never ends, in a decoder that is used again once it is refused.
///
/// # Errors
/// Where the row can't begin.
pub(crate) fn hold(mib: u64) -> Result<Fault> {
    let decoder = Decoder::open("postgresql-copy", TEXTS, &[text()])?;
    let mut begin = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    begin.extend(1_i16.to_be_bytes());
    begin.extend((1_i32 << 30).to_be_bytes());
    copy(&decoder, &begin)?;
    let part = vec![b'x'; MIB];
    for _ in 0..mib {
        if let Err(fault) = copy(&decoder, &part) {
            return Ok(refused(&[fault.code, code(copy(&decoder, &part))]));
        }
    }
    Ok(Fault::data("faulty.reached", format!("a codec holds {mib} MiB")))
}

/// Names, options, fields and buffers that are not what they should be.
///
/// # Errors
/// Where an honest codec can't be made.
pub(crate) fn lie() -> Result<Fault> {
    let honest = datasets::honest().fields;
    let mut codes = vec![
        code(Decoder::open("zip-bomb", "{}", &[text()])),
        code(Encoder::open("zip-bomb", "{}", &[text()])),
        code(Decoder::open("text", "{", &[text()])),
        code(Decoder::open("postgresql-copy", TEXTS, &honest)),
        code(Decoder::open("text", &"[".repeat(5 * MIB), &[text()])),
        code(Encoder::open("csv", CSV, &[field("value", "vu", true)])),
    ];
    let encoder = Encoder::open("csv", CSV, &honest)?;
    let batch = batches::honest(0, 100);
    codes.push(code(encoder.encode(1 << 31, &batch.buffers)));
    codes.push(code(encoder.encode(101, &batch.buffers)));
    codes.push(code(encoder.encode(100, &batch.buffers[1..])));
    codes.push(code(encoder.encode(100, &batch.buffers)));
    Ok(refused(&codes))
}

/// Few bytes that mean very many.
///
/// # Errors
/// Where a codec can't be made.
pub(crate) fn amplify() -> Result<Fault> {
    let list = Field { children: 1, ..field("value", "+l", true) };
    let nulls = Encoder::open("jsonl", "null", &[list, field("item", "n", true)])?;
    let ends = [0_i32, 60_000_000].map(i32::to_le_bytes).concat();
    let wide = CSV.replace(r#""widths": null"#, r#""widths": [4000000000]"#);
    let columns =
        vec![r#"{"cell": 0, "kind": {"type": "string"}, "inferred": false}"#; 1000].join(",");
    let many = format!(
        r#"{{"records": {{"json": {{"names": ["a"], "complete": false}}}}, "columns": [{columns}]}}"#
    );
    let fields: Vec<_> = (0..1000).map(|at| field(&format!("c{at}"), "u", true)).collect();
    let many = Decoder::open("text", &many, &fields)?;
    let line = format!("{{\"a\": \"{}\"}}\n", "x".repeat(MIB));
    Ok(refused(&[
        code(nulls.encode(1, &[Vec::new(), ends])),
        code(Encoder::open("csv", &wide, &[text()])),
        code(Encoder::open("parquet", r#"{"groupRows": 0}"#, &[text()])),
        code(many.decode(line.as_bytes(), true, WHOLE)),
    ]))
}

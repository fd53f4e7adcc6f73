//! A plug-in that misbehaves on purpose, for the tests of the sandbox.
//!
//! It speaks the contract's raw types, since the SDK would not let a lie through. Left alone it is a
//! small honest plug-in: a reader of generated rows in several splits, a transformer that hands on what it
//! gets, a writer that counts. A step's
//! `parameter` picks one misbehaviour ([`script::Script`]):
//!
//! ```json
//! {"call": "next", "act": "offsets-falling", "nth": 2, "rows": 1000, "splits": 4}
//! ```
//!
//! `call` is the call of the contract that goes wrong, `nth` which of them in this instance (1 by
//! default, 0 for each), `act` what it does.
//!
//! Calls: `requirements`, `check`, `browse`, `discover`; of a reader `connect`, `make-plan`,
//! `next-splits`, `open`, `next`, `acknowledge`, `tend`, `drop-session`, `drop-cursor`; of a transformer
//! `connect`, `open`, `apply`, `drop-session`; of a writer
//! `connect`, `prepare`, `preview`, `open`, `committed`, `write`, `commit`, `close`, `finish`, `read-back`, `tend`,
//! `drop-session`, `drop-sink`. `describe` has no parameter: a test writes an act over the text
//! [`DESCRIBE_ACT`] in the component's bytes.
//!
//! Acts of every call:
//! * crashes: `panic`, `trap`, `recurse`, `exit` (WASI's own);
//! * never back: `spin`, `sleep` (`amount` ms, an hour by default), `clock-flood` (`amount` host calls);
//! * busy for a while: `work` (`amount` turns of a loop);
//! * memory: `memory` (grows until refused, then a fault), `memory-abort` (grows until it traps);
//! * handles, `amount` of them at a time: `handles` (of its own resources), `files` (the file `target`);
//! * output: `log-flood`, `stdout-flood`, `stderr-flood` (`amount` lines), `log-huge` (one line of
//!   `amount` bytes), `log-escapes` (terminal sequences), `leak` (prints the connection everywhere),
//!   `environment` (faults with the number of variables and arguments), `clocks` (faults with the
//!   number of `amount` looks at the clocks that are finer than a millisecond);
//! * faults: `fault`, `fault-retry`, `fault-huge` (`amount` bytes), `fault-escapes`;
//! * reaching out, to `target`: `connect` (address and port), `resolve` (a name), `read` and `write`
//!   (a path), `link` (a symbolic link to `/etc`, at the path), `listen`, `udp`. The call then answers
//!   the fault `faulty.refused` with the reason, or `faulty.reached`. So does `memory`.
//! * the host's codecs: `codec-hold` (`amount` MiB), `codec-lie`, `codec-amplify`; answered in the same
//!   way, with the codes of the refusals.
//!
//! `requirements`: `ask-tcp`, `ask-members`, `ask-http`, `ask-directory` for `target`, `ask-write`,
//! `ask-many` (`amount`).
//!
//! `make-plan`, `prepare`, `preview`, `discover`, a transformer's `open`: `datasets-many`, `fields-many` (`amount`),
//! `fields-deep` (`amount`), `format` (the format string `target`), `field-name` (the name `target`),
//! `children-missing`, `metadata-huge`, `metadata-key`, `metadata-value` (`target`); `prepare`,
//! `preview` and `open` also `datasets-few`, `fields-few`, `wishes-huge`; `make-plan` also `start-huge`.
//!
//! `next-splits`: `splits-many` (`amount`), `splits-forever`, `token-huge`, `label` (`target`),
//! `label-huge`, `next-huge`.
//!
//! `next` and `apply`, about the batch: `offsets-negative`, `offsets-falling`, `offsets-past-end`,
//! `offsets-short`, `validity-short`, `values-short`, `buffers-few`, `buffers-many`, `dataset-wrong`,
//! `utf8-invalid`, `decimal-wide`, `null-forbidden`, `rows-huge`, `rows-over-budget`,
//! `bytes-over-budget`, `operations-short`, `operations-odd`, `absent-short`, `absent-many`; about the
//! step: `position-huge`, `idle-forever`, `empty-forever`, `advanced-forever`, `changed`,
//! `ended-early`, `undecodable`, `undecodable-many` (`amount`), `undecodable-huge`,
//! `undecodable-dataset`, `undecodable-origin` (`target`).
//!
//! `apply`: `origins-few`, `origins-beyond`, `origins-falling`, `origins-twice`, `taken-none`,
//! `taken-beyond`, `refused-beyond`, `refused-and-out`, `refused-column`, `refused-twice`, `refuse` (all
//! rows), `drop` (all rows).
//!
//! `write`, `commit`, `close`: `mark-foreign`, `mark-huge`, `taken-beyond`, `remark`,
//! `remark-batch-beyond`, `remark-row-beyond`, `remark-column-beyond`, `remarks-many`, `undone`;
//! `close` also `receipt-huge`; `commit` and `close` also `mark-none`. `committed`: `mark-foreign`. `tend`: `tend-zero`.
//! `check`: `steps-many`, `step-name` (`target`), `step-fault`. `browse`: `entries-many`.

mod acts;
mod batches;
mod codecs;
mod connector;
mod datasets;
mod reader;
mod script;
mod transformer;
mod writer;

/// The act of `describe`, to be overwritten in the component: the name of an act of every call, filled
/// up with spaces behind the colon; or `escapes`: terminal sequences in every text.
pub static DESCRIBE_ACT: [u8; 48] = *b"faulty-describe-act:                            ";

/// The plug-in.
struct Faulty;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the canonical ABI's entry points")]
mod component {
    use super::Faulty;
    sdk::bindings::export_component!(Faulty with_types_in sdk::bindings);
}

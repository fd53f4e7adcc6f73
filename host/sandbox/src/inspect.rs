//! A look at a component's bytes before anything compiles them.
//!
//! It answers which faces are exported, refuses what this host does not offer, and counts what makes
//! compiling expensive. It does not validate code: the compiler does that function by function.

use domain::{Fault, Result};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use crate::limits::{self, Limits};

/// The contract this host speaks.
pub(crate) const CONTRACT: &str = "airlock:connector";
pub(crate) const CONTRACT_VERSION: Version = Version { major: 0, minor: 1, patch: 0 };
/// The newest version of WASI that this host links.
const WASI_VERSION: Version = Version { major: 0, minor: 2, patch: 12 };

/// Core functions of a component, all modules together. The largest real guests (interpreters) have
/// some 20,000.
const FUNCTIONS_MAX: u64 = 200_000;
/// Core modules and nested components.
const MODULES_MAX: u64 = 64;
/// Core and component instances.
const INSTANCES_MAX: u64 = 256;
/// Types, component types included.
const TYPES_MAX: u64 = 100_000;
/// A component in a component; toolchains nest at most twice.
const NESTING_MAX: u64 = 4;

/// What a plug-in may import of WASI 0.2. The parts that a run was not granted are linked to refuse.
const WASI: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    // The standard library imports these with TCP; every use is refused.
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Which interfaces a plug-in exports beside `connector`. What it can do is what `describe` says: a
/// toolkit may export faces that only refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faces {
    pub reader: bool,
    pub transformer: bool,
    pub writer: bool,
    pub sql: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// Whether a guest built for `self` works on a host that has `host`.
    fn works_on(self, host: Self) -> bool {
        let same_track = self.major == host.major && (host.major > 0 || self.minor == host.minor);
        same_track && self <= host
    }
}

/// # Errors
/// `plugin.limit.component`, domain plugin.
pub(crate) fn check_size(bytes: usize, title: &str, limits: &Limits) -> Result<()> {
    if bytes as u64 > limits.component_bytes {
        let who = format!("plug-in \"{title}\"");
        return Err(limits::passed(limits, &who, "load", "component"));
    }
    Ok(())
}

/// Looks a component over.
///
/// # Errors
/// `plugin.not_a_component`, `plugin.not_a_plugin`, domain user; `plugin.import`,
/// `plugin.contract_version`, `plugin.too_complex`, domain plugin.
pub(crate) fn inspect(bytes: &[u8], title: &str) -> Result<()> {
    if !Parser::is_component(bytes) {
        return Err(not_a_component(bytes, title));
    }
    let mut look = Look { title, ..Look::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        let step = payload.and_then(|payload| look.at(&payload));
        step.map_err(|error| {
            Fault::user(
                "plugin.not_a_component",
                format!("plug-in \"{title}\" is damaged: {}", error.message()),
            )
            .hint("build or download it again")
        })?;
        look.bounded()?;
    }
    look.judge()
}

fn not_a_component(bytes: &[u8], title: &str) -> Fault {
    let (what, hint) = if Parser::is_core_wasm(bytes) {
        (
            "a core WebAssembly module",
            "build it for the target wasm32-wasip2, or make a component of it with wasm-tools",
        )
    } else if bytes.is_empty() {
        ("an empty file", "name the file of a WebAssembly component")
    } else if std::str::from_utf8(bytes).is_ok() {
        ("a text file", "name the file of a WebAssembly component")
    } else {
        ("no WebAssembly at all", "name the file of a WebAssembly component")
    };
    Fault::user(
        "plugin.not_a_component",
        format!("plug-in \"{title}\" is not a WebAssembly component: it is {what}"),
    )
    .hint(hint)
}

/// What was seen so far.
#[derive(Default)]
struct Look<'a> {
    title: &'a str,
    depth: u64,
    functions: u64,
    modules: u64,
    instances: u64,
    types: u64,
    deepest: u64,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Look<'_> {
    fn at(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                self.modules += u64::from(self.depth > 1);
                if *encoding == Encoding::Component {
                    self.deepest = self.deepest.max(self.depth);
                }
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::FunctionSection(section) => self.functions += u64::from(section.count()),
            Payload::TypeSection(section) => self.types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => self.types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => self.types += u64::from(section.count()),
            Payload::InstanceSection(section) => self.instances += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => {
                self.instances += u64::from(section.count());
            }
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section.clone() {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section.clone() {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        self.exports.push(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn bounded(&self) -> Result<()> {
        for (what, count, max) in [
            ("functions", self.functions, FUNCTIONS_MAX),
            ("modules", self.modules, MODULES_MAX),
            ("instances", self.instances, INSTANCES_MAX),
            ("types", self.types, TYPES_MAX),
            ("levels of nesting", self.deepest, NESTING_MAX),
        ] {
            if count > max {
                return Err(Fault::plugin(
                    "plugin.too_complex",
                    format!(
                        "plug-in \"{}\" has {count} {what}, at most {max} are compiled",
                        self.title
                    ),
                ));
            }
        }
        Ok(())
    }

    fn judge(self) -> Result<()> {
        for import in &self.imports {
            self.judge_import(import)?;
        }
        faces(self.exports.iter().map(String::as_str), self.title).map(drop)
    }

    fn judge_import(&self, import: &str) -> Result<()> {
        let refuse = || {
            let import = crate::text::harmless(import, 200);
            Fault::plugin(
                "plugin.import",
                format!(
                    "plug-in \"{}\" imports \"{import}\", which this host does not offer",
                    self.title
                ),
            )
            .hint("build it against the contract in wit/ and WASI 0.2 up to 0.2.12")
        };
        let (package, name, version) = split(import).ok_or_else(refuse)?;
        if package == CONTRACT {
            judge_contract(version, self.title)?;
            return if matches!(name, "types" | "codec" | "log") { Ok(()) } else { Err(refuse()) };
        }
        let (path, _) = import.split_once('@').ok_or_else(refuse)?;
        let offered = WASI.contains(&path);
        match version.filter(|version| offered && version.works_on(WASI_VERSION)) {
            Some(_) => Ok(()),
            None => Err(refuse()),
        }
    }
}

/// Which faces are among the names of what a component exports.
///
/// # Errors
/// `plugin.not_a_plugin`, domain user; `plugin.contract_version`, domain plugin.
pub(crate) fn faces<'a>(exports: impl Iterator<Item = &'a str>, title: &str) -> Result<Faces> {
    let mut faces = Faces::default();
    let mut described = false;
    for export in exports {
        let Some((CONTRACT, name, version)) = split(export) else { continue };
        judge_contract(version, title)?;
        match name {
            "connector" => described = true,
            "reader" => faces.reader = true,
            "transformer" => faces.transformer = true,
            "writer" => faces.writer = true,
            "sql" => faces.sql = true,
            _ => {}
        }
    }
    if !described {
        return Err(Fault::user(
            "plugin.not_a_plugin",
            format!(
                "component \"{title}\" is no plug-in: it does not export \"{CONTRACT}/connector\""
            ),
        )
        .hint("build it against the contract in wit/"));
    }
    Ok(faces)
}

fn judge_contract(version: Option<Version>, title: &str) -> Result<()> {
    match version {
        Some(version) if version.works_on(CONTRACT_VERSION) => Ok(()),
        version => {
            let wanted = version.map_or("unknown".to_owned(), |version| version.to_string());
            Err(Fault::plugin(
                "plugin.contract_version",
                format!(
                    "plug-in \"{title}\" needs version {wanted} of the contract, this host has {CONTRACT_VERSION}"
                ),
            )
            .hint("use a plug-in and a host of the same release"))
        }
    }
}

/// Package, interface and version of `package:name/interface@1.2.3`.
fn split(name: &str) -> Option<(&str, &str, Option<Version>)> {
    let (package, rest) = name.split_once('/')?;
    match rest.split_once('@') {
        Some((interface, version)) => Some((package, interface, Version::parse(version))),
        None => Some((package, rest, None)),
    }
}

#[cfg(test)]
mod tests;

//! Components from bytes: from the cache where it has them, else compiled.

use std::hash::{Hash as _, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::{Fault, Result};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{Cache, Entry};
use crate::engine::{PROFILE, WASMTIME};
use crate::inspect;

/// How a component's code came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiled {
    /// Loaded from the cache, in this time.
    FromCache(Duration),
    /// Compiled in this process, in this time.
    Fresh(Duration),
}

/// The digest that names a component everywhere: `blake3:` and 64 hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

/// Loads a component from the cache, or looks it over and compiles it.
///
/// # Errors
/// Those of [`inspect::inspect`]; `plugin.invalid`, domain plugin, for code that is not valid.
pub(crate) fn component(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    digest: &str,
    title: &str,
) -> Result<(Component, Compiled)> {
    let begun = Instant::now();
    let name = entry_name(engine, digest);
    if let Some(component) = cache.and_then(|cache| cached(engine, cache, &name, title)) {
        return Ok((component, Compiled::FromCache(begun.elapsed())));
    }
    inspect::inspect(bytes, title)?;
    let component = Component::from_binary(engine, bytes).map_err(|error| {
        let why = crate::text::harmless(&format!("{error:#}"), 500);
        Fault::plugin("plugin.invalid", format!("plug-in \"{title}\" is not valid: {why}"))
            .hint("build or download it again")
    })?;
    if let Some(cache) = cache {
        let written = component.serialize().map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|code| cache.write_code(&name, &code)) {
            tracing::warn!("cannot keep the compiled code of plug-in \"{title}\": {error}");
        }
    }
    Ok((component, Compiled::Fresh(begun.elapsed())))
}

/// The name of an entry says everything that compiled code depends on, and what it was looked over for.
fn entry_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = NameHasher(blake3::Hasher::new());
    (digest, WASMTIME, PROFILE, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}.code", hasher.0.finalize().to_hex())
}

/// A hash that is the same in every process.
struct NameHasher(blake3::Hasher);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

fn cached(engine: &Engine, cache: &Cache, name: &str, title: &str) -> Option<Component> {
    let file = match cache.code(name) {
        Entry::Good(file) => file,
        Entry::Absent => return None,
        Entry::Bad => {
            tracing::warn!(
                "the cached code of plug-in \"{title}\" was changed or cut; it is compiled anew"
            );
            return None;
        }
    };
    match deserialize(engine, &file) {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(
                "the cached code of plug-in \"{title}\" does not load, it is compiled anew: {error:#}"
            );
            None
        }
    }
}

#[allow(unsafe_code, reason = "loading compiled code; proof below")]
fn deserialize(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize_file` demands the unchanged output of `Component::serialize`, and that its file
    // does not change while it is mapped. `file` comes from `Cache::code` alone, which answers it only under
    // a keyed hash over name and contents; the key is readable by its owner only, and the only bytes ever
    // written under a name of `entry_name` are the output of `serialize` above, to a new file that takes the
    // old one's place. Nobody else writes there: the folder is its owner's alone, and no guest is given
    // a folder to write to in which it lies (`Reach::open`). The name covers engine version, settings and
    // component, and the engine checks version and settings again.
    unsafe { Component::deserialize_file(engine, file) }
}

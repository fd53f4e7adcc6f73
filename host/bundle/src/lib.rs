//! The built-in plug-ins, as bytes inside the binary.
//!
//! The build script makes them from `guest-plugins/`; a new one is added to its list. This crate knows
//! nothing of what they are: `sandbox` compiles and describes them.

/// A component and the name of its package.
#[derive(Clone, Copy)]
pub struct Plugin {
    pub name: &'static str,
    /// The component, not compiled for any machine.
    pub bytes: &'static [u8],
    /// What the bytes hash to, as the sandbox names components.
    pub digest: &'static str,
}

/// All built-in plug-ins, in a stable order.
pub fn plugins() -> &'static [Plugin] {
    include!(concat!(env!("OUT_DIR"), "/plugins.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The preamble of a component: magic, version 13, layer 1.
    const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    #[test]
    fn every_built_in_plugin_is_a_component() {
        assert!(plugins().iter().any(|plugin| plugin.name == "stream"));
        for plugin in plugins() {
            assert!(plugin.bytes.starts_with(&COMPONENT), "{}", plugin.name);
            let digest = format!("blake3:{}", blake3::hash(plugin.bytes).to_hex());
            assert_eq!(plugin.digest, digest, "{}", plugin.name);
        }
    }
}

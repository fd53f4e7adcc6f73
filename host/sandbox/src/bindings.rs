//! What the contract in `wit/` becomes for the host. The only place that generates it; the generated
//! types never leave this crate.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "database-plugin",
    imports: { default: trappable },
    exports: { default: async },
});

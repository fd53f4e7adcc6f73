use super::*;

fn code(bytes: &[u8]) -> String {
    inspect(bytes, "x").unwrap_err().code
}

#[test]
fn what_is_no_component_gets_its_own_words() {
    let table: [(&[u8], &str); 6] = [
        (b"", "an empty file"),
        (b"{\"type\": \"job\"}", "a text file"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
        (b"\x7fELF\x02\x01\x01\0\0\xff\xfe", "no WebAssembly at all"),
        (b"PK\x03\x04\xff\xff", "no WebAssembly at all"),
        (b"\0as\xff", "no WebAssembly at all"),
    ];
    for (bytes, what) in table {
        let fault = inspect(bytes, "x").unwrap_err();
        assert_eq!(fault.code, "plugin.not_a_component");
        assert_eq!(fault.domain, domain::FaultDomain::User);
        assert!(fault.message.contains(what), "{}", fault.message);
    }
}

/// A component's preamble and sections.
fn component(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for (id, contents) in sections {
        bytes.push(*id);
        leb(&mut bytes, contents.len());
        bytes.extend_from_slice(contents);
    }
    bytes
}

fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Imports of empty instances: a type section with one instance type, then the imports.
fn importing(names: &[&str]) -> Vec<u8> {
    let types = (7, vec![1, 0x42, 0]);
    let mut imports = vec![names.len() as u8];
    for name in names {
        imports.push(0);
        leb(&mut imports, name.len());
        imports.extend_from_slice(name.as_bytes());
        imports.extend_from_slice(&[0x05, 0]);
    }
    component(&[types, (10, imports)])
}

#[test]
fn t53_only_what_this_host_offers_may_be_imported() {
    for good in [
        "airlock:connector/types@0.1.0",
        "airlock:connector/log@0.1.0",
        "wasi:io/streams@0.2.0",
        "wasi:io/streams@0.2.6",
        "wasi:sockets/tcp@0.2.12",
        "wasi:sockets/udp-create-socket@0.2.3",
    ] {
        // Nothing is exported, so it is no plug-in; but the import passed.
        assert_eq!(code(&importing(&[good])), "plugin.not_a_plugin", "{good}");
    }
    for bad in [
        "wasi:io/streams@0.2.13",
        "wasi:io/streams@0.3.0",
        "wasi:io/streams@1.2.0",
        "wasi:io/streams",
        "wasi:io/streams@0.2",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:nn/graph@0.2.0",
        "evil:host/system@0.1.0",
        "airlock:connector/secrets@0.1.0",
    ] {
        let fault = inspect(&importing(&["wasi:io/error@0.2.0", bad]), "x");
        let fault = fault.unwrap_err();
        assert_eq!(fault.code, "plugin.import", "{bad}");
        assert!(fault.message.contains(bad), "{}", fault.message);
    }
    for newer in [
        "airlock:connector/log@0.1.1",
        "airlock:connector/types@0.2.0",
        "airlock:connector/log@1.0.0",
    ] {
        assert_eq!(code(&importing(&[newer])), "plugin.contract_version", "{newer}");
    }
}

#[test]
fn t25_nested_and_many_parts_are_counted() {
    let mut nested = component(&[]);
    for _ in 0..NESTING_MAX {
        nested = component(&[(4, nested)]);
    }
    assert_eq!(code(&nested), "plugin.too_complex");
    let module = b"\0asm\x01\0\0\0".to_vec();
    let many: Vec<_> = (0..=MODULES_MAX).map(|_| (1, module.clone())).collect();
    assert_eq!(code(&component(&many)), "plugin.too_complex");
}

#[test]
fn t36_a_large_component_is_refused_by_its_size() {
    let limits = Limits { component_bytes: 1024, ..Limits::default() };
    check_size(1024, "x", &limits).unwrap();
    let fault = check_size(1025, "x", &limits).unwrap_err();
    assert_eq!(fault.code, "plugin.limit.component");
    assert!(fault.hint.unwrap().contains("--limit component="));
}

#[test]
fn cut_components_are_refused_without_a_panic() {
    let whole = importing(&["wasi:io/error@0.2.0"]);
    for length in 0..whole.len() {
        let refused = inspect(&whole[..length], "x");
        assert!(refused.is_err(), "{length}");
    }
}

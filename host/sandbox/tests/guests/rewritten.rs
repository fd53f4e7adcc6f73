//! `faulty` with code where no compiler would put it: in a start function, in a module beside its own,
//! and in `cabi_realloc`, which the host calls for room for what it hands over.

use wasmparser::{BinaryReader, ExportSectionReader, ExternalKind, ImportSectionReader, TypeRef};

/// Bytes of the preambles.
const PREAMBLE: usize = 8;
const MODULE: [u8; PREAMBLE] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; PREAMBLE] = *b"\0asm\x0d\0\x01\0";
/// Sections of a module, by their numbers.
mod section {
    pub(super) const TYPE: u8 = 1;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const TABLE: u8 = 4;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const START: u8 = 8;
    pub(super) const CODE: u8 = 10;
}
/// The sections of a component that are a module, and an instance of one.
const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;

/// A section's number and contents.
type Section = (u8, Vec<u8>);

/// The type of a function that takes and answers nothing.
const NOTHING: [u8; 3] = [0x60, 0, 0];

/// Where the code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the start function of its module.
    Start,
    /// In the start function of a second module with a memory and a table, which begin empty.
    Beside,
    Realloc,
}

/// What the code does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    Trap,
    Spin,
    /// Calls the host for an hour's sleep.
    Sleep,
    /// Grows the memory by a number of pages, and says nothing where it is refused.
    Memory(u32),
    /// Grows the memory until it is refused, then the table by a number of elements, and traps where
    /// that is refused, too.
    MemoryThenTable(u32),
}

/// `faulty` with `code` at `place`.
pub(crate) fn faulty_with(place: Place, code: Code) -> Vec<u8> {
    let whole = testkit::guest::component("faulty");
    let mut sections = sections(&whole);
    // The first module is the plug-in's own; the others are shims.
    let modules = sections.iter().filter(|(id, _)| *id == CORE_MODULE).count();
    let main = sections.iter().position(|(id, _)| *id == CORE_MODULE).unwrap();
    if place == Place::Beside {
        sections.push((CORE_MODULE, module_beside(code)));
        // One, of the newest module, with no arguments.
        sections.push((CORE_INSTANCE, [&[1, 0], &leb(modules)[..], &[0]].concat()));
    } else {
        sections[main].1 = module(&sections[main].1, place, code);
    }
    joined(COMPONENT, &sections)
}

fn module(whole: &[u8], place: Place, code: Code) -> Vec<u8> {
    let mut sections = sections(whole);
    let imports = imports(&sections);
    let body = code.body(&imports);
    if place == Place::Realloc {
        let function = realloc(&sections) - imports.len();
        replace_code(&mut sections, function, &body);
        return joined(MODULE, &sections);
    }
    let kind = append(&mut sections, section::TYPE, &NOTHING);
    let own = append(&mut sections, section::FUNCTION, &leb(kind));
    append(&mut sections, section::CODE, &body);
    let at = sections.iter().position(|(id, _)| *id > section::EXPORT).unwrap();
    assert_ne!(sections[at].0, section::START);
    sections.insert(at, (section::START, leb(imports.len() + own)));
    joined(MODULE, &sections)
}

fn module_beside(code: Code) -> Vec<u8> {
    let one = |item: &[u8]| [&[1], item].concat();
    let sections = [
        (section::TYPE, one(&NOTHING)),
        (section::FUNCTION, one(&[0])),
        (section::TABLE, one(&[0x70, 0, 0])),
        (section::MEMORY, one(&[0, 0])),
        (section::START, vec![0]),
        (section::CODE, one(&code.body(&[]))),
    ];
    joined(MODULE, &sections)
}

impl Code {
    /// The function's size, locals and code.
    fn body(self, imports: &[String]) -> Vec<u8> {
        let function =
            |name: &str| leb(imports.iter().position(|import| import.ends_with(name)).unwrap());
        let mut body = vec![0];
        match self {
            Self::Trap => {}
            Self::Spin => body.extend([0x03, 0x40, 0x0c, 0, 0x0b]),
            Self::Sleep => {
                body.push(0x42);
                body.extend(signed(3_600_000_000_000));
                body.push(0x10);
                body.extend(function("monotonic-clock@0.2.0 subscribe-duration"));
                body.push(0x10);
                body.extend(function("poll@0.2.0 [method]pollable.block"));
            }
            Self::Memory(pages) => {
                body.push(0x41);
                body.extend(signed(pages.into()));
                // memory.grow, drop, return
                body.extend([0x40, 0, 0x1a, 0x0f]);
            }
            Self::MemoryThenTable(elements) => {
                // loop: one page more; again unless it is -1.
                body.extend([0x03, 0x40, 0x41, 1, 0x40, 0, 0x41, 0x7f, 0x47, 0x0d, 0, 0x0b]);
                // table.grow with null; return unless it is -1.
                body.extend([0xd0, 0x70, 0x41]);
                body.extend(signed(elements.into()));
                body.extend([0xfc, 0x0f, 0, 0x41, 0x7f, 0x47, 0x04, 0x40, 0x0f, 0x0b]);
            }
        }
        // unreachable, end
        body.extend([0, 0x0b]);
        [leb(body.len()), body].concat()
    }
}

fn sections(whole: &[u8]) -> Vec<Section> {
    let mut reader = BinaryReader::new(&whole[PREAMBLE..], 0);
    let mut sections = Vec::new();
    while !reader.eof() {
        let id = reader.read_u8().unwrap();
        let size = reader.read_var_u32().unwrap();
        sections.push((id, reader.read_bytes(size as usize).unwrap().to_vec()));
    }
    sections
}

fn joined(preamble: [u8; PREAMBLE], sections: &[Section]) -> Vec<u8> {
    let mut bytes = preamble.to_vec();
    for (id, contents) in sections {
        bytes.push(*id);
        bytes.extend(leb(contents.len()));
        bytes.extend(contents);
    }
    bytes
}

fn contents(module: &[Section], id: u8) -> &[u8] {
    module.iter().find(|(known, _)| *known == id).map(|(_, contents)| &contents[..]).unwrap()
}

/// Items of a section.
fn count(module: &[Section], id: u8) -> usize {
    BinaryReader::new(contents(module, id), 0).read_var_u32().unwrap() as usize
}

/// Adds an item to a section, and answers its place among them.
fn append(module: &mut [Section], id: u8, item: &[u8]) -> usize {
    let before = count(module, id);
    let (_, contents) = module.iter_mut().find(|(known, _)| *known == id).unwrap();
    *contents = [&leb(before + 1), &contents[leb(before).len()..], item].concat();
    before
}

/// Module and name of each imported function, in order.
fn imports(module: &[Section]) -> Vec<String> {
    let reader = BinaryReader::new(contents(module, section::IMPORT), 0);
    let imports = ImportSectionReader::new(reader).unwrap().into_imports().map(Result::unwrap);
    let functions = imports.filter(|import| matches!(import.ty, TypeRef::Func(_)));
    functions.map(|import| format!("{} {}", import.module, import.name)).collect()
}

/// The number of `cabi_realloc` among the functions.
fn realloc(module: &[Section]) -> usize {
    let reader = BinaryReader::new(contents(module, section::EXPORT), 0);
    let mut exports = ExportSectionReader::new(reader).unwrap().into_iter().map(Result::unwrap);
    let is_it = |name: &str, kind| name == "cabi_realloc" && kind == ExternalKind::Func;
    exports.find(|export| is_it(export.name, export.kind)).unwrap().index as usize
}

/// Puts `body` in place of the code of a function of the module's own.
fn replace_code(module: &mut [Section], function: usize, body: &[u8]) {
    let mut reader = BinaryReader::new(contents(module, section::CODE), 0);
    let count = reader.read_var_u32().unwrap() as usize;
    let mut code = leb(count);
    for index in 0..count {
        let size = reader.read_var_u32().unwrap() as usize;
        let old = reader.read_bytes(size).unwrap();
        match index == function {
            true => code.extend(body),
            false => code.extend([&leb(size), old].concat()),
        }
    }
    module.iter_mut().find(|(id, _)| *id == section::CODE).unwrap().1 = code;
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A number from 0 on, with room for a sign.
fn signed(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x40 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

//! Documents with random damage: whatever a user's file holds, the answer is a job or faults, never a
//! panic, and a secret is in neither.

mod fixture;

const DOCUMENTS: usize = 4000;

/// A small generator with a fixed seed, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Removes, doubles or replaces some part of the text.
fn damage(text: &str, random: &mut Random) -> String {
    const PARTS: [&str; 16] = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "${",
        "$",
        "é",
        "null",
        "-1",
        "\"connection\": [{}],",
        "\\u0024{",
        "{\"env\": \"PGPASSWORD\"}",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(3) {
        let from = random.below(characters.len());
        let to = (from + random.below(12)).min(characters.len());
        match random.below(3) {
            0 => drop(characters.drain(from..to)),
            1 => {
                let part: Vec<_> = characters[from..to].to_vec();
                characters.splice(from..from, part);
            }
            _ => drop(characters.splice(from..to, PARTS[random.below(PARTS.len())].chars())),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn damaged_documents_are_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("the entry is readable").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    let texts: Vec<_> =
        paths.iter().map(|path| std::fs::read_to_string(path).expect("the file is text")).collect();
    let mut random = Random(7);
    for number in 0..DOCUMENTS {
        let text = damage(&texts[number % texts.len()], &mut random);
        let told = match fixture::read(&text, &["n=7", "sep=é\"\\"]) {
            Ok(read) => format!("{read:?}"),
            Err(refused) => fixture::render_all(&refused),
        };
        assert!(!told.contains("s3cret"), "document {number} shows a secret: {told}\n{text}");
        spec::blank_document(&text, &std::collections::BTreeSet::new());
    }
}

//! Converts a file on the native machine, to measure the formats without a sandbox:
//! `convert FROM TO [READER-PARAMETERS] [WRITER-PARAMETERS]`, formats by the names' endings.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use formats::parameters::{FileFormat, ReadParameters, WriteParameters};
use formats::{Input, Output};
use sdk::{Budget, Fault, Result};

struct Disk {
    path: String,
    file: Mutex<File>,
    len: u64,
}

fn broken(error: std::io::Error) -> Fault {
    Fault::external("file.failed", error.to_string())
}

impl Input for Disk {
    fn label(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read(buffer)).map_err(broken)
    }
}

struct Written(File);

impl Output for Written {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(broken)
    }

    fn sync(&mut self) -> Result<()> {
        self.0.sync_all().map_err(broken)
    }
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let text = |at: usize| arguments.get(at).map_or("{}", String::as_str);
    let invalid = |error: serde_json::Error| Fault::user("arguments", error.to_string());
    let read: ReadParameters = serde_json::from_str(text(2)).map_err(invalid)?;
    let mut write: WriteParameters = serde_json::from_str(text(3)).map_err(invalid)?;
    write.file_format = write.file_format.or(FileFormat::by_name(text(1)));

    let begin = Instant::now();
    let file = File::open(text(0)).map_err(broken)?;
    let len = file.metadata().map_err(broken)?.len();
    let input: Arc<dyn Input> =
        Arc::new(Disk { path: text(0).to_owned(), file: Mutex::new(file), len });
    let format = read.format(text(0))?;
    let schema = format.schema(1, &|_| Ok(input.clone()))?;
    for field in schema.fields() {
        println!("{} {}", field.name(), field.data_type());
    }
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut encoder = match arguments.get(1).map(String::as_str) {
        None | Some("-") => None,
        Some(path) => {
            let output = Written(File::create(path).map_err(broken)?);
            Some(write.format(&names)?.encoder(Box::new(output), &schema)?)
        }
    };
    let (mut rows, mut batches, mut bad) = (0, 0, 0);
    for share in format.shares(&input, None)? {
        let mut reader = format.open(&input, &share?, &schema, None)?;
        while let Some(chunk) = reader.next(Budget { rows: 65_536, bytes: 1 << 20, wait_ms: 0 })? {
            bad += chunk.undecodable.len();
            for undecodable in chunk.undecodable.iter().take(3) {
                println!("{}: {}", undecodable.origin, undecodable.message);
            }
            let Some(batch) = chunk.batch else { continue };
            rows += batch.num_rows();
            batches += 1;
            if let Some(encoder) = &mut encoder {
                bad += encoder.write(&batch)?.len();
            }
        }
    }
    let bytes = encoder.map(formats::Encoder::finish).transpose()?.unwrap_or(0);
    println!("{rows} rows, {bad} bad, {batches} batches, {bytes} bytes, {:?}", begin.elapsed());
    Ok(())
}

//! Files, read and written in large blocks: each block is a way to a thread that may wait for a disk, and
//! back, and the engine's own are of 64 KiB.
//!
//! A stream reads no more at first than it is asked for, since whoever looks into many places of a file
//! opens a stream for each; one that goes on reads twice as much with each block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime_wasi::p2::{
    DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};
use wasmtime_wasi_io::bytes::Bytes;

/// A block at most, bytes.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// A block at most where the instance has no room left.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// The blocks of an instance together, bytes; behind that they are small.
const ROOM_BYTES: usize = 16 << 20;

/// Bytes of the blocks of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    /// Takes as much of `wanted` as there is room for, in place of what was taken `before`.
    fn take(&self, before: usize, wanted: usize) -> usize {
        let others = self.0.fetch_sub(before, Ordering::Relaxed) - before;
        let fits = others + wanted <= ROOM_BYTES;
        let taken = if fits { wanted } else { wanted.min(SMALL_BYTES_MAX) };
        self.0.fetch_add(taken, Ordering::Relaxed);
        taken
    }
}

/// A file from some place on.
pub(crate) struct Blocks {
    file: Arc<File>,
    /// Where the next block begins.
    position: u64,
    /// Of the last block, bytes.
    last: usize,
    block: Block,
    room: Room,
    /// Bytes of the room that this stream takes.
    taken: usize,
}

enum Block {
    /// What was read, and how much of it was handed on.
    Here(Vec<u8>, usize),
    Coming(JoinHandle<io::Result<Vec<u8>>>),
    Failed(io::Error),
    Ended,
}

impl Blocks {
    pub(crate) fn new(file: Arc<File>, position: u64, room: Room) -> Self {
        let block = Block::Here(Vec::new(), 0);
        Self { file, position, last: 0, block, room, taken: 0 }
    }

    /// Begins to read the next block where the last one is used up.
    fn begin(&mut self, size: usize) {
        let Block::Here(buffer, at) = &mut self.block else { return };
        if *at < buffer.len() || size == 0 {
            return;
        }
        let mut buffer = std::mem::take(buffer);
        self.last = self.room.take(self.taken, size.max(self.last * 2).min(BLOCK_BYTES_MAX));
        self.taken = self.last;
        buffer.resize(self.last, 0);
        let (file, position) = (Arc::clone(&self.file), self.position);
        self.block = Block::Coming(spawn_blocking(move || read(&file, buffer, position)));
    }

    /// Waits for the block that is being read.
    async fn wait(&mut self) {
        let Block::Coming(reading) = &mut self.block else { return };
        self.block = match reading.await {
            Ok(Ok(buffer)) if buffer.is_empty() => Block::Ended,
            Ok(Ok(buffer)) => {
                self.position += buffer.len() as u64;
                Block::Here(buffer, 0)
            }
            Ok(Err(error)) => Block::Failed(error),
            Err(error) => Block::Failed(io::Error::other(error)),
        };
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.room.take(self.taken, 0);
    }
}

/// Fills `buffer` with what one read gives; with nothing at the end of the file.
fn read(file: &File, mut buffer: Vec<u8>, position: u64) -> io::Result<Vec<u8>> {
    loop {
        match file.read_at(&mut buffer, position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                buffer.truncate(read?);
                return Ok(buffer);
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Blocks {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.begin(size);
        match &mut self.block {
            Block::Here(buffer, at) => {
                let end = buffer.len().min(at.saturating_add(size));
                let bytes = Bytes::copy_from_slice(&buffer[*at..end]);
                *at = end;
                Ok(bytes)
            }
            Block::Coming(_) => Ok(Bytes::new()),
            Block::Failed(_) => match std::mem::replace(&mut self.block, Block::Ended) {
                Block::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
            Block::Ended => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.begin(size);
        self.wait().await;
        self.read(size)
    }

    async fn cancel(&mut self) {
        self.wait().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Blocks {
    async fn ready(&mut self) {
        self.begin(SMALL_BYTES_MAX);
        self.wait().await;
    }
}

/// The engine's stream to a file, which takes a block of any size, and asks for small ones.
pub(crate) struct Writes {
    inner: DynOutputStream,
    room: Room,
    /// Bytes of the room that the next block, or the one that is being written, takes.
    taken: usize,
}

impl Writes {
    pub(crate) fn new(inner: DynOutputStream, room: Room) -> Self {
        Self { inner, room, taken: 0 }
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        self.room.take(self.taken, 0);
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writes {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.inner.check_write()? == 0 {
            return Ok(0);
        }
        self.taken = self.room.take(self.taken, BLOCK_BYTES_MAX);
        Ok(self.taken)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writes {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A file of `length` bytes that differ from place to place.
    fn file(length: usize) -> (Arc<File>, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + at / 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    async fn rest(blocks: &mut Blocks, size: usize) -> Vec<u8> {
        let mut rest = Vec::new();
        loop {
            match blocks.blocking_read(size).await {
                Ok(bytes) => {
                    assert!((1..=size).contains(&bytes.len()));
                    rest.extend_from_slice(&bytes);
                }
                Err(StreamError::Closed) => return rest,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn every_byte_comes_once_from_any_place_in_parts_of_any_size() {
        let (file, bytes) = file(3 * BLOCK_BYTES_MAX + 123);
        for (from, size) in [(0, 64 << 10), (7, 999_983), (bytes.len() - 1, 10), (bytes.len(), 10)]
        {
            let mut blocks = Blocks::new(Arc::clone(&file), from as u64, Room::default());
            assert!(rest(&mut blocks, size).await == bytes[from..], "{from} {size}");
        }
        let mut blocks = Blocks::new(Arc::clone(&file), 5, Room::default());
        assert_eq!(blocks.blocking_read(3).await.unwrap(), bytes[5..8]);
        assert_eq!(blocks.last, 3, "no more was read than asked for");
        blocks.ready().await;
        assert_eq!(blocks.read(usize::MAX).unwrap(), bytes[8..8 + SMALL_BYTES_MAX]);
    }

    #[tokio::test]
    async fn blocks_are_small_where_many_streams_take_all_room() {
        let (file, bytes) = file(2 * BLOCK_BYTES_MAX);
        let room = Room::default();
        let stream = || Blocks::new(Arc::clone(&file), 0, room.clone());
        let mut streams: Vec<_> = std::iter::repeat_with(stream).take(40).collect();
        for blocks in &mut streams {
            assert_eq!(blocks.blocking_read(usize::MAX).await.unwrap()[..9], bytes[..9]);
        }
        let large = streams.iter().filter(|blocks| blocks.last == BLOCK_BYTES_MAX).count();
        let small = streams.iter().filter(|blocks| blocks.last == SMALL_BYTES_MAX).count();
        assert_eq!((large, small), (ROOM_BYTES / BLOCK_BYTES_MAX, 40 - large));
        drop(streams);
        assert_eq!(room.0.load(Ordering::Relaxed), 0);
        assert_eq!(stream().blocking_read(usize::MAX).await.unwrap().len(), BLOCK_BYTES_MAX);
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_told_once() {
        let folder = Arc::new(File::open(std::env::temp_dir()).unwrap());
        let mut blocks = Blocks::new(folder, 0, Room::default());
        let first = blocks.blocking_read(10).await;
        assert!(matches!(first, Err(StreamError::LastOperationFailed(_))), "{first:?}");
        assert!(matches!(blocks.blocking_read(10).await, Err(StreamError::Closed)));
    }

    /// Takes so many bytes at a time.
    struct Taking(usize);

    #[wasmtime_wasi::async_trait]
    impl OutputStream for Taking {
        fn write(&mut self, _: Bytes) -> StreamResult<()> {
            Ok(())
        }

        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }

        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(self.0)
        }
    }

    #[wasmtime_wasi::async_trait]
    impl Pollable for Taking {
        async fn ready(&mut self) {}
    }

    #[test]
    fn writes_are_as_large_as_there_is_room_for() {
        let room = Room::default();
        let stream = |size| Writes::new(Box::new(Taking(size)), room.clone());
        assert_eq!(stream(0).check_write().unwrap(), 0);
        let mut streams: Vec<_> = std::iter::repeat_with(|| stream(9)).take(20).collect();
        let sizes = streams.iter_mut().map(|stream| stream.check_write().unwrap());
        let large = sizes.filter(|size| *size == BLOCK_BYTES_MAX).count();
        assert_eq!(large, ROOM_BYTES / BLOCK_BYTES_MAX);
        assert_eq!(streams[19].check_write().unwrap(), SMALL_BYTES_MAX);
        streams.truncate(10);
        assert_eq!(streams[0].check_write().unwrap(), BLOCK_BYTES_MAX);
        drop(streams);
        assert_eq!(room.0.load(Ordering::Relaxed), 0);
    }
}

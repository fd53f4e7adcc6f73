//! Compiled code and descriptions on disk, authenticated before they are believed.
//!
//! An entry's first bytes are a keyed hash over its name and contents; the key lies beside the entries
//! and only its owner can read it. An entry that is cut, changed or of another name is not loaded but
//! made again, with a warning. Entries are written under a temporary name, so that processes side by
//! side see whole ones or none.
//!
//! Code is mapped and not read, so it has a file of its own, and its entry is a [`Seal`]: the keyed hash of
//! the file, and in which state the file was when its bytes were last compared with that. Every change of a
//! file changes its state, so one that is still in that state is not read again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
/// Bytes of a file that are hashed at once.
const PIECE_BYTES: usize = 1 << 20;
/// A file that changed less than this ago may change again without a trace: clocks of file systems have
/// ticks.
const SETTLED: Duration = Duration::from_secs(2);
/// An entry at most: compiled code is about three times as large as the component.
const ENTRY_BYTES_MAX: u64 = 1 << 30;
/// All entries together; beyond it the oldest go. Some thirty of the largest plug-ins fit.
const CACHE_BYTES_MAX: u64 = 4 << 30;
/// A temporary file that is older was left behind by a process that was killed.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A folder of authenticated entries.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

/// What is known about an entry: its contents, or of code its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    /// Exactly what this cache wrote under this name.
    Good(T),
    Absent,
    /// There, but not what was written.
    Bad,
}

/// What is known of a file with code.
#[derive(Serialize, Deserialize)]
struct Seal {
    /// The keyed hash over its name and contents, in hexadecimal digits.
    mac: String,
    /// The state in which it had that.
    seen: Option<FileState>,
}

/// What changes with every change of a file, whoever makes it: the system sets the last of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
        now.duration_since(changed).is_ok_and(|age| age > SETTLED)
    }
}

impl Cache {
    /// Opens the folder, and makes it and its key where they are not there.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let meta = fs::metadata(folder)?;
        if meta.uid() != geteuid().as_raw() {
            return Err(io::Error::other("the folder belongs to somebody else"));
        }
        if meta.mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let key = match read_key(folder)? {
            Some(key) => key,
            None => make_key(folder)?,
        };
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// Reads an entry; only bytes that were verified are answered.
    pub(crate) fn read(&self, name: &str) -> Entry<Vec<u8>> {
        let mut bytes = match read_bounded(&self.folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Entry::Absent,
            Err(_) => return Entry::Bad,
        };
        if bytes.len() < MAC_BYTES {
            return Entry::Bad;
        }
        let contents = bytes.split_off(MAC_BYTES);
        let Ok(mac) = <[u8; MAC_BYTES]>::try_from(bytes) else { return Entry::Bad };
        // `blake3::Hash` compares in constant time.
        match self.mac(name, &contents) == blake3::Hash::from(mac) {
            true => Entry::Good(contents),
            false => Entry::Bad,
        }
    }

    /// The file with this code, verified.
    pub(crate) fn code(&self, name: &str) -> Entry<PathBuf> {
        self.code_at(name, SystemTime::now())
    }

    fn code_at(&self, name: &str, now: SystemTime) -> Entry<PathBuf> {
        let seal = match self.read(&seal_name(name)) {
            Entry::Good(json) => serde_json::from_slice::<Seal>(&json),
            Entry::Absent => return Entry::Absent,
            Entry::Bad => return Entry::Bad,
        };
        let path = self.folder.join(name);
        match seal.map_err(io::Error::other).and_then(|seal| self.verify(name, &path, seal, now)) {
            Ok(true) => Entry::Good(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entry::Absent,
            Ok(false) | Err(_) => Entry::Bad,
        }
    }

    /// Whether a file is what its seal says. One that is in the state in which it was seen last need not be
    /// read for that.
    fn verify(&self, name: &str, path: &Path, seal: Seal, now: SystemTime) -> io::Result<bool> {
        let file = open_bounded(path)?;
        let state = FileState::of(&file)?;
        if seal.seen == Some(state) {
            return Ok(true);
        }
        let mut hasher = self.hasher(name, state.bytes);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match (&file).read(&mut piece)? {
                0 => break,
                count => hasher.update(&piece[..count]),
            };
        }
        let Ok(mac) = blake3::Hash::from_hex(&seal.mac) else { return Ok(false) };
        if hasher.finalize() != mac || FileState::of(&file)? != state {
            return Ok(false);
        }
        if state.is_settled(now) {
            // Without it the file is read again next time.
            let _ = self.seal(name, &Seal { seen: Some(state), ..seal });
        }
        Ok(true)
    }

    /// Writes the file of this code, whole and durable or not at all.
    pub(crate) fn write_code(&self, name: &str, code: &[u8]) -> io::Result<()> {
        replace(&self.folder, name, &[code])?;
        let mac = self.mac(name, code).to_hex().to_string();
        self.seal(name, &Seal { mac, seen: None })?;
        self.tidy(name, CACHE_BYTES_MAX)
    }

    fn seal(&self, name: &str, seal: &Seal) -> io::Result<()> {
        let json = serde_json::to_vec(seal).map_err(io::Error::other)?;
        let name = seal_name(name);
        let mac = self.mac(&name, &json);
        replace(&self.folder, &name, &[mac.as_bytes(), &json])
    }

    /// Writes an entry, whole and durable or not at all.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let mac = self.mac(name, contents);
        replace(&self.folder, name, &[mac.as_bytes(), contents])?;
        self.tidy(name, CACHE_BYTES_MAX)
    }

    /// Removes what was left behind, and the oldest entries beyond `bytes_max`; never `kept`.
    fn tidy(&self, kept: &str, bytes_max: u64) -> io::Result<()> {
        let now = SystemTime::now();
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            // Another process may have removed it meanwhile.
            let Ok(meta) = file.metadata() else { continue };
            let name = file.file_name();
            let written = meta.modified()?;
            let age = now.duration_since(written).unwrap_or_default();
            if name.as_encoded_bytes().starts_with(b".") {
                if age > TEMPORARY_AGE_MAX {
                    remove_if_there(&file.path())?;
                }
            } else if name != KEY_FILE && meta.is_file() {
                entries.push((written, meta.len(), file.path(), name == kept));
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, size, _, _)| size).sum();
        for (_, size, path, _) in entries.iter().filter(|(_, _, _, kept)| !kept) {
            if bytes <= bytes_max {
                break;
            }
            remove_if_there(path)?;
            bytes -= size;
        }
        Ok(())
    }

    fn mac(&self, name: &str, contents: &[u8]) -> blake3::Hash {
        let mut hasher = self.hasher(name, contents.len() as u64);
        hasher.update(contents);
        hasher.finalize()
    }

    /// A keyed hash that has seen the name; `bytes` of contents follow.
    fn hasher(&self, name: &str, bytes: u64) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for count in [name.len() as u64, bytes] {
            hasher.update(&count.to_le_bytes());
        }
        hasher.update(name.as_bytes());
        hasher
    }
}

/// The name of the entry that vouches for a file with code.
fn seal_name(name: &str) -> String {
    format!("{name}.seal")
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_bounded(path)?;
    let mut bytes = Vec::new();
    file.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_bounded(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    match file.metadata()?.len() > ENTRY_BYTES_MAX {
        true => Err(io::Error::other("too large")),
        false => Ok(file),
    }
}

/// The key, unless it is absent, cut, or readable by others; then a new one is made.
fn read_key(folder: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let path = folder.join(KEY_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    match <[u8; KEY_BYTES]>::try_from(bytes) {
        Ok(key) if mode & 0o077 == 0 => Ok(Some(key)),
        _ => {
            tracing::warn!(
                "the key of the compile cache was unusable; everything is compiled anew"
            );
            remove_if_there(&path)?;
            Ok(None)
        }
    }
}

/// Makes a key. Of processes side by side the first to link its file wins, and all read that one.
fn make_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    random(&mut key)?;
    let temporary = temporary(folder)?;
    write_new(&temporary, &[&key])?;
    let linked = fs::hard_link(&temporary, folder.join(KEY_FILE));
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    read_key(folder)?.ok_or_else(|| io::Error::other("the key vanished"))
}

fn replace(folder: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = temporary(folder)?;
    let written = write_new(&temporary, parts)
        .and_then(|()| fs::rename(&temporary, folder.join(name)))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        remove_if_there(&temporary)?;
    }
    written
}

fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

fn temporary(folder: &Path) -> io::Result<PathBuf> {
    let mut name = [0; 16];
    random(&mut name)?;
    Ok(folder.join(format!(".{:032x}", u128::from_le_bytes(name))))
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        (folder, cache)
    }

    #[test]
    fn what_was_written_is_read() {
        let (_folder, cache) = cache();
        assert_eq!(cache.read("a"), Entry::Absent);
        for contents in [&b""[..], b"code", &[7; 100_000]] {
            cache.write("a", contents).unwrap();
            assert_eq!(cache.read("a"), Entry::Good(contents.to_vec()));
        }
        let again = Cache::open(&cache.folder).unwrap();
        assert_eq!(again.read("a"), cache.read("a"));
        let names: Vec<_> = fs::read_dir(&cache.folder).unwrap().collect();
        assert_eq!(names.len(), 2, "no temporary files stay");
    }

    #[test]
    fn t33_what_was_left_behind_goes_and_so_do_the_oldest_entries() {
        let (_folder, cache) = cache();
        let age = |name: &str, hours: u64| {
            let written = SystemTime::now() - Duration::from_secs(hours * 3600);
            File::open(cache.folder.join(name)).unwrap().set_modified(written).unwrap();
        };
        for (name, hours) in [("old", 3), ("older", 4), ("new", 1)] {
            cache.write(name, &[1; 1000]).unwrap();
            age(name, hours);
        }
        for (name, hours) in [(".left", 25), (".being-written", 1)] {
            fs::write(cache.folder.join(name), "x").unwrap();
            age(name, hours);
        }
        cache.tidy("old", 2 * (1000 + MAC_BYTES as u64)).unwrap();
        let there = |name: &str| cache.folder.join(name).exists();
        assert!(there("old") && there("new") && !there("older") && there(KEY_FILE));
        assert!(!there(".left") && there(".being-written"));
        cache.tidy("older", 0).unwrap();
        assert!(!there("old") && !there("new") && there(KEY_FILE));
        cache.write("kept", &[1; 1000]).unwrap();
        cache.tidy("kept", 0).unwrap();
        assert!(there("kept"));
    }

    #[test]
    fn t49_a_flipped_cut_or_renamed_entry_is_never_answered() {
        let (_folder, cache) = cache();
        cache.write("a", &[9; 64]).unwrap();
        let path = cache.folder.join("a");
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            assert_eq!(cache.read("a"), Entry::Bad, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(cache.read("a"), Entry::Bad, "cut at {at}");
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert_eq!(cache.read("a"), Entry::Bad);
        fs::write(cache.folder.join("b"), &good).unwrap();
        assert_eq!(cache.read("b"), Entry::Bad);
        fs::write(&path, &good).unwrap();
        assert_eq!(cache.read("a"), Entry::Good(vec![9; 64]));
    }

    #[test]
    fn t49_a_flipped_cut_or_exchanged_file_of_code_is_never_answered() {
        let (_folder, cache) = cache();
        assert_eq!(cache.code("a"), Entry::Absent);
        cache.write_code("a", &[9; 64]).unwrap();
        cache.write_code("b", &[8; 64]).unwrap();
        let path = cache.folder.join("a");
        for later in [Duration::ZERO, SETTLED * 2] {
            let code = || cache.code_at("a", SystemTime::now() + later);
            for at in 0..64 {
                let mut bad = [9; 64];
                bad[at] ^= 1 << (at % 8);
                fs::write(&path, bad).unwrap();
                assert_eq!(code(), Entry::Bad, "byte {at}");
                fs::write(&path, &bad[..at]).unwrap();
                assert_eq!(code(), Entry::Bad, "cut at {at}");
            }
            fs::write(&path, [9; 65]).unwrap();
            assert_eq!(code(), Entry::Bad);
            fs::copy(cache.folder.join("b"), &path).unwrap();
            assert_eq!(code(), Entry::Bad);
            fs::write(&path, [9; 64]).unwrap();
            assert_eq!(code(), Entry::Good(path.clone()));
        }
        fs::copy(cache.folder.join("b.seal"), cache.folder.join("a.seal")).unwrap();
        assert_eq!(cache.code("a"), Entry::Bad);
        fs::remove_file(&path).unwrap();
        assert_eq!(cache.code("b"), Entry::Good(cache.folder.join("b")));
    }

    #[test]
    fn t49_code_that_was_seen_is_read_again_once_its_file_changed() {
        let (_folder, cache) = cache();
        cache.write_code("a", &[9; 64]).unwrap();
        let (path, seal) = (cache.folder.join("a"), cache.folder.join("a.seal"));
        let fresh = fs::read(&seal).unwrap();
        assert_eq!(cache.code("a"), Entry::Good(path.clone()));
        assert_eq!(fs::read(&seal).unwrap(), fresh, "it may still change within a tick");
        let later = SystemTime::now() + SETTLED * 2;
        assert_eq!(cache.code_at("a", later), Entry::Good(path.clone()));
        let seen = fs::read(&seal).unwrap();
        assert_ne!(seen, fresh);
        assert_eq!(cache.code_at("a", later), Entry::Good(path.clone()));
        assert_eq!(fs::read(&seal).unwrap(), seen);
        // Another program can set the time of the last change back, but not that at which it did.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let ticks = FileState::of(&File::open(&path).unwrap()).unwrap().changed;
        while FileState::of(&File::open(&path).unwrap()).unwrap().changed == ticks {
            fs::write(&path, [8; 64]).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        assert_eq!(cache.code_at("a", later), Entry::Bad);
    }

    #[test]
    fn t49_an_entry_of_another_key_is_not_answered() {
        let (_folder, cache) = cache();
        let (_other_folder, other) = self::cache();
        cache.write("a", b"code").unwrap();
        fs::copy(cache.folder.join("a"), other.folder.join("a")).unwrap();
        assert_eq!(other.read("a"), Entry::Bad);
    }

    #[test]
    fn folder_and_key_are_their_owners_alone() {
        let (folder, cache) = cache();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&cache.folder), 0o700);
        let key = cache.folder.join(KEY_FILE);
        assert_eq!(mode(&key), 0o600);
        cache.write("a", b"code").unwrap();
        // A key that others could read is replaced, and what it signed is not believed any more.
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let again = Cache::open(&folder.path().join("cache")).unwrap();
        assert_ne!(again.key, cache.key);
        assert_eq!(again.read("a"), Entry::Bad);
    }

    #[test]
    fn processes_side_by_side_agree_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let open = || Cache::open(&path).unwrap().key;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

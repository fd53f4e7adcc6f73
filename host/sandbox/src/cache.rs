//! Compiled code and descriptions on disk, authenticated before they are believed.
//!
//! An entry's first bytes are a keyed hash over its name and contents; the key lies beside the entries
//! and only its owner can read it. An entry that is cut, changed or of another name is not loaded but
//! made again, with a warning. Entries are written under a temporary name, so that processes side by
//! side see whole ones or none.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
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

/// What is known about an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Exactly what this cache wrote under this name.
    Good(Vec<u8>),
    Absent,
    /// There, but not what was written.
    Bad,
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
    pub(crate) fn read(&self, name: &str) -> Entry {
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
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(contents);
        hasher.finalize()
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    let size = file.metadata()?.len();
    if size > ENTRY_BYTES_MAX {
        return Err(io::Error::other("too large"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
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

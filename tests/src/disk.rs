//! A small file system of its own, which is soon full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Megabytes of a disk that has grown.
const GROWN: u32 = 64;

/// A file system in memory; gone when this is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// An empty one of so many megabytes at `folder`, which belongs to `owner`, a user and a group.
    /// `None` without the right to mount.
    pub fn mount(folder: PathBuf, megabytes: u32, owner: Option<(u32, u32)>) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let owner = owner.map(|(user, group)| format!(",uid={user},gid={group},mode=700"));
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={megabytes}m{}", owner.unwrap_or_default()))
            .arg("tmpfs")
            .arg(&folder)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes no more writes.
    pub fn freeze(&self) {
        let frozen = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(frozen.unwrap().success());
    }

    /// Makes room.
    pub fn grow(&self) {
        let size = format!("remount,size={GROWN}m");
        let grown = Command::new("mount").args(["-o", &size]).arg(&self.0).status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server may still hold its files.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

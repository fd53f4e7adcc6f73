//! Where the program keeps its own files: state and compile cache, under the XDG folders.

use std::path::{Path, PathBuf};

use domain::fault::{Fault, Result};

use crate::environment::Environment;

/// The folders of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folders {
    /// Books, locks and the cache's key. Nothing in it is for others.
    pub(crate) state: PathBuf,
    /// Compiled plug-ins and their descriptions; may be deleted at any time.
    pub(crate) cache: PathBuf,
}

impl Folders {
    /// `--state-dir` holds both; without it the XDG folders, then those below the home folder.
    ///
    /// # Errors
    /// `state.no_folder` where neither option nor environment names a place.
    pub(crate) fn find(option: Option<&Path>, environment: &Environment) -> Result<Self> {
        if let Some(folder) = option {
            return Ok(Self { state: folder.to_owned(), cache: folder.join("cache") });
        }
        let state = xdg(environment, "XDG_STATE_HOME", ".local/state");
        let cache = xdg(environment, "XDG_CACHE_HOME", ".cache");
        match (state, cache) {
            (Some(state), Some(cache)) => Ok(Self { state, cache }),
            _ => Err(Fault::user("state.no_folder", "there is no folder for the state of runs")
                .hint("set \"HOME\", or name a folder with --state-dir or AIRLOCK_STATE_DIR")),
        }
    }

    /// Creates both, readable by the user alone. Without a cache all works, only slower: the sandbox
    /// says so.
    ///
    /// # Errors
    /// `state.folder`, domain external.
    pub(crate) fn create(&self) -> Result<()> {
        let _ = create(&self.cache);
        create(&self.state).map_err(|error| {
            Fault::external(
                "state.folder",
                format!("cannot create the folder \"{}\": {error}", self.state.display()),
            )
            .hint("name a writable folder with --state-dir or AIRLOCK_STATE_DIR")
        })
    }
}

/// By the XDG rules a relative path is as good as none.
fn xdg(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = environment.variable(variable).map(PathBuf::from);
    let home = || environment.variable("HOME").map(|home| PathBuf::from(home).join(below_home));
    let folder = named.filter(|path| path.is_absolute()).or_else(home)?;
    Some(folder.join("airlock"))
}

fn create(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(option: Option<&str>, variables: &[(&str, &str)]) -> Result<(String, String)> {
        let environment = Environment::of(variables);
        let folders = Folders::find(option.map(Path::new), &environment)?;
        Ok((folders.state.display().to_string(), folders.cache.display().to_string()))
    }

    #[test]
    fn the_option_wins_over_xdg_and_xdg_over_home() {
        let xdg = [("HOME", "/h"), ("XDG_STATE_HOME", "/s"), ("XDG_CACHE_HOME", "/c")];
        let pair = |state: &str, cache: &str| Ok((state.to_owned(), cache.to_owned()));
        assert_eq!(found(Some("/x"), &xdg), pair("/x", "/x/cache"));
        assert_eq!(found(None, &xdg), pair("/s/airlock", "/c/airlock"));
        assert_eq!(
            found(None, &[("HOME", "/h"), ("XDG_STATE_HOME", "relative")]),
            pair("/h/.local/state/airlock", "/h/.cache/airlock")
        );
        assert_eq!(found(None, &[]).unwrap_err().code, "state.no_folder");
    }
}

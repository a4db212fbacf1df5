//! A directory whose files are given to others, and nothing outside of it.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The served directory: a symbolic link is followed only where it ends inside.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Everything below `root`.
    ///
    /// # Errors
    /// It is not there, or no directory.
    pub fn new(root: &Path) -> Result<Directory> {
        let root =
            root.canonicalize().with_context(|| format!("{}: cannot be served", root.display()))?;
        ensure!(root.is_dir(), "{}: is not a directory", root.display());
        Ok(Directory { root })
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is at `place`, once all links are followed: a file or a directory.
    ///
    /// # Errors
    /// There is none, or it is outside or of another kind: then `PermissionDenied`.
    pub fn find(&self, place: &Path) -> io::Result<(PathBuf, Metadata)> {
        let path = self.root.join(place).canonicalize()?;
        if !path.starts_with(&self.root) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let meta = fs::metadata(&path)?;
        // Opening a pipe would wait for its other end.
        if !meta.is_file() && !meta.is_dir() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((path, meta))
    }
}

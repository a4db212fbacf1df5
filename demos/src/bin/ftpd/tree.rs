//! The served directory as clients see it: `/` is its root, and there is nothing above.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use demos::directory::Directory;

/// The served directory.
///
/// Nothing outside it is ever touched. `..` is resolved in the client's view, where the root is its
/// own parent, and a symbolic link is followed only where it ends inside the directory.
#[derive(Debug)]
pub(crate) struct Tree {
    served: Directory,
}

/// The place that `name` means for a client which is at `here`. Both places are relative to the
/// root, without `.` and `..`.
pub(crate) fn place(here: &Path, name: &str) -> PathBuf {
    let mut place = PathBuf::new();
    for component in here.join(name).components() {
        match component {
            Component::Normal(name) => place.push(name),
            Component::ParentDir => drop(place.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    place
}

impl Tree {
    /// Everything below `root`.
    pub(crate) fn new(root: &Path) -> Result<Tree> {
        Ok(Tree { served: Directory::new(root)? })
    }

    /// The directory's path.
    pub(crate) fn root(&self) -> &Path {
        self.served.root()
    }

    /// What is at `place`: a file or a directory.
    pub(crate) fn find(&self, place: &Path) -> io::Result<(PathBuf, Metadata)> {
        self.served.find(place)
    }

    /// The directory at `place`.
    pub(crate) fn directory(&self, place: &Path) -> io::Result<PathBuf> {
        let (path, meta) = self.find(place)?;
        if meta.is_dir() { Ok(path) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The file at `place`.
    pub(crate) fn file(&self, place: &Path) -> io::Result<(PathBuf, Metadata)> {
        let (path, meta) = self.find(place)?;
        if meta.is_file() { Ok((path, meta)) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The file at `place`, to be written; it is made if there is none.
    pub(crate) fn create(&self, place: &Path) -> io::Result<File> {
        match self.file(place) {
            Ok((path, _)) => OpenOptions::new().write(true).open(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Not through a link that leads nowhere yet.
                File::create_new(self.new_path(place)?)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a directory at `place`.
    pub(crate) fn create_directory(&self, place: &Path) -> io::Result<()> {
        fs::create_dir(self.new_path(place)?)
    }

    /// Removes the file or the link at `place`.
    pub(crate) fn remove(&self, place: &Path) -> io::Result<()> {
        fs::remove_file(self.new_path(place)?)
    }

    /// The path for a new name in a directory that is there.
    fn new_path(&self, place: &Path) -> io::Result<PathBuf> {
        let name = place.file_name().ok_or(io::ErrorKind::AlreadyExists)?;
        Ok(self.directory(place.parent().unwrap_or(Path::new("")))?.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory with a file, a folder, and links inside and outside.
    fn tree(name: &str) -> Tree {
        let base = std::env::temp_dir().join(format!("ftpd-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let root = base.join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(root.join("hello.txt"), "hello").unwrap();
        for (target, link) in [
            ("hello.txt", "inside"),
            ("../secret", "outside"),
            ("..", "up"),
            ("../new", "dangling"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        Tree::new(&root).unwrap()
    }

    fn done(tree: &Tree) {
        fs::remove_dir_all(tree.root().parent().unwrap()).unwrap();
    }

    #[test]
    fn a_name_means_a_place_below_the_root() {
        for (here, name, expected) in [
            ("", "a", "a"),
            ("a/b", "c", "a/b/c"),
            ("a/b", "/c", "c"),
            ("a/b", "..", "a"),
            ("a/b", "../../../../etc/passwd", "etc/passwd"),
            ("", "..", ""),
            ("a", "./b//c/.", "a/b/c"),
            ("a", "", "a"),
            ("a", "...", "a/..."),
        ] {
            assert_eq!(place(Path::new(here), name), Path::new(expected), "{here} {name}");
        }
    }

    #[test]
    fn nothing_outside_is_found_or_made() {
        let tree = tree("escape");
        let find = |place: &str| tree.find(Path::new(place)).map_err(|error| error.kind());
        assert!(find("hello.txt").is_ok() && find("inside").is_ok() && find("folder").is_ok());
        for place in ["outside", "up", "up/secret", "../secret"] {
            assert_eq!(find(place).unwrap_err(), io::ErrorKind::PermissionDenied, "{place}");
        }
        let create = |place: &str| tree.create(Path::new(place)).map_err(|error| error.kind());
        assert_eq!(create("outside").unwrap_err(), io::ErrorKind::PermissionDenied);
        assert_eq!(create("up/new").unwrap_err(), io::ErrorKind::PermissionDenied);
        assert_eq!(create("dangling").unwrap_err(), io::ErrorKind::AlreadyExists);
        assert!(create("folder").is_err() && create("none/new").is_err() && create("").is_err());
        assert!(create("folder/new").is_ok() && create("hello.txt").is_ok());
        assert!(tree.remove(Path::new("up/secret")).is_err());
        assert!(tree.create_directory(Path::new("up/directory")).is_err());
        // The link goes, and not what it leads to.
        tree.remove(Path::new("outside")).unwrap();
        let base = tree.root().parent().unwrap();
        assert!(base.join("secret").exists() && !base.join("new").exists());
        done(&tree);
    }

    #[test]
    fn a_pipe_is_no_file() {
        let tree = tree("pipe");
        let socket = tree.root().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = tree.find(Path::new("socket")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        done(&tree);
    }
}

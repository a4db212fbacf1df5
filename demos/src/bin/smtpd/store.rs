//! Where mail is kept.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use demos::date;
use demos::outside::wall_clock;

/// A directory for mail, or standard output.
#[derive(Debug)]
pub(crate) struct Store {
    directory: Option<PathBuf>,
    /// How many files were begun: each has a name of its own.
    begun: AtomicU64,
}

/// A mail that is being written. It is kept if it is finished, and otherwise vanishes.
#[derive(Debug)]
pub(crate) enum Draft {
    File { out: BufWriter<File>, path: PathBuf },
    Text(Vec<u8>),
}

impl Store {
    pub(crate) fn new(directory: Option<&Path>) -> Result<Store> {
        if let Some(directory) = directory {
            fs::create_dir_all(directory)
                .with_context(|| format!("{}: cannot be made", directory.display()))?;
            ensure!(directory.is_dir(), "{}: is not a directory", directory.display());
        }
        Ok(Store { directory: directory.map(Path::to_owned), begun: AtomicU64::new(0) })
    }

    /// Begins a mail.
    pub(crate) fn begin(&self) -> io::Result<Draft> {
        let Some(directory) = &self.directory else { return Ok(Draft::Text(Vec::new())) };
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let (time, process) = (date::ftp(wall_clock()), std::process::id());
        // Whoever looks into the directory sees whole mails only.
        let path = directory.join(format!(".{time}-{process}-{number:06}.part"));
        Ok(Draft::File { out: BufWriter::new(File::create_new(&path)?), path })
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.directory {
            Some(directory) => write!(f, "is kept in {}", directory.display()),
            None => f.write_str("is printed"),
        }
    }
}

impl Draft {
    /// Keeps the mail.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match &mut self {
            Draft::File { out, path } => {
                out.flush()?;
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let name = name.trim_start_matches('.');
                fs::rename(&*path, path.with_file_name(format!("{name}.eml")))
            }
            Draft::Text(text) => {
                let mut out = io::stdout().lock();
                out.write_all(text)?;
                out.write_all(b"\r\n")?;
                out.flush()
            }
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Draft::File { out, .. } => out.write(bytes),
            Draft::Text(text) => text.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Draft::File { out, .. } => out.flush(),
            Draft::Text(_) => Ok(()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Draft::File { path, .. } = self {
            // It has another name now if it was finished.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let directory = std::env::temp_dir().join(format!("smtpd-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let store = Store::new(Some(&directory)).unwrap();
        for is_finished in [false, true, true] {
            let mut draft = store.begin().unwrap();
            draft.write_all(b"hello\r\n").unwrap();
            if is_finished {
                draft.finish().unwrap();
            }
        }
        let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|it| it.unwrap()).collect();
        names.sort_by_key(|it| it.file_name());
        assert_eq!(names.len(), 2, "{names:?}");
        let name = names[0].file_name().into_string().unwrap();
        assert!(name.starts_with("20") && name.ends_with("-000001.eml"), "{name}");
        assert_eq!(fs::read(names[1].path()).unwrap(), b"hello\r\n");
        fs::remove_dir_all(&directory).unwrap();
    }
}

//! What is in a directory, as LIST and NLST tell it.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use demos::date;
use demos::outside::wall_clock;

/// The most entries that are shown.
const MAX_ENTRIES: usize = 10_000;

/// How much is told of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A line as of `ls -l`, which clients know how to read.
    Long,
    /// Its name alone.
    Names,
}

/// What is to be listed: all that stands behind options as of `ls`, which clients take for what
/// is asked. Names have spaces.
pub(crate) fn name(argument: &str) -> &str {
    let mut rest = argument;
    while rest.starts_with('-') {
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start_matches(' '));
    }
    rest
}

/// The entries of the directory at `path`, or the file there which is called `name`.
pub(crate) fn list(path: &Path, name: &str, style: Style) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return Ok(line(name, &meta, style));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)?.take(MAX_ENTRIES) {
        let entry = entry?;
        // Follows links, as opening will; one that leads nowhere is left out.
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        entries.push((entry.file_name().to_string_lossy().into_owned(), meta));
    }
    entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(entries.iter().map(|(name, meta)| line(name, meta, style)).collect())
}

fn line(name: &str, meta: &Metadata, style: Style) -> String {
    // A line break in a name would make a line of its own.
    let name = name.replace(char::is_control, "?");
    match style {
        Style::Names => format!("{name}\r\n"),
        Style::Long => {
            let kind = if meta.is_dir() { "drwxr-xr-x" } else { "-rw-r--r--" };
            let time = meta.modified().map_or_else(
                |_| date::list(std::time::UNIX_EPOCH, wall_clock()),
                |time| date::list(time, wall_clock()),
            );
            format!("{kind} 1 ftp ftp {:>12} {time} {name}\r\n", meta.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_no_part_of_a_name() {
        for (argument, expected) in [
            ("", ""),
            ("a", "a"),
            ("a folder", "a folder"),
            ("-la", ""),
            ("-a -l", ""),
            ("-la a folder", "a folder"),
            ("-a  -l a -b", "a -b"),
        ] {
            assert_eq!(name(argument), expected, "{argument:?}");
        }
    }

    #[test]
    fn a_directory_is_told_in_lines() {
        let root = std::env::temp_dir().join(format!("ftpd-{}-listing", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(root.join("a\r\nb"), "12345").unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        assert_eq!(list(&root, "", Style::Names).unwrap(), "a??b\r\nfolder\r\n");
        let long = list(&root, "", Style::Long).unwrap();
        let lines: Vec<&str> = long.lines().collect();
        assert!(lines[0].starts_with("-rw-r--r-- 1 ftp ftp            5 "), "{long}");
        assert!(lines[0].ends_with(" a??b") && lines[1].starts_with("drwx"), "{long}");
        let file = list(&root.join("a\r\nb"), "x", Style::Names).unwrap();
        assert_eq!(file, "x\r\n");
        fs::remove_dir_all(&root).unwrap();
    }
}

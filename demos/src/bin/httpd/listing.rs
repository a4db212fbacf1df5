//! A directory as a page.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use demos::http::{encode_path, escape_html};
use demos::human;
use demos::site::page;

/// The most entries that are shown.
const MAX_ENTRIES: usize = 5000;

/// The page of the directory at `path`, which is called `relative` outside.
pub(crate) fn page(relative: &Path, path: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)?.take(MAX_ENTRIES + 1) {
        let entry = entry?;
        // Follows links, as opening will; one that leads nowhere is left out.
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        entries.push((
            !meta.is_dir(),
            entry.file_name().to_string_lossy().into_owned(),
            meta.len(),
        ));
    }
    entries.sort_unstable();
    let is_cut = entries.len() > MAX_ENTRIES;
    entries.truncate(MAX_ENTRIES);

    let mut rows = String::new();
    if !relative.as_os_str().is_empty() {
        rows.push_str("<tr><td><a href=\"../\">..</a><td>");
    }
    for (is_file, name, size) in entries {
        let slash = if is_file { "" } else { "/" };
        let size = if is_file { human::bytes(size) } else { String::new() };
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td><a href=\"{}{slash}\">{}{slash}</a><td>{size}",
            encode_path(&name),
            escape_html(&name)
        );
    }
    if is_cut {
        let _ = write!(rows, "<tr><td>and more than the {MAX_ENTRIES} above<td>");
    }
    let title = format!("/{}", relative.display());
    let note = "<p><a href=\"/status\">The connections of this server</a>";
    Ok(page::html(&title, "", &format!("<table><tr><th>name<th>size{rows}</table>{note}")))
}

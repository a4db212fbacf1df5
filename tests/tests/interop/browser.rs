//! A browser on the kernel's end.

use tests::netns::{Netns, installed, skip};

/// What a browser has made of a page, whoever signed the server's certificate. `None` where there
/// is no browser, which is said.
pub(crate) fn show(ns: &Netns, url: &str) -> Option<String> {
    if !installed("chromium") {
        skip("no browser here to show a page; type: sudo apt-get install chromium");
        return None;
    }
    let browse = format!(
        "HOME=$PWD timeout 50 chromium --headless --no-sandbox --disable-gpu \
         --disable-dev-shm-usage --user-data-dir=$PWD/profile \
         --ignore-certificate-errors --dump-dom {url} 2>>chromium.log"
    );
    // One start of this browser in ten gives its first page up before it has asked for it.
    let mut pages = (0..5).map(|_| ns.sh(60, &browse));
    Some(pages.find(|page| !page.trim().is_empty()).unwrap_or_default())
}

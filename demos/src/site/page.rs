//! What all pages look like: no script, and nothing from elsewhere.

use crate::http::escape_html;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#888}\
body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\
a{color:inherit}p,small{color:var(--soft)}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .9rem .25rem 0;text-align:left;border-bottom:1px solid var(--line);\
white-space:nowrap}\
th{font-weight:600;color:var(--soft)}\
td.n,th.n{text-align:right}\
.state{font:600 .8rem ui-monospace,monospace}\
.ESTABLISHED{color:#2a9d5c}.LISTEN{color:#4a7fd6}.TIME-WAIT{color:var(--soft)}\
.big{display:flex;gap:2.5rem;flex-wrap:wrap}.big b{display:block;font-size:1.6rem}\
.counters{columns:18rem;font:.85rem ui-monospace,monospace}\
.counters div{display:flex;justify-content:space-between;padding-right:1.5rem}\
";

/// A whole page. `head` is further markup for its head.
pub fn html(title: &str, head: &str, body: &str) -> String {
    let title = escape_html(title);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title>{head}<style>{STYLE}</style>\
         <h1>{title}</h1>{body}</html>\n"
    )
}

//! Further interfaces, each with a table of its own: `[[interface]]`. A table becomes words of the
//! command line as other keys do: `--interface` or `--vlan`, and `--route`.

use stack::InterfaceName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{NOT_A_FLAG, scalar};
use crate::options::{parse_own, parse_route, parse_tag};

/// The key, which is an option too.
pub(super) const KEY: &str = "interface";

/// Where in the file, and what is wrong there.
type Mistake = (usize, String);

/// The tables, each with its place, if the value is nothing but tables.
pub(super) fn tables<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<Vec<(usize, &'a DeTable<'a>)>> {
    let table = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
        DeValue::Table(table) => Some((value.span().start, table)),
        _ => None,
    };
    match value.get_ref() {
        DeValue::Array(all) if !all.is_empty() => all.iter().map(table).collect(),
        _ => table(value).map(|it| vec![it]),
    }
}

/// The options that a table stands for, with their values.
pub(super) fn options(
    at: usize,
    table: &DeTable<'_>,
) -> Result<Vec<(&'static str, String)>, Mistake> {
    let (mut tap, mut vlan, mut addresses, mut routes) = (None, None, Vec::new(), Vec::new());
    let mut dhcp = false;
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        match key.get_ref().as_ref() {
            name @ "tap" => tap = Some(text(name, value, parse_name)?),
            name @ "vlan" => vlan = Some(text(name, value, parse_tag)?),
            name @ "addr" => addresses = texts(name, value, parse_own)?,
            name @ "route" => routes = texts(name, value, parse_route)?,
            "dhcp" => dhcp = flag(value).map_err(|(at, what)| (at, format!("dhcp: {what}")))?,
            other => {
                let what = "there is no such key; an interface has tap, vlan, addr, dhcp and route";
                return Err((key.span().start, format!("{other}: {what}")));
            }
        }
    }
    let (option, name) = match (tap, vlan) {
        (Some(tap), None) => (KEY, tap),
        (None, Some(tag)) => ("vlan", tag),
        (Some(tap), Some(tag)) => ("vlan", format!("{tap}.{tag}")),
        (None, None) => {
            return Err((
                at,
                "say which: tap = \"tap1\" for a TAP, vlan = 7 for a VLAN".to_owned(),
            ));
        }
    };
    addresses.extend(dhcp.then(|| "dhcp".to_owned()));
    if addresses.is_empty() {
        let remedy = "addr = \"198.51.100.2/24\", or dhcp = true";
        return Err((at, format!("{name} has no address: {remedy}")));
    }
    let link = (option, format!("{name}:{}", addresses.join(",")));
    Ok(std::iter::once(link).chain(routes.into_iter().map(|route| ("route", route))).collect())
}

fn parse_name(text: &str) -> Result<InterfaceName, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn flag(value: &Spanned<DeValue<'_>>) -> Result<bool, Mistake> {
    match value.get_ref() {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => Err((value.span().start, NOT_A_FLAG.to_owned())),
    }
}

/// The texts of a value that is a list, or one text.
fn texts<T>(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<String>, Mistake> {
    match value.get_ref() {
        DeValue::Array(all) => all.iter().map(|value| text(key, value, &parse)).collect(),
        _ => Ok(vec![text(key, value, parse)?]),
    }
}

/// The text of a value, if it means something.
fn text<T>(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<String, Mistake> {
    let wrong = |what: &str| (value.span().start, format!("{key}: {what}"));
    let text = scalar(value.get_ref());
    let text = text.ok_or_else(|| wrong("a text in quotes or a number is wanted here"))?;
    parse(&text).map_err(|what| wrong(&format!("'{text}': {what}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{Demo, File};

    #[test]
    fn tables_are_interfaces() {
        let file = File::new(
            "[[interface]]\ntap = 'tap1'\naddr = ['198.51.100.2/24', '2001:db8:1::2/64']\n\
             route = '203.0.113.0/24=198.51.100.1'\n\
             [[interface]]\nvlan = 7\naddr = '198.18.7.2/24'\n\
             dhcp = false\n[[interface]]\ntap = 'tap1'\nvlan = 9\ndhcp = true\n",
        );
        let common = file.parse::<Demo>("--config FILE").unwrap().common;
        let line = "--interface tap1:198.51.100.2/24,2001:db8:1::2/64 --vlan 7:198.18.7.2/24 \
                    --vlan tap1.9:dhcp --route 203.0.113.0/24=198.51.100.1";
        let same = file.parse::<Demo>(line).unwrap().common;
        assert_eq!(
            (common.interface, common.vlan, common.route),
            (same.interface, same.vlan, same.route)
        );
        // Each option of the command line goes before its own.
        let common = file.parse::<Demo>("--config FILE --vlan 8:198.18.8.2/24").unwrap().common;
        let names: Vec<_> =
            common.interface.iter().chain(&common.vlan).map(|it| &*it.name).collect();
        assert_eq!((names, common.route.len()), (vec!["tap1", "8"], 1));
        let inline = File::new("interface = { tap = 'tap2', addr = '198.51.100.2/24' }");
        let common = inline.parse::<Demo>("--config FILE").unwrap().common;
        assert_eq!(common.interface[0].name, "tap2");
    }

    #[test]
    fn mistakes_in_tables_name_the_key_and_the_remedy() {
        let table = [
            ("adr = 'x'", "FILE:2: interface: adr: there is no such key; an interface has tap,"),
            ("addr = '192.0.2.2/24'", "FILE:1: interface: say which: tap = \"tap1\" for a TAP"),
            ("tap = 'tap1'", "FILE:1: interface: tap1 has no address: addr = \"198.51.100.2/24\","),
            ("tap = 'tap1'\ndhcp = 1", "FILE:3: interface: dhcp: either true or false, without"),
            ("vlan = 1\naddr = [\n'192.0.2.1/24',\n'x']", "FILE:5: interface: addr: 'x': "),
            ("tap = 'tap1'\naddr = '192.0.2.2'", "; write the address and its prefix length, like"),
            ("tap = 'tap:1'", "FILE:2: interface: tap: 'tap:1': an interface's name has 1 to 15"),
            ("tap = ['tap1']", "FILE:2: interface: tap: a text in quotes or a number is wanted"),
            ("vlan = 4095", "FILE:2: interface: vlan: '4095': a number from 1 to 4094"),
            ("\nroute = '192.0.2.1'", "FILE:3: interface: route: '192.0.2.1': write the network,"),
        ];
        for (text, expected) in table {
            let said = File::new(&format!("[[interface]]\n{text}")).refusal("--config FILE");
            assert!(said.contains(expected), "{text}: {said}");
        }
        let mixed = File::new("interface = ['tap1:192.0.2.2/24', { vlan = 7 }]");
        let said = mixed.refusal("--config FILE");
        assert!(
            said.contains("FILE:1: interface: a text in quotes or a number, or a list"),
            "{said}"
        );
    }
}

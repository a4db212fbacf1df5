//! A program's options from a TOML file, with `--config FILE`.
//!
//! A key is the name of an option, and means the same: the file becomes words of the command line,
//! behind those that stand there. So every option is a key, its help is the key's, and whoever adds
//! an option adds a key. What is wrong is said with the line that it stands in.

mod interfaces;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The key that is none: a file does not lead to the next one.
const CONFIG: &str = "config";

const NOT_A_FLAG: &str = "either true or false, without quotes";

/// The options of this program, from its command line and the file that is named there. What is
/// wrong ends the process, as [`Parser::parse`] does.
pub fn parse<T: Parser>() -> T {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// The options in `words`, and in the file that they name.
///
/// # Errors
/// What is wrong with the words, or with the file.
pub fn parse_from<T: Parser>(
    words: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<T, clap::Error> {
    let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut command = T::command();
    if let Some(program) = words.first().filter(|_| !command.is_no_binary_name_set()) {
        // As clap has it when it parses.
        let name = Path::new(program).file_name().unwrap_or(program);
        command.set_bin_name(name.to_string_lossy());
    }
    command.build();
    // Only for what was given: mistakes in the words are found below.
    let given = command.clone().ignore_errors(true).try_get_matches_from(&words);
    let Ok(given) = given else { return T::try_parse_from(words) };
    let (inner, given) = innermost(&command, &given);
    // A subcommand without a wire has no such option.
    let path = given.try_get_one::<PathBuf>(CONFIG).ok().flatten();
    let Some(path) = path else { return T::try_parse_from(words) };
    let refuse = |text: String| inner.clone().error(ErrorKind::ValueValidation, text);
    let settings = read(path, inner).map_err(refuse)?;
    let settings: Vec<_> =
        settings.into_iter().filter(|it| !is_settled(inner, given, it.arg)).collect();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.splice(end..end, settings.iter().flat_map(|setting| setting.words.iter().cloned()));
    T::try_parse_from(words).map_err(|error| {
        if settings.is_empty() || !error.use_stderr() {
            return error;
        }
        let from: Vec<String> = settings.iter().map(|it| it.place.clone()).collect();
        let text = format!("{}\n\nOf this the file says:\n  {}", short(&error), from.join("\n  "));
        inner.clone().error(error.kind(), text)
    })
}

/// The subcommand that was given, if there are any, and its part of the words.
fn innermost<'a>(command: &'a Command, given: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    let inner = given.subcommand().and_then(|(name, inner)| {
        command.find_subcommand(name).map(|command| innermost(command, inner))
    });
    inner.unwrap_or((command, given))
}

/// What a line of the file sets.
struct Setting<'a> {
    arg: &'a Arg,
    /// As the command line has it.
    words: Vec<OsString>,
    /// File, line and key.
    place: String,
}

/// What the file sets, or file, line and key of the first mistake, and the remedy.
fn read<'a>(path: &Path, command: &'a Command) -> Result<Vec<Setting<'a>>, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{file}: cannot be read: {error}; --config takes a TOML file"))?;
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(&text).map_err(|error| {
        let at = line(error.span().map_or(0, |span| span.start));
        let what = error.message();
        format!("{file}:{at}: {what}; a line is KEY = VALUE, and texts stand in quotes")
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut settings = Vec::new();
    for (key, value) in entries {
        let name: &str = key.get_ref();
        let place = format!("{file}:{}: {name}", line(key.span().start));
        let arg = find(command, name).map_err(|what| format!("{place}: {what}"))?;
        if let Some(tables) = interfaces::tables(value).filter(|_| name == interfaces::KEY) {
            for (at, table) in tables {
                let place = format!("{file}:{}: {name}", line(at));
                let options = interfaces::options(at, table)
                    .map_err(|(at, what)| format!("{file}:{}: {name}: {what}", line(at)))?;
                for (option, value) in options {
                    let arg = find(command, option)?;
                    let words = vec![format!("--{option}={value}").into()];
                    settings.push(Setting { arg, words, place: place.clone() });
                }
            }
            continue;
        }
        let words = words(command, arg, value).map_err(|(at, what)| {
            format!("{file}:{}: {name}: {what}", line(at.unwrap_or(value.span().start)))
        })?;
        settings.push(Setting { arg, words, place });
    }
    // Arguments without a name go by their order.
    settings.sort_by_key(|setting| setting.arg.get_index());
    Ok(settings)
}

/// The option `--key`, or the argument that is called so.
fn find<'a>(command: &'a Command, key: &str) -> Result<&'a Arg, String> {
    let is_key = |arg: &&Arg| {
        let name = if arg.is_positional() { Some(arg.get_id().as_str()) } else { arg.get_long() };
        let is_value = !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        name == Some(key) && is_value && key != CONFIG && !arg.is_last_set()
    };
    if let Some(arg) = command.get_arguments().find(is_key) {
        return Ok(arg);
    }
    let similar = trial(command, &[format!("--{key}").into()])
        .err()
        .and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(option)) => Some(option.trim_start_matches('-').to_owned()),
            _ => None,
        })
        .filter(|similar| similar != key);
    Err(match similar {
        Some(similar) => format!("there is no such key; did you mean {similar}?"),
        None => "there is no such key; keys are the long options that --help lists".to_owned(),
    })
}

/// The words of a command line for `arg`, or what is wrong, and where if not with the whole.
fn words(
    command: &Command,
    arg: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<OsString>, (Option<usize>, String)> {
    let flag = || OsString::from(format!("--{}", arg.get_long().unwrap_or_default()));
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value.get_ref() {
            DeValue::Boolean(true) => Ok(vec![flag()]),
            DeValue::Boolean(false) => Ok(Vec::new()),
            _ => Err((None, NOT_A_FLAG.to_owned())),
        };
    }
    let values = match (value.get_ref(), arg.get_action()) {
        (DeValue::Array(values), ArgAction::Append) => values.iter().collect(),
        _ => vec![value],
    };
    let word = |value: &Spanned<DeValue<'_>>| {
        let wrong = |what| (Some(value.span().start), what);
        let text = scalar(value.get_ref()).ok_or_else(|| {
            let is_list = matches!(arg.get_action(), ArgAction::Append);
            let list = if is_list { ", or a list of them" } else { "" };
            wrong(format!("a text in quotes or a number{list} is wanted here"))
        })?;
        let word = match arg.get_long() {
            Some(name) => format!("--{name}={text}"),
            None if text.starts_with('-') => return Err(wrong("begins with a dash".to_owned())),
            None => text,
        };
        match trial(command, &[word.clone().into()]) {
            Err(error) if is_about_the_value(&error) => Err(wrong(short(&error))),
            _ => Ok(word.into()),
        }
    };
    values.into_iter().map(word).collect()
}

/// The text of a value that is one.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|it| it.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What would be said of these words alone.
fn trial(command: &Command, words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    command.clone().no_binary_name(true).try_get_matches_from(words)
}

fn is_about_the_value(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation)
}

/// An error without its frame: the first paragraph on one line.
pub fn short(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// The command line has it, or something else in its place.
fn is_settled(command: &Command, given: &ArgMatches, arg: &Arg) -> bool {
    let is_given =
        |id: &str| given.value_source(id).is_some_and(|from| from == ValueSource::CommandLine);
    let excludes = |one: &Arg, other: &Arg| {
        let conflicts = command.get_arg_conflicts_with(one);
        conflicts.iter().any(|it| it.get_id() == other.get_id())
            || command.get_groups().any(|group| {
                let members: Vec<_> = group.get_args().collect();
                !group.clone().is_multiple()
                    && members.contains(&one.get_id())
                    && members.contains(&other.get_id())
            })
    };
    command
        .get_arguments()
        .filter(|other| is_given(other.get_id().as_str()))
        .any(|other| other.get_id() == arg.get_id() || excludes(arg, other) || excludes(other, arg))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CommonOptions;
    use clap::{Args, CommandFactory};

    #[derive(Parser, Debug)]
    pub(super) struct Demo {
        #[arg(default_value = ".")]
        root: PathBuf,
        #[arg(short, long, default_value_t = 80)]
        port: u16,
        #[command(flatten)]
        pub(super) common: CommonOptions,
    }

    #[derive(Parser, Debug)]
    struct Outer {
        #[command(subcommand)]
        what: What,
    }

    #[derive(clap::Subcommand, Debug)]
    #[expect(clippy::large_enum_variant, reason = "there is one of them")]
    enum What {
        Look,
        Serve {
            #[arg(long, conflicts_with = "addr")]
            ip: Option<String>,
            #[command(flatten)]
            common: CommonOptions,
        },
    }

    /// A file of this test's own, which goes away with it.
    pub(super) struct File(PathBuf);

    impl File {
        pub(super) fn new(text: &str) -> File {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("tapstack-config-{}-{number}.toml", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            File(path)
        }

        pub(super) fn parse<T: Parser>(&self, line: &str) -> Result<T, clap::Error> {
            let line = line.replace("FILE", &self.0.display().to_string());
            parse_from(std::iter::once("demo").chain(line.split_whitespace()))
        }

        /// What is said of it, with FILE where its name stands.
        pub(super) fn refusal(&self, line: &str) -> String {
            let error = self.parse::<Demo>(line).unwrap_err();
            assert!(error.use_stderr());
            error.render().to_string().replace(&self.0.display().to_string(), "FILE")
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn keys_are_options() {
        let file = File::new(
            "tap = 'tap7'  # the wire\naddr = ['192.0.2.9/24', '2001:db8::1/64']\n\
             gateway = '192.0.2.1'\nport = 8_080\nplain = true\ndhcp = false\nmtu = 0x500\n\
             root = '/srv/www'\n",
        );
        let demo: Demo = file.parse("--config FILE").unwrap();
        assert_eq!((demo.port, demo.root), (8080, PathBuf::from("/srv/www")));
        let common = demo.common;
        assert_eq!((common.tap.as_deref(), common.addr.len()), (Some("tap7"), 2));
        assert_eq!((common.plain, common.dhcp, common.mtu), (true, false, Some(1280)));
        assert_eq!(common.gateway.len(), 1);
    }

    #[test]
    fn the_command_line_goes_first() {
        let file = File::new("tap = 'tap7'\naddr = '192.0.2.9/24'\nport = 81\nroot = '/a'\n");
        let demo: Demo =
            file.parse("--config FILE --ns -p 82 /b --addr 198.18.0.1/24 -- curl x").unwrap();
        assert_eq!((demo.port, demo.root), (82, PathBuf::from("/b")));
        assert_eq!((demo.common.tap, demo.common.ns), (None, true), "another wire");
        assert_eq!(demo.common.addr, ["198.18.0.1/24".parse().unwrap()]);
        assert_eq!(demo.common.command, ["curl", "x"]);
    }

    #[test]
    fn subcommands_have_theirs() {
        let file = File::new("tap = 'tap7'\naddr = '192.0.2.9/24'\n");
        let serve = |line| match file.parse::<Outer>(line).unwrap().what {
            What::Serve { ip, common } => (ip, common.tap),
            What::Look => panic!("{line}"),
        };
        let tap = || Some("tap7".to_owned());
        assert_eq!(serve("serve --config FILE"), (None, tap()));
        let ip = Some("192.0.2.7".to_owned());
        assert_eq!(serve("serve --config FILE --ip 192.0.2.7"), (ip, tap()));
        // One that takes no file, because it has no wire.
        assert!(matches!(file.parse::<Outer>("look").unwrap().what, What::Look));
    }

    #[test]
    fn mistakes_are_said_with_file_line_key_and_remedy() {
        let table = [
            ("\n\nadrr = 'x'", "FILE:3: adrr: there is no such key; did you mean addr?"),
            ("qqq = 1", "FILE:1: qqq: there is no such key; keys are the long options that"),
            ("help = true", "FILE:1: help: there is no such key; keys are the long"),
            ("config = 'x'", "FILE:1: config: there is no such key; keys are the long"),
            ("command = 'x'", "FILE:1: command: there is no such key"),
            ("[addr]\nx = 1", "FILE:1: addr: a text in quotes or a number, or a list of them"),
            ("tap = ['a', 'b']", "FILE:1: tap: a text in quotes or a number is wanted"),
            ("tap = true", "FILE:1: tap: a text in quotes or a number is wanted"),
            ("ns = 'yes'", "FILE:1: ns: either true or false, without quotes"),
            (
                "\naddr = [\n'192.0.2.1/24',\n'192.0.2.2']",
                "FILE:4: addr: invalid value '192.0.2.2'",
            ),
            ("addr = '192.0.2.2'", "like 192.0.2.2/24"),
            ("log = 'loud'", "FILE:1: log: invalid value 'loud'"),
            ("port = 65536", "FILE:1: port: invalid value '65536'"),
            ("root = '-x'", "FILE:1: root: begins with a dash"),
            ("port = 1\nport = 2", "FILE:2: duplicate key; a line is KEY = VALUE"),
            ("tap = tap0", "FILE:1: "),
            ("tap = 'a'\n\nns = true", "Of this the file says:\n  FILE:1: tap\n  FILE:3: ns"),
        ];
        for (text, expected) in table {
            let said = File::new(text).refusal("--config FILE");
            assert!(said.contains(expected), "{text}: {said}");
        }
        let said = File::new("qqq = 1").parse::<Outer>("serve --config FILE").unwrap_err();
        assert!(said.to_string().contains("Usage: demo serve "), "{said}");
        let said = File::new("qqq = 1").parse::<Demo>("--config FILE").unwrap_err();
        assert!(said.to_string().contains("Usage: demo "), "{said}");
        let error = File::new("").parse::<Demo>("--config /nowhere/at/all").unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all: cannot be read"), "{error}");
        assert!(File::new("").refusal("--config FILE --prot 1").contains("--port"));
    }

    /// Every option that all programs have stands on the page, and its example holds.
    #[test]
    fn every_key_is_documented() {
        const PAGE: &str = include_str!("../../../docs/CONFIGURATION.md");
        let command = CommonOptions::augment_args(Command::new("demo"));
        for name in command.get_arguments().filter_map(Arg::get_long) {
            let is_there = PAGE.contains(&format!("\n| `{name}` |"));
            assert_eq!(is_there, name != CONFIG, "{name}");
        }
        let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let demo: Demo = File::new(example.unwrap()).parse("--config FILE").unwrap();
        assert_eq!((demo.port, demo.common.addr.len()), (8080, 2));
        assert_eq!((demo.common.interface.len(), demo.common.vlan.len()), (1, 1));
        Demo::command().debug_assert();
    }
}

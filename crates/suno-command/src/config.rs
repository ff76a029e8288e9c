//! Settings from a TOML file: the options of a command under their own names, with `_` for `-`.
//!
//! A key that the command line does not set is added to it as an option, so that each setting is parsed
//! and checked in one place. What the command line says wins, then the file, then the default.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::Failure;
use crate::store;

/// The option that names the file.
const OPTION: &str = "config";
/// The maximum length of a file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// The least similarity of a name that is suggested, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.8;

/// The option to flatten into the arguments of a command.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// TOML file with these options under their names, with "_" for "-"; options given here win
    #[arg(long = OPTION, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Arguments, and where each setting comes from.
#[derive(Debug)]
pub(crate) struct Parsed<A> {
    pub(crate) arguments: A,
    pub(crate) origins: Vec<Setting>,
}

/// The reason why there are no arguments.
pub(crate) enum Problem {
    /// The command line is wrong, or asks for help.
    CommandLine(clap::Error),
    /// The file is wrong.
    File(Failure),
}

/// A setting, for people.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in a file.
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// The place where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    /// The line of the file.
    File(usize),
    Default,
    Unset,
}

/// A key of a file.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    id: String,
    option: String,
    values: Vec<String>,
    is_flag: bool,
    line: usize,
}

/// Parses a command line, and the file that it names.
pub(crate) fn parse<A>(words: impl Iterator<Item = OsString>) -> Result<Parsed<A>, Problem>
where
    A: CommandFactory + FromArgMatches,
{
    let mut words: Vec<OsString> = words.collect();
    // An option may need another one that is in the file: errors count only afterwards.
    let mut lenient = A::command().ignore_errors(true);
    let given = lenient.try_get_matches_from_mut(&words);
    let mut origins = Vec::new();
    if let Ok(given) = &given
        && let Some((name, given)) = given.subcommand()
        && let Some(command) = lenient.find_subcommand(name)
    {
        let file = given.try_get_one::<PathBuf>(OPTION).ok().flatten();
        let entries = match file {
            Some(file) => read(file, command).map_err(Problem::File)?,
            None => Vec::new(),
        };
        let added = entries
            .into_iter()
            .filter(|it| !is_given(command, given, &it.id));
        let added: Vec<Entry> = added.collect();
        words.extend(added.iter().flat_map(Entry::words));
        origins = settings(command, given, &added);
    }
    let matches = A::command().try_get_matches_from(words);
    let matches = matches.map_err(Problem::CommandLine)?;
    let arguments = A::from_arg_matches(&matches).map_err(Problem::CommandLine)?;
    Ok(Parsed { arguments, origins })
}

/// Whether the command line sets an option, or another one of a group that takes one.
fn is_given(command: &Command, given: &ArgMatches, id: &str) -> bool {
    let is_given = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let is_one = |group: &&clap::ArgGroup| !clap::ArgGroup::clone(group).is_multiple();
    let groups = command.get_groups().filter(is_one);
    let siblings = groups.filter(|group| group.get_args().any(|it| it == id));
    is_given(id)
        || siblings
            .flat_map(clap::ArgGroup::get_args)
            .any(|it| is_given(it.as_str()))
}

impl Entry {
    fn words(&self) -> Vec<OsString> {
        match self.is_flag {
            true => vec![format!("--{}", self.option).into()],
            false => {
                let words = self
                    .values
                    .iter()
                    .map(|value| format!("--{}={value}", self.option));
                words.map(OsString::from).collect()
            }
        }
    }
}

/// The options of a command that a file may set.
fn options(command: &Command) -> impl Iterator<Item = (&Arg, String)> {
    let named = command
        .get_arguments()
        .filter_map(|arg| Some((arg, arg.get_long()?)));
    let settable = named.filter(|(_, name)| !matches!(*name, OPTION | "help" | "version"));
    settable.map(|(arg, name)| (arg, name.replace('-', "_")))
}

/// Reads a file. No error shows a value of it: it may be a secret in the wrong place.
fn read(file: &Path, command: &Command) -> Result<Vec<Entry>, Failure> {
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|err| {
            Failure::usage(err).context(format!("cannot read the file {}", file.display()))
        })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::usage(anyhow!(
            "the file {} has more than {FILE_BYTES_MAX} bytes",
            file.display()
        )));
    }
    entries(&text, command)
        .map_err(|(line, why)| Failure::usage(anyhow!("{}:{line}: {why}", file.display())))
}

/// Returns the keys of a text, or the line of the first mistake and what it is.
fn entries(text: &str, command: &Command) -> Result<Vec<Entry>, (usize, String)> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|err| {
        let at = err.span().map_or(0, |span| span.start);
        // The message alone: the rest of the error shows the line.
        (line(at), format!("this is not TOML: {}", err.message()))
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line(key.span().start);
        let found = options(command).find(|(_, name)| name == key.get_ref());
        let Some((arg, _)) = found else {
            return Err((line, unknown(key.get_ref(), command)));
        };
        let what = |why: &str| (line, format!("`{}` {why}", key.get_ref()));
        let values = values(arg, value).map_err(what)?;
        entries.extend(values.map(|values| Entry {
            id: arg.get_id().to_string(),
            option: arg.get_long().unwrap_or_default().to_owned(),
            is_flag: is_flag(arg),
            values,
            line,
        }));
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn unknown(key: &str, command: &Command) -> String {
    let similarity = |name: &str| strsim::jaro_winkler(key, name);
    let nearest = options(command).map(|(_, name)| (similarity(&name), name));
    let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
    // The key may be anything, also a secret in the wrong place, but it is needed to find it.
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    match nearest.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN) {
        Some((_, name)) => format!("there is no setting `{shown}`; did you mean `{name}`?"),
        None => format!("there is no setting `{shown}`; `suno listen --help` names all of them"),
    }
}

fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Returns the values of a key; `None` for a flag that is false.
fn values(arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Option<Vec<String>>, &'static str> {
    match value.get_ref() {
        DeValue::Boolean(is_set) if is_flag(arg) => Ok(is_set.then(Vec::new)),
        _ if is_flag(arg) => Err("must be true or false"),
        DeValue::Array(all) if is_list(arg) => {
            let texts = all.iter().map(|one| text(one.get_ref()));
            let texts = texts.collect::<Option<Vec<_>>>();
            texts.map(Some).ok_or("must be a list of texts")
        }
        DeValue::Array(_) => Err("takes one value, not a list"),
        one => match text(one) {
            Some(text) => Ok(Some(vec![text])),
            None if is_list(arg) => Err("must be a text or a list of texts"),
            None => Err("must be a text or a whole number"),
        },
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Returns every setting of a command, for people.
fn settings(command: &Command, given: &ArgMatches, added: &[Entry]) -> Vec<Setting> {
    let setting = |(arg, key): (&Arg, String)| {
        let id = arg.get_id().as_str();
        let added = added.iter().find(|entry| entry.id == id);
        let given_values = || {
            let raw = given.get_raw(id).into_iter().flatten();
            raw.map(|value| value.to_string_lossy().into_owned())
                .collect()
        };
        let (values, origin) = match (given.value_source(id), added) {
            (Some(ValueSource::CommandLine), _) => (given_values(), Origin::CommandLine),
            (_, Some(entry)) => (entry.values.clone(), Origin::File(entry.line)),
            (Some(_), None) if !is_flag(arg) => (given_values(), Origin::Default),
            _ => (Vec::new(), Origin::Unset),
        };
        let values = match is_flag(arg) && origin != Origin::Unset {
            true => vec!["true".to_owned()],
            false => values
                .into_iter()
                .map(|value| shown(&key, &value))
                .collect(),
        };
        Setting {
            key,
            values,
            origin,
        }
    };
    options(command).map(setting).collect()
}

/// Returns what may be shown of a value: a URL may have a secret in its path or its query.
fn shown(key: &str, value: &str) -> String {
    if key != "forward_to" {
        return store::without_passwords(value).into_owned();
    }
    let start = value.find("://").map_or(0, |at| at + 3);
    match value[start..].find(['/', '?']) {
        Some(end) => format!("{}/…", &value[..start + end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::ValueParser;
    use serde_json::{Map, Value, json};

    use super::*;

    /// Returns the JSON schema of the file.
    fn schema(command: &Command) -> Value {
        let mut properties = Map::new();
        for (arg, name) in options(command) {
            let mut schema = match (is_flag(arg), is_list(arg)) {
                (true, _) => json!({"type": "boolean"}),
                (_, true) => json!({"type": ["string", "array"], "items": {"type": "string"}}),
                _ if is_number(arg.get_value_parser()) => json!({"type": "integer", "minimum": 0}),
                _ => json!({"type": "string"}),
            };
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            schema["description"] = help.split_whitespace().collect::<Vec<_>>().join(" ").into();
            let default = arg.get_default_values().first();
            if let Some(default) = default.filter(|_| !is_flag(arg)) {
                schema["default"] = default.to_string_lossy().into();
            }
            properties.insert(name, schema);
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "The file of suno listen --config",
            "description": "TOML. Each key is an option of suno listen, with \"_\" for \"-\"; options on the command line win. Secrets are in environment variables, whose names are here.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }

    fn is_number(parser: &ValueParser) -> bool {
        let id = parser.type_id();
        id == std::any::TypeId::of::<u16>() || id == std::any::TypeId::of::<u32>()
    }

    fn command() -> Command {
        let command = crate::Arguments::command();
        command.find_subcommand("listen").unwrap().clone()
    }

    fn mistake(text: &str) -> (usize, String) {
        entries(text, &command()).unwrap_err()
    }

    #[test]
    fn a_key_is_an_option_and_a_list_repeats_it() {
        let text = "# a comment\naddr = \"[::1]:0\"\nconcurrency = 4\njson = true\nquiet = false\n\
                    forward_to = [\"a=http://a\", \"b=http://b\"]\nexec = 'true'\n";
        let entries = entries(text, &command()).unwrap();
        let words = entries.iter().flat_map(Entry::words);
        let words: Vec<String> = words.map(|it| it.into_string().unwrap()).collect();
        let expected = [
            "--addr=[::1]:0",
            "--concurrency=4",
            "--json",
            "--forward-to=a=http://a",
            "--forward-to=b=http://b",
            "--exec=true",
        ];
        assert_eq!(words, expected);
        assert_eq!(entries.last().unwrap().line, 7);
    }

    #[test]
    fn a_mistake_has_its_line_and_the_nearest_name_and_never_a_value() {
        for (text, line, says) in [
            ("\nforward_too = \"canary\"", 2, "did you mean `forward_to`"),
            (
                "signing_key = \"canary\"",
                1,
                "did you mean `signing_key_env`",
            ),
            ("forward-to = \"canary\"", 1, "did you mean `forward_to`"),
            ("zzz = \"canary\"", 1, "--help"),
            ("config = \"canary\"", 1, "there is no setting"),
            ("json = \"canary\"", 1, "true or false"),
            ("addr = [\"canary\"]", 1, "takes one value"),
            ("exec = [1.5]", 1, "list of texts"),
            ("addr = 1.5", 1, "whole number"),
            ("\n\naddr = canary\n", 3, "this is not TOML"),
            ("addr = \"canary\"\naddr = \"b\"", 2, "this is not TOML"),
            ("[addr]\ncanary = 1", 1, "whole number"),
        ] {
            let (at, why) = mistake(text);
            assert_eq!(at, line, "{text}: {why}");
            assert!(
                why.contains(says) && !why.contains("canary"),
                "{text}: {why}"
            );
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn the_published_schema_is_that_of_the_options() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.schema.json");
        let schema = format!("{:#}\n", schema(&command()));
        if std::env::var_os("SUNO_WRITE_SCHEMA").is_some() {
            fs::write(path, &schema).unwrap();
        }
        let published = fs::read_to_string(path).unwrap_or_default();
        let is_same = published == schema;
        assert!(
            is_same,
            "run this test with SUNO_WRITE_SCHEMA=1 and commit the file"
        );
    }
}

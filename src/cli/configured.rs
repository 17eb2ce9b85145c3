//! What was not typed: from the environment, a profile, an option file.
//!
//! The keys are the options of the command line, read off its definition, so that a new one can be configured without
//! being named here. What is found for an option becomes its default, and then the command line is parsed again: so
//! every value goes through the same parser, wherever it comes from, and a flag goes before all of them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, ValueEnum};

use super::{Cli, Format};
use crate::error::{Error, Told};
use crate::nearest::{did_you_mean, nearest};
use crate::settings::given::{Given, Mistake, Origin, Value};
use crate::settings::{option_file, rsc_toml};

/// Belongs to one run: what is to be done, to what, or with which file.
const OF_ONE_RUN: [&str; 17] = [
    "accept-differences",
    "accept-parked",
    "accept-short-reads",
    "alter",
    "alter-file",
    "compensate",
    "config",
    "defaults-file",
    "dir",
    "help",
    "password-from-stdin",
    "profile",
    "repair",
    "resume",
    "table",
    "until-idle",
    "version",
];
/// What other programs may say in `[client]`. Whatever else stands there is for them.
const CONNECTION: [&str; 9] =
    ["host", "port", "socket", "user", "password", "ssl-mode", "ssl-ca", "ssl-cert", "ssl-key"];
/// They read no settings: what a shell runs at its start must not depend on a file.
const WITHOUT_SETTINGS: [&str; 2] = ["completions", "man"];

/// A command line that can be read by itself.
pub struct Typed {
    arguments: Vec<OsString>,
    matches: ArgMatches,
}

/// One option and what it is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    /// Empty: not set, and no default.
    pub values: Vec<String>,
    pub origin: Origin,
    /// Not to be shown.
    pub secret: bool,
}

/// Every option that can be configured, as it is set for this run.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    pub fn all(&self) -> &[Setting] {
        &self.0
    }

    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key == key)
    }

    /// It stands on this command line.
    pub fn typed(&self, key: &str) -> bool {
        self.get(key).is_some_and(|setting| matches!(setting.origin, Origin::Flag(_)))
    }

    /// Environment variables that make another rsc do as this one; `None` takes a variable away. Not the password, which
    /// other processes of this user could read there.
    pub fn handed_on(&self) -> Vec<(String, Option<String>)> {
        let own = ["password", "ask-password", "output"];
        let handed = |setting: &Setting| {
            let set = setting.origin != Origin::Default && !own.contains(&setting.key.as_str());
            set.then(|| setting.values.join(","))
        };
        let files =
            ["RSC_CONFIG", "RSC_DEFAULTS_FILE"].map(|name| (name.to_owned(), Some("/dev/null".to_owned())));
        let all = self.0.iter().filter(|setting| setting.key != "output");
        all.map(|setting| (variable(&setting.key), handed(setting)))
            .chain(files)
            .chain([("RSC_PROFILE".to_owned(), None)])
            .collect()
    }
}

impl Typed {
    /// # Errors
    /// What clap has to say: a mistake, or the help that was asked for.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let matches =
            Cli::command().try_get_matches_from(&arguments).map_err(with_the_verb_that_was_meant)?;
        Ok(Self { arguments, matches })
    }

    /// How mistakes in the settings are told.
    pub fn format(&self) -> Format {
        let variable = environment("RSC_OUTPUT").and_then(|text| Format::from_str(&text, true).ok());
        match (self.matches.value_source("output"), variable) {
            (Some(ValueSource::CommandLine), _) | (_, None) => {
                self.matches.get_one("output").copied().unwrap_or(Format::Text)
            }
            (_, Some(format)) => format,
        }
    }

    /// Flags before environment, profile, the defaults of the same file, option file, and what is built in.
    pub fn configured(self) -> Result<(Cli, Settings), Error> {
        let command = Cli::command();
        let keys = keys(&command);
        let settings =
            match self.matches.subcommand_name().is_some_and(|name| WITHOUT_SETTINGS.contains(&name)) {
                true => Settings::default(),
                false => {
                    let sources = self.sources(&keys).map_err(mistaken)?;
                    settle(&keys, &self.matches, &sources).map_err(mistaken)?
                }
            };
        let default = |arg: Arg| match arg.get_long().and_then(|long| settings.get(long)) {
            Some(found) if !matches!(found.origin, Origin::Default | Origin::Flag(_)) => {
                let values = found.values.clone();
                arg.default_values(values)
            }
            _ => arg,
        };
        let command = command.mut_args(default).mut_subcommands(|verb| verb.mut_args(default));
        let cli = command
            .try_get_matches_from(&self.arguments)
            .and_then(|matches| Cli::from_arg_matches(&matches))
            .map_err(|e| usage(e.to_string().trim_end(), ""))?;
        Ok((cli, settings))
    }

    /// Environment, profile, defaults, option file.
    fn sources(&self, keys: &[Arg]) -> Result<[Vec<Given>; 4], Mistake> {
        let named = |flag: &str, variable: &str| {
            let typed = self.matches.get_one::<PathBuf>(flag).cloned();
            typed.or_else(|| environment(variable).map(PathBuf::from))
        };
        let profile =
            self.matches.get_one::<String>("profile").cloned().or_else(|| environment("RSC_PROFILE"));
        let file = read_config(named("config", "RSC_CONFIG"), profile.as_deref())?;
        for given in file.profiles.values().flatten().chain(&file.defaults) {
            check(keys, given)?;
        }
        let profile = match profile {
            Some(name) => file.profiles.get(&name).cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        let options = read_options(named("defaults_file", "RSC_DEFAULTS_FILE"))?;
        let options = options.into_iter().filter(ours).collect::<Vec<_>>();
        for given in &options {
            check(keys, given)?;
        }
        let variables = keys.iter().filter_map(|arg| {
            let key = arg.get_long()?;
            let name = variable(key);
            let value = Value::Text(environment(&name)?);
            Some(Given { key: key.into(), value, origin: Origin::Environment(name) })
        });
        Ok([variables.collect(), profile, file.defaults, options])
    }
}

/// clap names it for `rsc migarte`, but not for `rsc help migarte`.
fn with_the_verb_that_was_meant(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return error,
    };
    let command = Cli::command();
    let meant = nearest(&typed, command.get_subcommands().map(Command::get_name));
    if let (None, Some(meant)) = (error.get(ContextKind::SuggestedSubcommand), meant) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![meant.to_owned()]));
    }
    error
}

/// The options that can be configured, of all commands. One that several commands have is one setting.
fn keys(command: &Command) -> Vec<Arg> {
    let mut keys: Vec<Arg> = Vec::new();
    let verbs = command.get_subcommands().flat_map(Command::get_arguments);
    for arg in command.get_arguments().chain(verbs) {
        let Some(long) = arg.get_long() else { continue };
        if !OF_ONE_RUN.contains(&long) && !keys.iter().any(|known| known.get_long() == Some(long)) {
            keys.push(arg.clone());
        }
    }
    keys
}

/// The environment variable of an option.
pub fn variable(key: &str) -> String {
    match key {
        "log-level" => "RSC_LOG".into(),
        key => format!("RSC_{}", key.to_uppercase().replace('-', "_")),
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Files that may hold commands to run are looked for where only their owner, or root, puts them: never in the folder
/// that somebody happens to stand in.
fn config_places() -> Vec<PathBuf> {
    let home = || environment("HOME").map(|home| PathBuf::from(home).join(".config"));
    let own = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    own.into_iter().chain([PathBuf::from("/etc")]).map(|place| place.join("rsc/rsc.toml")).collect()
}

fn read_config(named: Option<PathBuf>, profile: Option<&str>) -> Result<rsc_toml::File, Mistake> {
    let places = config_places();
    let Some(path) = named.or_else(|| places.iter().find(|place| place.exists()).cloned()) else {
        let Some(profile) = profile else { return Ok(rsc_toml::File::default()) };
        let looked = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" nor ");
        let here = match Path::new("rsc.toml").exists() {
            true => "; the rsc.toml of this folder is not read by itself: add --config rsc.toml",
            false => "",
        };
        return Err(Mistake {
            what: format!("there is no profile `{profile}`, as there is no {looked}"),
            next: format!("write one, as examples/rsc.toml, or name it with --config{here}"),
        });
    };
    let shown = path.display();
    let unreadable = |why: std::io::Error| Mistake {
        what: format!("{shown} cannot be read: {why}"),
        next: "check --config (or RSC_CONFIG) and who may read it".into(),
    };
    let meta = fs::metadata(&path).map_err(unreadable)?;
    if meta.is_file() && meta.mode() & 0o002 != 0 {
        return Err(Mistake {
            what: format!("{shown} is not used, as everyone may write it, and it may name commands to run"),
            next: format!("chmod o-w {shown}"),
        });
    }
    let file = rsc_toml::read(&path, &fs::read_to_string(&path).map_err(unreadable)?)?;
    match profile.filter(|name| !file.profiles.contains_key(*name)) {
        None => Ok(file),
        Some(name) => {
            let names: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
            let hint = did_you_mean(name, names.iter().copied());
            let has = if names.is_empty() { "none".into() } else { names.join(", ") };
            Err(Mistake {
                what: format!("{shown} has no profile `{name}`"),
                next: format!("{hint}its profiles: {has}"),
            })
        }
    }
}

fn read_options(named: Option<PathBuf>) -> Result<Vec<Given>, Mistake> {
    let usual = || environment("HOME").map(|home| PathBuf::from(home).join(".my.cnf"));
    match named.or_else(|| usual().filter(|path| path.exists())) {
        Some(path) => option_file::read(&path),
        None => Ok(Vec::new()),
    }
}

/// `[client]` is for all programs: what is not about the connection is not for us.
fn ours(given: &Given) -> bool {
    let client = matches!(&given.origin, Origin::OptionFile { group, .. } if group == "client");
    !client || CONNECTION.contains(&given.key.as_str())
}

/// The strongest of what is given for each key.
fn settle(keys: &[Arg], typed: &ArgMatches, sources: &[Vec<Given>; 4]) -> Result<Settings, Mistake> {
    let mut settings = Vec::new();
    for arg in keys {
        let Some(key) = arg.get_long() else { continue };
        let found = sources.iter().find_map(|source| source.iter().rev().find(|given| given.key == key));
        let (values, origin) = match (typed_values(typed, arg), found) {
            (Some(values), _) => (values, Origin::Flag(format!("--{key}"))),
            (None, Some(given)) => (parsed(arg, given)?, given.origin.clone()),
            (None, None) if is_switch(arg) => (vec!["false".into()], Origin::Default),
            (None, None) => {
                let built_in =
                    arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
                (built_in.collect(), Origin::Default)
            }
        };
        settings.push(Setting { key: key.into(), values, origin, secret: arg.is_hide_env_values_set() });
    }
    one_place(&mut settings);
    Ok(Settings(settings))
}

/// What a flag was given, in the command or before it.
fn typed_values(matches: &ArgMatches, arg: &Arg) -> Option<Vec<String>> {
    let mut level = Some(matches);
    while let Some(matches) = level {
        let id = arg.get_id().as_str();
        let known = matches.ids().any(|known| known.as_str() == id);
        if known && matches.value_source(id) == Some(ValueSource::CommandLine) {
            let raw = matches.get_raw(id).into_iter().flatten();
            let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
            return Some(if is_switch(arg) { vec!["true".into()] } else { values });
        }
        level = matches.subcommand().map(|(_, verb)| verb);
    }
    None
}

/// The first that names a place decides between socket and host: the option file's socket must not turn a profile's
/// server into the local one.
fn one_place(settings: &mut [Setting]) {
    let strength = |key: &str| {
        let origin = settings.iter().find(|setting| setting.key == key).map(|setting| &setting.origin);
        match origin {
            Some(Origin::Flag(_)) => 0,
            Some(Origin::Environment(_)) => 1,
            Some(Origin::Profile { .. }) => 2,
            Some(Origin::Defaults { .. }) => 3,
            Some(Origin::OptionFile { .. }) => 4,
            Some(Origin::Default) | None => 5,
        }
    };
    if strength("host").min(strength("port")) < strength("socket")
        && let Some(socket) = settings.iter_mut().find(|setting| setting.key == "socket")
    {
        (socket.values, socket.origin) = (Vec::new(), Origin::Default);
    }
}

fn check(keys: &[Arg], given: &Given) -> Result<(), Mistake> {
    match keys.iter().find(|arg| arg.get_long() == Some(given.key.as_str())) {
        Some(arg) => parsed(arg, given).map(|_| ()),
        None if OF_ONE_RUN.contains(&given.key.as_str()) => Err(Mistake {
            what: format!("{}: `{}` cannot stand in a file", given.origin, given.key),
            next: format!("give --{} on the command line", given.key),
        }),
        None => {
            let hint = did_you_mean(&given.key, keys.iter().filter_map(|arg| arg.get_long()));
            Err(Mistake {
                what: format!("{}: there is no setting `{}`", given.origin, given.key),
                next: format!("{hint}`rsc config` lists all settings"),
            })
        }
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The value as the command line would have it.
fn parsed(arg: &Arg, given: &Given) -> Result<Vec<String>, Mistake> {
    let Given { key, value, origin } = given;
    let wrong = |what: String, next: String| Mistake { what: format!("{origin}: `{key}` {what}"), next };
    let written = match (value, is_switch(arg), matches!(arg.get_action(), ArgAction::Append)) {
        (Value::Switch(on), true, _) => return Ok(vec![on.to_string()]),
        (Value::Text(text), true, _) => {
            return match text.to_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => Ok(vec!["true".into()]),
                "false" | "0" | "off" | "no" => Ok(vec!["false".into()]),
                // A name alone switches on in an option file.
                "" => Ok(vec!["true".into()]),
                _ => Err(wrong(format!("cannot be `{text}`"), "it is true or false".into())),
            };
        }
        (Value::Number(_) | Value::List(_), true, _) => {
            return Err(wrong("is a switch".into(), "it is true or false".into()));
        }
        (Value::Switch(on), false, _) => {
            return Err(wrong(format!("cannot be {on}"), "it is no switch, but has a value".into()));
        }
        (Value::List(all), false, true) => all.clone(),
        (Value::List(_), false, false) => {
            return Err(wrong("cannot be a list".into(), "it has one value".into()));
        }
        (Value::Text(text), false, true) => text.split(',').map(|one| one.trim().to_owned()).collect(),
        // MySQL's own programs write VERIFY_CA.
        (Value::Text(text), false, false) if key == "ssl-mode" => vec![text.to_lowercase().replace('_', "-")],
        (Value::Text(text) | Value::Number(text), false, _) => vec![text.clone()],
    };
    for text in &written {
        let one = Arg::new("value").long("value").value_parser(arg.get_value_parser().clone());
        let one = Command::new("rsc").arg(one.allow_hyphen_values(true));
        let outcome = one.try_get_matches_from(["rsc".into(), format!("--value={text}")]);
        if let Err(why) = outcome {
            let (why, next) = in_words(&why, text);
            let shown = if arg.is_hide_env_values_set() { "what is given" } else { text };
            return Err(wrong(format!("cannot be `{shown}`{why}"), next));
        }
    }
    Ok(written)
}

/// Why clap does not take a value, and what it would take.
fn in_words(error: &clap::Error, text: &str) -> (String, String) {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) {
        let hint = did_you_mean(text, valid.iter().map(String::as_str));
        return (String::new(), format!("{hint}it is one of {}", valid.join(", ")));
    }
    let why = std::error::Error::source(error).map_or(String::new(), |source| format!(": {source}"));
    (why, "`rsc help` with a command's name says what its options take".into())
}

fn mistaken(mistake: Mistake) -> Error {
    usage(&mistake.what, &mistake.next)
}

fn usage(what: &str, next: &str) -> Error {
    Error::Usage(Told::new(what).state("nothing was touched").next(next))
}

#[cfg(test)]
mod tests;

//! Settings as they stand in files: a key, a value, and where.

use std::fmt;
use std::path::PathBuf;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(String),
    Switch(bool),
    List(Vec<String>),
}

/// Where a value comes from, from the strongest to the weakest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Environment(String),
    Profile { file: PathBuf, line: usize, name: String },
    Defaults { file: PathBuf, line: usize },
    OptionFile { file: PathBuf, line: usize, group: String },
    Default,
}

/// One setting of a file. Keys are written as flags are, without the dashes in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

/// Why a file cannot be used, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Mistake {
    /// One sentence, with the file and the line.
    pub what: String,
    pub next: String,
}

impl Origin {
    /// One word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Origin::Flag(_) => "flag",
            Origin::Environment(_) => "environment",
            Origin::Profile { .. } => "profile",
            Origin::Defaults { .. } => "defaults",
            Origin::OptionFile { .. } => "option_file",
            Origin::Default => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Environment(variable) => f.write_str(variable),
            Origin::Profile { file, line, name } => {
                write!(f, "{}, line {line}, profile {name}", file.display())
            }
            Origin::Defaults { file, line } => write!(f, "{}, line {line}, defaults", file.display()),
            Origin::OptionFile { file, line, group } => {
                write!(f, "{}, line {line}, [{group}]", file.display())
            }
            Origin::Default => f.write_str("default"),
        }
    }
}

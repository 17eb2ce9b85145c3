//! Profiles and defaults in `rsc.toml`.
//!
//! ```toml
//! [defaults]
//! revert-window = "48h"
//!
//! [profile.production]
//! host = "db1.example.com"
//! ssl-mode = "verify-identity"
//! ```
//!
//! Any option of a command is a key; `cli/configured.rs` knows which. Underscores do for dashes.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::{Given, Mistake, Origin, Value};
use crate::nearest::did_you_mean;

/// What the file says. Nothing of it has been held against what rsc knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    pub defaults: Vec<Given>,
    pub profiles: BTreeMap<String, Vec<Given>>,
}

pub fn read(path: &Path, text: &str) -> Result<File, Mistake> {
    let at = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let mistake = |offset: usize, what: &str, next: String| Mistake {
        what: format!("{}, line {}: {what}", path.display(), at(offset)),
        next,
    };
    let table = DeTable::parse(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start);
        let what = e.message().lines().collect::<Vec<_>>().join(", ");
        mistake(offset, &what, "values of text stand in quotes; see examples/rsc.toml".into())
    })?;
    let mut file = File::default();
    for (section, value) in table.get_ref() {
        let (name, offset) = (section.get_ref().as_ref(), section.span().start);
        let Some(entries) = value.get_ref().as_table() else {
            let next = format!("put `{name}` below [defaults] or [profile.<name>]");
            return Err(mistake(offset, &format!("`{name}` stands outside of a section"), next));
        };
        match name {
            "defaults" => {
                let origin = |line| Origin::Defaults { file: path.to_owned(), line };
                file.defaults =
                    givens(entries, &at, &origin).map_err(|(o, what)| mistake(o, &what, TYPES.into()))?;
            }
            "profile" => {
                for (profile, value) in entries {
                    let (name, offset) = (profile.get_ref().as_ref(), profile.span().start);
                    let Some(entries) = value.get_ref().as_table() else {
                        let what = format!("`profile.{name}` is no section");
                        return Err(mistake(offset, &what, "write it as [profile.<name>]".into()));
                    };
                    let origin =
                        |line| Origin::Profile { file: path.to_owned(), line, name: name.to_owned() };
                    let givens =
                        givens(entries, &at, &origin).map_err(|(o, what)| mistake(o, &what, TYPES.into()))?;
                    file.profiles.insert(name.to_owned(), givens);
                }
            }
            other => {
                let hint = did_you_mean(other, ["defaults", "profile"]);
                let next = format!("{hint}there are [defaults] and [profile.<name>]");
                return Err(mistake(offset, &format!("there is no section [{other}]"), next));
            }
        }
    }
    Ok(file)
}

const TYPES: &str = "write text in quotes, numbers and true or false without";

fn givens(
    entries: &DeTable<'_>,
    at: &impl Fn(usize) -> usize,
    origin: &impl Fn(usize) -> Origin,
) -> Result<Vec<Given>, (usize, String)> {
    let mut all = Vec::new();
    for (key, value) in entries {
        let offset = key.span().start;
        let key = key.get_ref().replace('_', "-");
        let value = read_value(value)
            .ok_or_else(|| (offset, format!("`{key}` cannot be of type {}", value.get_ref().type_str())))?;
        all.push(Given { key, value, origin: origin(at(offset)) });
    }
    Ok(all)
}

fn read_value(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(on) => Value::Switch(*on),
        DeValue::Array(items) => {
            let text = |item: &Spanned<DeValue<'_>>| match read_value(item)? {
                Value::Text(text) | Value::Number(text) => Some(text),
                Value::Switch(_) | Value::List(_) => None,
            };
            Value::List(items.iter().map(text).collect::<Option<_>>()?)
        }
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> Mistake {
        read(Path::new("rsc.toml"), text).expect_err("a mistake")
    }

    #[test]
    fn defaults_and_profiles_are_read_with_their_lines() {
        let text = "[defaults]\nbatch_time = '50ms'\n\n[profile.a]\nport = 3307\nno-verify = true\n";
        let file = read(Path::new("rsc.toml"), text).expect("readable");
        let origin = Origin::Defaults { file: "rsc.toml".into(), line: 2 };
        let value = Value::Text("50ms".into());
        assert_eq!(file.defaults, [Given { key: "batch-time".into(), value, origin }]);
        let profile: Vec<_> = file.profiles["a"].iter().map(|g| (g.key.as_str(), &g.value)).collect();
        assert!(profile.contains(&("port", &Value::Number("3307".into()))), "{profile:?}");
        assert!(profile.contains(&("no-verify", &Value::Switch(true))), "{profile:?}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        assert_eq!(mistake("\nhost = 'h'").what, "rsc.toml, line 2: `host` stands outside of a section");
        let section = mistake("[default]\n");
        assert_eq!(section.what, "rsc.toml, line 1: there is no section [default]");
        assert!(section.next.starts_with("did you mean `defaults`?"), "{section:?}");
        assert!(mistake("[defaults]\nhost = h\n").what.starts_with("rsc.toml, line 2: "));
        assert_eq!(
            mistake("[profile.a]\n[profile.a.host]\nx = 1\n").what,
            "rsc.toml, line 2: `host` cannot be of type table"
        );
    }
}

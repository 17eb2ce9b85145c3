//! `rsc config`: the settings.

use serde_json::{Value, json};

use crate::cli::configured::{Setting, variable};
use crate::settings::given::Origin;

const HIDDEN: &str = "(hidden)";

/// Three columns: the option, its value, where that is from.
pub fn text(settings: &[Setting]) -> String {
    let shown: Vec<(&str, String)> =
        settings.iter().map(|setting| (setting.key.as_str(), value(setting))).collect();
    let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
    let key_width = widest(&mut shown.iter().map(|(key, _)| key.chars().count()));
    // One long value must not push all others to the right.
    let value_width = widest(&mut shown.iter().map(|(_, value)| value.chars().count())).min(40);
    let line = |((key, value), setting): (&(&str, String), &Setting)| {
        format!("{key:<key_width$}  {value:<value_width$}  {}", setting.origin)
    };
    shown.iter().zip(settings).map(line).collect::<Vec<_>>().join("\n")
}

fn value(setting: &Setting) -> String {
    match (setting.values.as_slice(), setting.secret) {
        ([], _) => "-".into(),
        (_, true) => HIDDEN.into(),
        (values, false) => values.join(", "),
    }
}

/// One object for each setting.
pub fn json(settings: &[Setting]) -> Vec<Value> {
    let object = |setting: &Setting| {
        let value = match (setting.values.as_slice(), setting.secret) {
            ([], _) => Value::Null,
            (_, true) => HIDDEN.into(),
            ([one], false) => one.as_str().into(),
            (several, false) => json!(several),
        };
        let (file, line) = match &setting.origin {
            Origin::Profile { file, line, .. }
            | Origin::Defaults { file, line }
            | Origin::OptionFile { file, line, .. } => (json!(file.display().to_string()), json!(line)),
            Origin::Flag(_) | Origin::Environment(_) | Origin::Default => (Value::Null, Value::Null),
        };
        json!({
            "event": "setting", "key": setting.key, "value": value, "hidden": setting.secret,
            "variable": variable(&setting.key), "from": setting.origin.name(),
            "where": setting.origin.to_string(), "file": file, "line": line,
        })
    };
    settings.iter().map(object).collect()
}

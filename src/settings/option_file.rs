//! Reads MySQL option files (`~/.my.cnf`): the groups `[client]` and `[rsc]`, the later wins.

use std::collections::HashMap;

/// Options by name, with dashes for underscores. Options without a value have an empty one.
pub fn read(text: &str) -> HashMap<String, String> {
    let mut wanted = false;
    let mut options = HashMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            wanted = matches!(group.trim(), "client" | "rsc");
            continue;
        }
        if wanted {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            options.insert(name.trim().replace('_', "-"), unquote(value.trim()));
        }
    }
    options
}

/// A value may stand in quotes; a `#` outside of them begins a comment; backslashes escape.
fn unquote(value: &str) -> String {
    let mut chars = value.chars();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\''));
    let body = if quote.is_some() { chars.as_str() } else { value };
    let mut out = String::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == quote => break,
            '#' if quote.is_none() => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('b') => out.push('\u{8}'),
                Some('s') => out.push(' '),
                Some(c @ ('\\' | '"' | '\'')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    if quote.is_some() { out } else { out.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_groups_are_read_and_quotes_are_taken_off() {
        let options = read(
            "[mysqld]\nport=1\n[client]\nuser = ann # the dba\npassword=\"a#b\\\\c\"\n[rsc]\nssl_ca=/x y\nport=3307\n",
        );
        assert_eq!(options["user"], "ann");
        assert_eq!(options["password"], "a#b\\c");
        assert_eq!(options["ssl-ca"], "/x y");
        assert_eq!(options["port"], "3307");
    }
}

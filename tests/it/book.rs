//! The book in docs/ says what the code does: messages that it explains exist, commands and flags that it names as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All of `src` in one text, with strings that go on in the next line joined, and nothing between braces.
fn messages() -> String {
    fn walk(folder: &Path, into: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                into.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    walk(&root().join("src"), &mut text);
    let mut joined = String::new();
    for line in text.lines() {
        match line.trim_start().strip_suffix('\\') {
            Some(part) => joined.push_str(part),
            None => {
                joined.push_str(line.trim_start());
                joined.push('\n');
            }
        }
    }
    joined
}

fn pages() -> Vec<(String, String)> {
    let folder = root().join("docs");
    let mut pages: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "the book was not found");
    pages
}

/// What stands between `open` and `close`, each time.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close).map(|(inner, _)| inner)).collect()
}

#[test]
fn every_message_that_troubleshooting_explains_is_one_of_rsc() {
    let code = messages();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let quoted = between(&page, "**`", "`**");
    assert!(quoted.len() > 15, "{quoted:?}");
    for message in quoted {
        for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            // A value in a message is written out in the page: `gtid_mode is OFF`.
            let part =
                part.strip_prefix("gtid_mode is OFF").map_or(part, |rest| rest.trim_start_matches(", "));
            assert!(
                code.contains(part),
                "docs/troubleshooting.md explains `{message}`, but no message has `{part}`"
            );
        }
    }
}

/// The commands, as `rsc --help` lists them.
fn commands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_rsc")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.split_once("Commands:").unwrap().1.split("\n\n").next().unwrap();
    list.lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_its_line_and_no_page_names_one_that_is_not() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    for command in &commands {
        assert!(
            page.contains(&format!("`rsc {command}")),
            "docs/commands.md has no line for `rsc {command}`"
        );
    }
    for (name, page) in pages() {
        for named in between(&page, "`rsc ", "`") {
            let known = named.split_whitespace().any(|word| commands.contains(word));
            let known = known || named.starts_with("--") || named == "COMMAND";
            assert!(known, "docs/{name} names `rsc {named}`, but there is no such command");
        }
    }
}

#[test]
fn every_flag_in_the_last_column_of_the_flag_table_is_one_of_rsc() {
    let mut known = String::new();
    for words in
        [&["migrate", "--help"][..], &["revert", "--help"], &["verify", "--help"], &["status", "--help"]]
    {
        let help = Command::new(env!("CARGO_BIN_EXE_rsc")).args(words).output().unwrap();
        known.push_str(&String::from_utf8(help.stdout).unwrap());
    }
    let known: BTreeSet<&str> = known
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|w| w.starts_with("--"))
        .collect();
    let page = fs::read_to_string(root().join("docs/coming-from.md")).unwrap();
    let mut held = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 4) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for flag in
            last.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|w| w.starts_with("--"))
        {
            assert!(flag.ends_with('-') || known.contains(flag), "docs/coming-from.md: rsc has no {flag}");
            held += 1;
        }
    }
    assert!(held > 25, "only {held} flags were found in the table");
}

#[test]
fn no_page_points_to_one_that_is_not_there() {
    let docs = root().join("docs");
    for (name, page) in pages() {
        for link in between(&page, "](", ")") {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(docs.join(path).exists(), "docs/{name} points to {link}, which is not there");
        }
    }
}

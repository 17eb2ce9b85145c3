//! What rsc says of itself: every help text is held against a file, and misspelt words are answered with the right ones.
//!
//! `RSC_BLESS=1 cargo test --test it help` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use rsc::cli::Cli;

use crate::support::process::bare;
use crate::support::table::Table;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help")
}

/// The empty one stands for rsc itself.
fn commands() -> Vec<String> {
    let command = Cli::command();
    let verbs = command.get_subcommands().map(|verb| verb.get_name().to_owned());
    [String::new()].into_iter().chain(verbs).collect()
}

#[tokio::test]
async fn every_help_text_is_as_it_was_blessed() {
    let bless = std::env::var_os("RSC_BLESS").is_some();
    for command in commands() {
        let arguments: Vec<&str> =
            [command.as_str(), "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let shown = bare(&arguments).run().await.well().stdout;
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{command}: wider than 80 columns: {line}");
        }
        let name = if command.is_empty() { "rsc" } else { &command };
        let path = folder().join(format!("{name}.txt"));
        if bless {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &shown).unwrap();
        }
        let blessed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shown, blessed, "{}: if it is right so, RSC_BLESS=1", path.display());
        if !command.is_empty() {
            let helped = bare(&["help", &command]).run().await.well().stdout;
            assert!(helped.contains("Usage: rsc "), "rsc help {command}: {helped}");
        }
    }
    let files = fs::read_dir(folder()).unwrap().count();
    assert_eq!(files, commands().len(), "there is a text of a command that is gone");
}

#[tokio::test]
async fn manual_pages_and_completions_are_made_of_the_same_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    bare(&["man", "--dir", pages.to_str().unwrap()]).run().await.well();
    for command in commands() {
        let page = if command.is_empty() { "rsc.1".into() } else { format!("rsc-{command}.1") };
        let text = fs::read_to_string(pages.join(&page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(text.starts_with(".ie") || text.contains(".TH "), "{page}: {text}");
    }
    let page = bare(&["man"]).run().await.well().stdout;
    assert!(page.contains(".SH SYNOPSIS") && page.contains("migrate"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let script = bare(&["completions", shell]).run().await.well().stdout;
        for word in ["migrate", "cutover-lock-timeout", "completions"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    // Not even a file that cannot be read stands in the way of a shell that starts.
    bare(&["completions", "bash"]).env("RSC_CONFIG", "/does/not/exist").run().await.well();
    let taken = folder.path().join("file");
    fs::write(&taken, "").unwrap();
    let failed = bare(&["man", "--dir", taken.to_str().unwrap()]).run().await;
    assert_eq!(failed.code, 2, "{failed:#?}");
}

#[tokio::test]
async fn the_script_for_bash_can_be_read_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("rsc");
    fs::write(&script, bare(&["completions", "bash"]).run().await.well().stdout).unwrap();
    let asked = format!(
        "source '{}'; COMP_WORDS=(rsc mig); COMP_CWORD=1; _rsc rsc mig rsc; echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let Ok(answer) = std::process::Command::new("bash").args(["--norc", "-c", &asked]).output() else {
        // A machine without bash has nothing to complete.
        return;
    };
    let said = String::from_utf8_lossy(&answer.stdout);
    assert_eq!(said.trim(), "migrate", "{answer:?}");
}

#[tokio::test]
async fn a_misspelt_word_is_answered_with_the_right_one() {
    for (arguments, meant) in [
        (&["migarte", "--alter", "x"][..], "'migrate'"),
        (&["list", "--hots", "h"], "'--host'"),
        (&["migrate", "--alter", "x", "--agent", "statt"], "stay"),
        (&["migrate", "--alter", "x", "--batch-tiem", "1s"], "'--batch-time'"),
        (&["help", "migarte"], "migrate"),
    ] {
        let ended = bare(arguments).run().await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:#?}");
        assert!(ended.stderr.contains(meant), "{arguments:?}: {ended:#?}");
    }
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_answered_with_one_of_nearly_that_name() {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.run("CREATE TABLE customers (id int PRIMARY KEY, title int)").await;
    table.run("CREATE VIEW customer_names AS SELECT id FROM customers").await;
    let meant = async |schema: &str, name: &str| {
        let alter = format!("ALTER TABLE {schema}.{name} DROP COLUMN title");
        let ended = bare(&[
            "--port",
            &crate::support::shared().port().to_string(),
            "--user",
            "root",
            "--output",
            "json",
            "migrate",
            "--alter",
            &alter,
        ])
        .run()
        .await;
        assert_eq!(ended.code, 3, "{ended:#?}");
        ended.last_line()["reasons"][0]["next"].as_str().unwrap().to_owned()
    };
    let schema = table.schema.clone();
    let next = meant(&schema, "costumers").await;
    assert!(next.starts_with(&format!("did you mean `{schema}.customers`? ")), "{next}");
    assert!(!meant(&schema, "orders").await.contains("did you mean"), "nothing is like it");
    let next = meant(&schema.replace("rsc_test", "rsc_tset"), "customers").await;
    assert!(next.starts_with(&format!("did you mean `{schema}.customers`? ")), "{next}");
}

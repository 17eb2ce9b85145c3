//! What the layout promises, read off the source: who may use whom, and what is absent where.

use std::fs;
use std::path::{Path, PathBuf};

/// Each may use itself and what stands before it.
const ORDER: [&str; 15] = [
    "error",
    "nearest",
    "schema",
    "rows",
    "lifecycle",
    "settings",
    "faults",
    "session",
    "journal",
    "mysql",
    "engine",
    "agent",
    "cli",
    "output",
    "audience",
];
/// These use no clock, no connection and no runtime.
const PURE: [&str; 3] = ["schema", "rows", "lifecycle"];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                into.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 50, "the sources were not found");
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

/// The folder or file at the top of `src` that a source belongs to.
fn part(path: &Path) -> String {
    path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn each_part_uses_only_what_stands_before_it() {
    let place = |name: &str| ORDER.iter().position(|part| *part == name);
    for (path, text) in sources() {
        let Some(own) = place(&part(&path)) else { continue };
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if let Some(used) = place(used) {
                    assert!(used <= own, "{} must not use {}: {line}", path.display(), ORDER[used]);
                }
            }
        }
    }
}

#[test]
fn the_pure_parts_use_no_clock_no_connection_and_no_runtime() {
    for (path, text) in sources().iter().filter(|(path, _)| PURE.contains(&part(path).as_str())) {
        for line in code(text) {
            for absent in ["tokio", "mysql_async", "std::fs", "std::net", "Instant::now", "SystemTime"] {
                assert!(!line.contains(absent), "{} uses {absent}: {line}", path.display());
            }
        }
    }
}

#[test]
fn only_output_prints() {
    for (path, text) in sources().iter().filter(|(path, _)| part(path) != "output") {
        let product = match path.ends_with("tests.rs") {
            true => "",
            false => text.split("#[cfg(test)]").next().unwrap(),
        };
        for line in code(product) {
            assert!(
                !line.contains("print!(") && !line.contains("println!(") && !line.contains("stdout()"),
                "{} prints: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn no_statement_ignores_or_replaces_a_duplicate() {
    for (path, text) in sources() {
        let product = text.split("#[cfg(test)]").next().unwrap();
        for line in code(product) {
            for absent in ["INSERT IGNORE", "REPLACE INTO", "UPDATE IGNORE"] {
                assert!(!line.contains(absent), "{} has {absent}: {line}", path.display());
            }
            // One asks for a duplicate, and is rolled back; one leaves it to be parked.
            let named = ["rows/duplicate.rs", "rows/ledger.rs"].iter().any(|name| path.ends_with(name));
            let moves_rows = ["rows", "mysql"].contains(&part(&path).as_str());
            assert!(
                named || !moves_rows || !line.contains("ON DUPLICATE"),
                "{} has ON DUPLICATE: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn only_step_chooses_the_next_state() {
    // Elsewhere a state is matched or compared, and goes to the journal through `Driver::happens`.
    for (path, text) in sources() {
        if part(&path) == "engine" {
            let product = text.split("#[cfg(test)]").next().unwrap();
            for line in code(product) {
                assert!(!line.contains(".state = "), "{} sets a state: {line}", path.display());
            }
        }
    }
}

#[cfg(debug_assertions)]
#[test]
fn every_fault_point_is_in_the_table_and_passed() {
    let names: Vec<&str> = rsc::faults::STATEMENTS.iter().map(|(name, _)| *name).collect();
    for (place, name) in names.iter().enumerate() {
        let quoted = format!("\"{name}\"");
        let passed = sources().iter().any(|(path, text)| part(path) != "faults" && text.contains(&quoted));
        assert!(passed, "no statement has the points of {name}");
        assert!(!names[..place].contains(name), "{name} is there twice");
    }
}

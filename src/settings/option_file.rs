//! MySQL option files (`~/.my.cnf`): the groups `[client]` and `[rsc]`, with `!include` and `!includedir`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::given::{Given, Mistake, Origin, Value};

/// The options in the order in which they stand; a later one wins. Names have dashes for underscores, and an option
/// without a value is an empty text.
pub fn read(path: &Path) -> Result<Vec<Given>, Mistake> {
    let mut options = Vec::new();
    include(path, "it", &mut Vec::new(), &mut options)?;
    Ok(options)
}

/// `open` are the files that are being read, each included by the one before. `by` is who named this one.
fn include(path: &Path, by: &str, open: &mut Vec<PathBuf>, into: &mut Vec<Given>) -> Result<(), Mistake> {
    let unreadable = |why: std::io::Error| Mistake {
        what: format!("{} cannot be read: {why}", path.display()),
        next: match open.is_empty() {
            true => "check --defaults-file and who may read it".into(),
            false => format!("see {by}"),
        },
    };
    let real = fs::canonicalize(path).map_err(unreadable)?;
    if open.contains(&real) {
        return Err(Mistake {
            what: format!("{by}: {} includes itself", path.display()),
            next: "take that !include out".into(),
        });
    }
    let meta = fs::metadata(&real).map_err(unreadable)?;
    if meta.is_file() && meta.mode() & WRITABLE_BY_ALL != 0 {
        return Err(Mistake {
            what: format!("{} is not used, as everyone may write it", path.display()),
            next: format!("chmod o-w {}", path.display()),
        });
    }
    let text = fs::read(&real).map_err(unreadable)?;
    let text = String::from_utf8_lossy(&text);
    open.push(real);
    let mut group = None;
    for (number, line) in text.lines().enumerate() {
        let line_at = number + 1;
        match Line::of(line) {
            Line::Nothing => {}
            Line::Group(name) => group = ["client", "rsc"].into_iter().find(|wanted| *wanted == name),
            Line::Include(file) => {
                let by = format!("{}, line {line_at}", path.display());
                include(&beside(path, &file), &by, open, into)?;
            }
            Line::IncludeFolder(folder) => {
                let by = format!("{}, line {line_at}", path.display());
                for file in option_files(&beside(path, &folder), &by)? {
                    include(&file, &by, open, into)?;
                }
            }
            Line::Option(key, value) => {
                if let Some(group) = group {
                    let (file, group) = (path.to_owned(), group.to_owned());
                    let origin = Origin::OptionFile { file, line: line_at, group };
                    into.push(Given { key, value: Value::Text(value), origin });
                }
            }
        }
    }
    open.pop();
    Ok(())
}

const WRITABLE_BY_ALL: u32 = 0o002;

enum Line {
    Nothing,
    Group(String),
    Include(String),
    IncludeFolder(String),
    Option(String, String),
}

impl Line {
    fn of(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Line::Nothing;
        }
        if let Some(folder) = line.strip_prefix("!includedir") {
            return Line::IncludeFolder(folder.trim().to_owned());
        }
        if let Some(file) = line.strip_prefix("!include") {
            return Line::Include(file.trim().to_owned());
        }
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            return Line::Group(group.trim().to_owned());
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        Line::Option(name.trim().replace('_', "-"), unquote(value.trim()))
    }
}

/// MySQL's own programs look from the working folder; from there, one file would mean another thing in each.
fn beside(path: &Path, named: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(named)
}

/// What MySQL's programs take from a folder, in a fixed order.
fn option_files(folder: &Path, by: &str) -> Result<Vec<PathBuf>, Mistake> {
    let entries = fs::read_dir(folder).map_err(|why| Mistake {
        what: format!("{} cannot be read: {why}", folder.display()),
        next: format!("see {by}"),
    })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cnf"))
        .collect();
    files.sort();
    Ok(files)
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

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("written");
        }
        folder
    }

    fn value<'a>(options: &'a [Given], key: &str) -> Option<&'a Value> {
        options.iter().rev().find(|given| given.key == key).map(|given| &given.value)
    }

    #[test]
    fn only_our_groups_are_read_and_quotes_are_taken_off() {
        let text = "[mysqld]\nport=1\n[client]\nuser = ann # the dba\npassword=\"a#b\\\\c\"\n[rsc]\nssl_ca=/x y\nport=3307\n";
        let folder = folder(&[("my.cnf", text)]);
        let options = read(&folder.path().join("my.cnf")).expect("readable");
        for (key, expected) in [("user", "ann"), ("password", "a#b\\c"), ("ssl-ca", "/x y"), ("port", "3307")]
        {
            assert_eq!(value(&options, key), Some(&Value::Text(expected.into())), "{key}");
        }
        let Origin::OptionFile { line, group, .. } = &options[3].origin else { panic!("{options:?}") };
        assert_eq!((*line, group.as_str()), (8, "rsc"));
    }

    #[test]
    fn included_files_are_read_where_they_are_named() {
        let folder = folder(&[
            ("my.cnf", "[client]\nuser=a\nhost=first\n!includedir conf.d\n[client]\nport=1\n"),
            ("conf.d/b.cnf", "[client]\nhost=third\n"),
            ("conf.d/a.cnf", "user=nobody\n[client]\nhost=second\n!include ../one\n"),
            ("conf.d/c.txt", "[client]\nhost=never\n"),
            ("one", "[rsc]\nport=2\n"),
        ]);
        let options = read(&folder.path().join("my.cnf")).expect("readable");
        for (key, expected) in [("host", "third"), ("port", "1"), ("user", "a")] {
            assert_eq!(value(&options, key), Some(&Value::Text(expected.into())), "{key}");
        }
    }

    #[test]
    fn a_file_that_includes_itself_is_refused_and_one_that_is_named_twice_is_not() {
        let circle = folder(&[("my.cnf", "[client]\n!include b\n"), ("b", "\n!include my.cnf\n")]);
        let mistake = read(&circle.path().join("my.cnf")).expect_err("a circle");
        assert!(
            mistake.what.contains("b, line 2: ") && mistake.what.ends_with("includes itself"),
            "{mistake:?}"
        );
        let twice = folder(&[("my.cnf", "!include b\n!include b\n"), ("b", "[client]\nport=1\n")]);
        assert_eq!(read(&twice.path().join("my.cnf")).expect("readable").len(), 2);
    }

    #[test]
    fn a_file_that_is_missing_is_named_with_the_line_that_asks_for_it() {
        let folder = folder(&[("my.cnf", "[client]\n!include gone\n")]);
        let mistake = read(&folder.path().join("my.cnf")).expect_err("missing");
        assert!(mistake.what.contains("gone cannot be read"), "{mistake:?}");
        assert!(mistake.next.ends_with("my.cnf, line 2"), "{mistake:?}");
    }
}

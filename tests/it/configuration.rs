//! Settings from flags, environment, rsc.toml and option files, as the binary reads them, and where the log goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::process::{Ended, Rsc, bare};
use crate::support::shared;
use crate::support::table::Table;

/// A folder with files of a person's own.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// `rsc` for the person whose home this is.
    fn rsc(&self, arguments: &[&str]) -> Rsc {
        let home = self.folder.path().to_str().unwrap();
        let own = bare(arguments).env("HOME", home).env("XDG_CONFIG_HOME", &format!("{home}/.config"));
        own.without("RSC_CONFIG").without("RSC_DEFAULTS_FILE").without("RSC_AGENT")
    }

    async fn setting(&self, arguments: &[&str], key: &str) -> Value {
        let ended = self.rsc(&[arguments, &["--output", "json", "config"]].concat()).run().await.well();
        let mut lines = ended.lines().into_iter();
        lines.find(|line| line["key"] == key).unwrap_or_else(|| panic!("no {key}: {ended:#?}"))
    }
}

/// The one reason of a usage error.
fn mistake(ended: &Ended) -> (String, String) {
    assert_eq!(ended.code, 2, "{ended:#?}");
    let error = ended.last_line();
    let reason = &error["reasons"][0];
    assert_eq!(reason["state"], "nothing was touched", "{error:#}");
    (reason["what"].as_str().unwrap().to_owned(), reason["next"].as_str().unwrap().to_owned())
}

const TOML: &str = "[defaults]\nrevert-window = \"48h\"\nbatch_time = \"50ms\"\n\n[profile.staging]\nhost = \"staging\"\n\
                    revert-window = \"2h\"\nno-verify = true\npassword = \"se cret\"\n";

#[tokio::test]
async fn each_setting_is_shown_with_its_value_and_where_that_is_from() {
    let home = Home::with(&[
        (".config/rsc/rsc.toml", TOML),
        (".my.cnf", "[client]\nport = 3311\nhost = elsewhere\n!include more\n"),
        ("more", "[rsc]\ncopy_threads = 3\n"),
    ]);
    let shown = |value: Value| (value["value"].clone(), value["from"].clone(), value["line"].clone());
    let profile = ["--profile", "staging"];
    for (arguments, key, value, from, line) in [
        (&profile[..], "revert-window", Value::from("2h"), "profile", Value::from(7)),
        (&[], "revert-window", "48h".into(), "defaults", 2.into()),
        (&profile, "batch-time", "50ms".into(), "defaults", 3.into()),
        (&profile, "host", "staging".into(), "profile", 6.into()),
        (&["--profile", "staging", "--host", "h"], "host", "h".into(), "flag", Value::Null),
        (&[], "host", "elsewhere".into(), "option_file", 3.into()),
        (&profile, "port", "3311".into(), "option_file", 2.into()),
        (&[], "copy-threads", "3".into(), "option_file", 2.into()),
        (&profile, "no-verify", "true".into(), "profile", 8.into()),
        (&[], "no-verify", "false".into(), "default", Value::Null),
        (&[], "agent", "auto".into(), "default", Value::Null),
        (&[], "ssl-mode", "preferred".into(), "default", Value::Null),
        (&["--host", "127.0.0.1"], "ssl-mode", "disabled".into(), "default", Value::Null),
    ] {
        let found = home.setting(arguments, key).await;
        assert_eq!(shown(found.clone()), (value, from.into(), line), "{arguments:?}: {found:#}");
    }
    let by_environment =
        home.rsc(&["--output", "json", "config"]).env("RSC_REVERT_WINDOW", "3h").run().await.well();
    let window = by_environment.lines().into_iter().find(|line| line["key"] == "revert-window").unwrap();
    assert_eq!((&window["value"], &window["where"]), (&"3h".into(), &"RSC_REVERT_WINDOW".into()));

    let text = home.rsc(&["--profile", "staging", "config"]).run().await.well().stdout;
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(line("password").contains("(hidden)") && !text.contains("se cret"), "{text}");
    let place = format!("{}, line 6, profile staging", home.path(".config/rsc/rsc.toml"));
    assert!(line("host").ends_with(&place), "{text}");
    let json = home.rsc(&["--profile", "staging", "--output", "json", "config"]).run().await.well().stdout;
    assert!(!json.contains("se cret"), "{json}");
}

#[tokio::test]
async fn a_mistake_in_a_file_is_named_with_its_line_and_nothing_is_touched() {
    for (toml, what, next) in [
        ("[defaults]\nhots = 'h'\n", "line 2, defaults: there is no setting `hots`", "did you mean `host`?"),
        ("[profile.a]\nbatch-time = 100\n", "line 2, profile a: `batch-time` cannot be `100`", ""),
        ("[profile.a]\nrevert-window = 'soon'\n", "line 2, profile a: `revert-window` cannot be `soon`", ""),
        ("[profile.a]\nagent = 'none '\n", "`agent` cannot be `none `", "did you mean `none`?"),
        ("[defaults]\nport = '33x'\n", "`port` cannot be `33x`", ""),
        ("[defaults]\nalter = 'DROP COLUMN a'\n", "`alter` cannot stand in a file", "--alter"),
        ("[defaults]\nhost = \n", "line 2", ""),
        ("host = 'h'\n", "line 1: `host` stands outside of a section", "[defaults]"),
    ] {
        let home = Home::with(&[("rsc.toml", toml)]);
        let config = home.path("rsc.toml");
        for command in [&["list"][..], &["migrate", "--alter", "ALTER TABLE d.t FORCE"], &["config"]] {
            let ended = home.rsc(&[&["--config", &config, "--output", "json"], command].concat()).run().await;
            let (told, advice) = mistake(&ended);
            assert!(told.contains(what) && advice.contains(next), "{toml}: {told}; {advice}");
            assert!(told.starts_with(&config) && !told.contains('\n'), "{told}");
        }
    }
}

#[tokio::test]
async fn a_profile_or_file_that_is_not_there_is_named_with_what_there_is() {
    let home = Home::with(&[(".config/rsc/rsc.toml", TOML), ("rsc.toml", "[profile.here]\nhost = 'h'\n")]);
    let told = mistake(&home.rsc(&["--output", "json", "--profile", "stagign", "list"]).run().await);
    assert!(told.0.ends_with("has no profile `stagign`"), "{told:?}");
    assert!(told.1.starts_with("did you mean `staging`?"), "{told:?}");
    let told = mistake(&home.rsc(&["--output", "json", "--config", "/does/not/exist", "list"]).run().await);
    assert!(told.0.starts_with("/does/not/exist cannot be read"), "{told:?}");

    // The file of the working folder is taken only by name: it may be anybody's, and names commands to run.
    let bare_home = Home::with(&[("rsc.toml", "[profile.here]\nhost = 'h'\n[defaults]\nport = 1\n")]);
    let here = |arguments: &[&str]| bare_home.rsc(arguments).within(bare_home.folder.path());
    let told = mistake(&here(&["--output", "json", "--profile", "here", "list"]).run().await);
    assert!(
        told.0.starts_with("there is no profile `here`") && told.1.ends_with("--config rsc.toml"),
        "{told:?}"
    );
    assert!(here(&["config"]).run().await.well().stdout.contains("3306"));
    let named = here(&["--config", "rsc.toml", "--profile", "here", "config"]).run().await.well();
    assert!(named.stdout.contains("profile here"), "{named:#?}");
}

#[tokio::test]
async fn a_file_that_everyone_may_write_is_not_used() {
    let home = Home::with(&[("rsc.toml", TOML), ("my.cnf", "[client]\nport = 1\n")]);
    for (flag, name) in [("--config", "rsc.toml"), ("--defaults-file", "my.cnf")] {
        let path = home.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let told = mistake(&home.rsc(&["--output", "json", flag, &path, "list"]).run().await);
        assert!(
            told.0.contains("everyone may write it") && told.1 == format!("chmod o-w {path}"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn an_option_file_that_includes_itself_is_refused() {
    let home =
        Home::with(&[("my.cnf", "[client]\n!includedir more\n"), ("more/a.cnf", "!include ../my.cnf\n")]);
    let told = mistake(
        &home.rsc(&["--output", "json", "--defaults-file", &home.path("my.cnf"), "list"]).run().await,
    );
    assert!(told.0.ends_with("includes itself") && told.0.contains("a.cnf, line 1"), "{told:?}");
}

#[tokio::test]
async fn a_change_is_made_as_a_profile_says() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let toml = format!(
        "[defaults]\nrevert-window = \"48h\"\nagent = \"none\"\n[profile.test]\nhost = \"127.0.0.1\"\nport = {}\nuser = \
         \"root\"\ndatabase = \"{}\"\nbatch-time = \"33ms\"\noutput = \"json\"\nno-verify = true\n",
        shared().port(),
        table.schema
    );
    let home = Home::with(&[("rsc.toml", &toml)]);
    let migrate = ["--config", &home.path("rsc.toml"), "--profile", "test", "migrate", "--table", "t"];
    let done = home.rsc(&[&migrate[..], &["--alter", "DROP COLUMN title"]].concat()).run().await.well();
    let id = done.last_line()["id"].as_u64().unwrap();
    let mut table = table;
    let options: Vec<String> =
        table.all(&format!("SELECT CAST(options AS CHAR) FROM _rsc.`change` WHERE id = {id}")).await;
    let options: Value = options[0].parse().unwrap();
    let as_made = (&options["revert_window_s"], &options["batch_ms"], &options["verify"]);
    assert_eq!(as_made, (&172_800.into(), &33.into(), &false.into()), "{options:#}");
    // What a profile says is no more than a default: it does not stand against a flag that excludes it.
    let resumed = home.rsc(&[
        "--config",
        &home.path("rsc.toml"),
        "--profile",
        "test",
        "migrate",
        "--resume",
        &id.to_string(),
    ]);
    resumed.env("RSC_DEFER_INDEXES", "never").run().await.well();
    table.asked("complete", id).await;
}

#[tokio::test]
async fn the_log_goes_where_it_is_wanted_in_the_form_that_is_wanted() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("rsc.log");
    fs::write(&log, "what stood there\n").unwrap();
    let path = log.to_str().unwrap();
    let id = table.migrated("DROP COLUMN title", &["--log-file", path, "--log-format", "json"]).await;
    let text = fs::read_to_string(&log).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("what stood there"));
    let lines: Vec<Value> =
        lines.map(|line| line.parse().unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
    let told = |event: &str| lines.iter().find(|line| line["event"] == event).cloned();
    let swapped = told("swapped").unwrap_or_else(|| panic!("{text}"));
    assert_eq!((&swapped["change"], &swapped["level"]), (&id.into(), &"INFO".into()), "{swapped:#}");
    assert!(
        swapped["timestamp"].is_string() && swapped["message"].as_str().unwrap().contains("swapped"),
        "{swapped:#}"
    );
    assert!(told("started").is_some() && told("state").is_some(), "{text}");

    // Also a failure, for people and from the level on that is wanted.
    let log = folder.path().join("errors.log");
    let path = log.to_str().unwrap();
    let refused = table.migrate("DROP COLUMN nothing", &["--log-file", path, "--log-level", "error"]).await;
    assert_eq!(refused.code, 3, "{refused:#?}");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("ERROR") && text.contains("nothing") && !text.contains("INFO"), "{text}");
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_or_a_level_that_there_is_not_ends_before_anything_is_touched() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let missing = Path::new("/does/not/exist/rsc.log").to_str().unwrap();
    let told = mistake(&table.migrate("DROP COLUMN title", &["--log-file", missing]).await);
    assert!(told.0.starts_with("the log cannot be written to /does/not/exist/rsc.log"), "{told:?}");
    let told = mistake(&table.migrate("DROP COLUMN title", &["--log-level", "rsc=loud"]).await);
    assert!(told.0.contains("cannot be `rsc=loud`"), "{told:?}");
    let mut table = table;
    assert_eq!(table.tables().await, ["t"]);
}

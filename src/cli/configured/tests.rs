use super::*;

fn typed(line: &str) -> ArgMatches {
    let arguments = ["rsc"].into_iter().chain(line.split_whitespace());
    Cli::command().try_get_matches_from(arguments).expect("a command line")
}

fn given(key: &str, value: &str, origin: Origin) -> Given {
    Given { key: key.into(), value: Value::Text(value.into()), origin }
}

fn environment_says(key: &str, value: &str) -> Given {
    given(key, value, Origin::Environment(variable(key)))
}

fn profile_says(key: &str, value: &str) -> Given {
    given(key, value, Origin::Profile { file: "rsc.toml".into(), line: 3, name: "a".into() })
}

fn defaults_say(key: &str, value: &str) -> Given {
    given(key, value, Origin::Defaults { file: "rsc.toml".into(), line: 1 })
}

fn option_file_says(key: &str, value: &str) -> Given {
    given(key, value, Origin::OptionFile { file: "my.cnf".into(), line: 2, group: "client".into() })
}

fn settled(line: &str, sources: [Vec<Given>; 4]) -> Settings {
    settle(&keys(&Cli::command()), &typed(line), &sources).expect("settings")
}

fn value(settings: &Settings, key: &str) -> String {
    settings.get(key).expect("a setting").values.join(",")
}

#[test]
fn flags_go_before_environment_profile_defaults_option_file_and_what_is_built_in() {
    let all = [
        vec![environment_says("port", "2")],
        vec![profile_says("port", "3")],
        vec![defaults_say("port", "4")],
        vec![option_file_says("port", "5")],
    ];
    assert_eq!(value(&settled("--port 1 list", all.clone()), "port"), "1");
    assert_eq!(value(&settled("list --port 1", all.clone()), "port"), "1");
    for (strongest, expected) in ["2", "3", "4", "5", "3306"].iter().enumerate() {
        let mut left = all.clone();
        left.iter_mut().take(strongest).for_each(Vec::clear);
        let settings = settled("list", left);
        assert_eq!(value(&settings, "port"), *expected);
        assert_eq!(settings.get("port").expect("it").origin == Origin::Default, strongest == 4);
    }
}

#[test]
fn the_first_source_that_names_a_place_decides_between_socket_and_host() {
    let none = Vec::new;
    let socket_at = |line: &str, sources| value(&settled(line, sources), "socket");
    let local = [none(), none(), none(), vec![option_file_says("socket", "/s")]];
    assert_eq!(socket_at("list", local.clone()), "/s");
    assert_eq!(socket_at("--host h list", local.clone()), "");
    assert_eq!(socket_at("--port 3307 list", local.clone()), "");
    let remote = [none(), vec![profile_says("host", "h")], none(), vec![option_file_says("socket", "/s")]];
    assert_eq!(socket_at("list", remote), "", "a profile's host before the option file's socket");
    let named = [vec![environment_says("host", "h")], none(), none(), none()];
    assert_eq!(socket_at("--socket /s list", named), "/s");
}

#[test]
fn every_option_of_a_command_can_be_configured_but_what_belongs_to_one_run() {
    let keys = keys(&Cli::command());
    let longs: Vec<&str> = keys.iter().filter_map(Arg::get_long).collect();
    for key in
        ["host", "batch-time", "revert-window", "agent", "defer-indexes", "no-verify", "output", "max-freeze"]
    {
        assert!(longs.contains(&key), "{key} in {longs:?}");
    }
    for key in OF_ONE_RUN {
        assert!(!longs.contains(&key), "{key}");
    }
}

fn mistake(key: &str, value: Value) -> Mistake {
    let origin = Origin::Defaults { file: "rsc.toml".into(), line: 7 };
    check(&keys(&Cli::command()), &Given { key: key.into(), value, origin }).expect_err("a mistake")
}

#[test]
fn a_mistake_is_one_sentence_with_its_line_and_what_would_be_right() {
    let text = |text: &str| Value::Text(text.into());
    for (key, value, what, next) in [
        ("hots", text("h"), "there is no setting `hots`", "did you mean `host`? "),
        ("alter", text("x"), "`alter` cannot stand in a file", "--alter on the command line"),
        (
            "batch-time",
            Value::Number("100".into()),
            "`batch-time` cannot be `100`: time unit needed",
            "rsc help",
        ),
        ("revert-window", text("0s"), "`revert-window` cannot be `0s`: must be at least 1s", "rsc help"),
        (
            "agent",
            text("stai"),
            "`agent` cannot be `stai`",
            "did you mean `stay`? it is one of auto, none, stay",
        ),
        ("port", Value::Number("99999".into()), "`port` cannot be `99999`: 99999 is not in 0..=65535", ""),
        ("no-verify", text("perhaps"), "`no-verify` cannot be `perhaps`", "true or false"),
        ("no-verify", Value::Number("1".into()), "`no-verify` is a switch", "true or false"),
        ("host", Value::Switch(true), "`host` cannot be true", "no switch"),
        ("host", Value::List(vec!["a".into()]), "`host` cannot be a list", "one value"),
    ] {
        let told = mistake(key, value);
        assert!(told.what.starts_with(&format!("rsc.toml, line 7, defaults: {what}")), "{told:?}");
        assert!(told.next.contains(next), "{told:?}");
    }
    assert!(!mistake("password", Value::Switch(true)).what.contains("secret"));
}

#[test]
fn what_is_for_other_programs_in_client_is_left_to_them() {
    assert!(!ours(&option_file_says("default-character-set", "utf8mb4")));
    assert!(ours(&option_file_says("ssl-mode", "VERIFY_CA")));
    let settings = settled("list", [vec![], vec![], vec![], vec![option_file_says("ssl-mode", "VERIFY_CA")]]);
    assert_eq!(value(&settings, "ssl-mode"), "verify-ca");
}

#[test]
fn another_rsc_is_handed_what_was_settled_but_neither_the_password_nor_a_file() {
    let settings = settled(
        "--host h --password p list",
        [vec![environment_says("socket", "/s")], vec![profile_says("log-level", "info")], vec![], vec![]],
    );
    let handed = settings.handed_on();
    let of = |name: &str| handed.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(of("RSC_HOST"), Some(Some("h".into())));
    assert_eq!(of("RSC_SOCKET"), Some(None), "it lost against --host");
    assert_eq!(of("RSC_PASSWORD"), Some(None));
    assert_eq!(of("RSC_CONFIG"), Some(Some("/dev/null".into())));
    assert_eq!(of("RSC_LOG"), Some(Some("info".into())));
    assert_eq!(of("RSC_OUTPUT"), None);
}

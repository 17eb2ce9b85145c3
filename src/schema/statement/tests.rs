use proptest::prelude::*;

use super::whole::Whole;
use super::*;

const FORMS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/alter_forms.sql"));

fn forms() -> Vec<&'static str> {
    let statements = FORMS.split_once('\n').unwrap().1;
    statements.split(";;").map(str::trim).filter(|form| !form.is_empty()).collect()
}

/// The variant's name.
fn reason(refusal: &Refusal) -> String {
    format!("{refusal:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap().into()
}

/// What must be refused, by how it begins behind `ALTER TABLE t `; everything else in the forms must run.
const REFUSED: &[(&str, &str)] = &[
    ("ADD COLUMN c INT REFERENCES", "ForeignKey"),
    ("ADD FOREIGN KEY", "ForeignKey"),
    ("ADD CONSTRAINT fk FOREIGN KEY", "ForeignKey"),
    ("DROP FOREIGN KEY", "ForeignKey"),
    ("ADD COLUMN IF NOT EXISTS", "NotMySql"),
    ("RENAME TO", "TableRename"),
    ("RENAME AS", "TableRename"),
    ("RENAME =", "TableRename"),
    ("RENAME newname", "TableRename"),
    ("ORDER BY", "OrderBy"),
    ("DISABLE KEYS", "Keys"),
    ("DATA DIRECTORY='/x'", "Ignored"),
    ("COMMENT='c' INDEX DIRECTORY = '/x' MAX_ROWS=3", "Ignored"),
    ("UNION=(a, b)", "Ignored"),
    ("INSERT_METHOD LAST", "Ignored"),
    ("ENABLE KEYS", "Keys"),
    ("DISCARD TABLESPACE", "Tablespace"),
    ("ALGORITHM=", "Algorithm"),
    ("ADD COLUMN c INT, ALGORITHM=", "Algorithm"),
    ("LOCK=", "Lock"),
    ("WITH VALIDATION", "Validation"),
    ("ADD COLUMN c INT, WITHOUT VALIDATION", "Validation"),
    ("DROP PARTITION", "PartitionRows"),
    ("TRUNCATE PARTITION", "PartitionRows"),
    ("EXCHANGE PARTITION", "PartitionRows"),
    ("REBUILD PARTITION", "PartitionUpkeep"),
    ("ADD COLUMN /*!80000 c */ d INT", "VersionComment"),
];

/// The same for statements that do not begin with `ALTER TABLE t `. `""` is: runs.
const OTHERS: &[(&str, &str)] = &[
    ("ALTER ONLINE TABLE", "NotMySql"),
    ("ALTER IGNORE TABLE", "NotMySql"),
    ("ALTER TABLE ", ""),
    ("ALTER /* x */ TABLE", ""),
    ("/* lead */ ALTER TABLE", ""),
    ("ALTER TABLE T", ""),
    ("CREATE TABLE", "TableStatement"),
    ("RENAME TABLE", "TableStatement"),
    ("DROP TABLE", "TableStatement"),
    ("DROP TEMPORARY TABLE", "TableStatement"),
    ("TRUNCATE", "TableStatement"),
    ("CREATE INDEX", "IndexStatement"),
    ("CREATE UNIQUE INDEX", "IndexStatement"),
    ("CREATE FULLTEXT INDEX", "IndexStatement"),
    ("DROP INDEX", "IndexStatement"),
    ("CREATE TRIGGER", "OtherStatement"),
    ("CREATE VIEW", "OtherStatement"),
    ("DROP DATABASE", "OtherStatement"),
    ("BEGIN", "OtherStatement"),
    ("SAVEPOINT", "OtherStatement"),
    ("XA START", "OtherStatement"),
    ("OPTIMIZE TABLE", "OtherStatement"),
    ("ANALYZE TABLE", "OtherStatement"),
    ("FLUSH TABLES", "OtherStatement"),
];

fn expected(form: &str) -> &'static str {
    let (list, text) = match form.strip_prefix("ALTER TABLE t ") {
        Some(clauses) => (REFUSED, clauses),
        None => (OTHERS, form),
    };
    // By the start, in any letter case: `alter table T`, `rename table`.
    let starts = |start: &str| text.get(..start.len()).is_some_and(|t| t.eq_ignore_ascii_case(start));
    match list.iter().find(|(start, _)| starts(start)) {
        Some((_, reason)) => reason,
        None => {
            assert!(form.starts_with("ALTER TABLE t "), "nothing is expected of: {form}");
            ""
        }
    }
}

#[test]
fn every_known_form_runs_or_is_refused_for_its_reason() {
    let forms = forms();
    assert_eq!(forms.len(), 216);
    for form in forms {
        let read = Alter::parse(form);
        let found = read.as_ref().err().map(reason).unwrap_or_default();
        println!("{:<14} {form}", if found.is_empty() { "runs" } else { &found });
        assert_eq!(found, expected(form), "{form}");
        let Ok(alter) = read else { continue };
        assert!(form.contains(&alter.specs), "{form}");
        if let Some(clauses) = form.strip_prefix("ALTER TABLE t ") {
            assert_eq!((alter.schema.as_deref(), alter.table.as_deref()), (None, Some("t")), "{form}");
            assert!(clauses.starts_with(&alter.specs), "{form}");
            let only = Alter::parse(clauses).unwrap();
            assert_eq!(only, Alter { table: None, ..alter }, "{form}: read as clauses only");
        }
    }
}

/// By its first words, what a form of the list says of columns: a rule that knows nothing of the reader.
#[test]
fn no_known_form_changes_other_columns_than_it_says() {
    for form in forms() {
        let Ok(alter) = Alter::parse(form) else { continue };
        let specs = alter.specs.to_uppercase();
        let dropped = ["DROP COLUMN", "DROP C"].iter().any(|start| specs.contains(start))
            && !["DROP CHECK", "DROP CONSTRAINT"].iter().any(|start| specs.starts_with(start));
        assert_eq!(!alter.dropped.is_empty(), dropped, "{form}");
        let renamed = specs.starts_with("CHANGE") || specs.starts_with("RENAME COLUMN");
        assert_eq!(!alter.renames.is_empty(), renamed, "{form}");
        let added = ["ADD COLUMN", "ADD C ", "ADD (C"].iter().any(|start| specs.starts_with(start));
        assert_eq!(!alter.added.is_empty(), added, "{form}");
        let rebuild = ["FORCE", "ENGINE=INNODB", "ENGINE INNODB"].contains(&specs.as_str());
        assert_eq!(alter.rebuild_only, rebuild, "{form}");
    }
}

fn read(text: &str) -> Alter {
    Alter::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

fn refused(text: &str) -> Refusal {
    Alter::parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

fn is_refused(reason_name: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(reason(&refused(text)), reason_name, "{text}");
    }
}

fn renames(text: &str) -> Vec<(String, String)> {
    read(text).renames
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.into(), to.into())
}

#[test]
fn clauses_are_cut_out_as_typed() {
    let of = |text| read(text).specs;
    assert_eq!(of("ALTER TABLE t  DROP c ; ; "), "DROP c");
    assert_eq!(of("/* 😀 */ ALTER\r\n TABLE\t`日本`.`表``名` -- 😀 é\r\n ADD `é` INT -- end"), "ADD `é` INT");
    assert_eq!(of("DROP COLUMN title"), "DROP COLUMN title");
    assert_eq!(
        of("\n# why\nADD c INT, # one ), `\n ADD d INT /* two */"),
        "ADD c INT, # one ), `\n ADD d INT"
    );
    assert_eq!(of("ALTER TABLE t ADD c INT COMMENT 'a;b -- c /* d'"), "ADD c INT COMMENT 'a;b -- c /* d'");
    assert_eq!(
        of("ALTER TABLE t ADD c INT COMMENT 'it\\'s;', DROP d"),
        "ADD c INT COMMENT 'it\\'s;', DROP d"
    );
}

#[test]
fn a_table_is_named_in_every_way_the_server_takes() {
    let of = |head: &str| {
        let alter = read(&format!("{head} DROP c"));
        (alter.schema, alter.table.unwrap())
    };
    assert_eq!(of("ALTER TABLE t"), (None, "t".into()));
    assert_eq!(of("alter table `a.b`.`c``d`"), (Some("a.b".into()), "c`d".into()));
    assert_eq!(of("ALTER TABLE db.2024_orders"), (Some("db".into()), "2024_orders".into()));
    assert_eq!(of("ALTER TABLE db._rsc"), (Some("db".into()), "_rsc".into()));
    assert_eq!(of("ALTER TABLE \"d\"\"b\".\"t\\n\""), (Some("d\"b".into()), "t\\n".into()));
    assert_eq!(of("ALTER TABLE `add`"), (None, "add".into()));
    assert_eq!(of("ALTER TABLE modify"), (None, "modify".into()));
    assert_eq!(of("ALTER TABLE größe"), (None, "größe".into()));
}

#[test]
fn columns_that_swap_or_hand_on_their_names_are_all_seen() {
    assert_eq!(renames("CHANGE a b INT, CHANGE b a INT"), [pair("a", "b"), pair("b", "a")]);
    assert_eq!(renames("RENAME COLUMN a TO b, RENAME COLUMN b TO c"), [pair("a", "b"), pair("b", "c")]);
    assert_eq!(renames("CHANGE COLUMN `to` `col umn` INT"), [pair("to", "col umn")]);
    assert_eq!(renames("CHANGE a A INT"), [pair("a", "A")]);
    assert_eq!(renames("CHANGE a a INT, MODIFY b INT"), []);
    assert_eq!(renames("RENAME COLUMN \"a\" TO \"b\""), [pair("a", "b")]);
    assert_eq!(renames("RENAME INDEX a TO b, RENAME KEY c TO d"), []);
}

#[test]
fn a_word_in_backquotes_is_a_column_and_without_them_it_is_the_keyword() {
    let columns = |text: &str| (read(text).added, read(text).dropped);
    for keyword in ["index", "key", "unique", "primary", "check", "constraint", "partition", "column"] {
        assert_eq!(columns(&format!("ADD `{keyword}` INT")), (vec![keyword.into()], vec![]));
        assert_eq!(columns(&format!("DROP `{keyword}`")), (vec![], vec![keyword.into()]));
        assert_eq!(columns(&format!("DROP COLUMN `{keyword}`")), (vec![], vec![keyword.into()]));
    }
    assert_eq!(columns("DROP `foreign`"), (vec![], vec!["foreign".into()]));
    assert_eq!(columns("ADD `references` INT"), (vec!["references".into()], vec![]));
    for none in [
        "ADD UNIQUE (a)",
        "ADD CHECK (a > 1)",
        "DROP PRIMARY KEY",
        "DROP INDEX i",
        "DROP KEY i",
        "DROP CHECK c",
    ] {
        assert_eq!(columns(none), (vec![], vec![]), "{none}");
    }
    for plain in ["rename", "algorithm", "lock", "engine", "comment", "vector", "modify", "view", "user"] {
        assert_eq!(columns(&format!("ADD COLUMN {plain} INT")), (vec![plain.into()], vec![]));
        assert_eq!(columns(&format!("DROP {plain}, FORCE")), (vec![], vec![plain.into()]));
        assert_eq!(columns(&format!("DROP {plain}")), (vec![], vec![plain.into()]));
        assert_eq!(columns(&format!("ALTER {plain} SET DEFAULT 1")), (vec![], vec![]));
    }
    assert_eq!(columns("ADD VECTOR INDEX i (v)"), (vec![], vec![]));
}

#[test]
fn a_list_of_new_columns_may_hold_keys_and_commas() {
    let alter = read(
        "ADD COLUMN (`a,b` ENUM('x,y', 'z)') DEFAULT (concat('a', 'b')), KEY k (c, d), d DECIMAL(1, 0))",
    );
    assert_eq!(alter.added, ["a,b", "d"]);
}

#[test]
fn a_column_dropped_and_added_again_is_another_column() {
    let alter = read("DROP COLUMN Title, ADD COLUMN title TEXT, DROP other");
    assert!(alter.replaces("title"));
    assert!(!alter.replaces("other"));
}

#[test]
fn only_a_rebuild_is_a_rebuild() {
    for text in [
        "FORCE",
        "ENGINE=InnoDB",
        "engine = 'innodb'",
        "ENGINE `InnoDB`, FORCE",
        "ENGINE=InnoDB ENGINE=InnoDB",
    ] {
        assert!(read(text).rebuild_only, "{text}");
    }
    for text in [
        "FORCE, DROP c",
        "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        "FORCE REMOVE PARTITIONING",
        "ENGINE=InnoDB PARTITION BY KEY (a)",
    ] {
        assert!(!read(text).rebuild_only, "{text}");
    }
}

#[test]
fn what_must_not_run_on_a_shadow_is_refused_wherever_it_stands() {
    is_refused("Algorithm", &["ALGORITHM INPLACE", "DROP c, ALGORITHM = COPY", "algorithm=default"]);
    is_refused("Lock", &["DROP c, LOCK NONE", "lock = shared"]);
    is_refused(
        "Engine",
        &["ENGINE=MyISAM", "ENGINE 'memory'", "COMMENT='x' ENGINE=MyISAM", "ROW_FORMAT DYNAMIC ENGINE=NDB"],
    );
    is_refused(
        "ForeignKey",
        &[
            "ADD (c INT, d INT REFERENCES p (id))",
            "MODIFY c INT REFERENCES p(id)",
            "CHANGE c d INT references p(id)",
        ],
    );
    is_refused("TableRename", &["DROP c, RENAME x", "RENAME `column`", "ALTER TABLE t RENAME x.y"]);
    is_refused("PartitionRows", &["DISCARD PARTITION p0 TABLESPACE", "IMPORT PARTITION ALL TABLESPACE"]);
    is_refused(
        "PartitionUpkeep",
        &["ANALYZE PARTITION p", "CHECK PARTITION p", "OPTIMIZE PARTITION p", "REPAIR PARTITION ALL"],
    );
    is_refused("Tablespace", &["IMPORT TABLESPACE"]);
    is_refused("Hint", &["ALTER /*+ SET_VAR(x=1) */ TABLE t DROP c"]);
    is_refused("VersionComment", &["/*!50100 ALTER TABLE t DROP c */", "ADD c INT /*!80023 INVISIBLE */"]);
    is_refused("NotMySql", &["ALTER TABLE IF EXISTS t DROP c", "DROP COLUMN IF EXISTS c"]);
}

#[test]
fn what_cannot_be_read_is_refused_and_not_guessed() {
    is_refused("Empty", &["", "  \n", ";", "-- only a comment", "/* x */;"]);
    is_refused("NoClause", &["ALTER TABLE t", "ALTER TABLE a.b;"]);
    is_refused(
        "NoTableName",
        &["ALTER TABLE", "ALTER TABLE ADD COLUMN c INT", "ALTER TABLE 'x' DROP c", "ALTER TABLE a."],
    );
    is_refused("SeveralStatements", &["DROP c; DROP d", "ALTER TABLE t DROP c; ALTER TABLE t DROP d;"]);
    is_refused("Parentheses", &["ADD c DECIMAL(1", "ADD (c INT", "ADD c INT)", "ADD c INT)("]);
    is_refused(
        "Unterminated",
        &["ADD c INT COMMENT 'x", "DROP `c", "DROP c /* x", "ADD c CHAR(1) DEFAULT \"x"],
    );
    is_refused(
        "UnknownClause",
        &["DROP c,", ", DROP c", "DROP c,, DROP d", "ADD c INT, d INT", "ALTER TABLE t FOO c"],
    );
    is_refused(
        "UnknownClause",
        &["ENGINE=", "DEFAULT ENGINE=MyISAM", "COMMENT='x' FOO=1", "SECONDARY_ENGINE=x LOAD", "RENAME"],
    );
    is_refused(
        "NoColumnName",
        &[
            "ADD",
            "ADD COLUMN",
            "ADD ()",
            "ADD ((c INT))",
            "DROP",
            "DROP COLUMN 'c'",
            "CHANGE a",
            "RENAME COLUMN a b",
        ],
    );
    is_refused(
        "OtherStatement",
        &["SELECT 1", "DORP COLUMN c", "ALTER DATABASE d CHARSET utf8mb4", "ALTER VIEW v AS SELECT 1"],
    );
    is_refused(
        "OtherStatement",
        &["DROP VIEW v", "WITH x AS (SELECT 1) SELECT 1", "LOCK TABLES t READ", "REPAIR TABLE t"],
    );
    is_refused(
        "TableStatement",
        &["CREATE TABLE `t` (`c` int /*!80023 INVISIBLE */)", "CREATE TEMPORARY TABLE t (c INT)"],
    );
}

#[test]
fn an_index_statement_is_answered_with_its_alter_table() {
    let written = |text| match refused(text) {
        Refusal::IndexStatement(write) => write,
        other => panic!("{other}"),
    };
    assert_eq!(
        written("CREATE UNIQUE INDEX i\nUSING BTREE ON db.t (a(3), /* x */ b) LOCK=NONE"),
        "ALTER TABLE db.t ADD UNIQUE INDEX i USING BTREE (a(3), b)"
    );
    assert_eq!(written("DROP INDEX `i` ON `d`.`t` ALGORITHM=INPLACE"), "ALTER TABLE `d`.`t` DROP INDEX `i`");
    assert_eq!(written("DROP INDEX i ON t"), "ALTER TABLE t DROP INDEX i");
}

#[test]
fn the_statement_and_the_options_name_one_table() {
    let name = |text: &str, database, table| read(text).resolve(database, table);
    let expected = Ok(TableName::new("d", "t"));
    assert_eq!(name("ALTER TABLE d.t FORCE", None, None), expected);
    assert_eq!(name("ALTER TABLE d.t FORCE", Some("d"), Some("t")), expected);
    assert_eq!(name("ALTER TABLE t FORCE", Some("d"), None), expected);
    assert_eq!(name("FORCE", Some("d"), Some("t")), expected);
    assert_eq!(name("FORCE", Some("d"), None), Err(Refusal::NoTable));
    assert_eq!(name("ALTER TABLE t FORCE", None, None), Err(Refusal::NoDatabase));
    let other_table = Refusal::OtherTable { statement: "t".into(), option: "u".into() };
    assert_eq!(name("ALTER TABLE d.t FORCE", None, Some("u")), Err(other_table));
    let other_database = Refusal::OtherDatabase { statement: "d".into(), option: "e".into() };
    assert_eq!(name("ALTER TABLE d.t FORCE", Some("e"), None), Err(other_database));
}

#[test]
fn a_refusal_says_what_to_do_in_one_sentence() {
    for form in forms() {
        let Err(refusal) = Alter::parse(form) else { continue };
        let message = refusal.to_string();
        assert!(!message.ends_with('.') && message.contains(':'), "{message}");
        assert!(
            !message.starts_with(|c: char| c.is_uppercase()) || message.starts_with("InnoDB"),
            "{message}"
        );
    }
}

/// Words, signs and fragments from which the strangest statements are made.
const SOUP: &[&str] = &[
    "ALTER",
    "TABLE",
    "ADD",
    "DROP",
    "CHANGE",
    "RENAME",
    "COLUMN",
    "MODIFY",
    "INDEX",
    "ON",
    "TO",
    "IF",
    "CREATE",
    "PARTITION",
    "REORGANIZE",
    "ENGINE",
    "=",
    "InnoDB",
    "DEFAULT",
    "CHARACTER",
    "SET",
    "FORCE",
    "VECTOR",
    "INTO",
    "a",
    "`b`",
    "\"c\"",
    "'d'",
    "日本",
    "😀",
    ".",
    ",",
    ";",
    "(",
    ")",
    "()",
    "1",
    "0x1",
    "1e",
    ".5",
    "@",
    "@@x",
    "$",
    "$$",
    "\\",
    "'",
    "`",
    "\"",
    "/*",
    "*/",
    "/*!",
    "/*+ x */",
    "/* y */",
    "--",
    "-- z\n",
    "#",
    "\n",
    "\r\n",
    "\t",
    " ",
    "b'",
    "x'",
    "n'",
    "N",
    "-",
    "->",
    "%",
    "?",
    "<",
    ":",
    "\u{0}",
    "\u{a0}",
    "\u{feff}",
];

fn soup() -> impl Strategy<Value = String> {
    let spaced = (prop::sample::select(SOUP), any::<bool>());
    prop::collection::vec(spaced, 0..40).prop_map(|words| {
        words.into_iter().map(|(word, space)| format!("{word}{}", if space { " " } else { "" })).collect()
    })
}

/// Only what the grammar has, so that most of it is accepted.
fn likely() -> impl Strategy<Value = String> {
    const CLAUSES: &[&str] =
        &["DROP a", "ADD `日` INT", "CHANGE a b INT", "FORCE", "ADD (c INT, d INT)", "RENAME COLUMN a TO b"];
    const BETWEEN: &[&str] = &[", ", ",\n", ",/* , */", " ,-- ,\n", ",# 😀\n"];
    let clause = (prop::sample::select(CLAUSES).prop_map(String::from), prop::sample::select(BETWEEN));
    prop::collection::vec(clause, 1..6).prop_map(|clauses| {
        let mut text: String = clauses.iter().map(|(clause, between)| format!("{clause}{between}")).collect();
        text.push_str("DROP z");
        text
    })
}

#[test]
fn what_is_refused_is_left_out_and_every_reason_is_told() {
    let text = "ALTER TABLE t LOCK=NONE, DROP CHECK c, RENAME TO u, RENAME COLUMN a TO b, DROP CHECK `d e`";
    let (alter, refusals) = Alter::read(text);
    assert_eq!(refusals, [Refusal::Lock("LOCK=NONE".into()), Refusal::TableRename("RENAME TO u".into())]);
    assert_eq!(alter.specs, "DROP CHECK c, RENAME COLUMN a TO b, DROP CHECK `d e`");
    assert_eq!(alter.renames, [("a".into(), "b".into())]);
    let renamed = alter.specs_with(&[("c".into(), "x".into()), ("d e".into(), "y".into())]);
    assert_eq!(renamed, "DROP CHECK `x`, RENAME COLUMN a TO b, DROP CHECK `y`");
    assert_eq!(Alter::parse(text), Err(Refusal::Lock("LOCK=NONE".into())));
}

#[test]
fn a_name_does_not_grow_together_with_what_stands_behind_it() {
    let (whole, _) = Whole::read("CREATE TABLE d.t`b`ADD").unwrap();
    assert_eq!(whole.naming(&TableName::new("é", "twin")), "CREATE TABLE `é`.`twin` `b`ADD");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in soup(), head in prop::sample::select(&["", "ALTER TABLE t ", "ADD "][..])) {
        let text = format!("{head}{text}");
        if let Ok(alter) = Alter::parse(&text) {
            prop_assert!(text.contains(&alter.specs));
            // What is cut out says the same as the whole.
            let again = Alter::parse(&format!("ALTER TABLE shadow {}", alter.specs)).unwrap();
            prop_assert_eq!(again, Alter { schema: None, table: Some("shadow".into()), ..alter });
        }
    }

    /// What stands for another table asks the same of it.
    #[test]
    fn a_whole_statement_says_the_same_of_another_table(
        text in soup(),
        head in prop::sample::select(&["", "CREATE TABLE `é` (a int) ", "DROP TABLE é", "CREATE TABLE IF NOT EXISTS d.t"][..]),
    ) {
        if let Some((whole, refusals)) = Whole::read(&format!("{head}{text}"))
            && refusals.is_empty()
        {
            let (again, none) = Whole::read(&whole.naming(&TableName::new("é", "twin"))).unwrap();
            prop_assert_eq!(none, Vec::new());
            prop_assert_eq!((again.kind, again.lenient), (whole.kind, whole.lenient));
            prop_assert_eq!((again.schema.as_deref(), again.table.as_deref()), (Some("é"), Some("twin")));
        }
    }

    #[test]
    fn every_clause_is_counted_once(clauses in likely(), tail in prop::sample::select(&["", ";", " ;\n", " -- x", "/* é */;"][..])) {
        let alter = read(&format!("ALTER TABLE `é`.t {clauses}{tail}"));
        prop_assert_eq!(&alter.specs, &clauses);
        let count = |what: &str| clauses.matches(what).count();
        prop_assert_eq!(alter.dropped.len(), count("DROP"));
        prop_assert_eq!(alter.added.len(), count("ADD `") + 2 * count("ADD ("));
        prop_assert_eq!(alter.renames.len(), count("CHANGE") + count("RENAME"));
    }
}

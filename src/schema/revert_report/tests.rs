use super::*;
use crate::schema::statement::Alter;
use crate::schema::table::{Key, KeyPart, Table, TableName};

fn column(name: &str, column_type: &str, nullable: bool) -> Column {
    let data_type = column_type.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let text = data_type == "varchar";
    Column {
        name: name.into(),
        data_type,
        column_type: column_type.into(),
        charset: text.then(|| "utf8mb4".into()),
        collation: text.then(|| "utf8mb4_0900_ai_ci".into()),
        nullable,
        default: None,
        extra: String::new(),
        generated: false,
    }
}

/// `id` is the primary key; `tail` are further lines of SHOW CREATE TABLE, and `options` what follows the columns.
fn table(columns: Vec<Column>, unique: &[(&str, &[&str])], tail: &[&str], options: &str) -> Table {
    let key = |name: &str, columns: &[&str]| Key {
        name: name.into(),
        unique: true,
        parts: columns
            .iter()
            .map(|c| KeyPart { column: Some((*c).into()), prefix: false, nullable: false })
            .collect(),
    };
    let mut keys = vec![key("PRIMARY", &["id"])];
    keys.extend(unique.iter().map(|(name, columns)| key(name, columns)));
    let mut all = vec![column("id", "int", false)];
    all.extend(columns);
    Table {
        name: TableName::new("d", "t"),
        columns: all,
        keys,
        create: format!("CREATE TABLE `t` (\n{}\n) ENGINE=InnoDB{options}", tail.join(",\n")),
        auto_increment: None,
        rows_estimate: 0,
    }
}

fn report(old: &Table, new: &Table) -> Report {
    Report::of(&Mapping::between(old, new, &Alter::default()).expect("a mapping"))
}

fn rule<'r>(report: &'r Report, name: &str) -> &'r Rule {
    report.rules.iter().find(|rule| rule.name == name).expect("the rule")
}

#[test]
fn a_column_more_or_less_is_lossless() {
    let (with, without) = (table(vec![column("a", "int", true)], &[], &[], ""), table(vec![], &[], &[], ""));
    let added = report(&without, &with);
    assert_eq!((added.verdict(), added.columns[1].fate), (Verdict::Lossless, Fate::Stays));
    let dropped = report(&with, &without);
    assert_eq!((dropped.verdict(), dropped.columns[1].fate), (Verdict::Lossless, Fate::Defaulted));
    assert_eq!(dropped.columns[1].what, ["rows from before have their value; rows since get NULL"]);
}

#[test]
fn a_wider_type_is_coerced_and_a_narrower_one_kept() {
    let of = |kind: &str| table(vec![column("a", kind, true)], &[], &[], "");
    let (narrow, wide) = (of("varchar(8)"), of("varchar(60)"));
    let widened = report(&narrow, &wide);
    assert_eq!((widened.verdict(), widened.columns[1].fate), (Verdict::PossibleLosses, Fate::Coerced));
    assert_eq!(report(&wide, &narrow).verdict(), Verdict::Lossless);
}

#[test]
fn a_value_of_which_nothing_is_left_is_lost() {
    let of = |kind: &str, null: bool| table(vec![column("a", kind, null)], &[], &[], "");
    assert_eq!(report(&of("int", false), &of("int", true)).columns[1].fate, Fate::Lost);
}

#[test]
fn a_unique_key_parks_unless_another_implies_it() {
    let columns = || vec![column("a", "int", false), column("b", "int", false)];
    let old = table(columns(), &[("both", &["a", "b"])], &[], "");
    let gone = table(columns(), &[], &[], "");
    assert!(rule(&report(&old, &gone), "both").parks);
    let stricter = table(columns(), &[("one", &["b"])], &[], "");
    assert_eq!(report(&old, &stricter).verdict(), Verdict::Lossless);
    assert!(rule(&report(&stricter, &old), "one").parks);
}

#[test]
fn a_unique_key_over_values_that_may_be_cut_parks() {
    let of = |kind: &str| table(vec![column("a", kind, false)], &[("u", &["a"])], &[], "");
    assert!(rule(&report(&of("varchar(8)"), &of("varchar(60)")), "u").parks);
    assert!(!rule(&report(&of("varchar(60)"), &of("varchar(8)")), "u").parks);
}

#[test]
fn a_unique_key_of_a_dropped_column_parks_where_new_rows_share_a_value() {
    let without = table(vec![], &[], &[], "");
    let of = |null: bool| table(vec![column("a", "int", null)], &[("u", &["a"])], &[], "");
    assert!(!rule(&report(&of(true), &without), "u").parks, "NULL is never a duplicate");
    assert!(rule(&report(&of(false), &without), "u").parks, "a second row with 0 is");
}

#[test]
fn a_check_parks_unless_it_is_in_both_and_about_the_same_values() {
    let check = "  CONSTRAINT `c` CHECK ((`a` < 100))";
    let of = |kind: &str, tail: &[&str]| table(vec![column("a", kind, false)], &[], tail, "");
    let old = of("int", &[check]);
    assert!(rule(&report(&old, &of("int", &[])), "c").parks);
    assert!(!rule(&report(&old, &of("int", &["  CONSTRAINT `other` CHECK ((`a` < 100))"])), "c").parks);
    assert!(rule(&report(&old, &of("bigint", &[check])), "c").parks);
    let off = format!("{check} /*!80016 NOT ENFORCED */");
    assert!(rule(&report(&old, &of("int", &[&off])), "c").parks);
    assert!(report(&of("int", &[&off]), &of("int", &[])).rules.iter().all(|rule| rule.name != "c"));
}

#[test]
fn partitions_park_unless_there_is_one_for_every_row() {
    let range =
        "\n/*!50100 PARTITION BY RANGE (`id`)\n(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */";
    let open =
        "\n/*!50100 PARTITION BY RANGE (`id`)\n(PARTITION p0 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */";
    let hash = "\n/*!50100 PARTITION BY HASH (`id`)\nPARTITIONS 4 */";
    let of = |options: &str| table(vec![], &[], &[], options);
    assert!(rule(&report(&of(range), &of("")), "").parks);
    assert!(!rule(&report(&of(range), &of(range)), "").parks);
    assert!(!rule(&report(&of(open), &of("")), "").parks);
    assert!(!rule(&report(&of(hash), &of("")), "").parks);
}

#[test]
fn a_key_that_the_old_type_does_not_have_parks_its_row() {
    let of = |kind: &str| {
        let mut table = table(vec![], &[], &[], "");
        table.columns[0] = column("id", kind, false);
        table
    };
    let wider = report(&of("int"), &of("bigint"));
    assert!(!wider.columns[0].parks.is_empty(), "{wider:#?}");
    assert!(!wider.columns[0].loses && !rule(&wider, "PRIMARY").parks, "{wider:#?}");
    assert_eq!(report(&of("bigint"), &of("int")).verdict(), Verdict::Lossless);
}

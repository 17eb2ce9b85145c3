use super::*;

/// A nullable column of this type; text is utf8mb4 unless the type says otherwise.
fn column(column_type: &str) -> Column {
    let (column_type, charset) = match column_type.split_once(" charset ") {
        Some((column_type, charset)) => (column_type, Some(charset.to_owned())),
        None => (column_type, None),
    };
    let data_type = column_type.split(['(', ' ']).next().unwrap();
    let textual = ["char", "varchar", "text", "tinytext", "longtext", "enum", "set"].contains(&data_type);
    Column {
        name: "c".into(),
        data_type: data_type.into(),
        column_type: column_type.into(),
        charset: charset.or(textual.then(|| "utf8mb4".into())),
        collation: None,
        nullable: true,
        default: None,
        extra: String::new(),
        generated: false,
    }
}

fn strict(from: &str, to: &str) -> String {
    expression(&column(from), &column(to), Manner::Strict, "d.c")
}

#[test]
fn what_an_insert_converts_as_an_alter_does_is_left_alone() {
    for (from, to) in [
        ("int", "bigint"),
        ("bigint", "tinyint unsigned"),
        ("varchar(9)", "int"),
        ("varchar(9) charset latin1", "text"),
        ("enum('a')", "enum('b','a')"),
        ("enum('a')", "varchar(9)"),
        ("datetime(6)", "datetime"),
        ("json", "longtext"),
        ("timestamp(6)", "timestamp"),
        ("blob", "text"),
    ] {
        assert_eq!(strict(from, to), "d.c", "{from} to {to}");
    }
}

#[test]
fn an_alter_takes_the_text_of_a_number() {
    assert_eq!(strict("float", "varchar(20)"), "CONCAT(d.c)");
    assert_eq!(strict("int", "enum('1')"), "CONCAT(d.c)");
    assert_eq!(strict("decimal(10,2)", "int"), "CAST(d.c AS SIGNED)");
}

#[test]
fn null_becomes_json_null_where_null_is_not_taken() {
    let (from, mut to) = (column("json"), column("json"));
    to.nullable = false;
    assert_eq!(expression(&from, &to, Manner::Nearest, "d.c"), "COALESCE(d.c, CAST('null' AS JSON))");
    assert_eq!(expression(&from, &to, Manner::Strict, "d.c"), "d.c");
}

#[test]
fn a_pair_is_refused_both_ways_or_not_at_all() {
    let all = [
        "int",
        "decimal(30,2)",
        "double",
        "year",
        "bit(8)",
        "date",
        "datetime",
        "timestamp",
        "time",
        "varchar(9)",
        "blob",
        "enum('a')",
        "set('a')",
        "json",
        "point",
        "vector(3)",
    ];
    for from in all {
        for to in all {
            let (from, to) = (column(from), column(to));
            assert_eq!(refusal(&from, &to).is_some(), refusal(&to, &from).is_some());
        }
    }
    assert!(refusal(&column("time"), &column("datetime")).is_some());
    assert!(refusal(&column("int"), &column("varchar(11)")).is_none());
}

#[test]
fn invalid_json_has_no_nearest_value() {
    assert!(may_refuse(&column("text"), &column("json")));
    assert!(!may_refuse(&column("json"), &column("text")));
    assert!(may_refuse(&column("blob"), &column("text")));
    assert!(!may_refuse(&column("text"), &column("int")));
}

#[test]
fn what_comes_back_for_certain() {
    for (from, to) in [
        ("int", "int"),
        ("int", "bigint"),
        ("int unsigned", "bigint"),
        ("int", "decimal(10,0)"),
        ("int", "double"),
        ("int", "varchar(11)"),
        ("year", "smallint"),
        ("float", "double"),
        ("decimal(10,2)", "decimal(12,4)"),
        ("varchar(10)", "varchar(20)"),
        ("varchar(10) charset latin1", "varchar(10)"),
        ("char(5)", "varchar(5)"),
        ("tinytext", "text"),
        ("varchar(16383)", "text"),
        ("binary(5)", "varbinary(5)"),
        ("blob", "longblob"),
        ("enum('a','b')", "enum('a','b','c')"),
        ("enum('a','b')", "enum('b','x','a')"),
        ("set('a')", "set('b','a')"),
        ("datetime", "datetime(6)"),
        ("bit(3)", "bit(4)"),
    ] {
        assert!(survives(&column(from), &column(to)), "{from} to {to}");
    }
}

#[test]
fn what_may_not_come_back() {
    for (from, to) in [
        ("bigint", "int"),
        ("int", "int unsigned"),
        ("int", "decimal(10,1)"),
        ("bigint", "double"),
        ("int", "float"),
        ("int", "varchar(10)"),
        ("int(5) unsigned zerofill", "varchar(20)"),
        ("double", "float"),
        ("float", "float(7,2)"),
        ("decimal(10,4)", "decimal(10,2)"),
        ("decimal(10,2)", "decimal(10,4)"),
        ("datetime(6)", "datetime"),
        ("timestamp", "datetime"),
        ("varchar(10)", "char(10)"),
        ("varchar(10)", "varchar(10) charset latin1"),
        ("varchar(20)", "varchar(10)"),
        ("varchar(16384)", "text"),
        ("text charset latin1", "text"),
        ("varbinary(5)", "binary(5)"),
        ("enum('a','b')", "enum('a')"),
        ("enum('a','')", "enum('a','','b')"),
        ("json", "longtext"),
        ("time", "datetime"),
    ] {
        assert!(!survives(&column(from), &column(to)), "{from} to {to}");
    }
    let (from, mut to) = (column("int"), column("int"));
    to.nullable = false;
    assert!(!survives(&from, &to));
}

#[test]
fn a_key_is_not_rounded_padded_or_stripped() {
    let apart = |from: &str, to: &str| keeps_keys_apart(&column(from), &column(to));
    assert!(apart("int", "bigint"));
    assert!(apart("decimal(5,2)", "decimal(9,2)"));
    assert!(!apart("decimal(5,2)", "decimal(5,1)"));
    assert!(!apart("datetime(6)", "datetime"));
    assert!(!apart("varchar(9)", "char(9)"));
    assert!(apart("int", "decimal(10,0)"));
    assert!(!apart("int", "decimal(10,2)"));
    assert!(!apart("int", "varchar(11)"));
    assert!(!apart("timestamp", "datetime"));
    assert!(!apart("varbinary(9)", "binary(9)"));
}

#[test]
fn a_stripped_key_is_the_same_to_a_collation_that_pads() {
    let collated = |column_type: &str, collation: &str| Column {
        collation: Some(collation.into()),
        ..column(column_type)
    };
    let (char, varchar) = (collated("char(9)", "utf8mb4_bin"), collated("varchar(9)", "utf8mb4_bin"));
    assert!(keeps_keys_apart(&char, &varchar));
    assert!(!keeps_keys_apart(&char, &collated("varchar(9)", "utf8mb4_0900_ai_ci")));
}

#[test]
fn a_key_that_would_be_cut_off_is_told_from_one_that_fits() {
    let fits = |from: &str, to: &str| fits(&column(from), &column(to), "d.k");
    assert_eq!(fits("int", "bigint"), None);
    assert_eq!(fits("bigint", "tinyint unsigned").unwrap(), "(d.k BETWEEN 0 AND 255)");
    assert_eq!(fits("varchar(9)", "varchar(5)").unwrap(), "(CHAR_LENGTH(d.k) <= 5)");
    assert_eq!(
        fits("varchar(9)", "varchar(9) charset latin1").unwrap(),
        "(CHAR_LENGTH(d.k) <= 9 AND \
         CAST(CONVERT(CONVERT(d.k USING latin1) USING utf8mb4) AS BINARY) = CAST(d.k AS BINARY))"
    );
}

#[test]
fn a_character_that_the_other_set_does_not_have_becomes_a_question_mark() {
    let (from, to) = (column("text"), column("text charset latin1"));
    assert_eq!(expression(&from, &to, Manner::Nearest, "d.c"), "CONVERT(d.c USING latin1)");
    assert_eq!(expression(&from, &to, Manner::Strict, "d.c"), "d.c");
    assert_eq!(expression(&to, &from, Manner::Nearest, "d.c"), "d.c");
}

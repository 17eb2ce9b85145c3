use super::*;
use crate::schema::conversion::Manner;
use crate::schema::projection::{KeyColumn, Projection, TargetOnly};
use crate::schema::table::{Column, TableName};

fn column(name: &str, column_type: &str) -> Column {
    let data_type = column_type.split('(').next().unwrap();
    Column {
        name: name.into(),
        data_type: data_type.into(),
        column_type: column_type.into(),
        charset: (data_type == "varchar").then(|| "utf8mb4".into()),
        collation: (data_type == "varchar").then(|| "utf8mb4_bin".into()),
        nullable: name != "id",
        default: None,
        extra: String::new(),
        generated: false,
    }
}

/// `id`, `v` as it is, and `n` as another type; `own` is known to the shadow only.
fn comparison(n: &str, swapped: bool, parked: Option<Parked>) -> Comparison {
    let source = vec![column("id", "int"), column("v", "varchar(9)"), column("n", "int"), column("x", "int")];
    let mapped = |source: usize, target: Column| Mapped { source, target };
    let projection = Projection {
        mapped: vec![mapped(0, source[0].clone()), mapped(1, source[1].clone()), mapped(2, column("n", n))],
        target_only: vec![TargetOnly { column: column("own", "int"), fill: None }],
        key: vec![KeyColumn { source: 0, target: source[0].clone(), recollate: false }],
        source,
        source_key: "PRIMARY".into(),
        target_key: "PRIMARY".into(),
        manner: if swapped { Manner::Nearest } else { Manner::Strict },
    };
    let (live, shadow) = (TableName::new("d", "t"), TableName::new("d", "s"));
    Comparison::new(Statements::new(projection, live, shadow), parked, swapped)
}

fn piece() -> Piece {
    Piece { lo: Some(vec!["1".into()]), hi: Some(vec!["9".into()]) }
}

#[test]
fn what_is_carried_unchanged_is_summed_where_it_is() {
    let comparison = comparison("bigint", false, None);
    assert!(comparison.ordered() && !comparison.stores() && !comparison.keeps());
    assert_eq!(
        comparison.live_sum(&piece()),
        "SELECT COUNT(*), HEX(BIT_XOR(UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), d.`id`, d.`v`, d.`n`, \
         LENGTH(d.`v`), CONCAT(ISNULL(d.`v`), ISNULL(d.`n`))), 256)))) \
         FROM `d`.`t` AS d FORCE INDEX (`PRIMARY`) WHERE d.`id` > 1 AND d.`id` <= 9"
    );
    assert_eq!(
        comparison.shadow_sum(&piece()),
        "SELECT COUNT(*), HEX(BIT_XOR(UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), _rsc_s.`id`, _rsc_s.`v`, _rsc_s.`n`, \
         LENGTH(_rsc_s.`v`), CONCAT(ISNULL(_rsc_s.`v`), ISNULL(_rsc_s.`n`))), 256)))) \
         FROM `d`.`s` AS _rsc_s FORCE INDEX (`PRIMARY`) WHERE _rsc_s.`id` > 1 AND _rsc_s.`id` <= 9"
    );
    assert_eq!(comparison.excluded(), ["own", "x"]);
}

#[test]
fn what_is_converted_is_stored_in_a_column_of_the_type_first() {
    let comparison = comparison("decimal(9,2)", false, None);
    assert_eq!(
        comparison.create(),
        [
            "CREATE TEMPORARY TABLE `_rsc`.`want` (`id` int NOT NULL, _rsc_p BINARY(32) NULL, _rsc_v2 decimal(9,2) NULL, \
          PRIMARY KEY (`id`)) ENGINE=InnoDB"
        ]
    );
    let store = comparison.store(&Scope::Range(piece()));
    assert_eq!(store[0], "DELETE FROM `_rsc`.`want`");
    assert_eq!(
        store[1],
        "INSERT INTO `_rsc`.`want` (`id`, _rsc_p, _rsc_v2) SELECT d.`id`, UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), \
         d.`id`, d.`v`, LENGTH(d.`v`), CONCAT(ISNULL(d.`v`))), 256)), d.`n` \
         FROM `d`.`t` AS d FORCE INDEX (`PRIMARY`) WHERE d.`id` > 1 AND d.`id` <= 9"
    );
    assert!(comparison.live_sum(&piece()).contains("FROM `_rsc`.`want` AS d WHERE TRUE"));
    let rows = comparison.differing(&["d.`id`".into()], &Scope::Suspects, 10);
    assert!(rows.contains("NOT CAST(w._rsc_v2 AS BINARY) <=> CAST(_rsc_s.`n` AS BINARY)"), "{rows}");
    assert!(!rows.contains("COLLATE"), "bytes, not collations: {rows}");
}

#[test]
fn only_after_a_swap_may_the_shadow_know_a_value_better() {
    let before = comparison("bigint", false, None);
    let after = comparison("bigint", true, None);
    let rows = |comparison: &Comparison| comparison.differing(&[], &Scope::Suspects, 10);
    assert!(!rows(&before).contains("_rsc_b") && before.store_back(&Scope::Suspects).is_empty());
    assert!(after.keeps() && rows(&after).contains("y._rsc_b2 <=> d.`n`"), "{}", rows(&after));
    assert!(after.store_back(&Scope::Suspects)[1].contains("_rsc_s.`n`"));
}

#[test]
fn a_parked_row_may_be_absent_from_the_side_that_cannot_hold_it_and_from_no_other() {
    let parked = |live| Some(Parked { table: "parked".into(), live });
    let of = |live| {
        let comparison = comparison("bigint", true, parked(live));
        let range = Scope::Range(piece());
        (comparison.differing(&[], &range, 1), comparison.extra(&["k".into()], &range, 1))
    };
    let absent = "NOT EXISTS (SELECT 1 FROM parked AS p WHERE p.k0 = ";
    let ((missing, extra), (accepted_missing, accepted_extra)) = (of(true), of(false));
    assert!(missing.contains(absent) && !extra.contains(absent));
    assert!(!accepted_missing.contains(absent) && accepted_extra.contains(absent));
}

#[test]
fn keys_in_another_order_have_no_ranges_in_common() {
    let mut comparison = comparison("bigint", false, None);
    let projection = comparison.statements.projection().clone();
    let key = KeyColumn { recollate: true, ..projection.key[0].clone() };
    let (live, shadow) = (TableName::new("d", "t"), TableName::new("d", "s"));
    comparison.statements = Statements::new(Projection { key: vec![key], ..projection }, live, shadow);
    assert!(!comparison.ordered());
}

//! Where the AUTO_INCREMENT counter of a table goes on when the table takes the other one's name.
//!
//! No number may be handed out twice, also when its row is gone: so the counter of the shadow is raised to that of the
//! live table. Three things set bounds to that.
//!
//! * **The column.** After INT has become BIGINT, the new table may have handed out 3,000,000,000. A counter beyond the
//!   old column's greatest value would end every INSERT with error 1467 (a native ALTER back does just that: it takes the
//!   counter along, whatever the column can hold). None of those numbers is one that the old column could hand out, so it
//!   cannot hand one of them out again. So a counter that the column cannot hold is not taken along. The shadow's own
//!   then stands behind the greatest key that the stream has brought and the column can hold, for InnoDB raises it with
//!   each such row, also one that is deleted later. What remains are numbers of rows that no stream has seen, because they
//!   were rolled back, or came and went within one window: those may be handed out again.
//! * **What the statement says.** `AUTO_INCREMENT = n` asks for n, or for one more than the greatest key if that is more,
//!   also where the table has been further already. So at the first swap the server itself is given just that clause,
//!   under the lock, when the rows are the last ones.
//! * **The shadow's own counter** is never lowered otherwise.

use super::table::Column;

/// What to do with the counter of the shadow before it takes the name of the live table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    Stays,
    /// To this value, as a statement spells it.
    Becomes(String),
}

/// `live` and `shadow` are the next values of both tables; 0 for a table without. `column` is the one that counts in the
/// shadow.
pub fn carried(live: u64, shadow: u64, column: Option<&Column>) -> Counter {
    let held = |column: &Column| live <= greatest(column);
    match shadow > 0 && live > shadow && column.is_some_and(held) {
        true => Counter::Becomes(live.to_string()),
        false => Counter::Stays,
    }
}

/// The greatest number that the server hands out for a column.
fn greatest(column: &Column) -> u64 {
    let bits = match column.data_type.as_str() {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" => 32,
        "bigint" => 64,
        // Up to 8.4. Beyond, not every whole number is one of the type.
        "float" => return 1 << 24,
        "double" => return 1 << 53,
        _ => return u64::MAX,
    };
    match column.unsigned() {
        true => u64::MAX >> (64 - bits),
        false => u64::MAX >> (65 - bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(column_type: &str) -> Column {
        Column {
            name: "id".into(),
            data_type: column_type.split(' ').next().unwrap_or_default().into(),
            column_type: column_type.into(),
            charset: None,
            collation: None,
            nullable: false,
            default: None,
            extra: "auto_increment".into(),
            generated: false,
        }
    }

    #[test]
    fn a_counter_is_raised_as_far_as_the_column_can_count() {
        let becomes = |live, shadow, kind| match carried(live, shadow, Some(&column(kind))) {
            Counter::Becomes(to) => to.parse().unwrap(),
            Counter::Stays => 0_u64,
        };
        assert_eq!(becomes(9, 3, "int"), 9);
        assert_eq!(becomes(3, 9, "int"), 0, "it is never lowered");
        assert_eq!(becomes(9, 0, "int"), 0, "there is none");
        for (kind, most) in [
            ("tinyint", 127),
            ("tinyint unsigned", 255),
            ("smallint", 32_767),
            ("mediumint unsigned", 16_777_215),
            ("int", 2_147_483_647),
            ("int unsigned", 4_294_967_295),
            ("bigint", i64::MAX as u64),
            ("float", 16_777_216),
        ] {
            assert_eq!(becomes(most, 2, kind), most, "{kind}");
            assert_eq!(becomes(most + 1, 2, kind), 0, "{kind}");
        }
        assert_eq!(becomes(u64::MAX, 2, "bigint unsigned"), u64::MAX);
        assert_eq!(carried(9, 3, None), Counter::Stays);
    }
}

//! Tables that are named like rsc's, but belong to no change that the journal knows: what is left where someone
//! dropped the journal. They may hold the only copy of dropped values, so nobody but a person drops them.

use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::schema::table::TableName;
use crate::session::{Session, text};

use super::inspect;

/// All that this account can see.
pub async fn all(session: &mut Session) -> Result<Vec<TableName>, StoreError> {
    // The tables first: the change of each was in the journal before it was made, and is there until it is dropped.
    let rows = session
        .rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' \
             AND REGEXP_LIKE(TABLE_NAME, '^_rsc[0-9]+_.*_(new|old)$') ORDER BY 1, 2",
        )
        .await?;
    let found = rows.iter().filter_map(|row| Some(TableName::new(text(row, 0)?, text(row, 1)?)));
    let found: Vec<TableName> = found.collect();
    if found.is_empty() {
        return Ok(found);
    }
    let changes = match store::installed(session).await? {
        true => store::list(session).await?,
        false => store::Listed::default(),
    };
    let mut left = Vec::new();
    for table in found {
        // What cannot be read may be the change that it belongs to.
        let known = changes.changes.iter().any(|change| owns(change, &table))
            || changes.unreadable.iter().any(|unreadable| number(&table) == Some(unreadable.id));
        if !known && inspect::exists(session, &table).await? {
            left.push(table);
        }
    }
    Ok(left)
}

/// Those of changes of this table.
pub async fn of_table(session: &mut Session, table: &TableName) -> Result<Vec<TableName>, StoreError> {
    let mut left = all(session).await?;
    left.retain(|left| number(left).is_some_and(|id| twins(id, table).contains(left)));
    Ok(left)
}

/// Those of a change with this number.
pub async fn of_change(session: &mut Session, id: u64) -> Result<Vec<TableName>, StoreError> {
    let mut left = all(session).await?;
    left.retain(|left| number(left) == Some(id));
    Ok(left)
}

fn owns(change: &Change, table: &TableName) -> bool {
    !change.state.ended() && twins(change.id, &change.table).contains(table)
}

fn twins(id: u64, table: &TableName) -> [TableName; 2] {
    ["new", "old"].map(|side| crate::journal::record::shadow_name(id, table, side))
}

/// Whether the name is one that rsc gives to the other table of a change.
pub fn is_twin(table: &TableName) -> bool {
    let name = &table.table;
    let ends = ["_new", "_old"].iter().any(|end| name.ends_with(end));
    // Prefix and end do not share their underscore.
    ends && number(table).is_some() && name.matches('_').count() > 2
}

/// The number in `_rsc7_t_old`.
fn number(table: &TableName) -> Option<u64> {
    table.table.strip_prefix("_rsc")?.split_once('_')?.0.parse().ok()
}

//! The table against what its writers were told.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use rsc::schema::table::TableName;

use super::Models;
use super::shape::Cell;

/// Values as the server prints them, `None` for NULL.
type Printed = Vec<Option<Vec<u8>>>;

/// Every difference between the models and the table, row by row and column by column; nothing when they agree.
/// Columns that the writers do not know are not looked at, nor are rows with a negative owner.
pub async fn compare(
    models: &Models,
    conn: &mut Conn,
    table: &TableName,
) -> mysql_async::Result<Vec<String>> {
    let key_columns = models.plan.shape.key_columns();
    let key = key_columns.join(", ");
    let mut columns = vec!["owner"];
    columns.extend(models.plan.payload.iter().map(|c| c.name.as_str()));
    let question =
        format!("SELECT {key}, {} FROM {table} WHERE owner >= 0 ORDER BY {key}", columns.join(", "));
    // As text, so that a column may have changed its type as long as it means the same.
    let rows: Vec<mysql_async::Row> = conn.query(question).await?;
    let mut found: BTreeMap<Printed, Printed> = BTreeMap::new();
    for row in rows {
        let mut values: Printed = row.unwrap().into_iter().map(printed).collect();
        let rest = values.split_off(key_columns.len());
        found.insert(values, rest);
    }

    let mut differences = Vec::new();
    for (key, expected) in expected(models) {
        let name = || describe(key_columns, &key);
        match found.remove(&key) {
            None => differences.push(format!("missing: {} ({})", name(), describe(&columns, &expected))),
            Some(present) => {
                let cells = columns.iter().zip(present.iter().zip(&expected));
                let different = cells.filter(|(_, (is, should))| is != should);
                differences.extend(different.map(|(column, (is, should))| {
                    format!("different: {}: {column} is {}, should be {}", name(), show(is), show(should))
                }));
            }
        }
    }
    let extra =
        found.iter().map(|(k, v)| format!("extra: {} ({})", describe(key_columns, k), describe(&columns, v)));
    differences.extend(extra);
    Ok(differences)
}

fn expected(models: &Models) -> BTreeMap<Printed, Printed> {
    let row = |owner: u32, row: &super::model::Row| {
        let owner = Cell::Int(owner.into());
        let rest = std::iter::once(&owner).chain(&row.payload).map(Cell::printed).collect();
        (row.key.iter().map(Cell::printed).collect(), rest)
    };
    models.models.iter().flat_map(|m| m.rows.values().map(move |r| row(m.owner, r))).collect()
}

fn printed(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes),
        other => Some(other.as_sql(true).into_bytes()),
    }
}

fn describe(columns: &[&str], values: &Printed) -> String {
    columns.iter().zip(values).map(|(c, v)| format!("{c}={}", show(v))).collect::<Vec<_>>().join(", ")
}

fn show(value: &Option<Vec<u8>>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("{text:?}"),
            Err(_) => Cell::Bytes(bytes.clone()).literal(),
        },
    }
}

//! Asks the server what a table is.

use mysql_async::Row;

use crate::nearest::nearest;
use crate::schema::table::{Column, Key, KeyPart, Table, TableName, string_literal};
use crate::session::{Remedy, Session, SqlError, number, text};

/// What stands under a name.
#[derive(Clone, Debug)]
pub enum Found {
    Table(Box<Table>),
    View,
    Nothing,
}

/// An error where this account cannot tell. `session` must be one of [`Session::open`]: it reads AUTO_INCREMENT uncached.
pub async fn find(session: &mut Session, name: &TableName) -> Result<Found, SqlError> {
    let (schema, table) = (string_literal(&name.schema), string_literal(&name.table));
    let row = session
        .first(&format!(
            "SELECT TABLE_TYPE, AUTO_INCREMENT, TABLE_ROWS, TABLE_SCHEMA, TABLE_NAME \
             FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table}"
        ))
        .await?;
    let Some(row) = row else {
        return hidden(session, name).await.map(|()| Found::Nothing);
    };
    if text(&row, 0).as_deref() != Some("BASE TABLE") {
        return Ok(Found::View);
    }
    let name = TableName::new(
        text(&row, 3).unwrap_or_else(|| name.schema.clone()),
        text(&row, 4).unwrap_or_else(|| name.table.clone()),
    );
    let Some(create) = session.first(&format!("SHOW CREATE TABLE {name}")).await? else {
        return Ok(Found::Nothing);
    };
    Ok(Found::Table(Box::new(Table {
        columns: columns(session, &schema, &table).await?,
        keys: keys(session, &schema, &table).await?,
        create: text(&create, 1).unwrap_or_default(),
        auto_increment: number(&row, 1),
        rows_estimate: number(&row, 2).unwrap_or(0),
        name,
    })))
}

/// A schema with more tables is not searched for one of nearly some name.
const NAMES_MAX: usize = 20_000;

/// The table that was meant, perhaps, where none has the name.
pub async fn near(session: &mut Session, name: &TableName) -> Result<Option<TableName>, SqlError> {
    let (schema, table) = (string_literal(&name.schema), string_literal(&name.table));
    let schemas = names(session, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").await?;
    let own = match schemas.contains(&name.schema) {
        true => Some(&name.schema),
        false => nearest(&name.schema, schemas.iter().map(String::as_str))
            .and_then(|near| schemas.iter().find(|schema| schema.as_str() == near)),
    };
    let Some(schema_name) = own else { return Ok(None) };
    let schema = if *schema_name == name.schema { schema } else { string_literal(schema_name) };
    // An equal name in another schema comes first.
    let tables = names(
        session,
        &format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} \
             AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME NOT LIKE '\\_rsc%' \
             ORDER BY TABLE_NAME = {table} DESC, TABLE_NAME LIMIT {NAMES_MAX}"
        ),
    )
    .await?;
    let near = nearest(&name.table, tables.iter().map(String::as_str));
    Ok(near.map(|table| TableName::new(schema_name, table)))
}

async fn names(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    Ok(session.rows(sql).await?.iter().filter_map(|row| text(row, 0)).collect())
}

/// The table's definition, as the server writes it.
pub async fn create(session: &mut Session, name: &TableName) -> Result<String, SqlError> {
    let row = session.first(&format!("SHOW CREATE TABLE {name}")).await?;
    Ok(row.and_then(|row| text(&row, 1)).unwrap_or_default())
}

/// Whether a table of this name exists. An error where this account cannot tell.
pub async fn exists(session: &mut Session, name: &TableName) -> Result<bool, SqlError> {
    let count = session
        .text(&format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&name.schema),
            string_literal(&name.table)
        ))
        .await?;
    match count.as_deref() {
        Some("1") => Ok(true),
        _ => hidden(session, name).await.map(|()| false),
    }
}

/// An error where what is not listed may be there all the same: the server lists nothing to whom it denies everything.
/// Whether it is there it tells only to whom it does not.
async fn hidden(session: &mut Session, name: &TableName) -> Result<(), SqlError> {
    match session.run(&format!("SELECT 1 FROM {name} LIMIT 0")).await {
        Err(denied) if denied.remedy() == Remedy::Denied => Err(denied),
        Ok(_) | Err(SqlError::Server { .. }) => Ok(()),
        Err(lost) => Err(lost),
    }
}

/// The same for two tables of one schema, at one moment.
pub async fn which_exist(
    session: &mut Session,
    one: &TableName,
    other: &TableName,
) -> Result<(bool, bool), SqlError> {
    let (a, b) = (string_literal(&one.table), string_literal(&other.table));
    let row = session
        .first(&format!(
            "SELECT COALESCE(SUM(TABLE_NAME = {a}), 0), COALESCE(SUM(TABLE_NAME = {b}), 0) \
             FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME IN ({a}, {b})",
            string_literal(&one.schema)
        ))
        .await?;
    let is = |i| row.as_ref().and_then(|row| number(row, i)) == Some(1);
    Ok((is(0), is(1)))
}

/// Why there cannot be a table of this name, in the server's words. For one that does not exist.
pub async fn no_name(session: &mut Session, name: &TableName) -> Result<Option<SqlError>, SqlError> {
    const NO_SUCH_TABLE: u16 = 1146;
    match session.run(&format!("SELECT 1 FROM {name} LIMIT 0")).await {
        Ok(_) | Err(SqlError::Server { code: NO_SUCH_TABLE, .. }) => Ok(None),
        Err(why) if why.remedy() == Remedy::None => Ok(Some(why)),
        // Not about the name.
        Err(SqlError::Server { .. }) => Ok(None),
        Err(lost) => Err(lost),
    }
}

/// Empty without a table.
pub async fn engine(session: &mut Session, name: &TableName) -> Result<String, SqlError> {
    let engine = session
        .text(&format!(
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&name.schema),
            string_literal(&name.table)
        ))
        .await?;
    Ok(engine.unwrap_or_default())
}

/// The views that use a table themselves, and that this account may see.
pub async fn views_of(session: &mut Session, name: &TableName) -> Result<Vec<String>, SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT CONCAT(VIEW_SCHEMA, '.', VIEW_NAME) FROM information_schema.VIEW_TABLE_USAGE \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY 1",
            string_literal(&name.schema),
            string_literal(&name.table)
        ))
        .await?;
    Ok(rows.iter().filter_map(|row| text(row, 0)).collect())
}

/// The next AUTO_INCREMENT value; 0 for a table without.
pub async fn auto_increment(session: &mut Session, name: &TableName) -> Result<u64, SqlError> {
    let value = session
        .text(&format!(
            "SELECT COALESCE(AUTO_INCREMENT, 0) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&name.schema),
            string_literal(&name.table)
        ))
        .await?;
    Ok(value.and_then(|v| v.parse().ok()).unwrap_or(0))
}

/// Of its rows, without secondary indexes, as the server estimates it; 0 where it does not.
pub async fn bytes(session: &mut Session, name: &TableName) -> Result<u64, SqlError> {
    let value = session
        .text(&format!(
            "SELECT DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&name.schema),
            string_literal(&name.table)
        ))
        .await?;
    Ok(value.and_then(|v| v.parse().ok()).unwrap_or(0))
}

async fn columns(session: &mut Session, schema: &str, table: &str) -> Result<Vec<Column>, SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE, CONCAT(COLUMN_TYPE, COALESCE(CONCAT(' SRID ', SRS_ID), '')), CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, \
             COLUMN_DEFAULT, EXTRA, COALESCE(GENERATION_EXPRESSION, '') <> '' \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} \
             ORDER BY ORDINAL_POSITION"
        ))
        .await?;
    Ok(rows.iter().map(column).collect())
}

fn column(row: &Row) -> Column {
    Column {
        name: text(row, 0).unwrap_or_default(),
        data_type: text(row, 1).unwrap_or_default().to_lowercase(),
        column_type: text(row, 2).unwrap_or_default(),
        charset: text(row, 3),
        collation: text(row, 4),
        nullable: text(row, 5).as_deref() == Some("YES"),
        default: text(row, 6),
        extra: text(row, 7).unwrap_or_default(),
        generated: number(row, 8) == Some(1),
    }
}

async fn keys(session: &mut Session, schema: &str, table: &str) -> Result<Vec<Key>, SqlError> {
    let rows = session
        .rows(&format!(
            "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, NULLABLE \
             FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} \
             ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
        ))
        .await?;
    let mut keys: Vec<Key> = Vec::new();
    for row in &rows {
        let name = text(row, 0).unwrap_or_default();
        let part = KeyPart {
            column: text(row, 2),
            prefix: text(row, 3).is_some(),
            nullable: text(row, 4).as_deref() == Some("YES"),
        };
        match keys.last_mut() {
            Some(key) if key.name == name => key.parts.push(part),
            _ => keys.push(Key { name, unique: number(row, 1) == Some(0), parts: vec![part] }),
        }
    }
    Ok(keys)
}

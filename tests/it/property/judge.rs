//! What must be in the tables, found by native ALTERs of temporary tables.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

/// As the operator's own ALTER, but for what a table may hold already.
pub const STRICT: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";
pub const LENIENT: &str = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub data_type: String,
    /// The type as a definition has it.
    pub definition: String,
    pub nullable: bool,
    pub generated: bool,
}

/// Values by tag and column, exact to the last byte. No entry for a row that cannot be.
pub type Rows = BTreeMap<i64, BTreeMap<String, String>>;

/// A column of one table and what it is in the other.
#[derive(Clone, Debug)]
pub struct Pair {
    pub old: Column,
    pub new: Column,
}

pub struct Judge {
    pub conn: Conn,
    pub schema: String,
}

impl Judge {
    async fn run(&mut self, sql: &str) -> Result<(), String> {
        self.conn.query_drop(sql).await.map_err(|e| format!("{sql}: {e}"))
    }

    pub async fn columns(&mut self, table: &str) -> Result<Vec<Column>, String> {
        let sql = format!(
            "SELECT COLUMN_NAME, DATA_TYPE, CONCAT(COLUMN_TYPE, \
             IF(CHARACTER_SET_NAME IS NULL, '', CONCAT(' CHARACTER SET ', CHARACTER_SET_NAME, ' COLLATE ', COLLATION_NAME)), \
             IF(SRS_ID IS NULL, '', CONCAT(' SRID ', SRS_ID))), \
             IS_NULLABLE = 'YES', GENERATION_EXPRESSION <> '' \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{table}' \
             ORDER BY ORDINAL_POSITION",
            self.schema
        );
        let rows: Vec<(String, String, String, bool, bool)> =
            self.conn.query(sql).await.map_err(|e| e.to_string())?;
        let column = |(name, data_type, definition, nullable, generated)| Column {
            name,
            data_type,
            definition,
            nullable,
            generated,
        };
        Ok(rows.into_iter().map(column).collect())
    }

    /// What a table holds.
    pub async fn rows(&mut self, table: &str, columns: &[Column]) -> Result<Rows, String> {
        let values: Vec<String> = columns.iter().map(|c| bits(&c.name, &c.data_type)).collect();
        let sql = format!("SELECT tag, {} FROM {table}", values.join(", "));
        let found: Vec<Row> = self.conn.query(&sql).await.map_err(|e| format!("{sql}: {e}"))?;
        let mut rows = Rows::new();
        for row in found {
            let tag: i64 = row.get(0).ok_or("no tag")?;
            let cells = columns.iter().enumerate().map(|(i, column)| {
                let cell: Option<String> = row.get(i + 1).unwrap_or_default();
                (column.name.clone(), cell.unwrap_or_else(|| "NULL".into()))
            });
            if rows.insert(tag, cells.collect()).is_some() {
                return Err(format!("two rows with tag {tag} in {table}"));
            }
        }
        Ok(rows)
    }

    /// What a native ALTER makes of the rows of `from`, in a temporary table `into`. A row that it refuses is absent.
    pub async fn converted(
        &mut self,
        from: &str,
        into: &str,
        pairs: &[(&Column, &Column)],
        mode: &str,
    ) -> Result<Rows, String> {
        let targets: Vec<Column> = pairs.iter().map(|(_, to)| (*to).clone()).collect();
        if self.convert(from, into, pairs, mode, "TRUE").await.is_ok() {
            return self.rows(into, &targets).await;
        }
        let tags: Vec<i64> =
            self.conn.query(format!("SELECT tag FROM {from}")).await.map_err(|e| e.to_string())?;
        let mut kept = BTreeSet::new();
        for tag in tags {
            if self.convert(from, into, pairs, mode, &format!("tag = {tag}")).await.is_ok() {
                kept.insert(tag);
            }
        }
        let kept =
            if kept.is_empty() { "FALSE".into() } else { format!("tag IN ({})", super::case::listed(&kept)) };
        self.convert(from, into, pairs, mode, &kept).await?;
        self.rows(into, &targets).await
    }

    async fn convert(
        &mut self,
        from: &str,
        into: &str,
        pairs: &[(&Column, &Column)],
        mode: &str,
        which: &str,
    ) -> Result<(), String> {
        self.run(&format!("SET sql_mode = '{LENIENT}'")).await?;
        self.run(&format!("DROP TEMPORARY TABLE IF EXISTS {into}, made")).await?;
        let columns: Vec<String> =
            pairs.iter().enumerate().map(|(i, (from, _))| format!("`{}` AS x{i}", from.name)).collect();
        self.run(&format!(
            "CREATE TEMPORARY TABLE made AS SELECT {} FROM {from} WHERE {which}",
            columns.join(", ")
        ))
        .await?;
        self.run(&format!("SET sql_mode = '{mode}'")).await?;
        let clauses: Vec<String> = pairs
            .iter()
            .enumerate()
            .map(|(i, (_, to))| format!("CHANGE x{i} `{}` {} NULL", to.name, to.definition))
            .collect();
        self.run(&format!("ALTER TABLE made {}, ALGORITHM=COPY", clauses.join(", "))).await?;
        // What NULL becomes where there is none, an INSERT tells.
        let definitions: Vec<String> = pairs
            .iter()
            .map(|(_, to)| {
                format!("`{}` {} {}", to.name, to.definition, if to.nullable { "NULL" } else { "NOT NULL" })
            })
            .collect();
        let values: Vec<String> = pairs
            .iter()
            .map(|(_, to)| {
                let name = &to.name;
                match (to.nullable, to.data_type.as_str()) {
                    (false, "json") if mode == LENIENT => format!("COALESCE(`{name}`, CAST('null' AS JSON))"),
                    (false, "timestamp") if mode == LENIENT => {
                        format!("COALESCE(`{name}`, '0000-00-00 00:00:00')")
                    }
                    _ => format!("`{name}`"),
                }
            })
            .collect();
        self.run(&format!("CREATE TEMPORARY TABLE {into} ({})", definitions.join(", "))).await?;
        self.run(&format!("INSERT INTO {into} SELECT {} FROM made", values.join(", "))).await
    }

    /// What columns hold in a row that did not name them.
    pub async fn defaults(
        &mut self,
        table: &str,
        key: &[String],
        own: &[Column],
    ) -> Result<BTreeMap<String, String>, String> {
        if own.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.run(&format!("SET sql_mode = '{LENIENT}'")).await?;
        self.run("DROP TABLE IF EXISTS fresh").await?;
        self.run(&format!("CREATE TABLE fresh LIKE {table}")).await?;
        let ones: Vec<&str> = key.iter().map(|_| "1").collect();
        self.run(&format!("INSERT INTO fresh ({}, tag) VALUES ({}, 1)", key.join(", "), ones.join(", ")))
            .await?;
        let mut rows = self.rows("fresh", own).await?;
        self.run("DROP TABLE fresh").await?;
        rows.remove(&1).ok_or_else(|| "no fresh row".into())
    }

    /// Whether the old table takes a row that the judge has converted.
    pub async fn takes(
        &mut self,
        table: &str,
        from: &str,
        columns: &[&str],
        tag: i64,
    ) -> Result<bool, String> {
        self.run(&format!("SET sql_mode = '{LENIENT}'")).await?;
        self.run("START TRANSACTION").await?;
        let names: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let sql = format!("INSERT INTO {table} ({names}) SELECT {names} FROM {from} WHERE tag = {tag}");
        let taken = self.run(&sql).await.is_ok();
        self.run("ROLLBACK").await?;
        Ok(taken)
    }
}

/// An expression that tells stored values apart which differ in any bit.
fn bits(name: &str, data_type: &str) -> String {
    let name = format!("`{name}`");
    match data_type {
        "float" | "double" => format!("CAST({name} * 1e0 AS CHAR)"),
        "enum" | "set" => format!("CONCAT(HEX({name}), ':', {name} + 0)"),
        "bit" | "year" => format!("CAST({name} + 0 AS CHAR)"),
        "json" => format!("CONCAT(JSON_TYPE({name}), ' ', {name})"),
        "date" | "datetime" | "timestamp" | "time" | "decimal" => format!("CAST({name} AS CHAR)"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => format!("CAST({name} AS CHAR)"),
        _ => format!("HEX({name})"),
    }
}

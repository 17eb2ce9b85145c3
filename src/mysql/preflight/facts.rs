//! What the checks look at, asked of the server in one place.

use std::collections::HashMap;

use super::grants::{Grants, Naming};
use crate::mysql::attached::{Locks, Looked, Trigger, Unseen, look_as};
use crate::mysql::foreign_keys::ForeignKey;
use crate::mysql::inspect;
use crate::schema::table::Table;
use crate::session::{Session, SqlError, text};

/// The server and the table, at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Global variables by name.
    pub variables: HashMap<String, String>,
    /// What the server leaves out of its binlog: the two filter columns of its binlog status.
    pub binlog_filters: String,
    pub grants: Grants,
    pub table: Table,
    pub engine: String,
    /// From or to the table.
    pub foreign_keys: Vec<ForeignKey>,
    pub triggers: Vec<Trigger>,
    /// What of that may be there without being shown.
    pub unseen: Vec<Unseen>,
}

impl Facts {
    /// A global variable; empty when the server does not know it.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }
}

const VARIABLES: [&str; 12] = [
    "version",
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_value_options",
    "gtid_mode",
    "binlog_order_commits",
    "read_only",
    "super_read_only",
    "innodb_read_only",
    "log_replica_updates",
    "log_slave_updates",
];

pub async fn gather(session: &mut Session, table: Table) -> Result<Facts, SqlError> {
    let names: Vec<String> = VARIABLES.iter().map(|v| format!("'{v}'")).collect();
    let variables = session
        .rows(&format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(",")))
        .await?
        .iter()
        .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
        .collect();
    let engine = inspect::engine(session, &table.name).await?;
    let (binlog_filters, grants) = (binlog_filters(session).await, grants(session).await?);
    let looked = Looked { live: &table.name, shadow: None };
    let attached = look_as(session, &grants, looked, Locks::Own).await?;
    let (foreign_keys, triggers, unseen) = (attached.keys, attached.triggers, attached.unseen);
    Ok(Facts { variables, binlog_filters, grants, table, engine, foreign_keys, triggers, unseen })
}

/// Empty when there are none. Also when the status may not be read: then the privileges are refused anyway.
async fn binlog_filters(session: &mut Session) -> String {
    // The newer name first: 8.2 and later know it, and 8.4 knows no other.
    for statement in ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"] {
        if let Ok(Some(row)) = session.first(statement).await {
            let filters = [text(&row, 2).unwrap_or_default(), text(&row, 3).unwrap_or_default()];
            return filters.into_iter().filter(|f| !f.is_empty()).collect::<Vec<_>>().join(", ");
        }
    }
    String::new()
}

async fn list(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    Ok(session.rows(sql).await?.iter().filter_map(|row| text(row, 0)).collect())
}

pub async fn grants(session: &mut Session) -> Result<Grants, SqlError> {
    let roles = session.text("SELECT CURRENT_ROLE()").await?.unwrap_or_default();
    let using = if roles.is_empty() || roles == "NONE" { String::new() } else { format!(" USING {roles}") };
    let user = session.text("SELECT CURRENT_USER()").await?.unwrap_or_default();
    let lines = list(session, &format!("SHOW GRANTS FOR CURRENT_USER(){using}")).await?;
    // Servers before 8.0.16 do not know the first.
    let naming = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('partial_revokes', 'lower_case_table_names')";
    let naming = session.rows(naming).await?;
    let is = |name: &str, values: &[&str]| {
        naming.iter().any(|row| {
            text(row, 0).as_deref() == Some(name)
                && text(row, 1).is_some_and(|v| values.contains(&v.as_str()))
        })
    };
    let naming = Naming {
        literal: is("partial_revokes", &["ON", "1"]),
        folded: is("lower_case_table_names", &["1", "2"]),
    };
    Ok(Grants::read(&user, &lines, &roles, naming))
}

/// A user or table name as it is written in a statement that mends something.
pub fn account(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("'{name}'@'{host}'"),
        None => format!("'{user}'"),
    }
}

#[cfg(test)]
pub fn sample() -> Facts {
    let on = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Facts {
        variables: on(&[
            ("version", "9.7.4"),
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("gtid_mode", "ON"),
            ("binlog_order_commits", "ON"),
            ("read_only", "OFF"),
        ]),
        binlog_filters: String::new(),
        grants: Grants::read(
            "root@%",
            &["GRANT ALL PRIVILEGES ON *.* TO `root`@`%`".into()],
            "NONE",
            Naming::default(),
        ),
        table: Table::only_named(&crate::schema::table::TableName::new("d", "t")),
        engine: "InnoDB".into(),
        foreign_keys: vec![],
        triggers: vec![],
        unseen: vec![],
    }
}

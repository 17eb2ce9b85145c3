//! The signals that are read off the server itself.

use std::collections::BTreeMap;

use crate::lifecycle::throttle::Read;
use crate::mysql::indexes::machine;
use crate::mysql::volume;
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, text};
use crate::settings::Server;

/// Numbers of SHOW GLOBAL STATUS, by name in lower case.
pub async fn status(session: &mut Session, names: &[&str]) -> Read<BTreeMap<String, f64>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = names.iter().map(|name| string_literal(name)).collect();
    let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({})", names.join(", "));
    let rows = session.rows(&sql).await.map_err(said)?;
    let number = |row| Some((text(row, 0)?.to_lowercase(), text(row, 1)?.parse().ok()?));
    Ok(rows.iter().filter_map(number).collect())
}

/// Undo records that no purge has taken yet, in transactions. Needs PROCESS.
pub async fn history(session: &mut Session) -> Read<u64> {
    let length = session
        .text("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'")
        .await
        .map_err(said)?;
    length.and_then(|length| length.parse().ok()).ok_or_else(|| "the server does not keep it".into())
}

/// A question that takes longer is no signal, and must not pile up.
pub const QUESTION_MS_MAX: u64 = 2_000;

/// What the operator's question is answered with: one statement, which can write nothing.
pub async fn query(session: &mut Session, sql: &str) -> Read<f64> {
    session.run("START TRANSACTION READ ONLY").await.map_err(said)?;
    let row = session.first_alone(sql).await;
    session.run("ROLLBACK").await.map_err(said)?;
    let row = row.map_err(said)?.ok_or("it gives no row")?;
    let answer = text(&row, 0).ok_or("it gives NULL")?;
    answer.trim().parse().map_err(|_| format!("it gives `{answer}`, which is no number"))
}

/// Bytes in the server's data folder that are free for it.
pub async fn free_disk(server: &Server, session: &mut Session) -> Read<u64> {
    let here = machine(server, session).await.map_err(said)?.is_some();
    if !here {
        return Err(
            "it is only known where the server runs on the same machine as rsc; a throttle-query can ask \
                    for it"
                .into(),
        );
    }
    let data = volume::folders(session, here).await.map_err(said)?.data;
    match data.room {
        Some(room) => Ok(room.free_bytes),
        None => Err(format!("{} cannot be looked at from here", data.path)),
    }
}

/// On this host.
pub fn flag_file(path: &str) -> Read<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

fn said(error: SqlError) -> String {
    error.to_string()
}

//! How large a table is, what a copy of it will take, and what room there is.

use std::path::Path;

use crate::rows::image;
use crate::rows::statements::Statements;
use crate::schema::table::{TableName, string_literal};
use crate::session::{Session, SqlError, number, text};

/// By the server's own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub rows: u64,
    pub data_bytes: u64,
    pub index_bytes: u64,
    /// Of the table's files; `None` where the account may not see them (PROCESS).
    pub file_bytes: Option<u64>,
}

pub async fn size(session: &mut Session, table: &TableName) -> Result<Size, SqlError> {
    let row = session
        .first(&format!(
            "SELECT TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            string_literal(&table.schema),
            string_literal(&table.table)
        ))
        .await?;
    let at = |i| row.as_ref().and_then(|row| number(row, i)).unwrap_or(0);
    let file_bytes = files(session, table).await;
    Ok(Size { rows: at(0), data_bytes: at(1), index_bytes: at(2), file_bytes })
}

/// A help, not a condition: also for an account that may not look.
async fn files(session: &mut Session, table: &TableName) -> Option<u64> {
    let name = format!("{}/{}", table.schema, table.table);
    let bytes = session
        .text(&format!(
            "SELECT SUM(FILE_SIZE) FROM information_schema.INNODB_TABLESPACES \
             WHERE NAME = {0} OR LEFT(NAME, CHAR_LENGTH({0}) + 3) = CONCAT({0}, '#p#')",
            string_literal(&name)
        ))
        .await;
    bytes.ok().flatten()?.parse().ok()
}

/// Rows whose images are measured.
const MEASURED_ROWS: u32 = 1_000;

/// The mean size of a row of the new table in the binlog, from some rows. `None` for an empty table, or where the
/// server cannot tell.
pub async fn image_bytes(session: &mut Session, forward: &Statements) -> Result<Option<f64>, SqlError> {
    let projection = forward.projection();
    let mut parts = vec![image::fixed(projection.mapped.len() + projection.target_only.len()).to_string()];
    for mapped in &projection.mapped {
        parts.push(image::bytes(&projection.source[mapped.source]));
    }
    let mean = session
        .text(&format!(
            "SELECT AVG({}) FROM (SELECT * FROM {} LIMIT {MEASURED_ROWS}) AS d",
            parts.join(" + "),
            forward.source()
        ))
        .await;
    match mean {
        Ok(mean) => Ok(mean.and_then(|mean| mean.parse().ok())),
        Err(SqlError::Server { .. }) => Ok(None),
        Err(lost) => Err(lost),
    }
}

/// A folder of the server that a change writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    pub path: String,
    /// `None` where the server's machine is not this one, or it cannot be read.
    pub room: Option<Room>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub free_bytes: u64,
    /// Folders with the same number share their room.
    pub device: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    pub data: Folder,
    pub binlog: Folder,
    /// Where an index build sorts.
    pub sort: Folder,
}

/// `here`: the server's machine is this one.
pub async fn folders(session: &mut Session, here: bool) -> Result<Folders, SqlError> {
    let row = session
        .first(
            "SELECT @@GLOBAL.datadir, @@GLOBAL.log_bin_basename, \
             COALESCE(NULLIF(@@GLOBAL.innodb_tmpdir, ''), @@GLOBAL.tmpdir)",
        )
        .await?;
    let at = |i| row.as_ref().and_then(|row| text(row, i)).unwrap_or_default();
    let binlog = at(1);
    let binlog = Path::new(&binlog).parent().map_or_else(String::new, |path| path.display().to_string());
    let folder = |path: String| {
        let path = path.trim_end_matches('/').to_owned();
        Folder { room: here.then(|| room(&path)).flatten(), path }
    };
    Ok(Folders { data: folder(at(0)), binlog: folder(binlog), sort: folder(at(2)) })
}

fn room(path: &str) -> Option<Room> {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(path).ok()?.dev();
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Room { free_bytes: stat.f_bavail * stat.f_frsize, device })
}

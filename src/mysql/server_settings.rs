//! What the server gives a session that values depend on: see [`crate::schema::meaning`].

use crate::schema::meaning::{Meaning, Settings};
use crate::schema::sql_mode::SqlMode;
use crate::session::{Session, SqlError, text};

/// `typed` is what `--sql-mode` asks for, as the server prints it.
pub async fn read(session: &mut Session, typed: Option<&SqlMode>) -> Result<Settings, SqlError> {
    let row = session.first("SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone, @@GLOBAL.init_connect").await?;
    let value = |index| row.as_ref().and_then(|row| text(row, index)).unwrap_or_default();
    let row = session.first(&offsets()).await?;
    let seconds = |index| row.as_ref().and_then(|row| text(row, index)?.parse::<i64>().ok());
    let offset = seconds(0).filter(|least| seconds(1) == Some(*least)).and_then(written);
    Ok(Settings {
        mode: typed.cloned().unwrap_or_else(|| SqlMode::new(value(0))),
        mode_is_typed: typed.is_some(),
        zone: value(1),
        offset,
        zone_mark: row.as_ref().and_then(|row| text(row, 2)).unwrap_or_default(),
        init_connect: value(2),
    })
}

/// What is different on the server since the change began, and the statement that undoes it.
pub async fn changed(session: &mut Session, meaning: &Meaning) -> Result<Option<(String, String)>, SqlError> {
    match meaning == &Meaning::default() {
        true => Ok(None),
        false => Ok(meaning.differs(&read(session, None).await?)),
    }
}

/// The least and the greatest offset of the server's time zone in seconds, and a number that differs from zone to zone. A name
/// tells less: `SYSTEM` may be any zone, and another one after a restart.
fn offsets() -> String {
    let digits: Vec<String> = (0..10).map(|n| format!("SELECT {n} AS n")).collect();
    let digits = digits.join(" UNION ALL ");
    // 2,500 days, ten apart: no zone changes its clock for less.
    format!(
        "SELECT MIN(o), MAX(o), SUM(o * (i % 97 + 1)) FROM (SELECT i, TIMESTAMPDIFF(SECOND, u, CONVERT_TZ(u, '+00:00', \
         @@GLOBAL.time_zone)) AS o FROM (SELECT i, TIMESTAMP('1970-01-02') + INTERVAL i * 10 DAY AS u FROM \
         (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS i FROM ({digits}) AS a, ({digits}) AS b, ({digits}) AS c, \
         (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2) AS d) AS numbers WHERE i < 2480) AS days) AS offsets"
    )
}

/// As `time_zone` takes it: whole minutes, from -13:59 to +14:00.
fn written(seconds: i64) -> Option<String> {
    let minutes = seconds / 60;
    (seconds % 60 == 0 && (-839..=840).contains(&minutes)).then(|| {
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_written_as_the_server_takes_it() {
        assert_eq!(written(0).as_deref(), Some("+00:00"));
        assert_eq!(written(19_800).as_deref(), Some("+05:30"));
        assert_eq!(written(-12_600).as_deref(), Some("-03:30"));
        assert_eq!((written(-2_700 + 4), written(16 * 3600)), (None, None));
    }
}

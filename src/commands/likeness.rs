//! What CREATE TABLE … LIKE does not take along. The new table begins as such a copy, so whatever the copy lacks would be
//! lost without a word. No list of options decides that: the server's own definitions of the two are compared.

use super::sql_error;
use crate::engine::sides::definition;
use crate::error::{Error, Told};
use crate::mysql::inspect::{self, Found};
use crate::mysql::shadow::Probe;
use crate::schema::table::Table;
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// A refusal that names it. The copy is made as the new table will be, in a session as the operator's.
pub async fn lost(server: &Server, session: &mut Session, table: &Table) -> Result<Option<Told>, Error> {
    let mut plain = Session::operator(server, None).await.map_err(sql_error)?;
    let probe = match Probe::like(&mut plain, &table.name).await {
        Ok(probe) => probe,
        // The statement is tried on such a copy next, and fails with the server's words.
        Err(SqlError::Server { .. }) => return Ok(None),
        Err(error) => return Err(sql_error(error)),
    };
    let found = inspect::find(session, &probe.name).await;
    probe.remove(session).await.map_err(sql_error)?;
    let Found::Table(twin) = found.map_err(sql_error)? else { return Ok(None) };
    Ok(missing(&table.create, &twin.create).map(|what| {
        Told::new(format!(
            "the new table would be made without {what}, which CREATE TABLE … LIKE does not take along"
        ))
        .next(format!(
            "make this change with a native ALTER TABLE, which keeps it; or take it off {} first",
            table.name.plain()
        ))
    }))
}

/// What of one definition is not in the other, as the server writes it. Foreign keys are another refusal's.
fn missing(live: &str, twin: &str) -> Option<String> {
    let (live, twin) = (definition(live), definition(twin));
    let lines: Vec<&str> = twin.lines().collect();
    let absent: Vec<String> = live
        .lines()
        .filter(|line| !lines.contains(line) && !line.contains(" FOREIGN KEY ("))
        .map(|line| match lines.iter().find(|other| options(line) && options(other)) {
            Some(other) => between(line, other),
            None => line.to_owned(),
        })
        .filter(|text| !text.is_empty())
        .collect();
    (!absent.is_empty()).then(|| absent.join(", "))
}

/// The last line of a definition, before its partitions.
fn options(line: &str) -> bool {
    line.starts_with(')')
}

/// The words of `line` that `other` lacks.
fn between(line: &str, other: &str) -> String {
    let have: Vec<&str> = other.split(' ').collect();
    let words: Vec<&str> = line.split(' ').filter(|word| !have.contains(word)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_lacks_is_named_and_nothing_else() {
        let of = |options: &str| {
            format!("CREATE TABLE `t` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n) {options}")
        };
        let live = of("ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 DATA DIRECTORY='/x/'");
        let twin = of("ENGINE=InnoDB DEFAULT CHARSET=utf8mb4").replace("`t`", "`_rsc_probe_1`");
        assert_eq!(missing(&live, &twin), Some("DATA DIRECTORY='/x/'".into()));
        assert_eq!(missing(&twin, &live), None, "it has more");
        let keyed =
            live.replace("PRIMARY", "CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `o` (`id`),\n  PRIMARY");
        assert_eq!(missing(&keyed, &live), None);
    }
}

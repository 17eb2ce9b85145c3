//! Foreign keys from and to a table.
//!
//! The server shows an account the keys of tables that it has any privilege on (information_schema), and all of them
//! to an account with PROCESS (InnoDB's own list). Which of the two is complete, and what is done where neither is, is
//! [`attached`](super::attached)'s.

use crate::error::Told;
use crate::schema::table::{TableName, quote, string_literal};
use crate::session::{Session, SqlError, number, text};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Empty where only the table is known.
    pub name: String,
    /// The table that has it.
    pub of: TableName,
    /// The table that it points at.
    pub to: TableName,
}

impl ForeignKey {
    /// `constraint (schema.table)`.
    pub fn shown(&self) -> String {
        match self.name.is_empty() {
            true => format!("one of {}, which this account may not see", self.of.plain()),
            false => format!("{} ({})", self.name, self.of.plain()),
        }
    }

    pub fn drop(&self) -> String {
        let name = if self.name.is_empty() { "…".to_owned() } else { quote(&self.name) };
        format!("ALTER TABLE {} DROP FOREIGN KEY {name}", self.of)
    }
}

/// Those of tables that this account has any privilege on, from or to one of `tables`, which are of one schema.
pub async fn visible(session: &mut Session, tables: &[&TableName]) -> Result<Vec<ForeignKey>, SqlError> {
    let Some(first) = tables.first() else { return Ok(Vec::new()) };
    let schema = string_literal(&first.schema);
    let names: Vec<String> = tables.iter().map(|table| string_literal(&table.table)).collect();
    let names = names.join(", ");
    let select = "SELECT CONSTRAINT_NAME, CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, \
         REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS";
    // Two, for one with OR reads the keys of all tables.
    let rows = session
        .rows(&format!(
            "{select} WHERE UNIQUE_CONSTRAINT_SCHEMA = {schema} AND REFERENCED_TABLE_NAME IN ({names}) \
             UNION {select} WHERE CONSTRAINT_SCHEMA = {schema} AND TABLE_NAME IN ({names}) ORDER BY 1, 2, 3"
        ))
        .await?;
    let keys = rows.iter().filter_map(|row| {
        Some(ForeignKey {
            name: text(row, 0)?,
            of: TableName::new(text(row, 1)?, text(row, 2)?),
            to: TableName::new(text(row, 3)?, text(row, 4)?),
        })
    });
    Ok(keys.collect())
}

/// All that point at one of `tables`, for an account with PROCESS. `folded`: the server does not tell names apart by case.
pub async fn all_pointing(
    session: &mut Session,
    tables: &[&TableName],
    folded: bool,
) -> Result<Vec<ForeignKey>, SqlError> {
    let names: Vec<String> = tables.iter().map(|table| string_literal(&plain(table))).collect();
    let rows = session
        .rows(&format!(
            "SELECT ID, FOR_NAME, REF_NAME FROM information_schema.INNODB_FOREIGN \
             WHERE REF_NAME IN ({}) OR REF_NAME LIKE '%@%' ORDER BY 1",
            names.join(", ")
        ))
        .await?;
    let keys = rows
        .iter()
        .filter_map(|row| pointing(tables, folded, (text(row, 0)?, text(row, 1)?, &text(row, 2)?)));
    Ok(keys.collect())
}

fn plain(table: &TableName) -> String {
    format!("{}/{}", table.schema, table.table)
}

fn pointing(tables: &[&TableName], folded: bool, (id, of, to): (String, String, &str)) -> Option<ForeignKey> {
    let same = |a: &str, b: &str| a == b || (folded && a.to_lowercase() == b.to_lowercase());
    let to = tables.iter().find(|table| [to, &decoded(to)].iter().any(|name| same(name, &plain(table))))?;
    let split = |name: &str| decoded(name).split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let ((schema, table), (_, name)) = (split(&of)?, split(&id)?);
    Some(ForeignKey { name, of: TableName::new(schema, table), to: (*to).clone() })
}

/// As names of files are written: `@0024` is `$`. What is not written so stays; a name that contains such a text itself
/// is then taken for another one too, which errs on the safe side.
fn decoded(name: &str) -> String {
    let mut parts = name.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match code {
            Some(c) => {
                out.push(c);
                out.push_str(&part[4..]);
            }
            None => {
                out.push('@');
                out.push_str(part);
            }
        }
    }
    out
}

/// Those of other tables follow the table to another name, and refuse there what the application writes.
pub fn that_would_follow(keys: &[ForeignKey], table: &TableName) -> Option<Told> {
    let pointing: Vec<&ForeignKey> = keys.iter().filter(|key| key.to == *table && key.of != *table).collect();
    told(
        &pointing,
        format!("foreign keys of other tables point at {}, and would follow it away", table.plain()),
    )
}

/// Its own go on holding other tables to its rows while it is away.
pub fn that_would_go_on(keys: &[ForeignKey], table: &TableName) -> Option<Told> {
    let own: Vec<&ForeignKey> = keys.iter().filter(|key| key.of == *table && key.to != *table).collect();
    told(
        &own,
        format!(
            "{} has foreign keys, which would go on refusing or passing on deletes in other tables while it is kept",
            table.plain()
        ),
    )
}

/// What a table cannot be dropped for; and to move the keys to `instead`, where the application's rows are.
pub async fn that_hold(
    session: &mut Session,
    keys: &[ForeignKey],
    table: &TableName,
    instead: Option<&TableName>,
) -> Result<Option<Told>, SqlError> {
    let holding: Vec<&ForeignKey> = keys.iter().filter(|key| key.to == *table && key.of != *table).collect();
    if holding.is_empty() {
        return Ok(None);
    }
    let shown: Vec<String> = holding.iter().map(|key| key.shown()).collect();
    let mut moves = Vec::new();
    for key in &holding {
        let add = match instead {
            Some(instead) => moved(session, key, instead).await?,
            None => None,
        };
        moves.push(add.map_or_else(|| key.drop(), |add| format!("{add}; {}", key.drop())));
    }
    let moves = moves.join("; ");
    Ok(Some(
        Told::new(format!(
            "{} cannot be dropped while foreign keys point at it: {}",
            table.plain(),
            shown.join(", ")
        ))
        .next(match instead {
            Some(instead) => format!("to let them point at {} instead, {moves}", instead.plain()),
            None => moves,
        }),
    ))
}

/// The same key, to another table. `None` where its columns may not be seen.
async fn moved(session: &mut Session, key: &ForeignKey, to: &TableName) -> Result<Option<String>, SqlError> {
    let (schema, table, name) =
        (string_literal(&key.of.schema), string_literal(&key.of.table), string_literal(&key.name));
    let rows = session
        .rows(&format!(
            "SELECT k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE \
             FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r \
             ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME \
             AND r.TABLE_NAME = k.TABLE_NAME \
             WHERE k.CONSTRAINT_SCHEMA = {schema} AND k.TABLE_NAME = {table} AND k.CONSTRAINT_NAME = {name} \
             ORDER BY k.ORDINAL_POSITION"
        ))
        .await?;
    let Some(first) = rows.first() else { return moved_by_innodb(session, key, to).await };
    let columns = |at: usize| {
        rows.iter().filter_map(|row| text(row, at)).map(|name| quote(&name)).collect::<Vec<_>>().join(", ")
    };
    let rule = |on: &str, at: usize| match text(first, at) {
        Some(rule) if rule != "NO ACTION" && rule != "RESTRICT" => format!(" ON {on} {rule}"),
        _ => String::new(),
    };
    Ok(Some(format!(
        "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {to} ({}){}{}",
        key.of,
        columns(0),
        columns(1),
        rule("DELETE", 2),
        rule("UPDATE", 3)
    )))
}

/// The same for an account that sees the key only in InnoDB's list, if it does.
async fn moved_by_innodb(
    session: &mut Session,
    key: &ForeignKey,
    to: &TableName,
) -> Result<Option<String>, SqlError> {
    let id = string_literal(&format!("{}/{}", key.of.schema, key.name));
    let rows = session
        .rows(&format!(
            "SELECT c.FOR_COL_NAME, c.REF_COL_NAME, f.TYPE FROM information_schema.INNODB_FOREIGN_COLS c \
             JOIN information_schema.INNODB_FOREIGN f ON f.ID = c.ID WHERE c.ID = {id} ORDER BY c.POS"
        ))
        .await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(SqlError::Server { .. }) => return Ok(None),
        Err(lost) => return Err(lost),
    };
    let Some(rules) = rows.first().and_then(|row| number(row, 2)) else { return Ok(None) };
    let columns = |at: usize| {
        rows.iter().filter_map(|row| text(row, at)).map(|name| quote(&name)).collect::<Vec<_>>().join(", ")
    };
    // The bits of TYPE.
    let rules: String = [
        (1, " ON DELETE CASCADE"),
        (2, " ON DELETE SET NULL"),
        (4, " ON UPDATE CASCADE"),
        (8, " ON UPDATE SET NULL"),
    ]
    .into_iter()
    .filter_map(|(bit, rule)| (rules & bit != 0).then_some(rule))
    .collect();
    Ok(Some(format!(
        "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {to} ({}){rules}",
        key.of,
        columns(0),
        columns(1)
    )))
}

fn told(keys: &[&ForeignKey], what: String) -> Option<Told> {
    let list = |text: fn(&ForeignKey) -> String| keys.iter().map(|key| text(key)).collect::<Vec<_>>();
    (!keys.is_empty()).then(|| {
        Told::new(format!("{what}: {}", list(ForeignKey::shown).join(", ")))
            .next(list(ForeignKey::drop).join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_key_of_a_table_on_itself_goes_with_it() {
        let [t, u] = ["t", "u"].map(|name| TableName::new("d", name));
        let key =
            |of: &TableName, to: &TableName| ForeignKey { name: "k".into(), of: of.clone(), to: to.clone() };
        let own = [key(&t, &t)];
        assert_eq!((that_would_follow(&own, &t), that_would_go_on(&own, &t)), (None, None));
        let pointing = that_would_follow(&[key(&u, &t)], &t).expect("refused");
        assert_eq!(pointing.next, "ALTER TABLE `d`.`u` DROP FOREIGN KEY `k`");
        let going_on = that_would_go_on(&[key(&t, &u)], &t).expect("refused");
        assert!(going_on.what.ends_with(": k (d.t)"), "{going_on}");
    }

    #[test]
    fn innodbs_names_are_read_plain_and_as_names_of_files() {
        let table = TableName::new("o-ther", "a$b");
        let found =
            |to: &str, folded| pointing(&[&table], folded, ("x/k@0024".into(), "x/chi/ld".into(), to));
        let key = ForeignKey { name: "k$".into(), of: TableName::new("x", "chi/ld"), to: table.clone() };
        assert_eq!(found("o-ther/a$b", false), Some(key.clone()));
        assert_eq!(found("o@002dther/a@0024b", false), Some(key));
        assert_eq!(found("o-ther/A$b", false), None);
        assert!(found("O-ther/A$b", true).is_some());
        assert_eq!(found("o-ther/a@b", false), None);
        assert_eq!(decoded("a@é@12"), "a@é@12");
    }
}

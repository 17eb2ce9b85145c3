//! Foreign keys from and to a table, as the server lists them. It shows those of tables that this account may see.

use crate::error::Told;
use crate::schema::table::{TableName, quote, string_literal};
use crate::session::{Session, SqlError, text};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    /// The table that has it.
    pub of: TableName,
    /// The table that it points at.
    pub to: TableName,
}

impl ForeignKey {
    /// `constraint (schema.table)`.
    pub fn shown(&self) -> String {
        format!("{} ({})", self.name, self.of.plain())
    }

    fn drop(&self) -> String {
        format!("ALTER TABLE {} DROP FOREIGN KEY {}", self.of, quote(&self.name))
    }
}

pub async fn of(session: &mut Session, table: &TableName) -> Result<Vec<ForeignKey>, SqlError> {
    let (schema, name) = (string_literal(&table.schema), string_literal(&table.table));
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, \
             REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE REFERENCED_TABLE_NAME IS NOT NULL \
             AND ((TABLE_SCHEMA = {schema} AND TABLE_NAME = {name}) \
               OR (REFERENCED_TABLE_SCHEMA = {schema} AND REFERENCED_TABLE_NAME = {name})) \
             ORDER BY 1, 2, 3"
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
}

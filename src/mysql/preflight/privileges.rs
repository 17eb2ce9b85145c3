//! Everything that rsc will do must be allowed before it does the first thing.

use super::Facts;
use super::facts::account;
use super::grants::Grants;
use crate::error::Told;
use crate::schema::table::quote;

/// To read the binlog, and to see the server's position in it.
const GLOBAL: [&str; 2] = ["REPLICATION SLAVE", "REPLICATION CLIENT"];
/// To make, fill, lock and swap a table.
const ON_TABLES: [&str; 9] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "LOCK TABLES"];
/// To see all that a swap would break. What is done without them, [`sight`](super::sight) says.
const SEES_KEYS: &str = "PROCESS";
const SEES_TRIGGERS: &str = "TRIGGER";
/// The sidecar besides: staging tables.
const ON_SIDECAR: [&str; 10] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "LOCK TABLES",
    "CREATE TEMPORARY TABLES",
];

pub fn check(facts: &Facts) -> Option<Told> {
    lacking(&facts.grants, Some(&facts.table.name.schema))
}

/// Without a schema only what every change needs.
pub fn lacking(grants: &Grants, schema: Option<&str>) -> Option<Told> {
    let lacks_on = |list: &[&'static str], schema: &str| -> Vec<&'static str> {
        list.iter().copied().filter(|p| !grants.on_schema(p, schema)).collect()
    };
    let global: Vec<_> = GLOBAL.into_iter().filter(|p| !grants.globally(p)).collect();
    let account = account(&grants.user);
    let on_tables = schema.map_or_else(Vec::new, |s| lacks_on(&ON_TABLES, s));
    let on_sidecar = lacks_on(&ON_SIDECAR, "_rsc");
    if global.is_empty() && on_tables.is_empty() && on_sidecar.is_empty() {
        return None;
    }
    // Where something is to be granted, what is needed to see comes with it.
    let to_see =
        if grants.globally(SEES_KEYS) || grants.sees_all_tables() { vec![] } else { vec![SEES_KEYS] };
    let on_schema = schema.map_or_else(Default::default, |s| {
        let to_see = lacks_on(&[SEES_TRIGGERS], s);
        ([on_tables, to_see].concat(), format!("{}.*", quote(s)))
    });
    let statements: Vec<String> = [
        (global, "*.*".to_owned()),
        on_schema,
        (on_sidecar, "`_rsc`.*".to_owned()),
        (to_see, "*.*".to_owned()),
    ]
    .into_iter()
    .filter(|(list, _)| !list.is_empty())
    .map(|(list, on)| format!("GRANT {} ON {on} TO {account}", list.join(", ")))
    .collect();
    Some(Told::new(format!("{} lacks privileges", grants.user)).next(granting(grants, statements.join("; "))))
}

/// A GRANT, or, where roles are not active, what may do as well.
pub fn granting(grants: &Grants, grant: String) -> String {
    if grants.idle_roles.is_empty() {
        return grant;
    }
    let (account, roles) = (account(&grants.user), grants.idle_roles.join(", "));
    format!("{grant}; or, if a role that is not active has it, SET DEFAULT ROLE {roles} TO {account}")
}

pub fn lacking_to_kill(grants: &Grants) -> Option<Told> {
    if grants.globally("CONNECTION_ADMIN") || grants.globally("SUPER") {
        return None;
    }
    let what = format!("--force-cutover-after ends connections, and {} may not do that", grants.user);
    Some(Told::new(what).next(format!("GRANT CONNECTION_ADMIN ON *.* TO {}", account(&grants.user))))
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::super::grants::{Grants, Naming};
    use super::*;

    #[test]
    fn the_missing_grants_are_named() {
        let mut facts = sample();
        assert_eq!(check(&facts), None);
        facts.grants = Grants::read(
            "rsc@%",
            &[
                "GRANT REPLICATION CLIENT ON *.* TO `rsc`@`%`".into(),
                "GRANT ALL PRIVILEGES ON `d`.* TO `rsc`@`%`".into(),
                "GRANT ALL PRIVILEGES ON `_rsc`.* TO `rsc`@`%`".into(),
            ],
            "NONE",
            Naming::default(),
        );
        let told = check(&facts).expect("refused");
        let both = "GRANT REPLICATION SLAVE ON *.* TO 'rsc'@'%'; GRANT PROCESS ON *.* TO 'rsc'@'%'";
        assert_eq!(told.next, both);
    }
}

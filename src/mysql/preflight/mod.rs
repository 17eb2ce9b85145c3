//! What must be true of the server and the table before anything is touched.
//!
//! The facts are gathered once; then every check looks at them and may refuse, and all refusals are shown at
//! once. A check is one file: a pure function from facts to a refusal, whose text holds the mending statement.

mod commit_order;
mod engine;
mod facts;
mod foreign_keys;
mod grants;
mod gtid;
mod own_names;
mod privileges;
mod row_format;
mod row_image;
pub mod sight;
mod triggers;
mod usable_key;
mod version;
mod whole_binlog;
mod writable;

pub use facts::{Facts, gather};

pub use facts::{account, grants};
pub use grants::Grants;
pub use privileges::granting;

use crate::error::Told;
use crate::schema::kind::Kind;
use crate::session::{Session, SqlError};

type Check = fn(&Facts) -> Option<Told>;

/// In the order in which an operator would mend them.
const CHECKS: [Check; 14] = [
    version::check,
    writable::check,
    row_format::check,
    whole_binlog::check,
    whole_binlog::check_replicated,
    row_image::check,
    row_image::check_partial_json,
    gtid::check,
    commit_order::check,
    privileges::check,
    engine::check,
    usable_key::check,
    foreign_keys::check,
    triggers::check,
];

/// For a table that is to come as a whole. Without a stream, the binlog need not be what a stream needs.
const CHECKS_OF_CREATE: [Check; 5] =
    [version::check, writable::check, privileges::check, engine::check_schema, own_names::check];

/// For a table that is to go as a whole. Its triggers go with it, and come back with it.
const CHECKS_OF_DROP: [Check; 8] = [
    version::check,
    writable::check,
    privileges::check,
    engine::check_schema,
    own_names::check,
    engine::check_atomic,
    foreign_keys::check_pointing,
    foreign_keys::check_own,
];

/// What the account lacks to drive changes of tables in `schema`; without one, to drive any.
pub async fn missing_grants(session: &mut Session, schema: Option<&str>) -> Result<Option<Told>, SqlError> {
    Ok(privileges::lacking(&grants(session).await?, schema))
}

/// What the account lacks to end other accounts' connections.
pub async fn may_kill(session: &mut Session) -> Result<Option<Told>, SqlError> {
    Ok(privileges::lacking_to_kill(&grants(session).await?))
}

/// Whether an empty table may be made beside this one, to try a statement on: not among the server's own tables, on a
/// replica, or where it would only be denied.
pub fn may_try(kind: Kind, facts: &Facts) -> bool {
    let engine = if kind == Kind::Create { engine::check_schema } else { engine::check };
    [writable::check, privileges::check, engine].iter().all(|check| check(facts).is_none())
}

/// All reasons against such a change of this table on this server.
pub fn refusals(kind: Kind, facts: &Facts) -> Vec<Told> {
    let checks = match kind {
        Kind::Alter => CHECKS.as_slice(),
        Kind::Create => &CHECKS_OF_CREATE,
        Kind::Drop => &CHECKS_OF_DROP,
    };
    checks.iter().filter_map(|check| check(facts)).collect()
}

/// Why a table that a CREATE has made could not be given its name; `made` is of that table.
pub fn refusals_of_made(made: &Facts) -> Vec<Told> {
    engine::check_atomic(made).into_iter().collect()
}

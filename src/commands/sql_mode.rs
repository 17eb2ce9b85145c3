//! `--sql-mode`: the mode in which the operator's statement is read and run.

use super::{Context, sql_error};
use crate::cli::Migrate;
use crate::error::{Error, Told};
use crate::schema::sql_mode::SqlMode;
use crate::session::{Session, SqlError};

/// A default that is no value of the column, or of a column that has none: which of them there may be, the sql_mode says.
pub const DEFAULTS: [u16; 2] = [1067, 1101];
pub const GIVE_ANOTHER: &str = "correct the default; or, if your client makes this change in another sql_mode than the server's, \
     give that one as --sql-mode";

/// In what session the statement is to mean something.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// As the server prints it.
    pub mode: SqlMode,
    /// By `--sql-mode`; else it is the server's.
    pub typed: bool,
    /// `--allow-session-dependent`
    pub session_dependent: bool,
}

impl Migrate {
    pub(super) async fn reading(&self, context: &Context) -> Result<Reading, Error> {
        Reading::of(context, self.sql_mode.as_deref(), self.allow_session_dependent).await
    }
}

impl Reading {
    /// Asks the server what the mode is, written out. `typed` is what the operator gives.
    pub async fn of(context: &Context, typed: Option<&str>, session_dependent: bool) -> Result<Self, Error> {
        let mode = typed.map(SqlMode::new);
        let mut session = match Session::operator(&context.server, mode.as_ref()).await {
            // Not a mode.
            Err(SqlError::Server { code: 1231, message }) if typed.is_some() => {
                return Err(Error::Usage(
                    Told::new(format!("--sql-mode: {message}"))
                        .state("nothing was touched")
                        .next("give the names of modes, with commas between them"),
                ));
            }
            opened => opened.map_err(|e| super::unreachable(&context.server, e))?,
        };
        let mode = session.text("SELECT @@SESSION.sql_mode").await.map_err(sql_error)?;
        Ok(Self { mode: SqlMode::new(mode.unwrap_or_default()), typed: typed.is_some(), session_dependent })
    }
}

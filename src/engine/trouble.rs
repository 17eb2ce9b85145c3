//! What can stop the work on a change, split by what follows.

use crate::error::Told;
use crate::journal::fence::FenceError;
use crate::journal::store::StoreError;
use crate::mysql::apply::ApplyError;
use crate::mysql::binlog::stream::StreamError;
use crate::session::{Remedy, SqlError};

/// Why some work on a change did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Everything is dropped; after a pause the state is read from the server again. Also the answer to an
    /// outcome that is not known.
    Lost(String),
    /// A unique value was met twice: real, or a passing state of a window.
    Duplicate(String),
    /// A lock was not granted in time, or a deadlock was broken: nothing was done, and it can be tried again.
    Locked(String),
    /// It would end the same way again.
    Definite(Told),
    /// Nothing is wrong with the change, but the server cannot go on until someone mends it.
    Stop(Told),
    /// Another process drives the change.
    Owned(String),
    /// A request waits for an answer. Nothing is wrong.
    Asked,
    /// This process was asked to stop.
    Interrupted,
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Self {
        match error.remedy() {
            Remedy::Reconnect => Trouble::Lost(error.to_string()),
            Remedy::Duplicate => Trouble::Duplicate(error.to_string()),
            Remedy::Again => Trouble::Locked(error.to_string()),
            Remedy::Wait => Trouble::Stop(Told::new(format!("the server cannot take writes: {error}"))),
            Remedy::Data => Trouble::Definite(Told::new(error)),
            Remedy::None => Trouble::Stop(Told::new(error)),
        }
    }
}

impl From<FenceError> for Trouble {
    fn from(error: FenceError) -> Self {
        match error {
            FenceError::Fenced => Trouble::Owned("another process, which has taken over".into()),
            FenceError::Owned(who) => Trouble::Owned(who),
            FenceError::Missing => Trouble::Definite(Told::new("the journal of the change is incomplete")),
            FenceError::Sql(error) => error.into(),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sql(error) => error.into(),
            other => Trouble::Stop(Told::new(other)),
        }
    }
}

impl From<StreamError> for Trouble {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Lost(why) => Trouble::Lost(why),
            StreamError::Refused(_) => Trouble::Stop(Told::new(error)),
            definite => Trouble::Definite(Told::new(definite)),
        }
    }
}

impl From<ApplyError> for Trouble {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Sql(error) => error.into(),
            other => Trouble::Definite(Told::new(other)),
        }
    }
}

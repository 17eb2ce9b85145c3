//! What can stop the work on a change, split by what follows.

use crate::error::Told;
use crate::journal::fence::FenceError;
use crate::journal::store::StoreError;
use crate::mysql::apply::{ApplyError, RetryError};
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
    /// The other schema cannot hold a value: in the end, or only in a passing state of a window.
    Misfit(String),
    /// A lock was not granted in time, or a deadlock was broken: nothing was done, and it can be tried again.
    Locked(String),
    /// It would end the same way again, until someone has mended the rows.
    Definite(Told),
    /// The stream has lost its thread: whatever is mended, the two tables cannot be kept equal any more.
    Severed(Told),
    /// Nothing is wrong with the change, but the server cannot go on until someone mends it.
    Stop(Told),
    /// Something would be broken by a swap: nothing was done, and it can be tried again when that is gone.
    InTheWay(Told),
    /// The account may not do what is to be done.
    Denied(String),
    /// The change's part of the journal is not there any more.
    NoJournal(String),
    /// Another process drives the change.
    Owned(String),
    /// A request waits for an answer. Nothing is wrong.
    Asked,
    /// This process was asked to stop.
    Interrupted,
}

impl Trouble {
    /// The cause, for people.
    pub fn why(&self) -> &str {
        match self {
            Trouble::Lost(why)
            | Trouble::Duplicate(why)
            | Trouble::Misfit(why)
            | Trouble::Locked(why)
            | Trouble::Denied(why)
            | Trouble::NoJournal(why)
            | Trouble::Owned(why) => why,
            Trouble::Definite(told)
            | Trouble::Severed(told)
            | Trouble::InTheWay(told)
            | Trouble::Stop(told) => &told.what,
            Trouble::Asked => "a request waits for an answer",
            Trouble::Interrupted => "interrupted",
        }
    }
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Self {
        match error.remedy() {
            Remedy::Reconnect => Trouble::Lost(error.to_string()),
            Remedy::Duplicate => Trouble::Duplicate(error.to_string()),
            Remedy::Again => Trouble::Locked(error.to_string()),
            Remedy::Room(what) => Trouble::Stop(Told::new(format!("{what}: {error}"))),
            Remedy::Denied => Trouble::Denied(error.to_string()),
            Remedy::NoJournal => Trouble::NoJournal(error.to_string()),
            Remedy::Data => Trouble::Misfit(error.to_string()),
            Remedy::None => Trouble::Stop(Told::new(error)),
        }
    }
}

impl From<FenceError> for Trouble {
    fn from(error: FenceError) -> Self {
        match error {
            FenceError::Fenced => Trouble::Owned("another process, which has taken over".into()),
            FenceError::Owned(who) => Trouble::Owned(who),
            FenceError::Missing => Trouble::NoJournal(error.to_string()),
            FenceError::Sql(error) => error.into(),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sql(error) => error.into(),
            hidden @ StoreError::Hidden { .. } => Trouble::Denied(hidden.to_string()),
            other => Trouble::Stop(Told::new(other)),
        }
    }
}

impl From<StreamError> for Trouble {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Lost(why) => Trouble::Lost(why),
            StreamError::Refused(_) => Trouble::Denied(error.to_string()),
            severed => Trouble::Severed(Told::new(severed)),
        }
    }
}

impl From<RetryError> for Trouble {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Apply(error) => error.into(),
            RetryError::Fence(error) => error.into(),
        }
    }
}

impl From<ApplyError> for Trouble {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Sql(error) => error.into(),
            long @ ApplyError::TooLong { .. } => Trouble::Stop(Told::new(long)),
            other => Trouble::Severed(Told::new(other)),
        }
    }
}

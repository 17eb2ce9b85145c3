//! What went wrong, for the person who has to act on it.
//!
//! Errors are split by what one can do. Each has an exit code, and tells what happened, what state things are
//! in, and what to type next.

use std::fmt;

/// What happened, what state things are in, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// One lowercase sentence without a full stop.
    pub what: String,
    /// Empty when the exit code's own sentence says it all.
    pub state: String,
    /// A command, or a statement that mends it. May be empty.
    pub next: String,
}

impl Told {
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), ..Self::default() }
    }

    pub fn state(mut self, state: impl fmt::Display) -> Self {
        self.state = state.to_string();
        self
    }

    /// In one line: what happened, and what to do.
    pub fn whole(&self) -> String {
        match self.next.is_empty() {
            true => self.what.clone(),
            false => format!("{}: {}", self.what, self.next),
        }
    }

    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = next.to_string();
        self
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// How a command can end other than well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Unexpected(Told),
    #[error("{0}")]
    Usage(Told),
    #[error("{0}")]
    Refused(Told),
    /// Several reasons for one refusal, found before anything was touched.
    #[error("{} reasons against it", .0.len())]
    RefusedFor(Vec<Told>),
    #[error("{0}")]
    Failed(Told),
    #[error("{0}")]
    Stopped(Told),
    #[error("{0}")]
    RevertRefused(Told),
    /// A verification found rows that are not what they should be.
    #[error("{0}")]
    Differs(Told),
    #[error("{0}")]
    Owned(Told),
    #[error("{0}")]
    Interrupted(Told),
}

impl Error {
    /// The exit codes are part of the command line's contract; see README.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unexpected(_) => 1,
            Error::Usage(_) => 2,
            Error::Refused(_) | Error::RefusedFor(_) => 3,
            Error::Failed(_) => 4,
            Error::Stopped(_) => 5,
            Error::RevertRefused(_) => 6,
            Error::Differs(_) => 7,
            Error::Owned(_) => 8,
            Error::Interrupted(_) => 130,
        }
    }

    /// One word for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unexpected(_) => "unexpected",
            Error::Usage(_) => "usage",
            Error::Refused(_) | Error::RefusedFor(_) => "refused",
            Error::Failed(_) => "failed",
            Error::Stopped(_) => "stopped",
            Error::RevertRefused(_) => "revert_refused",
            Error::Differs(_) => "differs",
            Error::Owned(_) => "owned",
            Error::Interrupted(_) => "interrupted",
        }
    }

    pub fn told(&self) -> &[Told] {
        match self {
            Error::RefusedFor(all) => all,
            Error::Unexpected(told)
            | Error::Usage(told)
            | Error::Refused(told)
            | Error::Failed(told)
            | Error::Stopped(told)
            | Error::RevertRefused(told)
            | Error::Differs(told)
            | Error::Owned(told)
            | Error::Interrupted(told) => std::slice::from_ref(told),
        }
    }
}

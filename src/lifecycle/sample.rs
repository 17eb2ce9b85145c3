//! What a change was doing at a moment, as its owner saw it: the points of the plots that people look at. Nothing is
//! decided by them.
//!
//! A sample a second of a change that lives for days would be many. So the last [`RECENT`] are kept as they are, and
//! older ones only at every [`stride`]th beat, which doubles as often as it has to: however long a change lives, about
//! [`OLDER_MAX`] stay. What a dropped one had to tell beyond its numbers goes into the one before it: the greatest
//! lag, and a reason to wait.

use super::state::State;

/// What the owner of a change is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    Making,
    Copying,
    Indexing,
    CatchingUp,
    Verifying,
    Swapping,
    /// Keeping the other table current.
    Following,
    Paused,
    Dropping,
}

impl Activity {
    pub const ALL: [Activity; 9] = [
        Activity::Making,
        Activity::Copying,
        Activity::Indexing,
        Activity::CatchingUp,
        Activity::Verifying,
        Activity::Swapping,
        Activity::Following,
        Activity::Paused,
        Activity::Dropping,
    ];

    /// `None` when nobody does anything any more.
    pub fn of(state: State) -> Option<Self> {
        match state {
            State::Planned => Some(Activity::Making),
            State::Copying => Some(Activity::Copying),
            State::Indexing => Some(Activity::Indexing),
            State::CatchingUp => Some(Activity::CatchingUp),
            State::CuttingOver | State::Reverting | State::Reapplying => Some(Activity::Swapping),
            State::Ready | State::Revertible | State::Reverted => Some(Activity::Following),
            State::Completing | State::Cancelling | State::Failing => Some(Activity::Dropping),
            State::Completed | State::Expired | State::Cancelled | State::Failed => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Activity::Making => "making",
            Activity::Copying => "copying",
            Activity::Indexing => "indexing",
            Activity::CatchingUp => "catching_up",
            Activity::Verifying => "verifying",
            Activity::Swapping => "swapping",
            Activity::Following => "following",
            Activity::Paused => "paused",
            Activity::Dropping => "dropping",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Activity::ALL.into_iter().find(|activity| activity.name() == text)
    }
}

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// By the server's clock, in milliseconds since the epoch.
    pub at_ms: u64,
    pub activity: Activity,
    /// Rows copied or compared, or thousandths of an index build, of about so many; zeros otherwise.
    pub done: u64,
    pub goal: u64,
    /// Row changes that the stream has applied since its owner took the change up.
    pub applied: u64,
    /// How old what the other table shows is. `None`: not known yet.
    pub lag_ms: Option<u64>,
    /// Why the copy waits, if it does.
    pub throttled: Option<String>,
}

/// Of the last so many beats every sample is kept.
pub const RECENT: u64 = 120;
/// Of older ones about so many.
pub const OLDER_MAX: u64 = 480;
/// While the change is settled, little happens: a sample at every so manieth beat.
pub const SETTLED_EVERY: u64 = 16;

/// Of older samples, those at every so manieth beat are kept when the last was at `beat`. A power of two, so that
/// what is kept now was kept before.
pub fn stride(beat: u64) -> u64 {
    (beat / OLDER_MAX).max(1).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_a_change_lives_few_samples_stay() {
        for days in [0, 1, 7, 365] {
            let beats: u64 = days * 24 * 60 * 60 + 10;
            let older = beats.saturating_sub(RECENT) / stride(beats);
            assert!(older <= OLDER_MAX, "{days} days: {older}");
            assert!(days == 0 || older >= OLDER_MAX / 2 - RECENT, "{days} days: {older}");
        }
    }

    #[test]
    fn what_is_kept_later_was_kept_before() {
        let strides: Vec<u64> = (0..3_000_000).step_by(997).map(stride).collect();
        assert!(strides.windows(2).all(|pair| pair[1].is_multiple_of(pair[0])));
    }

    #[test]
    fn activities_are_read_back() {
        for activity in Activity::ALL {
            assert_eq!(Activity::parse(activity.name()), Some(activity));
        }
    }
}

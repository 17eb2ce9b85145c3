//! Whether the server keeps its binlogs for as long as a stream needs them. Pure.

/// The stream is so far behind that the server may purge what it needs before it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shortage {
    /// How long the server keeps a binlog, in seconds.
    pub kept_s: u64,
    /// Until the oldest that is needed may go, in seconds; 0: at any moment.
    pub left_s: u64,
}

/// `needed_since` is the time of the first transaction that the stream has not had, both in seconds since the epoch by
/// the server's clock; `kept_s` is `None` where binlogs are kept until someone purges them.
///
/// A binlog goes when its last event is old enough, and only when the server begins another one. So there is at least as
/// much time left as is said here. Half of the retention is left for whoever is told.
pub fn shortage(now: u64, needed_since: u64, kept_s: Option<u64>) -> Option<Shortage> {
    let kept_s = kept_s?;
    let age = now.saturating_sub(needed_since);
    (age > kept_s / 2).then_some(Shortage { kept_s, left_s: kept_s.saturating_sub(age) })
}

/// A change may be taken back for longer than the server keeps what that needs. With a process that keeps the stream,
/// only its absence counts.
pub fn shorter_than_window(kept_s: Option<u64>, window_s: u64) -> Option<u64> {
    kept_s.filter(|kept| *kept < window_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_of_the_retention_is_short() {
        let at = |age: u64| shortage(1_000_000, 1_000_000 - age, Some(3600));
        assert_eq!(at(0), None);
        assert_eq!(at(1800), None);
        assert_eq!(at(1801), Some(Shortage { kept_s: 3600, left_s: 1799 }));
        assert_eq!(at(3601), Some(Shortage { kept_s: 3600, left_s: 0 }));
    }

    #[test]
    fn binlogs_that_are_kept_are_never_short() {
        assert_eq!(shortage(u64::MAX, 0, None), None);
        assert_eq!(shorter_than_window(None, u64::MAX), None);
    }

    #[test]
    fn an_event_from_the_future_is_new() {
        assert_eq!(shortage(10, 20, Some(60)), None);
    }

    #[test]
    fn a_window_as_long_as_the_retention_is_not_too_long() {
        assert_eq!(shorter_than_window(Some(60), 60), None);
        assert_eq!(shorter_than_window(Some(59), 60), Some(59));
    }
}

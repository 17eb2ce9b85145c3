//! The pauses between attempts while a server is lost, and when to give up.

use std::time::{Duration, Instant};

/// A lost server is looked for so long before the command gives up; the change can be resumed then.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_millis(250);
const MAX: Duration = Duration::from_secs(10);

/// One loss, however many attempts it takes to come back from it.
pub struct Backoff {
    next: Duration,
    since: Instant,
}

impl Backoff {
    pub fn new(now: Instant) -> Self {
        Self { next: FIRST, since: now }
    }

    /// The pause after an attempt that ended `now`, and had held the change for `worked`; `None` when it is time to
    /// give up.
    ///
    /// An attempt that has worked for longer than any pause has come back: what ended it is another loss. Shorter
    /// ones count as one loss, so that what breaks every attempt at once is not tried for ever.
    pub fn after(&mut self, worked: Duration, now: Instant) -> Option<Duration> {
        if worked > MAX {
            *self = Self::new(now);
        }
        if now.saturating_duration_since(self.since) > GIVE_UP_AFTER {
            return None;
        }
        let pause = self.next;
        self.next = (pause * 2).min(MAX);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn losses_that_were_each_come_back_from_are_never_too_many() {
        let mut now = Instant::now();
        let mut backoff = Backoff::new(now);
        for _ in 0..100 {
            now += s(15);
            assert_eq!(backoff.after(s(14), now), Some(FIRST));
        }
    }

    #[test]
    fn a_second_loss_is_waited_for_as_long_as_the_first() {
        let begun = Instant::now();
        let mut backoff = Backoff::new(begun);
        assert_eq!(backoff.after(s(30), begun + s(30)), Some(FIRST));
        for away in 1..=60 {
            assert!(backoff.after(s(0), begun + s(30 + away)).is_some(), "{away} s after the loss");
        }
        assert_eq!(backoff.after(s(0), begun + s(91)), None);
    }

    #[test]
    fn what_breaks_every_attempt_at_once_is_given_up() {
        let begun = Instant::now();
        let mut backoff = Backoff::new(begun);
        let given_up = (1..100).find(|second| backoff.after(s(1), begun + s(*second)).is_none());
        assert_eq!(given_up, Some(61));
    }
}

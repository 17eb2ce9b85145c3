//! How far a replica is behind, by the heartbeats that have reached it. Pure.
//!
//! The owner of a change writes the source's time into one row of the source, several times a second, and notes when each
//! write was acknowledged. A replica shows one of these values. What was written next has not been applied there yet: so
//! the replica is behind by the time since *that* was acknowledged, and not behind at all if nothing was. Both moments
//! are read off one clock, that of the process: neither the source's nor the replica's has to be right, and a step of
//! either changes nothing. Only what was written before this process began is judged by the source's clock, against
//! which the values themselves are.
//!
//! What is found is at most one interval of heartbeats less than what a transaction has to wait for.

use std::collections::VecDeque;
use std::time::Duration;

/// Heartbeats that are remembered: some minutes. A replica further behind is judged by their values.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Beat {
    /// The source's time, in microseconds since the epoch.
    value: u64,
    /// When it was acknowledged, by the process's own clock.
    known: Duration,
}

/// The heartbeats that were written. Times are durations since any fixed moment.
#[derive(Debug, Default)]
pub struct Beats(VecDeque<Beat>);

impl Beats {
    /// `value` was acknowledged by the source.
    pub fn written(&mut self, value: u64, now: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Beat { value, known: now });
    }

    /// How long none was written; `None` when there is none at all.
    pub fn silence(&self, now: Duration) -> Option<Duration> {
        self.0.back().map(|beat| now.saturating_sub(beat.known))
    }

    /// How far a replica is behind that showed `seen` at the moment `now`; `None`: it has no heartbeat of this source
    /// at all. No answer before the first heartbeat.
    pub fn lag(&self, seen: Option<u64>, now: Duration) -> Option<Duration> {
        let first = self.0.front()?;
        let missing = match seen {
            // By its place: after a step of the source's clock, later values may be smaller.
            Some(seen) => match self.0.iter().rposition(|beat| beat.value == seen) {
                Some(place) => self.0.get(place + 1),
                None => self.0.iter().find(|beat| beat.value > seen),
            },
            None => Some(first),
        };
        let Some(missing) = missing else { return Some(Duration::ZERO) };
        // It lacks all that this process wrote, and perhaps what others wrote before.
        let before = match seen {
            Some(seen) if missing.known == first.known => first.value.saturating_sub(seen),
            Some(_) | None => 0,
        };
        Some(now.saturating_sub(missing.known) + Duration::from_micros(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Every 100 ms, by a source whose clock says something else.
    fn beats(count: u64) -> Beats {
        let mut beats = Beats::default();
        for n in 0..count {
            beats.written(value(n), ms(n * 100));
        }
        beats
    }

    fn value(n: u64) -> u64 {
        5_000_000_000 + n * 100_000
    }

    #[test]
    fn a_replica_that_has_all_is_not_behind() {
        assert_eq!(beats(10).lag(Some(value(9)), ms(999)), Some(ms(0)));
        // Of another process that writes the same row.
        assert_eq!(beats(10).lag(Some(value(9) + 5), ms(999)), Some(ms(0)));
    }

    #[test]
    fn the_lag_is_the_age_of_the_first_that_is_missing() {
        assert_eq!(beats(10).lag(Some(value(3)), ms(1234)), Some(ms(1234 - 400)));
        assert_eq!(beats(10).lag(Some(value(3) + 1), ms(1234)), Some(ms(1234 - 400)), "of another process");
    }

    #[test]
    fn what_was_written_before_this_process_counts_by_the_sources_clock() {
        let an_hour = 3_600_000_000;
        assert_eq!(beats(10).lag(Some(value(0) - an_hour), ms(50)), Some(ms(3_600_050)));
        assert_eq!(beats(10).lag(None, ms(700)), Some(ms(700)), "and without any, only what is known");
    }

    #[test]
    fn a_step_of_the_sources_clock_hides_nothing() {
        let mut beats = beats(3);
        beats.written(value(0) - 9_000_000, ms(300));
        beats.written(value(0) - 8_900_000, ms(400));
        assert_eq!(beats.lag(Some(value(2)), ms(1000)), Some(ms(700)));
        assert_eq!(beats.lag(Some(value(0) - 8_900_000), ms(1000)), Some(ms(0)));
    }

    #[test]
    fn without_heartbeats_nothing_is_known() {
        assert_eq!(Beats::default().lag(Some(1), ms(5)), None);
        assert_eq!(Beats::default().silence(ms(5)), None);
        assert_eq!(beats(3).silence(ms(250)), Some(ms(50)));
    }

    #[test]
    fn a_replica_far_behind_is_never_taken_for_a_current_one() {
        let beats = beats(3 * REMEMBERED as u64);
        let now = ms(3 * REMEMBERED as u64 * 100);
        let lag = beats.lag(Some(value(7)), now).expect("known");
        assert_eq!(lag, now - ms(700));
    }
}

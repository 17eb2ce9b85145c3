//! How fast it goes, and how long it still takes: from the samples of a change.

use super::sample::{Activity, Sample};

/// How fast it goes now: over so long.
const NOW_MS: u64 = 10_000;
/// The time that is left comes from at most so long before.
const BEFORE_MS: u64 = 120_000;
/// So many stretches of that are compared for the error.
const STRETCHES: u64 = 6;
/// Less than this says nothing.
const TELLING_MS: u64 = 3_000;
/// What the stretches do not show: the goal itself is an estimate of the server.
const ERROR_LEAST: f64 = 0.05;
/// Samples that are further apart than this have a gap between them, in which nobody may have been there.
const GAP_MS: u64 = 5_000;

/// What is left, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Left {
    pub seconds: f64,
    /// The standard deviation of what stretches of the last two minutes come to each.
    pub error_s: f64,
}

/// A rate between two samples, in units a second; the times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    pub from_ms: u64,
    pub to_ms: u64,
    pub rate: f64,
}

/// The samples of what goes on now, without a gap.
fn current(samples: &[Sample]) -> &[Sample] {
    let Some(last) = samples.last() else { return samples };
    let same = |pair: &[Sample]| {
        pair[0].activity == last.activity
            && pair[1].at_ms.saturating_sub(pair[0].at_ms) <= GAP_MS
            && pair[1].done >= pair[0].done
    };
    let begins = samples.windows(2).rposition(|pair| !same(pair)).map_or(0, |i| i + 1);
    &samples[begins..]
}

fn speed(first: &Sample, last: &Sample) -> Option<f64> {
    let ms = last.at_ms.checked_sub(first.at_ms).filter(|ms| *ms > 0)?;
    Some(last.done.saturating_sub(first.done) as f64 * 1000.0 / ms as f64)
}

/// The part of the samples that begins at `from_ms` at the earliest.
fn since(samples: &[Sample], from_ms: u64) -> &[Sample] {
    &samples[samples.partition_point(|sample| sample.at_ms < from_ms)..]
}

/// How fast what goes on now goes, in units of `done` a second.
pub fn rate_now(samples: &[Sample]) -> Option<f64> {
    let current = current(samples);
    let now = since(current, current.last()?.at_ms.saturating_sub(NOW_MS));
    let (first, last) = (now.first()?, now.last()?);
    (last.at_ms - first.at_ms >= TELLING_MS).then(|| speed(first, last)).flatten()
}

/// How long what goes on now still takes.
pub fn left(samples: &[Sample]) -> Option<Left> {
    let current = current(samples);
    let last = current.last()?;
    let recent = since(current, last.at_ms.saturating_sub(BEFORE_MS));
    let first = recent.first()?;
    let span = last.at_ms - first.at_ms;
    if last.goal <= last.done || span < TELLING_MS {
        return None;
    }
    let mean = speed(first, last).filter(|rate| *rate > 0.0)?;
    let stretches = (span / TELLING_MS).clamp(1, STRETCHES);
    let bound = |i: u64| {
        let at = first.at_ms + span * i / stretches;
        &recent[recent.partition_point(|sample| sample.at_ms < at).min(recent.len() - 1)]
    };
    let rates: Vec<f64> = (0..stretches).filter_map(|i| speed(bound(i), bound(i + 1))).collect();
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / rates.len().max(1) as f64;
    let error = (variance.sqrt() / mean).max(ERROR_LEAST);
    let seconds = (last.goal - last.done) as f64 / mean;
    Some(Left { seconds, error_s: seconds * error })
}

/// Rows copied a second, between any two samples of a copy.
pub fn copy_rates(samples: &[Sample]) -> Vec<Stretch> {
    rates(samples, |sample| (sample.activity == Activity::Copying).then_some(sample.done))
}

/// Row changes applied a second.
pub fn apply_rates(samples: &[Sample]) -> Vec<Stretch> {
    rates(samples, |sample| Some(sample.applied))
}

/// Nothing is said of a stretch in which the count began anew, or nobody counted.
fn rates(samples: &[Sample], count: impl Fn(&Sample) -> Option<u64>) -> Vec<Stretch> {
    let rate = |pair: &[Sample]| {
        let (first, last) = (&pair[0], &pair[1]);
        let (before, after) = (count(first)?, count(last)?);
        let ms = last.at_ms.checked_sub(first.at_ms).filter(|ms| *ms > 0)?;
        let more = after.checked_sub(before)?;
        Some(Stretch { from_ms: first.at_ms, to_ms: last.at_ms, rate: more as f64 * 1000.0 / ms as f64 })
    };
    samples.windows(2).filter_map(rate).collect()
}

/// A time in which the copy waited, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub from_ms: u64,
    pub to_ms: u64,
    pub why: String,
}

/// Neighbouring samples with the same reason are one wait; it lasts until the first without it.
pub fn waits(samples: &[Sample]) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    let mut open = false;
    for sample in samples {
        if let (true, Some(wait)) = (open, waits.last_mut()) {
            wait.to_ms = sample.at_ms;
        }
        open = sample.throttled.is_some();
        if let Some(why) = &sample.throttled {
            let same = |wait: &Wait| wait.to_ms == sample.at_ms && wait.why == *why;
            if !waits.last().is_some_and(same) {
                waits.push(Wait { from_ms: sample.at_ms, to_ms: sample.at_ms, why: why.clone() });
            }
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, activity: Activity, done: u64) -> Sample {
        Sample {
            at_ms: second * 1000,
            activity,
            done,
            goal: 10_000,
            applied: done,
            lag_ms: None,
            throttled: None,
        }
    }

    #[test]
    fn an_even_copy_is_told_with_the_least_error() {
        let samples: Vec<Sample> = (0..=40).map(|s| sample(s, Activity::Copying, s * 100)).collect();
        assert_eq!(rate_now(&samples), Some(100.0));
        let left = left(&samples).expect("enough was seen");
        assert_eq!((left.seconds, left.error_s), (60.0, 60.0 * ERROR_LEAST));
    }

    #[test]
    fn an_uneven_copy_has_a_greater_error() {
        let done = |s: u64| if s <= 20 { s * 50 } else { 1_000 + (s - 20) * 150 };
        let samples: Vec<Sample> = (0..=40).map(|s| sample(s, Activity::Copying, done(s))).collect();
        let left = left(&samples).expect("enough was seen");
        assert_eq!(left.seconds, 60.0);
        assert!((25.0..35.0).contains(&left.error_s), "{left:?}");
    }

    #[test]
    fn what_went_before_a_gap_or_another_activity_does_not_count() {
        let mut samples = vec![sample(0, Activity::Copying, 0), sample(1, Activity::Copying, 5_000)];
        samples.extend((60..=70).map(|s| sample(s, Activity::Copying, 5_000 + (s - 60) * 100)));
        assert_eq!(rate_now(&samples), Some(100.0));
        assert_eq!(left(&samples).map(|left| left.seconds), Some(40.0));
        samples.push(sample(71, Activity::Verifying, 1));
        assert_eq!((rate_now(&samples), left(&samples)), (None, None));
    }

    #[test]
    fn nothing_is_said_of_what_stands_still_or_is_done() {
        let still: Vec<Sample> = (0..=40).map(|s| sample(s, Activity::Copying, 7)).collect();
        assert_eq!((rate_now(&still), left(&still)), (Some(0.0), None));
        let done: Vec<Sample> = (0..=40).map(|s| sample(s, Activity::Copying, 10_000 + s)).collect();
        assert_eq!(left(&done), None);
        assert_eq!((rate_now(&[]), left(&[])), (None, None));
    }

    #[test]
    fn a_count_that_begins_anew_is_no_rate() {
        let samples = [
            sample(1, Activity::Following, 50),
            sample(2, Activity::Following, 0),
            sample(4, Activity::Following, 10),
        ];
        assert_eq!(apply_rates(&samples), [Stretch { from_ms: 2_000, to_ms: 4_000, rate: 5.0 }]);
        assert_eq!(copy_rates(&samples), []);
    }

    #[test]
    fn a_wait_lasts_until_the_first_sample_without_its_reason() {
        let why = |second, why: Option<&str>| Sample {
            throttled: why.map(str::to_owned),
            ..sample(second, Activity::Copying, 0)
        };
        let samples = [
            why(1, None),
            why(2, Some("a")),
            why(3, Some("a")),
            why(4, Some("b")),
            why(5, None),
            why(6, None),
            why(7, Some("b")),
        ];
        let wait = |from_ms, to_ms, why: &str| Wait { from_ms, to_ms, why: why.into() };
        assert_eq!(
            waits(&samples),
            [wait(2_000, 4_000, "a"), wait(4_000, 5_000, "b"), wait(7_000, 7_000, "b")]
        );
    }
}

//! Bars and small plots of one line.

use crate::lifecycle::sample::Sample;
use crate::lifecycle::trend::{Stretch, Wait};

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LEVELS_ASCII: [char; 8] = ['_', '.', '-', '=', '+', 'x', '%', '#'];

/// A bar of which `share`, from 0 to 1, is full.
pub fn bar(share: f64, width: usize, unicode: bool) -> String {
    let full = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    let (on, off) = if unicode { ("█", "░") } else { ("#", ".") };
    format!("{}{}", on.repeat(full), off.repeat(width - full))
}

/// A column for each value, as high as it is compared with the greatest. A space where there is none.
pub fn spark(values: &[Option<f64>], unicode: bool) -> String {
    let levels = if unicode { LEVELS } else { LEVELS_ASCII };
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let level = |value: f64| if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
    values.iter().map(|value| value.map_or(' ', |value| levels[level(value).min(7)])).collect()
}

/// A time that is cut into columns, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: u64,
    pub to_ms: u64,
    pub columns: usize,
}

impl Span {
    fn bounds(&self, column: usize) -> (f64, f64) {
        let (from, all) = (self.from_ms as f64, self.to_ms.saturating_sub(self.from_ms) as f64);
        let at = |column: usize| from + all * column as f64 / self.columns as f64;
        (at(column), at(column + 1))
    }

    fn each<T>(&self, value: impl Fn(f64, f64) -> T) -> Vec<T> {
        (0..self.columns).map(|column| self.bounds(column)).map(|(from, to)| value(from, to)).collect()
    }

    /// The mean rate in each column, over the part of it that is known.
    pub fn rates(&self, stretches: &[Stretch]) -> Vec<Option<f64>> {
        self.each(|from, to| {
            let (mut known, mut sum) = (0.0, 0.0);
            for stretch in stretches {
                let part = (to.min(stretch.to_ms as f64) - from.max(stretch.from_ms as f64)).max(0.0);
                known += part;
                sum += part * stretch.rate;
            }
            (known > 0.0).then(|| sum / known)
        })
    }

    /// The greatest lag in each column. A sample stands for the time up to the next one, unless that is long.
    pub fn lags(&self, samples: &[Sample]) -> Vec<Option<f64>> {
        const HOLDS_MS: f64 = 20_000.0;
        self.each(|from, to| {
            let end = |i: usize| {
                let at = samples[i].at_ms as f64;
                let next = samples.get(i + 1).map_or(self.to_ms as f64, |next| next.at_ms as f64);
                (at, if next - at > HOLDS_MS { at + 1.0 } else { next.max(at + 1.0) })
            };
            let meets = |i: &usize| {
                let (begins, ends) = end(*i);
                begins < to && ends > from
            };
            (0..samples.len())
                .filter(meets)
                .filter_map(|i| samples[i].lag_ms)
                .max()
                .map(|lag_ms| lag_ms as f64 / 1000.0)
        })
    }

    /// Whether the copy waited in each column.
    pub fn waits(&self, waits: &[Wait]) -> Vec<bool> {
        self.each(|from, to| {
            waits
                .iter()
                .any(|wait| (wait.from_ms as f64) < to && wait.to_ms.max(wait.from_ms + 1) as f64 > from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_its_share() {
        assert_eq!(bar(0.5, 4, true), "██░░");
        assert_eq!((bar(-1.0, 3, false), bar(7.0, 3, false)), ("...".into(), "###".into()));
    }

    #[test]
    fn a_plot_has_its_highest_column_at_the_greatest_value() {
        assert_eq!(spark(&[Some(0.0), Some(50.0), None, Some(100.0)], true), "▁▅ █");
        assert_eq!(spark(&[Some(0.0), Some(0.0)], false), "__");
    }

    #[test]
    fn rates_are_averaged_over_what_is_known() {
        let span = Span { from_ms: 0, to_ms: 4_000, columns: 4 };
        let stretch = |from_ms, to_ms, rate| Stretch { from_ms, to_ms, rate };
        let rates = span.rates(&[stretch(500, 1_500, 10.0), stretch(1_500, 2_000, 30.0)]);
        assert_eq!(rates, [Some(10.0), Some(20.0), None, None]);
    }
}

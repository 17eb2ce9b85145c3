//! How long something will take, from short measurements of it. Pure.

/// In seconds. `low` and `high` are what the fastest and the slowest measurement come to, with what is known of the
/// method's own error.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Forecast {
    pub low: f64,
    pub likely: f64,
    pub high: f64,
}

/// What a sample leaves out makes a copy slower: the commits, the journal, the stream's turns between two rounds, and
/// a cache that the whole table does not fit in. Set so that benchmarks stay within it: see docs/plan.md.
const SLOWER: f64 = 2.0;
/// A sample begins with small batches and cold pages, so a copy may be faster, too.
const FASTER: f64 = 0.7;

impl Forecast {
    /// For `rows` more of what took `seconds` for so many rows, several times. `None` without a measurement.
    pub fn of(rows: u64, measured: &[(u64, f64)]) -> Option<Self> {
        // The first is cold, and small.
        let measured = if measured.len() > 2 { &measured[1..] } else { measured };
        let per_row = |(rows, seconds): &(u64, f64)| seconds / (*rows).max(1) as f64;
        let least = measured.iter().map(per_row).reduce(f64::min)?;
        let most = measured.iter().map(per_row).reduce(f64::max)?;
        let all: u64 = measured.iter().map(|(rows, _)| rows).sum();
        let mean = measured.iter().map(|(_, seconds)| seconds).sum::<f64>() / all.max(1) as f64;
        let rows = rows as f64;
        Some(Self { low: rows * least * FASTER, likely: rows * mean, high: rows * most.max(mean) * SLOWER })
    }

    /// One after the other.
    pub fn and(self, other: Self) -> Self {
        Self { low: self.low + other.low, likely: self.likely + other.likely, high: self.high + other.high }
    }

    pub fn constant(low: f64, likely: f64, high: f64) -> Self {
        Self { low, likely, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_holds_what_was_measured() {
        let measured = [(10, 5.0), (100, 1.0), (100, 2.0), (200, 3.0)];
        let forecast = Forecast::of(1_000, &measured).expect("measurements");
        // The first is left out: 400 rows in 6 s.
        assert_eq!(forecast.likely, 15.0);
        assert_eq!(forecast.low, 1_000.0 * 0.01 * FASTER);
        assert_eq!(forecast.high, 1_000.0 * 0.02 * SLOWER);
    }

    #[test]
    fn without_a_measurement_there_is_none() {
        assert_eq!(Forecast::of(1_000, &[]), None);
    }
}

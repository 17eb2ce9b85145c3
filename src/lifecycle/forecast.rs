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

/// Bytes a second: of a common SSD, and of a slow or busy disk.
const DISK_LIKELY: f64 = 200e6;
const DISK_SLOW: f64 = 50e6;

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

    /// What a short sample does not see, as it stays in the server's memory and in no binlog: `bytes` that go to the
    /// disk. How fast that is, nobody knows before; see [`DISK_LIKELY`].
    pub fn writing(bytes: u64) -> Self {
        let bytes = bytes as f64;
        Self { low: 0.0, likely: bytes / DISK_LIKELY, high: bytes / DISK_SLOW }
    }

    /// The freeze of a swap, in milliseconds, from swaps of two empty tables. `None` without a measurement.
    ///
    /// The last of the stream is read and written under the locks as well, and a server that is busy writing takes
    /// longer for what a swap has to sync. Of 16 swaps on a machine that did other things as well, half took up to 1.3
    /// times as long as the middle one of the rehearsal before, 15 up to eight times, and one twelve times.
    pub fn of_freeze(mut measured_ms: Vec<f64>) -> Option<Self> {
        measured_ms.sort_by(f64::total_cmp);
        let (least, most) = (*measured_ms.first()?, *measured_ms.last()?);
        let middle = *measured_ms.get(measured_ms.len() / 2)?;
        Some(Self { low: least, likely: middle * 2.0, high: (middle * 10.0).max(most * 3.0) })
    }

    /// One after the other.
    pub fn and(self, other: Self) -> Self {
        Self { low: self.low + other.low, likely: self.likely + other.likely, high: self.high + other.high }
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
    fn a_freeze_is_longer_than_a_swap_of_empty_tables() {
        let freeze = Forecast::of_freeze(vec![6.0, 5.0, 4.0, 5.0]).expect("measurements");
        assert_eq!(freeze, Forecast { low: 4.0, likely: 10.0, high: 50.0 });
        assert_eq!(Forecast::of_freeze(Vec::new()), None);
    }

    #[test]
    fn without_a_measurement_there_is_none() {
        assert_eq!(Forecast::of(1_000, &[]), None);
    }
}

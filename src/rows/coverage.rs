//! Which ranges of the key have been copied, and which are to be copied next.
//!
//! Batches that run side by side end in any order, and one may fail or be lost while those above it are kept. So the
//! highest copied key says little. What counts is each committed batch with both its bounds.
//!
//! Only the server can compare keys. So a batch is given a *place*, a number: places are in the order of keys. At the
//! open end they are handed out far apart, so that whatever a failed batch is cut into finds room below its place.

use super::key_range::{Bound, Frontier};

/// Between the places of two batches at the open end. More than a batch has rows.
const STRIDE: u64 = 1 << 20;

/// A range that has been copied: `lo < key <= hi`, open where a bound is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub place: u64,
    pub lo: Option<Bound>,
    pub hi: Option<Bound>,
}

/// In the order of keys; none ends where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The place is that of the last batch of each.
    ranges: Vec<Copied>,
}

/// A range that has not been copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub lo: Option<Bound>,
    /// Absent at the open end.
    pub hi: Option<Bound>,
    after: u64,
}

impl Coverage {
    /// From the journal, in any order.
    pub fn of(mut batches: Vec<Copied>) -> Self {
        batches.sort_by_key(|batch| batch.place);
        let mut coverage = Self::default();
        batches.into_iter().for_each(|batch| coverage.add(batch));
        coverage
    }

    pub fn add(&mut self, batch: Copied) {
        let at = self.ranges.partition_point(|range| range.place < batch.place);
        self.ranges.insert(at, batch);
        self.join(at + 1);
        self.join(at);
    }

    /// The range `at` and the one before it become one, if they touch.
    fn join(&mut self, at: usize) {
        let touch = at > 0
            && self
                .ranges
                .get(at)
                .is_some_and(|upper| upper.lo.is_some() && upper.lo == self.ranges[at - 1].hi);
        if touch {
            let upper = self.ranges.remove(at);
            let lower = &mut self.ranges[at - 1];
            (lower.place, lower.hi) = (upper.place, upper.hi);
        }
    }

    /// The first range that is to be copied; `None` when all has been.
    pub fn gap(&self) -> Option<Gap> {
        let Some(first) = self.ranges.first() else { return Some(Gap { lo: None, hi: None, after: 0 }) };
        if first.lo.is_some() {
            return Some(Gap { lo: None, hi: first.lo.clone(), after: 0 });
        }
        let hi = self.ranges.get(1).map(|next| next.lo.clone());
        match (&first.hi, hi) {
            (None, _) => None,
            (lo, hi) => Some(Gap { lo: lo.clone(), hi: hi.flatten(), after: first.place }),
        }
    }

    pub fn complete(&self) -> bool {
        self.gap().is_none()
    }

    /// Where rows belong into the shadow.
    pub fn frontier(&self) -> Frontier {
        match self.ranges.as_slice() {
            [] => Frontier::Start,
            [Copied { lo: None, hi, .. }] => hi.clone().map_or(Frontier::End, Frontier::At),
            ranges => {
                let bounds = ranges.iter().map(|range| (range.lo.clone(), range.hi.clone()));
                Frontier::Ranges(bounds.collect())
            }
        }
    }
}

impl Gap {
    /// Nothing has been copied above it.
    pub fn open(&self) -> bool {
        self.hi.is_none()
    }

    /// Cuts a batch off its lower end, up to `bound`, or all that is left of it.
    pub fn take(self, bound: Option<Bound>) -> (Copied, Option<Gap>) {
        let place = match self.open() {
            true => (self.after / STRIDE + 1) * STRIDE,
            false => self.after + 1,
        };
        match bound {
            Some(bound) if Some(&bound) != self.hi.as_ref() => {
                let rest = Gap { lo: Some(bound.clone()), hi: self.hi, after: place };
                (Copied { place, lo: self.lo, hi: Some(bound) }, Some(rest))
            }
            _ => (Copied { place, lo: self.lo, hi: self.hi }, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Option<Bound> {
        Some(vec![number.to_string()])
    }

    /// Cuts batches with these upper bounds off a gap.
    fn cut(gap: Option<Gap>, bounds: &[u32]) -> Vec<Copied> {
        let mut gap = gap;
        let take = |bound: &u32| {
            let (batch, rest) = gap.take().expect("not at its end").take(key(*bound));
            gap = rest;
            batch
        };
        bounds.iter().map(take).collect()
    }

    #[test]
    fn batches_that_end_in_any_order_are_one_range() {
        let mut coverage = Coverage::default();
        let batches = cut(coverage.gap(), &[3, 6, 9]);
        coverage.add(batches[2].clone());
        coverage.add(batches[0].clone());
        assert_eq!(coverage.frontier(), Frontier::Ranges(vec![(None, key(3)), (key(6), key(9))]));
        coverage.add(batches[1].clone());
        assert_eq!(coverage.frontier(), Frontier::At(vec!["9".into()]));
        let (last, rest) = coverage.gap().expect("open").take(None);
        assert_eq!((last.lo.clone(), last.hi.clone(), rest), (key(9), None, None));
        coverage.add(last);
        assert!(coverage.complete() && coverage.frontier() == Frontier::End);
    }

    #[test]
    fn what_was_lost_is_copied_and_nothing_else() {
        let batches = cut(Coverage::default().gap(), &[3, 6, 9, 12]);
        let kept = vec![batches[3].clone(), batches[1].clone()];
        let mut coverage = Coverage::of(kept);
        assert_eq!(coverage.gap().map(|gap| (gap.lo, gap.hi)), Some((None, key(3))));
        coverage.add(cut(coverage.gap(), &[3]).remove(0));
        assert_eq!(coverage.gap().map(|gap| (gap.lo, gap.hi)), Some((key(6), key(9))));
        // In pieces, each journaled before the process dies.
        for bound in [7, 8, 9] {
            let piece = cut(coverage.gap(), &[bound]).remove(0);
            coverage.add(piece);
            let journal = coverage.ranges.iter().rev().cloned().collect();
            assert_eq!(Coverage::of(journal), coverage);
        }
        assert_eq!(coverage.gap().map(|gap| (gap.lo.clone(), gap.open())), Some((key(12), true)));
    }

    #[test]
    fn a_hole_has_room_for_as_many_pieces_as_a_batch_has_rows() {
        let batches = cut(Coverage::default().gap(), &[3, 1_000_000, 1_000_001]);
        let mut coverage = Coverage::of(vec![batches[0].clone(), batches[2].clone()]);
        for bound in (4..100_000).chain([1_000_000]) {
            let piece = cut(coverage.gap(), &[bound]).remove(0);
            assert!(piece.place < batches[2].place);
            coverage.add(piece);
        }
        assert_eq!(coverage.frontier(), Frontier::At(vec!["1000001".into()]));
    }

    #[test]
    fn a_copy_of_nothing_is_one_batch() {
        let (all, rest) = Coverage::default().gap().expect("open").take(None);
        assert_eq!((all.lo.clone(), all.hi.clone(), rest), (None, None, None));
        assert!(Coverage::of(vec![all]).complete());
    }
}

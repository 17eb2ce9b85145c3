//! Sets of global transaction ids: how far a stream has been applied, and what a server has executed.
//!
//! mysql_common's `Sid` reads neither comma lists nor `uuid:1-31:rsc:1-2`, which is how a server of 8.3 and later
//! prints its tagged transactions, and has no algebra. The binlog dump request still wants [`Sid`]s; see
//! [`GtidSet::to_sids`].
//!
//! Text is MySQL's, read as generously as the server reads it (white space anywhere between the parts, any
//! letter case, sources repeated or overlapping) and written as `@@gtid_executed` prints it, without its line
//! breaks: sources by UUID, untagged before tagged, intervals merged. So equal sets have equal text.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mysql_common::packets::{GnoInterval, Sid, Tag};
use mysql_common::uuid::Uuid;

/// The largest number a transaction can have: the server keeps `i64::MAX` as its exclusive end.
pub const GNO_MAX: u64 = i64::MAX as u64 - 1;

/// Who numbers a sequence of transactions: a server, or one tag on it.
///
/// The order is that of the canonical text: by the bytes of the UUID, then untagged first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    uuid: Uuid,
    tag: Option<Tag<'static>>,
}

impl Source {
    /// `uuid` as it stands in a binlog's GTID event.
    pub fn new(uuid: [u8; 16], tag: Option<Tag<'_>>) -> Self {
        Self { uuid: Uuid::from_bytes(uuid), tag: tag.map(Tag::into_owned) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uuid.as_hyphenated())?;
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

/// Both ends are in the interval, as in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Interval {
    first: u64,
    last: u64,
}

impl Interval {
    /// Nothing fits between the end of this interval and `number`: they are one interval.
    fn reaches(self, number: u64) -> bool {
        self.last.saturating_add(1) >= number
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, ":{}", self.first)
        } else {
            write!(f, ":{}-{}", self.first, self.last)
        }
    }
}

/// Intervals in ascending order; between two of them at least one number is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Intervals(Vec<Interval>);

impl Intervals {
    /// The place of the first interval that `number` is in, directly behind of, or in front of.
    fn place(&self, number: u64) -> usize {
        self.0.partition_point(|i| !i.reaches(number))
    }

    /// In commit order this touches the last interval only; otherwise it costs one move of the intervals behind.
    fn insert(&mut self, new: Interval) {
        let from = match self.0.last() {
            Some(last) if last.first <= new.first && last.reaches(new.first) => self.0.len() - 1,
            Some(last) if !last.reaches(new.first) => self.0.len(),
            _ => self.place(new.first),
        };
        let mut merged = new;
        let mut to = from;
        while let Some(next) = self.0.get(to).filter(|next| merged.reaches(next.first)) {
            merged = Interval { first: merged.first.min(next.first), last: merged.last.max(next.last) };
            to += 1;
        }
        self.0.splice(from..to, [merged]);
    }

    fn contains(&self, part: Interval) -> bool {
        // Intervals do not touch each other, so a contiguous part is in one of them or not inside at all.
        let place = self.0.partition_point(|i| i.last < part.first);
        self.0.get(place).is_some_and(|i| i.first <= part.first && part.last <= i.last)
    }

    fn union(&self, other: &Self) -> Self {
        let mut out: Vec<Interval> = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.first.cmp(&y.first) == Ordering::Greater => b.next(),
                (Some(_), _) => a.next(),
                (None, _) => b.next(),
            };
            let Some(&next) = next else { return Self(out) };
            match out.last_mut().filter(|last| last.reaches(next.first)) {
                Some(last) => last.last = last.last.max(next.last),
                None => out.push(next),
            }
        }
    }

    fn subtract(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        let mut holes = other.0.iter().peekable();
        for &Interval { mut first, last } in &self.0 {
            // A hole may span several intervals of ours, so it is dropped only once it lies behind.
            while holes.next_if(|hole| hole.last < first).is_some() {}
            let mut rest = true;
            while let Some(hole) = holes.peek().filter(|hole| hole.first <= last) {
                if hole.first > first {
                    out.push(Interval { first, last: hole.first - 1 });
                }
                if hole.last >= last {
                    rest = false;
                    break;
                }
                first = hole.last + 1;
                holes.next();
            }
            if rest {
                out.push(Interval { first, last });
            }
        }
        Self(out)
    }
}

/// A set of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    /// No source has an empty list.
    sources: BTreeMap<Source, Intervals>,
}

impl GtidSet {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one transaction. Constant time while a source's numbers come in order.
    ///
    /// `gno` is between 1 and [`GNO_MAX`]. An anonymous transaction has no number and must not come here.
    pub fn insert(&mut self, source: &Source, gno: u64) {
        debug_assert!((1..=GNO_MAX).contains(&gno), "no transaction has the number {gno}");
        self.insert_interval(source, Interval { first: gno, last: gno });
    }

    /// Takes one transaction out; nothing happens if it is not in.
    pub fn remove(&mut self, source: &Source, gno: u64) {
        let Some(intervals) = self.sources.get_mut(source) else { return };
        *intervals = intervals.subtract(&Intervals(vec![Interval { first: gno, last: gno }]));
        if intervals.0.is_empty() {
            self.sources.remove(source);
        }
    }

    pub fn contains(&self, source: &Source, gno: u64) -> bool {
        self.sources.get(source).is_some_and(|i| i.contains(Interval { first: gno, last: gno }))
    }

    /// Whether every transaction of `other` is in this set: `self ⊇ other`.
    pub fn contains_set(&self, other: &GtidSet) -> bool {
        other.sources.iter().all(|(source, theirs)| {
            self.sources.get(source).is_some_and(|ours| theirs.0.iter().all(|&i| ours.contains(i)))
        })
    }

    pub fn union(&self, other: &GtidSet) -> GtidSet {
        let mut out = self.clone();
        for (source, theirs) in &other.sources {
            let ours = out.sources.entry(source.clone()).or_default();
            *ours = ours.union(theirs);
        }
        out
    }

    /// How many transactions it has.
    pub fn count(&self) -> u64 {
        self.sources.values().flat_map(|intervals| &intervals.0).map(|i| i.last - i.first + 1).sum()
    }

    /// The transaction, if it is one.
    pub fn only(&self) -> Option<(Source, u64)> {
        let mut sources = self.sources.iter();
        let (Some((source, intervals)), None) = (sources.next(), sources.next()) else { return None };
        match intervals.0.as_slice() {
            [Interval { first, last }] if first == last => Some((source.clone(), *first)),
            _ => None,
        }
    }

    /// What is in this set and not in `other`.
    pub fn subtract(&self, other: &GtidSet) -> GtidSet {
        let remaining = self.sources.iter().filter_map(|(source, ours)| {
            let rest = match other.sources.get(source) {
                Some(theirs) => ours.subtract(theirs),
                None => ours.clone(),
            };
            (!rest.0.is_empty()).then(|| (source.clone(), rest))
        });
        GtidSet { sources: remaining.collect() }
    }

    /// For a binlog dump request. One `Sid` a source; its intervals' ends are exclusive there.
    pub fn to_sids(&self) -> Vec<Sid<'static>> {
        let sid = |(source, intervals): (&Source, &Intervals)| {
            let intervals = intervals.0.iter().map(|i| GnoInterval::new(i.first, i.last + 1)).collect();
            let sid = Sid::new(source.uuid.into_bytes()).with_intervals(intervals);
            match &source.tag {
                Some(tag) => sid.with_tag(tag.clone()),
                None => sid,
            }
        };
        self.sources.iter().map(sid).collect()
    }

    fn insert_interval(&mut self, source: &Source, interval: Interval) {
        match self.sources.get_mut(source) {
            Some(intervals) => intervals.insert(interval),
            None => {
                self.sources.insert(source.clone(), Intervals(vec![interval]));
            }
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&Source> = None;
        for (source, intervals) in &self.sources {
            match (before, &source.tag) {
                // A UUID is written once; its tags follow.
                (Some(before), Some(tag)) if before.uuid == source.uuid => write!(f, ":{tag}")?,
                (Some(_), _) => write!(f, ",{source}")?,
                (None, _) => write!(f, "{source}")?,
            }
            for interval in &intervals.0 {
                write!(f, "{interval}")?;
            }
            before = Some(source);
        }
        Ok(())
    }
}

/// Why a text is not a set of transactions. Each names the part that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GtidSetError {
    #[error("`{0}` is not a server's uuid")]
    Uuid(String),
    #[error("`{0}` has a uuid or a tag without transaction numbers")]
    NoNumbers(String),
    #[error("`{0}` is neither an interval of transaction numbers nor a tag")]
    Part(String),
    #[error("`{0}` is not an interval of transaction numbers between 1 and {GNO_MAX}, the smaller one first")]
    Interval(String),
}

impl FromStr for GtidSet {
    type Err = GtidSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut set = GtidSet::new();
        // The server forgives empty members, as in "a:1,,b:2" or a comma at the end.
        for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            set.read_member(member)?;
        }
        Ok(set)
    }
}

impl GtidSet {
    /// One `uuid[:tag]:interval[:interval]…[:tag:interval…]…`.
    fn read_member(&mut self, member: &str) -> Result<(), GtidSetError> {
        let mut parts = member.split(':').map(str::trim);
        let uuid = parts.next().unwrap_or_default();
        let uuid = Uuid::try_parse(uuid).map_err(|_| GtidSetError::Uuid(uuid.into()))?;
        let mut source = Source { uuid, tag: None };
        let mut numbered = false;
        for part in parts {
            if part.starts_with(|c: char| c.is_ascii_digit()) {
                self.insert_interval(&source, interval(part)?);
                numbered = true;
                continue;
            }
            // A tag ends the intervals of what stood before it; only the UUID itself may have none.
            if source.tag.is_some() && !numbered {
                return Err(GtidSetError::NoNumbers(member.into()));
            }
            source.tag = Some(tag(part)?);
            numbered = false;
        }
        if numbered { Ok(()) } else { Err(GtidSetError::NoNumbers(member.into())) }
    }
}

/// The server takes tags in any letter case and keeps them in lower case.
fn tag(part: &str) -> Result<Tag<'static>, GtidSetError> {
    Tag::new(part.to_ascii_lowercase()).map_err(|_| GtidSetError::Part(part.into()))
}

fn interval(part: &str) -> Result<Interval, GtidSetError> {
    let number = |text: &str| {
        let text = text.trim();
        // `u64::from_str` would take a sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && (1..=GNO_MAX).contains(n))
    };
    let ends = match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)),
        None => number(part).map(|n| (n, n)),
    };
    match ends {
        Some((first, last)) if first <= last => Ok(Interval { first, last }),
        _ => Err(GtidSetError::Interval(part.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4350f323-7565-4e59-8763-4b1b83a0ce0e";

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    fn reads_as(text: &str, canonical: &str) {
        assert_eq!(set(text).to_string(), canonical, "{text}");
    }

    fn source(text: &str) -> Source {
        set(&format!("{text}:1")).sources.into_keys().next().unwrap()
    }

    #[test]
    fn text_is_read_as_the_server_reads_it_and_written_as_it_writes_it() {
        reads_as("", "");
        reads_as(" ,\n, ", "");
        reads_as(&format!("{A}:5"), &format!("{A}:5"));
        reads_as(&format!("{A}:1-3:5:4"), &format!("{A}:1-5"));
        reads_as(&format!("{A}:7-9:1-3"), &format!("{A}:1-3:7-9"));
        reads_as(&format!("{},\n{A}:2", format!("{B}:1").to_uppercase()), &format!("{A}:2,{B}:1"));
        reads_as(&format!(" {A} : 1 - 31 : RSC : 1-2 , {B}:1 "), &format!("{A}:1-31:rsc:1-2,{B}:1"));
        reads_as(&format!("{A}:zz:1:aa:2-3:4,{A}:1"), &format!("{A}:1:aa:2-4:zz:1"));
        reads_as(&format!("{A}:tag:1"), &format!("{A}:tag:1"));
        reads_as(&format!("{A}:1-3,{A}:2-7"), &format!("{A}:1-7"));
        reads_as(&format!("{}:1", A.replace('-', "")), &format!("{A}:1"));
    }

    #[test]
    fn text_that_is_no_set_is_refused_by_the_part_that_is_wrong() {
        let refused = |text: &str| text.parse::<GtidSet>().unwrap_err();
        assert_eq!(refused("nonsense:1"), GtidSetError::Uuid("nonsense".into()));
        assert_eq!(refused("日本"), GtidSetError::Uuid("日本".into()));
        assert_eq!(refused(A), GtidSetError::NoNumbers(A.into()));
        assert_eq!(refused(&format!("{A}:1:rsc")), GtidSetError::NoNumbers(format!("{A}:1:rsc")));
        assert_eq!(refused(&format!("{A}:a:b:1")), GtidSetError::NoNumbers(format!("{A}:a:b:1")));
        assert_eq!(refused(&format!("{A}:a-b:1")), GtidSetError::Part("a-b".into()));
        assert_eq!(refused(&format!("{A}::1")), GtidSetError::Part("".into()));
        for wrong in ["0", "5-3", "1-2-3", "1x", "1-", "9223372036854775807", "99999999999999999999", "1-+2"]
        {
            assert_eq!(refused(&format!("{A}:{wrong}")), GtidSetError::Interval(wrong.into()));
        }
        assert!(format!("{A}:9223372036854775806").parse::<GtidSet>().is_ok());
    }

    #[test]
    fn a_dump_request_gets_exclusive_ends_and_the_tags() {
        let sids = set(&format!("{A}:1-31:33:rsc:1-2,{B}:7")).to_sids();
        let flat: Vec<_> = sids
            .iter()
            .map(|sid| {
                let intervals: Vec<_> = sid.intervals().iter().map(|i| (i.start(), i.end())).collect();
                (Uuid::from_bytes(sid.uuid()).to_string(), sid.tag().map(ToString::to_string), intervals)
            })
            .collect();
        let expected = [
            (A.into(), None, vec![(1, 32), (33, 34)]),
            (A.into(), Some("rsc".into()), vec![(1, 3)]),
            (B.into(), None, vec![(7, 8)]),
        ];
        assert_eq!(flat, expected);
    }

    #[test]
    fn a_million_transactions_in_order_are_one_interval() {
        let mut executed = GtidSet::new();
        let source = source(A);
        for gno in 1..=1_000_000 {
            executed.insert(&source, gno);
        }
        assert_eq!(executed, set(&format!("{A}:1-1000000")));
    }

    #[test]
    fn a_tag_is_a_sequence_of_its_own() {
        let tagged = set(&format!("{A}:rsc:1-5"));
        assert!(!tagged.contains(&source(A), 3));
        assert!(tagged.contains(&source(&format!("{A}:rsc")), 3));
        assert!(!set(&format!("{A}:1-9")).contains_set(&tagged));
    }

    type Naive = BTreeSet<(Source, u64)>;

    fn sources() -> [Source; 4] {
        [source(B), source(A), source(&format!("{A}:rsc")), source(&format!("{A}:a"))]
    }

    fn naive() -> impl Strategy<Value = Vec<(Source, u64)>> {
        // Few numbers, so that intervals touch, merge and split all the time; runs, so that they get long.
        let run = (0..4usize, 1..40u64, 1..6u64);
        prop::collection::vec(run, 0..25).prop_map(|runs| {
            let sources = sources();
            let member = |(source, first, count): (usize, u64, u64)| {
                let source = sources[source].clone();
                (first..first + count).map(move |gno| (source.clone(), gno))
            };
            runs.into_iter().flat_map(member).collect()
        })
    }

    fn build(members: &[(Source, u64)]) -> GtidSet {
        let mut set = GtidSet::new();
        for (source, gno) in members {
            set.insert(source, *gno);
        }
        set
    }

    fn canonical(naive: &Naive) -> GtidSet {
        build(&naive.iter().cloned().collect::<Vec<_>>())
    }

    fn is_normal(set: &GtidSet) -> bool {
        set.sources.values().all(|i| {
            !i.0.is_empty()
                && i.0.iter().all(|i| i.first <= i.last)
                && i.0.windows(2).all(|w| w[0].last + 1 < w[1].first)
        })
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_a_naive_set(left in naive(), right in naive()) {
            let (a, b) = (build(&left), build(&right));
            let (na, nb): (Naive, Naive) = (left.into_iter().collect(), right.into_iter().collect());
            prop_assert!(is_normal(&a));
            prop_assert_eq!(&a, &canonical(&na));
            let (union, difference) = (a.union(&b), a.subtract(&b));
            prop_assert!(is_normal(&union) && is_normal(&difference));
            prop_assert_eq!(&union, &canonical(&(&na | &nb)));
            prop_assert_eq!(&difference, &canonical(&(&na - &nb)));
            prop_assert_eq!(a.contains_set(&b), na.is_superset(&nb));
            prop_assert!(union.contains_set(&a) && union.contains_set(&b));
            prop_assert_eq!(difference.is_empty(), nb.is_superset(&na));
            for source in sources() {
                for gno in 1..48 {
                    prop_assert_eq!(a.contains(&source, gno), na.contains(&(source.clone(), gno)));
                }
            }
            let mut rest = a;
            for (source, gno) in &nb {
                rest.remove(source, *gno);
                prop_assert!(is_normal(&rest));
            }
            prop_assert_eq!(rest, difference);
        }

        #[test]
        fn what_is_written_is_read_back(members in naive()) {
            let set = build(&members);
            prop_assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9a-f:, \\-\u{e9}]{0,60}") {
            let _ = text.parse::<GtidSet>();
            let _ = format!("{A}:{text}").parse::<GtidSet>();
        }
    }
}

//! The times at which the tables may be swapped for the first time. Pure.
//!
//! A window is of the wall clock in a time zone: it is open when that clock, and its day, say so. So an hour that the clock
//! shows twice is in it twice, and one that it leaves out not at all. The rules of time zones are those that rsc was
//! built with, not those of the machine: whoever drives a change, on whichever host, finds the same windows open.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// A zone, and how it was named.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// `Europe/Berlin`, `+02:00` or `UTC`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let no = || format!("`{text}` is no time zone; write it like Europe/Berlin, +02:00 or UTC");
        if let Some(zone) = offset(text) {
            return Ok(Self { name: text.to_owned(), zone });
        }
        let zone = TimeZoneDatabase::bundled().get(text).map_err(|_| no())?;
        let name = zone.iana_name().unwrap_or(text).to_owned();
        Ok(Self { name, zone })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn offset(text: &str) -> Option<TimeZone> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = sign * (hours * 3600 + minutes * 60);
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// One window. It may go over midnight; its days are those on which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// The first and the last day of a week; `None`: every day.
    days: Option<(Weekday, Weekday)>,
    /// Minutes since midnight; the end is not in it.
    from: u16,
    to: u16,
}

/// The windows of a change, and the zone that they were given in, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    windows: Vec<Window>,
    zone: Option<Zone>,
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
const DAY: u16 = 24 * 60;

impl Windows {
    /// `02:00-04:00`, `Mon-Fri 22:00-02:00`, several with commas between them, and perhaps a time zone at the end.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (windows, zone) = match text.rsplit_once(' ') {
            // The last word is a window, unless it is a zone.
            Some((windows, last)) if minutes_of(last).is_none() => (windows, Some(Zone::parse(last)?)),
            Some(_) | None => (text, None),
        };
        let windows: Result<Vec<Window>, String> = windows.split(',').map(window).collect();
        Ok(Self { windows: windows?, zone })
    }

    /// As people are told of them; `default` where they have no zone of their own.
    pub fn named(&self, default: &Zone) -> String {
        format!("{} {}", self.list(), self.zone.as_ref().unwrap_or(default))
    }

    /// Until one is open; zero if one is. `now` is in seconds since the epoch.
    pub fn opens_in(&self, now: u64, default: &Zone) -> Duration {
        let zone = &self.zone.as_ref().unwrap_or(default).zone;
        let Ok(now) = i64::try_from(now).map_err(drop).and_then(|s| Timestamp::from_second(s).map_err(drop))
        else {
            return Duration::ZERO;
        };
        if self.open(now, zone) {
            return Duration::ZERO;
        }
        let mut moments = self.moments(now, zone);
        moments.sort();
        let first = moments.into_iter().find(|moment| *moment > now && self.open(*moment, zone));
        // A window that opens once a week may be left out by the clock at most once.
        first.map_or(Duration::from_secs(60 * 60), |first| {
            Duration::try_from(first.duration_since(now)).unwrap_or_default()
        })
    }

    fn open(&self, moment: Timestamp, zone: &TimeZone) -> bool {
        let local = zone.to_datetime(moment);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        self.windows.iter().any(|window| window.contains(local.date().weekday(), minute))
    }

    /// When a window may open: at its beginning on each of the next days, and where the clock is put forward or back.
    fn moments(&self, now: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
        let mut moments = Vec::new();
        let mut day: Date = zone.to_datetime(now).date();
        for _ in 0..15 {
            for window in &self.windows {
                let (hour, minute) = (window.from / 60, window.from % 60);
                let time =
                    Time::new(i8::try_from(hour).unwrap_or(0), i8::try_from(minute).unwrap_or(0), 0, 0);
                let Ok(time) = time else { continue };
                let ambiguous = zone.to_ambiguous_timestamp(day.to_datetime(time));
                moments.extend(ambiguous.earlier().into_iter().chain(ambiguous.later()));
            }
            let Ok(next) = day.checked_add(1.day()) else { break };
            day = next;
        }
        moments.extend(zone.following(now).take(2).map(|transition| transition.timestamp()));
        moments
    }

    fn list(&self) -> String {
        self.windows.iter().map(Window::to_string).collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list())?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " {zone}"))
    }
}

impl Window {
    fn contains(self, day: Weekday, minute: u16) -> bool {
        if self.from < self.to {
            return self.begins_on(day) && (self.from..self.to).contains(&minute);
        }
        (self.begins_on(day) && minute >= self.from) || (self.begins_on(day.previous()) && minute < self.to)
    }

    fn begins_on(self, day: Weekday) -> bool {
        self.days.is_none_or(|(first, last)| first.until(day) <= first.until(last))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day| DAYS.iter().find(|(_, d)| *d == day).map_or("", |(name, _)| name);
        match self.days {
            Some((first, last)) if first == last => write!(f, "{} ", name(first))?,
            Some((first, last)) => write!(f, "{}-{} ", name(first), name(last))?,
            None => {}
        }
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

fn window(text: &str) -> Result<Window, String> {
    let text = text.trim();
    let no = || format!("`{text}` is no window; write it like 02:00-04:00 or Sat 22:00-02:00");
    let (days, times) = match text.split_once(' ') {
        Some((days, times)) => (Some(days_of(days).ok_or_else(no)?), times.trim()),
        None => (None, text),
    };
    let (from, to) = minutes_of(times).ok_or_else(no)?;
    if from == to || from == DAY {
        return Err(format!("the window `{text}` has no length; write it like 02:00-04:00"));
    }
    Ok(Window { days, from, to })
}

fn days_of(text: &str) -> Option<(Weekday, Weekday)> {
    let day = |text: &str| DAYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, day)| *day);
    match text.split_once('-') {
        Some((first, last)) => Some((day(first)?, day(last)?)),
        None => day(text).map(|day| (day, day)),
    }
}

fn minutes_of(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str| (1..=2).contains(&text.len()).then(|| text.parse::<u16>().ok())?;
        let (hour, minute) = (number(hour)?, number(minute)?);
        let minutes = hour * 60 + minute;
        (minute < 60 && minutes <= DAY).then_some(minutes)
    };
    Some((minute(from)?, minute(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until `windows` open, at a moment of Berlin's clock.
    fn opens_in(windows: &str, at: &str) -> u64 {
        let zone = Zone::parse("Europe/Berlin").expect("a zone");
        let now: jiff::Zoned = at.parse().expect("a moment");
        let now = u64::try_from(now.timestamp().as_second()).expect("after 1970");
        Windows::parse(windows).expect("windows").opens_in(now, &zone).as_secs()
    }

    const H: u64 = 3600;

    #[test]
    fn a_window_is_open_from_its_beginning_until_before_its_end() {
        let at = |time: &str| opens_in("02:00-04:00", &format!("2026-11-21T{time}[Europe/Berlin]"));
        assert_eq!(at("02:00:00"), 0);
        assert_eq!(at("03:59:59"), 0);
        assert_eq!(at("04:00:00"), 22 * H);
        assert_eq!(at("22:48:00"), 3 * H + 12 * 60);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        // The 21st is a Saturday.
        let at = |day: u8, time: &str| {
            opens_in("Sat 22:00-02:00", &format!("2026-11-{day:02}T{time}:00[Europe/Berlin]"))
        };
        assert_eq!(at(21, "23:00"), 0);
        assert_eq!(at(22, "01:59"), 0);
        assert_eq!(at(22, "02:00"), 6 * 24 * H + 20 * H);
        assert_eq!(at(21, "01:00"), 21 * H);
        let week = |day: u8, time: &str| {
            opens_in(
                "Mon-Fri 22:00-24:00,Sun 05:00-06:00",
                &format!("2026-11-{day:02}T{time}:00[Europe/Berlin]"),
            )
        };
        assert_eq!(week(20, "23:59"), 0);
        assert_eq!(week(21, "00:00"), 29 * H);
        assert_eq!(opens_in("Fri-Mon 10:00-11:00", "2026-11-24T10:30:00[Europe/Berlin]"), 3 * 24 * H - 1800);
    }

    #[test]
    fn an_hour_that_the_clock_leaves_out_opens_nothing() {
        // On 2026-03-29 the clock goes from 02:00 to 03:00.
        assert_eq!(opens_in("02:00-03:00", "2026-03-29T01:00:00[Europe/Berlin]"), 24 * H);
        assert_eq!(
            opens_in("02:30-04:00", "2026-03-29T01:00:00[Europe/Berlin]"),
            H,
            "it opens in the middle"
        );
        assert_eq!(opens_in("04:00-05:00", "2026-03-29T01:00:00[Europe/Berlin]"), 2 * H);
    }

    #[test]
    fn an_hour_that_the_clock_shows_twice_is_open_twice() {
        // On 2026-10-25 the clock goes from 03:00 back to 02:00.
        let window = "02:00-02:30";
        assert_eq!(opens_in(window, "2026-10-25T02:10:00+02:00[Europe/Berlin]"), 0);
        assert_eq!(opens_in(window, "2026-10-25T02:30:00+02:00[Europe/Berlin]"), 1800);
        assert_eq!(opens_in(window, "2026-10-25T02:10:00+01:00[Europe/Berlin]"), 0);
        assert_eq!(opens_in("04:00-05:00", "2026-10-25T01:00:00[Europe/Berlin]"), 4 * H);
    }

    #[test]
    fn windows_and_zones_are_printed_so_that_they_are_read_again() {
        for text in [
            "02:00-04:00",
            "Sat 22:00-02:00,Mon-Fri 00:30-24:00",
            "02:00-04:00 Europe/Berlin",
            "02:00-04:00 -03:30",
        ] {
            let windows = Windows::parse(text).expect(text);
            assert_eq!(windows.to_string(), text);
            assert_eq!(Windows::parse(&windows.to_string()), Ok(windows));
        }
        assert_eq!(Windows::parse("2:00-4:00").expect("short").named(&Zone::default()), "02:00-04:00 UTC");
        assert_eq!(
            Windows::parse("2:00-4:00 europe/berlin").expect("any case").to_string(),
            "02:00-04:00 Europe/Berlin"
        );
    }

    #[test]
    fn what_is_no_window_is_told_apart_from_what_is_no_zone() {
        for bad in [
            "",
            "02:00",
            "02:00-",
            "25:00-26:00",
            "02:60-03:00",
            "Noday 02:00-04:00",
            "02:00-04:00,",
            "02-04",
        ] {
            let why = Windows::parse(bad).expect_err(bad);
            assert!(why.contains("is no window"), "{bad}: {why}");
        }
        assert!(Windows::parse("02:00-02:00").expect_err("empty").contains("no length"));
        assert!(Windows::parse("02:00-04:00 Mars/Olympus").expect_err("no zone").contains("is no time zone"));
        for bad in ["", "Berlin/Europe", "+2", "+99:00", "+02:60"] {
            assert!(Zone::parse(bad).expect_err(bad).contains("is no time zone"), "{bad}");
        }
    }

    #[test]
    fn whatever_the_moment_the_window_is_open_when_it_was_said_to_be() {
        let zone = Zone::parse("America/Sao_Paulo").expect("a zone");
        for text in ["02:00-02:30", "Sun 23:00-01:00", "Mon-Fri 00:00-00:30,Sat 12:00-13:00"] {
            let windows = Windows::parse(text).expect(text);
            for hour in 0..24 * 30 {
                let now = 1_772_000_000 + hour * 3_547;
                let wait = windows.opens_in(now, &zone).as_secs();
                assert_eq!(windows.opens_in(now + wait, &zone), Duration::ZERO, "{text} at {now} + {wait}");
                assert!(
                    wait == 0 || windows.opens_in(now + wait - 1, &zone).as_secs() == 1,
                    "{text} at {now}"
                );
            }
        }
    }
}

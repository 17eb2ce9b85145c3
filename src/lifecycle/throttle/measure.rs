//! What an operator types for a limit: spans of time, sizes, loads, addresses. Pure.

use std::fmt;
use std::time::Duration;

/// `1.5s`, `1500ms`, `2m 30s`; a bare number is seconds, as in pt-online-schema-change.
pub fn span(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let bare = text.strip_suffix('s').unwrap_or(text).trim_end();
    if let Ok(seconds) = bare.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("`{text}` is no span of time; write it like 1.5s, 500ms or 10m"));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is no span of time; write it like 1.5s, 500ms or 10m"))
}

/// As [`span`] reads it.
pub fn spanned(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        return humantime::format_duration(time).to_string();
    }
    if time < Duration::from_secs(1) {
        return format!("{}ms", time.as_secs_f64() * 1000.0);
    }
    format!("{}s", time.as_secs_f64())
}

/// In powers of 1024, whichever way the unit is written.
const UNITS: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// `10GiB`, `10G`, `512M`; a bare number is bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let no = || format!("`{text}` is no size; write it like 10GiB or 512M");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(no)?;
    let number: f64 = number.parse().map_err(|_| no())?;
    let bytes = number * *factor as f64;
    if bytes >= 1.0 && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(no()) }
}

/// As [`size`] reads it, where that is exact; otherwise in bytes.
pub fn sized(bytes: u64) -> String {
    let exact = UNITS.iter().rev().find(|(_, factor)| bytes.is_multiple_of(*factor) && bytes >= *factor);
    match exact {
        Some((unit, factor)) if *factor > 1 => format!("{}{unit}iB", bytes / factor),
        Some(_) | None => bytes.to_string(),
    }
}

/// For people, who do not count bytes.
pub fn about(bytes: u64) -> String {
    let fits = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor);
    match fits {
        Some((unit, factor)) if *factor > 1 => format!("{:.1} {unit}iB", bytes as f64 / *factor as f64),
        Some(_) | None => format!("{bytes} bytes"),
    }
}

/// A status variable of the server and what is too much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// As SHOW GLOBAL STATUS has it, but for upper and lower case.
    pub name: String,
    pub most: u64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.most)
    }
}

/// `Threads_running=25,Threads_connected=500`.
pub fn loads(text: &str) -> Result<Vec<Load>, String> {
    let one = |part: &str| {
        let no = || {
            format!(
                "`{}` is no load; write a status variable and a number, like Threads_running=25",
                part.trim()
            )
        };
        let (name, most) = part.split_once('=').ok_or_else(no)?;
        let (name, most) = (name.trim(), most.trim().parse().map_err(|_| no())?);
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain { Ok(Load { name: name.to_owned(), most }) } else { Err(no()) }
    };
    text.split(',').map(one).collect()
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

const PORT: u16 = 3306;

/// `replica1,replica2:3307,[::1]:3306`.
pub fn addresses(text: &str) -> Result<Vec<Address>, String> {
    text.split(',').map(|one| address(one.trim())).collect()
}

fn address(text: &str) -> Result<Address, String> {
    let no = || format!("`{text}` is no address; write host:port, like replica1:3306");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(no)?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(no)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| no()))?;
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains('=') || port == 0 {
        return Err(no());
    }
    Ok(Address::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them_and_printed_so_that_they_are_read_again() {
        for (text, ms, printed) in [
            ("1.5s", 1500, "1.5s"),
            ("1.5", 1500, "1.5s"),
            ("250ms", 250, "250ms"),
            ("0", 0, "0s"),
            ("10m", 600_000, "10m"),
            ("1h 5m", 3_900_000, "1h 5m"),
        ] {
            assert_eq!(span(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(spanned(Duration::from_millis(ms)), printed);
            assert_eq!(span(printed), Ok(Duration::from_millis(ms)));
        }
        for bad in ["", "soon", "-1s", "1.5 parsecs", "nans", "infs"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_any_unit() {
        for (text, bytes, printed) in [
            ("10GiB", 10 << 30, "10GiB"),
            ("10g", 10 << 30, "10GiB"),
            ("512MB", 512 << 20, "512MiB"),
            ("1.5K", 1536, "1536"),
            ("1000", 1000, "1000"),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(sized(bytes), printed);
            assert_eq!(size(printed), Ok(bytes));
        }
        for bad in ["", "GiB", "10 parsecs", "0", "-1G", "5%", "1.2.3M"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(about(1536 << 20), "1.5 GiB");
    }

    #[test]
    fn loads_are_pairs() {
        assert_eq!(
            loads("Threads_running=25, Threads_connected = 500"),
            Ok(vec![
                Load { name: "Threads_running".into(), most: 25 },
                Load { name: "Threads_connected".into(), most: 500 },
            ])
        );
        for bad in ["", "Threads_running", "Threads_running=", "=25", "Threads_running=many", "a'b=1", "a=1,"]
        {
            assert!(loads(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_port_or_the_usual_one() {
        let read =
            |text: &str| addresses(text).map(|all| all.iter().map(Address::to_string).collect::<Vec<_>>());
        assert_eq!(
            read("a,b:3307, [::1]:3308,[fe80::1]"),
            Ok(vec!["a:3306".into(), "b:3307".into(), "[::1]:3308".into(), "[fe80::1]:3306".into()])
        );
        for bad in ["", "a,", "a:", "a:x", "a:0", "a:99999", ":3306", "[::1", "[::1]3306", "a b:1", "a=1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

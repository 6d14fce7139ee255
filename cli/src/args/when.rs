//! Times as people say them. What only counts back (`2h`) goes to the server as it is: its
//! clock made the records. Days are those of this machine's time zone, and are turned into
//! a moment here, where that zone is known.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Timestamp, ToSpan as _, Zoned};
use std::str::FromStr;

/// A moment, as the server reads it: RFC 3339, or how long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When(String);

impl When {
    /// For a query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str, now: &Zoned) -> Option<When> {
        if is_ago(text) || text.parse::<Timestamp>().is_ok() {
            return Some(When(text.to_owned()));
        }
        if text == "now" {
            return Some(When(now.timestamp().to_string()));
        }
        let moment = match day(text, now.date()) {
            Some(date) => date.to_datetime(jiff::civil::Time::midnight()),
            // A date and a time of day, by the clock on the wall.
            None => text.parse::<DateTime>().ok()?,
        };
        let zoned = moment.to_zoned(now.time_zone().clone()).ok()?;
        Some(When(zoned.timestamp().to_string()))
    }
}

impl FromStr for When {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<When, NoTime> {
        When::read(text.trim(), &Zoned::now()).ok_or(NoTime)
    }
}

/// What is none of the forms.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be how long ago (90s, 30m, 2h, 2d, 1w), a day (today, yesterday, monday, 2026-01-31), \
     or a time (2026-01-31T08:00, 2026-01-31T08:00:00Z)"
)]
pub struct NoTime;

/// One number and one unit, as the server takes it.
fn is_ago(text: &str) -> bool {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd', 'w']);
    digits.len() + 1 == text.len()
        && (1..=10).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The day that a word means; a weekday is the last one of that name, today included.
fn day(text: &str, today: Date) -> Option<Date> {
    let weekday = match text.to_ascii_lowercase().as_str() {
        "today" => return Some(today),
        "yesterday" => return today.checked_sub(1.day()).ok(),
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        // A date alone, not one with a time of day, which would lose it.
        date if date.len() == 10 => return date.parse().ok(),
        _ => return None,
    };
    let back = today.weekday().since(weekday);
    today.checked_sub(i64::from(back).days()).ok()
}

#[cfg(test)]
mod tests {
    use super::When;
    use jiff::Zoned;

    fn read(text: &str) -> Option<String> {
        // A Wednesday.
        let now: Zoned = "2026-11-25T22:36:00+01:00[Europe/Berlin]".parse().unwrap();
        When::read(text, &now).map(|when| when.0)
    }

    #[test]
    fn a_day_is_one_of_this_machines_zone() {
        for (text, expected) in [
            ("2d", "2d"),
            ("90s", "90s"),
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
            ("now", "2026-11-25T21:36:00Z"),
            ("today", "2026-11-24T23:00:00Z"),
            ("yesterday", "2026-11-23T23:00:00Z"),
            ("Monday", "2026-11-22T23:00:00Z"),
            ("wednesday", "2026-11-24T23:00:00Z"),
            ("thursday", "2026-11-18T23:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-07-01T08:30", "2026-07-01T06:30:00Z"),
            ("2026-07-01 08:30", "2026-07-01T06:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "soon",
            "2y",
            "-2h",
            "2h30m",
            "h",
            "2026-13-01",
            "99999999999d",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}

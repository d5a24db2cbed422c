//! Where the clock of a varied build begins: elsewhere in the same year, or in another year.
//!
//! By the calendar in UTC, field by field, because that is how builds print time: a stamp in
//! seconds, a month's name, a weekday and an hour each have to differ for a build that prints only
//! one of them to be found. Pure. Absent on purpose: time zones, which are a switch of their own.

use counterseal_attestation::{CivilTime, UnixSeconds};

/// Months are at least these many days long.
const DAYS: u64 = 28;

/// Another time of the same year: about half a year away, in another month, on another day of the
/// month and of the week, at another hour (by 12-hour clocks, too), minute and second.
///
/// It lies before the 29th of its month, so that a build that begins there is days away from the
/// next year, in every time zone.
pub(super) fn within_year(time: UnixSeconds) -> UnixSeconds {
    let shown = time.to_civil();
    let on_day = |day: u64| {
        let moved = CivilTime {
            month: (shown.month + 5) % 12 + 1,
            day: day % DAYS + 1,
            hour: (shown.hour + 7) % 24,
            minute: (shown.minute + 13) % 60,
            second: (shown.second + 17) % 60,
            ..shown
        };
        // Every month has this day, so only for a year after 9999, which no recipe can state,
        // there is no such time.
        UnixSeconds::from_civil(moved).unwrap_or(time)
    };
    let moved = on_day(shown.day + 13);
    if weekday(moved) == weekday(time) {
        return on_day(shown.day + 14);
    }
    moved
}

/// The same day and time of day of the year after, or of the year before if there is none after;
/// 28 February for 29 February.
pub(super) fn to_other_year(time: UnixSeconds) -> UnixSeconds {
    let shown = time.to_civil();
    let in_year = |year: u64| {
        let is_leap_day = (shown.month, shown.day) == (2, 29);
        let day = shown.day - u64::from(is_leap_day);
        UnixSeconds::from_civil(CivilTime { year, day, ..shown })
    };
    let moved = in_year(shown.year + 1).or_else(|| in_year(shown.year - 1));
    // None only for years far after 9999, which no recipe can state.
    moved.unwrap_or(time)
}

/// From Thursday, which 1 January 1970 was.
fn weekday(time: UnixSeconds) -> u64 {
    time.0 / 86400 % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: UnixSeconds) -> String {
        time.to_rfc3339()
    }

    fn at(text: &str) -> UnixSeconds {
        UnixSeconds::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn known_times() {
        for (from, within, other) in [
            // A Thursday; the 15th would be one.
            (
                "1970-01-01T00:00:00Z",
                "1970-07-16T07:13:17Z",
                "1971-01-01T00:00:00Z",
            ),
            (
                "2022-12-28T23:59:59Z",
                "2022-06-14T06:12:16Z",
                "2023-12-28T23:59:59Z",
            ),
            (
                "2022-12-31T23:59:59Z",
                "2022-06-17T06:12:16Z",
                "2023-12-31T23:59:59Z",
            ),
            (
                "2024-02-29T12:30:30Z",
                "2024-08-15T19:43:47Z",
                "2025-02-28T12:30:30Z",
            ),
            (
                "9999-12-31T23:59:59Z",
                "9999-06-17T06:12:16Z",
                "9998-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(text(within_year(at(from))), within, "{from}");
            assert_eq!(text(to_other_year(at(from))), other, "{from}");
        }
    }

    /// Whatever a build prints of its time within the year is another, for each day of a leap
    /// year's and other years' every weekday, and at its ends.
    #[test]
    fn all_but_the_year_is_another() {
        let day = 86400;
        let ordinary = at("2022-01-01T00:00:00Z").0;
        let first = (0..366 * 28).map(|days| ordinary + days * day + days * 7919 % day);
        let last = UnixSeconds::MAX_RFC3339.0;
        let ends = [0, 1, 59, 3600, day - 1, day, 365 * day - 1, 365 * day, last];
        for from in first.chain(ends).map(UnixSeconds) {
            let (was, is) = (from.to_civil(), within_year(from).to_civil());
            let shown = text(from);
            assert_eq!(was.year, is.year, "{shown}");
            assert_ne!(was.month, is.month, "{shown}");
            assert_ne!(was.day, is.day, "{shown}");
            assert_ne!(was.hour % 12, is.hour % 12, "{shown}");
            assert_ne!(was.minute, is.minute, "{shown}");
            assert_ne!(was.second, is.second, "{shown}");
            assert_ne!(weekday(from), weekday(within_year(from)), "{shown}");
            // No build lasts that long in either direction.
            let distance = from.0.abs_diff(within_year(from).0);
            assert!(distance > 145 * day, "{shown}");
            assert!(is.day <= DAYS, "{shown}");

            let other = to_other_year(from).to_civil();
            assert_ne!(was.year, other.year, "{shown}");
            assert_eq!((was.month, was.hour), (other.month, other.hour), "{shown}");
            assert!(was.day.abs_diff(other.day) <= 1, "{shown}");
        }
    }

    #[test]
    fn times_that_no_recipe_can_state_do_no_harm() {
        for time in [UnixSeconds::MAX_RFC3339.0 + 1, u64::MAX].map(UnixSeconds) {
            within_year(time);
            to_other_year(time);
        }
    }
}

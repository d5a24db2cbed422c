//! Where the clock of a varied build begins: elsewhere in the same year, or in another year.
//!
//! By the calendar in UTC, field by field, because that is how builds print time: a stamp in
//! seconds, a month's name, a weekday and an hour each have to differ for a build that prints only
//! one of them to be found. Pure. Absent on purpose: time zones, which are a switch of their own.

use counterseal_attestation::{CivilTime, UnixSeconds};

const DAY: u64 = 86400;
/// What stays free at the end of the year: zones are up to 14 hours ahead, and the build goes on.
const MARGIN: u64 = 36 * 3600;
/// With so much left of the year, half of it is in another month.
const MUCH: u64 = 64 * DAY;
/// Changes each of hour (by 12-hour clocks, too), minute and second.
const TIME_OF_DAY: u64 = 7 * 3600 + 13 * 60 + 17;

/// A later time of the same year: half of what is left of it away or, towards its end, all of that;
/// on another day of the month and of the week, at another hour, minute and second, and before
/// November in another month. On the last two days of a year it is half of what is left away.
///
/// Later, because nothing is built before its epoch: archives give newer files the epoch's time
/// (`tar --clamp-mtime`) and leave older ones as they are.
pub(super) fn within_year(time: UnixSeconds) -> UnixSeconds {
    let next_year = CivilTime {
        year: time.to_civil().year + 1,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
    };
    // The last year that has a text is followed by none.
    let end = UnixSeconds::from_civil(next_year).map_or(UnixSeconds::MAX_RFC3339.0, |next| next.0);
    let left = end.saturating_sub(time.0);
    let Some(days) = left
        .checked_sub(MARGIN + TIME_OF_DAY)
        .map(|room| (if room >= MUCH { room / 2 } else { room }) / DAY)
    else {
        return UnixSeconds(time.0.saturating_add(left / 2));
    };
    let after = |days: u64| UnixSeconds(time.0 + days * DAY + TIME_OF_DAY);
    let differs = |moved: &UnixSeconds| {
        weekday(*moved) != weekday(time) && moved.to_civil().day != time.to_civil().day
    };
    let mut latest_first = (0..=days).rev().map(after);
    latest_first.find(differs).unwrap_or(after(days))
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
            (
                "1970-01-01T00:00:00Z",
                "1970-06-30T07:13:17Z",
                "1971-01-01T00:00:00Z",
            ),
            (
                "2022-12-26T15:30:00Z",
                "2022-12-29T22:43:17Z",
                "2023-12-26T15:30:00Z",
            ),
            (
                "2022-12-31T23:59:59Z",
                "2022-12-31T23:59:59Z",
                "2023-12-31T23:59:59Z",
            ),
            (
                "2024-02-29T12:30:30Z",
                "2024-07-30T19:43:47Z",
                "2025-02-28T12:30:30Z",
            ),
            (
                "9999-12-31T23:59:59Z",
                "9999-12-31T23:59:59Z",
                "9998-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(text(within_year(at(from))), within, "{from}");
            assert_eq!(text(to_other_year(at(from))), other, "{from}");
        }
    }

    /// Whatever a build prints of its time within the year is another, as far as the year has room,
    /// for each day of a leap year's and other years' every weekday, and at its ends.
    #[test]
    fn all_but_the_year_is_another() {
        let ordinary = at("2022-01-01T00:00:00Z").0;
        let first = (0..366 * 28).map(|days| ordinary + days * DAY + days * 7919 % DAY);
        let last = UnixSeconds::MAX_RFC3339.0;
        let ends = [0, 1, 59, 3600, DAY - 1, DAY, 365 * DAY - 1, 365 * DAY, last];
        for from in first.chain(ends).map(UnixSeconds) {
            let moved = within_year(from);
            let (was, is) = (from.to_civil(), moved.to_civil());
            let shown = text(from);
            assert!(moved >= from, "{shown}");
            assert_eq!(was.year, is.year, "{shown}");
            if was.month < 11 {
                assert_ne!(was.month, is.month, "{shown}");
            }
            if (was.month, was.day) < (12, 29) {
                assert_ne!(was.day, is.day, "{shown}");
                assert_ne!(was.hour % 12, is.hour % 12, "{shown}");
                assert_ne!(was.minute, is.minute, "{shown}");
                assert_ne!(was.second, is.second, "{shown}");
                assert_ne!(weekday(from), weekday(moved), "{shown}");
                let in_every_zone = UnixSeconds(moved.0 + 14 * 3600).to_civil();
                assert_eq!(was.year, in_every_zone.year, "{shown}");
            }

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

//! Points in time: whole seconds since 1970-01-01T00:00:00Z, and their RFC 3339 text.
//!
//! Deliberately absent: a clock. Whoever needs "now" is given it. Of RFC 3339 only the form
//! `YYYY-MM-DDTHH:MM:SSZ` is read and written: no fractions, no offsets, no leap seconds, so that
//! each instant has one spelling.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z. In JSON it is a number unless the field's format says text.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

const SECONDS_PER_DAY: u64 = 86_400;
const DAYS_PER_400_YEARS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: u64 = 719_468;

impl UnixSeconds {
    /// 9999-12-31T23:59:59Z, the last instant that RFC 3339 can write.
    pub const MAX_RFC3339: Self = Self(253_402_300_799);

    /// The text `YYYY-MM-DDTHH:MM:SSZ`. Beyond [`Self::MAX_RFC3339`] the year has more digits and
    /// no reader of RFC 3339 takes the text.
    pub fn to_rfc3339(self) -> String {
        let CivilTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self.to_civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// What a calendar and a clock show in UTC.
    pub fn to_civil(self) -> CivilTime {
        let (year, month, day) = civil_from_days(self.0 / SECONDS_PER_DAY);
        let second = self.0 % SECONDS_PER_DAY;
        CivilTime {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// The instant that [`Self::to_civil`] shows so; none if there is no such date or time of day,
    /// or the year is not one of 1970 to 9999.
    pub fn from_civil(civil: CivilTime) -> Option<Self> {
        let possible = (1970..=9999).contains(&civil.year)
            && (1..=12).contains(&civil.month)
            && (1..=31).contains(&civil.day)
            && civil.hour < 24
            && civil.minute < 60
            && civil.second < 60;
        if !possible {
            return None;
        }
        let days = days_from_civil(civil.year, civil.month, civil.day);
        let seconds = days * SECONDS_PER_DAY + civil.hour * 3600 + civil.minute * 60 + civil.second;
        // 30 February and the like come back as another date.
        (Self(seconds).to_civil() == civil).then_some(Self(seconds))
    }

    /// Reads the text that [`Self::to_rfc3339`] writes.
    ///
    /// # Errors
    /// Refuses every other form, instants before 1970 and dates that do not exist.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let bytes = text.as_bytes();
        if bytes.len() != 20 {
            return Err(TimeError::Form);
        }
        for (at, mark) in [
            (4, b'-'),
            (7, b'-'),
            (10, b'T'),
            (13, b':'),
            (16, b':'),
            (19, b'Z'),
        ] {
            if bytes[at] != mark {
                return Err(TimeError::Form);
            }
        }
        let number = |from: usize, to: usize| {
            bytes[from..to]
                .iter()
                .try_fold(0u64, |sum, digit| match digit {
                    b'0'..=b'9' => Ok(sum * 10 + u64::from(digit - b'0')),
                    _ => Err(TimeError::Form),
                })
        };
        Self::from_civil(CivilTime {
            year: number(0, 4)?,
            month: number(5, 7)?,
            day: number(8, 10)?,
            hour: number(11, 13)?,
            minute: number(14, 16)?,
            second: number(17, 19)?,
        })
        .ok_or(TimeError::Range)
    }
}

/// A date of the Gregorian calendar and a time of day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what it is called")]
pub struct CivilTime {
    pub year: u64,
    /// From 1.
    pub month: u64,
    /// From 1.
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_rfc3339())
    }
}

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not of the form `YYYY-MM-DDTHH:MM:SSZ`.
    #[error("time is not of the form YYYY-MM-DDTHH:MM:SSZ")]
    Form,
    /// Of that form, but no instant from 1970 to 9999.
    #[error("time is outside 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z or does not exist")]
    Range,
}

/// Year, month, day of the day that many days after 1970-01-01 (proleptic Gregorian calendar).
///
/// Counts years from March, so that the leap day is the last of its year, in cycles of 400 years.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + DAYS_BEFORE_EPOCH;
    let day_of_cycle = shifted % DAYS_PER_400_YEARS;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = shifted / DAYS_PER_400_YEARS * 400 + year_of_cycle + u64::from(month <= 2);
    (year, month, day)
}

/// The inverse; `year >= 1970`, `month` in 1..=12, `day` in 1..=31.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_cycle = year % 400;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    year / 400 * DAYS_PER_400_YEARS + day_of_cycle - DAYS_BEFORE_EPOCH
}

/// `#[serde(with = "time::rfc3339")]` for fields whose format is text.
pub(crate) mod rfc3339 {
    use super::{String, UnixSeconds};
    use serde::{Deserialize as _, Deserializer, Serializer, de, ser};

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's `with` demands it"
    )]
    pub(crate) fn serialize<S: Serializer>(time: &UnixSeconds, out: S) -> Result<S::Ok, S::Error> {
        if *time > UnixSeconds::MAX_RFC3339 {
            return Err(ser::Error::custom(super::TimeError::Range));
        }
        out.serialize_str(&time.to_rfc3339())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<UnixSeconds, D::Error> {
        UnixSeconds::parse_rfc3339(&String::deserialize(input)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (UnixSeconds::MAX_RFC3339.0, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixSeconds(seconds).to_rfc3339(), text);
            assert_eq!(UnixSeconds::parse_rfc3339(text), Ok(UnixSeconds(seconds)));
        }
    }

    #[test]
    fn other_forms_and_impossible_dates_are_refused() {
        for text in [
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00z",
            "2026-01-01T00:00:00.0Z",
            "2026-01-01T00:00:00+00:00",
            "+026-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(
                UnixSeconds::parse_rfc3339(text),
                Err(TimeError::Form),
                "{text}"
            );
        }
        for text in [
            "1969-12-31T23:59:59Z",
            "2025-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T23:59:60Z",
        ] {
            assert_eq!(
                UnixSeconds::parse_rfc3339(text),
                Err(TimeError::Range),
                "{text}"
            );
        }
    }

    #[test]
    fn the_far_future_does_not_overflow() {
        assert!(UnixSeconds(u64::MAX).to_rfc3339().ends_with('Z'));
    }

    proptest! {
        #[test]
        fn every_instant_round_trips(seconds in 0..=UnixSeconds::MAX_RFC3339.0) {
            let text = UnixSeconds(seconds).to_rfc3339();
            prop_assert_eq!(UnixSeconds::parse_rfc3339(&text), Ok(UnixSeconds(seconds)));
        }
    }
}

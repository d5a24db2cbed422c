//! The order of Debian version numbers (Debian Policy 5.6.12).
//!
//! `[epoch:]upstream[-revision]`; the parts compare one after the other, letters before other
//! characters, and `~` before everything, even the end. Deliberately absent: whether a text is a
//! version at all, see `names`.

use std::cmp::Ordering;

/// Epoch and the rest.
fn split(text: &str) -> (u32, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    }
}

/// Compares two version texts; anything is accepted, well-formed or not.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = split(left);
    let (right_epoch, right) = split(right);
    let (left_upstream, left_revision) = left.rsplit_once('-').unwrap_or((left, ""));
    let (right_upstream, right_revision) = right.rsplit_once('-').unwrap_or((right, ""));
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

/// Alternates between a stretch without digits and a number, until one decides.
fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let left_text = take(&mut left, |b| !b.is_ascii_digit());
        let right_text = take(&mut right, |b| !b.is_ascii_digit());
        for index in 0..left_text.len().max(right_text.len()) {
            let order = weight(left_text.get(index)).cmp(&weight(right_text.get(index)));
            if order.is_ne() {
                return order;
            }
        }
        let left_number = without_zeros(take(&mut left, u8::is_ascii_digit));
        let right_number = without_zeros(take(&mut right, u8::is_ascii_digit));
        // Without leading zeros the longer number is the larger one; this never overflows.
        let order = left_number
            .len()
            .cmp(&right_number.len())
            .then_with(|| left_number.cmp(right_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn take<'a>(rest: &mut &'a [u8], belongs: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = rest
        .iter()
        .position(|byte| !belongs(byte))
        .unwrap_or(rest.len());
    let (head, tail) = rest.split_at(end);
    *rest = tail;
    head
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let start = digits
        .iter()
        .position(|byte| *byte != b'0')
        .unwrap_or(digits.len());
    &digits[start..]
}

/// `~` before the end, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_policy() {
        let cases = [
            ("1.0", Ordering::Equal, "1.0"),
            ("1.0", Ordering::Equal, "0:1.0"),
            ("1.0", Ordering::Equal, "1.0-0"),
            ("1.0", Ordering::Equal, "1.00"),
            ("1.0", Ordering::Less, "1.1"),
            ("1.9", Ordering::Less, "1.10"),
            ("1:0.1", Ordering::Greater, "9.9"),
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0~~", Ordering::Less, "1.0~"),
            ("1.0~~a", Ordering::Less, "1.0~"),
            ("1.0~", Ordering::Less, "1.0"),
            ("1.0", Ordering::Less, "1.0a"),
            ("1.0a", Ordering::Less, "1.0+"),
            ("1.0-1", Ordering::Less, "1.0-2"),
            ("1.0-1", Ordering::Less, "1.0-1+b1"),
            ("1.0-1", Ordering::Less, "1.0-1.1"),
            ("1.0-1~bpo12+1", Ordering::Less, "1.0-1"),
            ("2.10-3", Ordering::Less, "2.10-3+deb12u1"),
            ("1.2.3-4", Ordering::Less, "1.2.3-4ubuntu1"),
            ("1.0-a-1", Ordering::Greater, "1.0-1"),
            ("5.2.15-2+b7", Ordering::Greater, "5.2.15-2"),
            (
                "99999999999999999999",
                Ordering::Less,
                "100000000000000000000",
            ),
            ("00000000000000000000000001", Ordering::Equal, "1"),
            ("a", Ordering::Less, "b"),
            ("7.6p2-4", Ordering::Greater, "7.6-0"),
            ("1.0.3-3", Ordering::Greater, "1.0-1"),
            ("1.2.2-2", Ordering::Greater, "1.2-2.2"),
            ("0-pre", Ordering::Equal, "0-pre"),
            ("0-pre", Ordering::Less, "0-pree"),
            ("1.1.6r2-2", Ordering::Greater, "1.1.6r-1"),
            ("2.6b-2", Ordering::Less, "2.6b2-1"),
            ("98.1p5-1", Ordering::Less, "98.1-pre2-b6-2"),
        ];
        for (left, expected, right) in cases {
            assert_eq!(compare(left, right), expected, "{left} {right}");
            assert_eq!(compare(right, left), expected.reverse(), "{right} {left}");
        }
    }
}

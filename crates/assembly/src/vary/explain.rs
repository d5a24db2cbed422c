//! Delta debugging: which of many switches it takes for a difference to show. Pure: builds are
//! asked for through a closure.
//!
//! Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002, the
//! algorithm ddmin. A set that it finds is smallest in the sense that no single switch can be left
//! out. Absent on purpose: memory of what was asked before; the caller has it.

use std::collections::BTreeSet;

/// Every independent cause of a difference that shows when `all` are on: disjoint sets, each of
/// which is enough by itself and cannot do without any of its members. One empty set means that it
/// shows with no switch on. An empty list means that it does not show at all.
///
/// Asks `shows` at most (n + 1)² + n times for n switches, for one cause of one switch about
/// 2 log₂ n times. `shows` must answer a question in the same way each time.
///
/// # Errors
/// The first error of `shows`.
pub(super) fn causes<T: Copy + Ord, E>(
    all: &BTreeSet<T>,
    shows: &mut impl FnMut(&BTreeSet<T>) -> Result<bool, E>,
) -> Result<Vec<BTreeSet<T>>, E> {
    let mut rest = all.clone();
    if !shows(&rest)? {
        return Ok(Vec::new());
    }
    if shows(&BTreeSet::new())? {
        return Ok(vec![BTreeSet::new()]);
    }
    let mut found = Vec::new();
    // Each round takes at least one switch away, and without any nothing shows.
    while !rest.is_empty() && shows(&rest)? {
        let cause = smallest(&rest, shows)?;
        rest.retain(|switch| !cause.contains(switch));
        found.push(cause);
    }
    Ok(found)
}

/// ddmin: `all` shows the difference, no switch does not.
fn smallest<T: Copy + Ord, E>(
    all: &BTreeSet<T>,
    shows: &mut impl FnMut(&BTreeSet<T>) -> Result<bool, E>,
) -> Result<BTreeSet<T>, E> {
    let mut left: Vec<T> = all.iter().copied().collect();
    let mut parts = 2;
    'smaller: while left.len() > 1 {
        let length = left.len().div_ceil(parts);
        for part in left.chunks(length) {
            if shows(&part.iter().copied().collect())? {
                left = part.to_vec();
                parts = 2;
                continue 'smaller;
            }
        }
        // With two parts, the complement of one is the other.
        for part in left.chunks(length).filter(|_| parts > 2) {
            let others: BTreeSet<T> = left.iter().copied().filter(|t| !part.contains(t)).collect();
            if shows(&others)? {
                left = others.into_iter().collect();
                parts = (parts - 1).max(2);
                continue 'smaller;
            }
        }
        if length == 1 {
            break;
        }
        parts = (parts * 2).min(left.len());
    }
    Ok(left.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u32]) -> BTreeSet<u32> {
        numbers.iter().copied().collect()
    }

    /// What is found among `count` switches if a difference shows whenever all of one of these
    /// sets are on, and how many different questions it took.
    fn found(count: u32, planted: &[&[u32]]) -> (Vec<BTreeSet<u32>>, usize) {
        let planted: Vec<_> = planted.iter().map(|numbers| set(numbers)).collect();
        let mut asked = BTreeSet::new();
        let found = causes(&(0..count).collect(), &mut |on| {
            asked.insert(on.clone());
            Ok::<_, ()>(planted.iter().any(|cause| cause.is_subset(on)))
        });
        (found.unwrap(), asked.len())
    }

    #[test]
    fn one_switch_is_found_wherever_it_is() {
        for count in 1..20 {
            for planted in 0..count {
                let (causes, asked) = found(count, &[&[planted]]);
                assert_eq!(causes, [set(&[planted])]);
                // All, none, two for each halving, and what is left over at the end.
                assert!(asked <= 2 + 2 * 5 + 1, "{asked} questions for {count}");
            }
        }
    }

    #[test]
    fn switches_that_only_work_together_are_found_together() {
        for (a, b, c) in [(0, 1, 2), (0, 9, 17), (3, 4, 16), (1, 15, 17)] {
            assert_eq!(found(18, &[&[a, b]]).0, [set(&[a, b])]);
            assert_eq!(found(18, &[&[a, b, c]]).0, [set(&[a, b, c])]);
        }
        let all: Vec<u32> = (0..18).collect();
        assert_eq!(found(18, &[&all]).0, [set(&all)]);
    }

    #[test]
    fn independent_causes_are_all_found() {
        let (mut causes, asked) = found(18, &[&[3], &[11], &[5, 17]]);
        causes.sort();
        assert_eq!(causes, [set(&[3]), set(&[5, 17]), set(&[11])]);
        assert!(asked <= 19 * 19 + 18, "{asked}");
        let singles: Vec<[u32; 1]> = (0..18).map(|number| [number]).collect();
        let singles: Vec<&[u32]> = singles.iter().map(|single| &single[..]).collect();
        assert_eq!(found(18, &singles).0.len(), 18);
    }

    #[test]
    fn nothing_and_everything() {
        assert_eq!(found(18, &[]).0, Vec::<BTreeSet<u32>>::new());
        assert_eq!(found(18, &[&[]]).0, [set(&[])]);
        assert_eq!(found(0, &[&[]]).0, [set(&[])]);
    }

    #[test]
    fn an_error_ends_the_search() {
        let mut asked = 0;
        let outcome = causes(&(0..18).collect::<BTreeSet<u32>>(), &mut |_| {
            asked += 1;
            if asked == 3 {
                Err("no space")
            } else {
                Ok(asked == 1)
            }
        });
        assert_eq!(outcome, Err("no space"));
        assert_eq!(asked, 3);
    }
}

//! Properties of the pack: what goes in comes out, order does not matter, damage shows.

use counterseal_rules::{
    Condition, Indicator, Pack, Pattern, PatternForm, Rule, RuleSet, RuleView, Scanner, Severity,
    Stamp, check, compile, layout, source,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn stamp() -> Stamp {
    Stamp::new("2026.1", 1_700_000_000).unwrap()
}

fn text_of(rules: &[Rule]) -> String {
    rules.iter().map(ToString::to_string).collect()
}

fn rule_set(text: &str) -> RuleSet {
    check(source::parse("f", text.as_bytes()).unwrap()).unwrap()
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let offset = || proptest::option::of(0..1000u32);
    let half = prop_oneof![Just(0xffu8), Just(0xf0), Just(0x0f), Just(0x00)];
    let middle = vec((any::<u8>(), half), 0..12);
    let bytes = (offset(), any::<[u8; 2]>(), middle, any::<[u8; 2]>());
    let bytes = bytes.prop_map(|(offset, first, middle, last)| {
        let (values, masks): (Vec<u8>, Vec<u8>) = middle
            .into_iter()
            .map(|(value, mask)| (value & mask, mask))
            .unzip();
        let value = [&first[..], &values, &last].concat();
        let mask = [&[0xff; 2][..], &masks, &[0xff; 2]].concat();
        Pattern::new(PatternForm::Bytes, offset, value, mask).unwrap()
    });
    let text = (offset(), vec(any::<u8>(), 4..24)).prop_map(|(offset, value)| {
        let mask = vec![0xff; value.len()];
        Pattern::new(PatternForm::Text, offset, value, mask).unwrap()
    });
    let any_case = (offset(), "[A-Z0-9 _]{4,20}").prop_map(|(offset, value)| {
        let mask = |byte: u8| {
            if byte.is_ascii_alphabetic() {
                0xdf
            } else {
                0xff
            }
        };
        let mask = value.bytes().map(mask).collect();
        Pattern::new(PatternForm::TextAnyCase, offset, value.into_bytes(), mask).unwrap()
    });
    prop_oneof![bytes, text, any_case]
}

/// A rule numbered `number`; the number keeps what must be unique apart.
fn rule(number: usize) -> impl Strategy<Value = Rule> {
    let head = (
        1..u32::MAX,
        0..5usize,
        "[A-Za-zäß\"\\\\]{1,40}",
        any::<bool>(),
    );
    let labels = (
        btree_set("[a-z]{1,8}", 0..4),
        btree_set("https://[a-z]{1,9}/", 0..3),
    );
    let matchers = (
        btree_set(pattern(), 0..6),
        btree_set(any::<[u8; 28]>(), 0..3),
        0..3usize,
    );
    (head, labels, matchers).prop_map(move |(head, labels, (patterns, digests, domains))| {
        let tail = u32::try_from(number).unwrap().to_be_bytes();
        let numbered = |head: [u8; 28]| {
            let mut digest = [0; 32];
            digest[..28].copy_from_slice(&head);
            digest[28..].copy_from_slice(&tail);
            digest
        };
        // A pattern that no other rule has: two equal sets of patterns would be a finding.
        let own = format!("own {number:06}").into_bytes();
        let own = Pattern::new(PatternForm::Text, None, own, vec![0xff; 10]).unwrap();
        let mut patterns: Vec<Pattern> = patterns.into_iter().chain([own]).collect();
        patterns.sort();
        Rule {
            id: format!("R-{number}"),
            revision: head.0,
            severity: Severity::ALL[head.1],
            title: head.2,
            tags: labels.0.into_iter().collect(),
            references: labels.1.into_iter().collect(),
            condition: if head.3 {
                Condition::Any
            } else {
                Condition::All
            },
            patterns,
            sha256: digests.into_iter().map(numbered).collect(),
            domains: (0..domains)
                .map(|domain| format!("d{domain}.r{number}.example"))
                .collect(),
        }
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    (1..20usize).prop_flat_map(|count| (0..count).map(rule).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_compiled_is_read(mut rules in rules()) {
        let bytes = compile(&rule_set(&text_of(&rules)), &stamp()).unwrap();
        let pack = Pack::parse(&bytes).unwrap();
        prop_assert_eq!(pack.product_version(), "2026.1");
        prop_assert_eq!(pack.build_epoch(), 1_700_000_000);
        rules.sort_by(|left, right| left.id.cmp(&right.id));
        let read: Vec<Rule> = pack.rules().map(|rule| rule.to_rule()).collect();
        prop_assert_eq!(&read, &rules);
        for rule in &rules {
            let by_id = pack.rule(&rule.id).map(|found| found.to_rule());
            prop_assert_eq!(by_id.as_ref(), Some(rule));
            let digests = rule.sha256.iter().copied().map(Indicator::Sha256);
            let domains = rule.domains.iter().map(|name| format!("www.{name}"));
            for indicator in digests.chain(domains.map(Indicator::Domain)) {
                let found: Vec<&str> = pack.lookup(&indicator).iter().map(RuleView::id).collect();
                prop_assert_eq!(found, [rule.id.as_str()]);
            }
        }
        prop_assert!(pack.rule("R-").is_none());
        prop_assert!(pack.lookup(&Indicator::Sha256([7; 32])).is_empty());
        // The text form that comes out of a pack leads to the same pack.
        prop_assert_eq!(compile(&rule_set(&text_of(&read)), &stamp()).unwrap(), bytes);
    }

    #[test]
    fn order_does_not_show((rules, shuffled) in rules().prop_flat_map(|rules| {
        (Just(rules.clone()), Just(rules).prop_shuffle())
    })) {
        let shuffled: Vec<Rule> = shuffled.into_iter().map(|mut rule| {
            rule.tags.reverse();
            rule.patterns.reverse();
            rule.sha256.reverse();
            rule.domains.reverse();
            rule
        }).collect();
        let (one, other) = (rule_set(&text_of(&rules)), rule_set(&text_of(&shuffled)));
        prop_assert_eq!(compile(&one, &stamp()).unwrap(), compile(&other, &stamp()).unwrap());
    }

    #[test]
    fn the_scanner_agrees_with_a_naive_search(
        rules in rules(),
        pieces in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..8)), 0..12),
    ) {
        let bytes = compile(&rule_set(&text_of(&rules)), &stamp()).unwrap();
        let pack = Pack::parse(&bytes).unwrap();
        let all: Vec<&Pattern> = rules.iter().flat_map(|rule| &rule.patterns).collect();
        let mut buffer = Vec::new();
        for (choice, noise) in pieces {
            buffer.extend(choice.get(&all).value());
            buffer.extend(noise);
        }
        let occurs = |pattern: &Pattern| {
            buffer.windows(pattern.value().len()).enumerate().any(|(at, window)| {
                pattern.offset_bytes().is_none_or(|offset| offset as usize == at)
                    && window.iter().zip(pattern.mask()).map(|(byte, mask)| byte & mask)
                        .eq(pattern.value().iter().copied())
            })
        };
        let mut expected: Vec<&str> = rules.iter().filter(|rule| match rule.condition {
            Condition::All => rule.patterns.iter().all(&occurs),
            Condition::Any => rule.patterns.iter().any(&occurs),
        }).map(|rule| rule.id.as_str()).collect();
        expected.sort_unstable();
        let hits = Scanner::new(&pack).scan(&buffer).unwrap();
        let found: Vec<&str> = hits.iter().map(|hit| hit.rule.id()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn hostile_bytes_behind_good_digests_are_survived(
        rules in rules(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = compile(&rule_set(&text_of(&rules)), &stamp()).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        reseal(&mut bytes);
        if let Ok(pack) = Pack::parse(&bytes) {
            use_everything(&pack);
        }
    }

    #[test]
    fn random_bytes_are_refused(tail in vec(any::<u8>(), 0..2000)) {
        prop_assert!(Pack::parse(&tail).is_err());
        let marked = [&layout::MAGIC[..], &layout::FORMAT.to_le_bytes(), &tail].concat();
        prop_assert!(Pack::parse(&marked).is_err());
    }

    #[test]
    fn any_source_text_is_survived(text in "[a-z0-9 \"\\\\\n?#x-]{0,400}", bytes in vec(any::<u8>(), 0..200)) {
        let _ = source::parse("f", text.as_bytes());
        let _ = source::parse("f", &bytes);
        let inside = format!("rule A\nrevision 1\nseverity low\ntitle \"t\"\n{text}\nend\n");
        if let Ok(rules) = source::parse("f", inside.as_bytes()) {
            let _ = check(rules);
        }
    }
}

/// Recomputes all digests that can be found, so that the checks behind them are reached.
fn reseal(pack: &mut [u8]) {
    for section in 0..layout::SECTIONS {
        let entry = layout::DIRECTORY_AT + section * layout::DIRECTORY_ENTRY_BYTES;
        let number = |at: usize| {
            let bytes = pack[entry + at..entry + at + 8].try_into().unwrap();
            usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        let (offset, length) = (number(8), number(16));
        if let Some(bytes) = pack.get(offset..offset.saturating_add(length)) {
            let digest = Sha256::digest(bytes);
            pack[entry + 32..entry + 64].copy_from_slice(&digest);
        }
    }
    let digest = Sha256::digest(&pack[..layout::HEADER_DIGEST_AT]);
    pack[layout::HEADER_DIGEST_AT..layout::SECTIONS_AT].copy_from_slice(&digest);
}

fn use_everything(pack: &Pack<'_>) {
    for view in pack.rules() {
        let rule = view.to_rule();
        assert_eq!(
            pack.rule(&rule.id).map(|found| found.number()),
            Some(view.number())
        );
        assert!(!rule.to_string().is_empty());
    }
    let _ = pack.lookup(&Indicator::Domain("d0.r0.example".to_owned()));
    let _ = pack.lookup(&Indicator::Sha256([0; 32]));
    assert!(Scanner::new(pack).scan(b"own 000000 own 000001").is_ok());
}

const SMALL: &str = "rule A-1\nrevision 1\nseverity low\ntitle \"one\"\ntag t\nbytes 4d 5? 00 01 02\n\
    end\nrule B-1\nrevision 2\nseverity high\ntitle \"two\"\nreference https://a.example/\n\
    sha256 0101010101010101010101010101010101010101010101010101010101010101\ndomain b.example\nend\n";

#[test]
fn every_flipped_bit_is_refused() {
    let good = compile(&rule_set(SMALL), &stamp()).unwrap();
    assert!(Pack::parse(&good).is_ok());
    let mut bytes = good.clone();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(Pack::parse(&bytes).is_err(), "byte {at}, bit {bit}");
            bytes[at] ^= 1 << bit;
        }
    }
    for length in 0..good.len() {
        assert!(
            Pack::parse(&good[..length]).is_err(),
            "cut to {length} bytes"
        );
    }
    assert!(Pack::parse(&[&good[..], &[0]].concat()).is_err());
}

/// Whoever changes the layout changes [`layout::FORMAT`], and then this digest.
#[test]
fn the_format_does_not_change_by_accident() {
    let bytes = compile(&rule_set(SMALL), &stamp()).unwrap();
    let digest: Vec<String> = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (layout::FORMAT, digest.concat().as_str()),
        (
            1,
            "28085cdf3e93d24e36420a0f5d90379d69f05a86bdd15e05aa9349dab4f97b06"
        )
    );
}

#[test]
fn damage_is_named() {
    let good = compile(&rule_set(SMALL), &stamp()).unwrap();
    let message = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Pack::parse(&bytes).unwrap_err().to_string()
    };
    let last = good.len() - 1;
    assert_eq!(
        message(&|bytes| bytes[0] = 0),
        "not a rule pack: the first 8 bytes are not its mark"
    );
    assert_eq!(
        message(&|bytes| bytes[8] = 2),
        "pack has format 2, this program reads format 1"
    );
    assert!(message(&|bytes| bytes[16] ^= 1).contains("its header does not have the digest"));
    assert!(message(&|bytes| bytes[last] ^= 1).contains("section `domain names`"));
    assert!(message(&|bytes| bytes.push(0)).contains("cut short or extended"));
    // Two rules in the wrong order, under digests that hold.
    let swapped = message(&|bytes| {
        let entry = layout::DIRECTORY_AT + layout::DIRECTORY_ENTRY_BYTES;
        let offset = u64::from_le_bytes(bytes[entry + 8..entry + 16].try_into().unwrap());
        let offset = usize::try_from(offset).unwrap();
        bytes[offset..offset + 2 * layout::RECORD_BYTES[1]].rotate_left(layout::RECORD_BYTES[1]);
        reseal(bytes);
    });
    assert!(swapped.contains("section `rules`"), "{swapped}");
}

#[test]
fn an_empty_or_wrong_version_is_refused() {
    for version in ["", "2026 1", "ä", &"1".repeat(65)] {
        assert!(Stamp::new(version, 0).is_err(), "{version}");
    }
}

#[test]
fn a_scan_is_bounded() {
    let bytes = compile(&rule_set(SMALL), &stamp()).unwrap();
    let pack = Pack::parse(&bytes).unwrap();
    let large = vec![0; counterseal_rules::limits::SCAN_BYTES_MAX + 1];
    assert!(Scanner::new(&pack).scan(&large).is_err());
}

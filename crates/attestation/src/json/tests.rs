//! Tests of reading and writing.

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::vec;
use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

const SMALL: Limits = Limits {
    bytes_max: 1024,
    depth_max: 4,
};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    count: u64,
    inner: Option<Inner>,
    #[serde(default)]
    list: Vec<Inner>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    colour: Colour,
    #[serde(default)]
    pair: Option<(u8, u8)>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Green,
    Red,
}

#[derive(Serialize)]
struct Odd {
    map: BTreeMap<(u8, u8), u8>,
}

fn outer(text: &str) -> Result<Outer, JsonError> {
    parse(text.as_bytes(), SMALL)
}

fn refused(text: &str) -> String {
    outer(text).expect_err(text).to_string()
}

#[test]
fn duplicate_keys_are_refused_at_any_depth_and_however_they_are_spelt() {
    for (text, path, key) in [
        (r#"{"a":1,"a":1}"#, "$", "a"),
        (r#"{"a":1,"\u0061":2}"#, "$", "a"),
        (r#"{"x":{"y":[0,{"a":1,"b":2,"a":3}]}}"#, "$.x.y[1]", "a"),
        (r#"[[{"":0,"":0}]]"#, "$[0][0]", ""),
    ] {
        assert_eq!(
            parse_value(text.as_bytes(), SMALL),
            Err(JsonError::DuplicateKey {
                path: path.into(),
                key: key.into()
            }),
            "{text}"
        );
    }
    // The same key in different objects, and keys that differ in case, are different keys.
    assert!(parse_value(br#"{"a":{"a":{"a":0}},"A":0}"#, SMALL).is_ok());
}

#[test]
fn a_field_that_the_type_ignores_is_still_watched() {
    assert!(matches!(
        outer(r#"{"count":1,"inner":{"colour":"green","other":{"a":1,"a":2}}}"#),
        Err(JsonError::DuplicateKey { .. })
    ));
}

#[test]
fn depth_is_counted_in_containers() {
    assert!(parse_value(b"[[[[0]]]]", SMALL).is_ok());
    assert_eq!(
        parse_value(br#"[{"a":[[ [] ]]}]"#, SMALL),
        Err(JsonError::TooDeep {
            depth_max: 4,
            path: "$[0].a[0][0]".into()
        })
    );
    let none = Limits {
        bytes_max: 10,
        depth_max: 0,
    };
    assert!(parse_value(b"7", none).is_ok());
    assert!(parse_value(b"[]", none).is_err());
}

#[test]
fn a_million_brackets_stop_at_the_limit() {
    let text = "[".repeat(1_000_000);
    let limits = Limits {
        bytes_max: usize::MAX,
        depth_max: usize::MAX,
    };
    assert!(matches!(
        parse_value(text.as_bytes(), limits),
        Err(JsonError::TooDeep {
            depth_max: DEPTH_CEILING,
            ..
        })
    ));
}

#[test]
fn size_is_checked_before_anything_else() {
    let text = vec![0xff; 1025];
    assert_eq!(
        parse_value(&text, SMALL),
        Err(JsonError::TooLarge {
            bytes_max: 1024,
            found_bytes: 1025
        })
    );
}

#[test]
fn broken_texts_are_refused() {
    assert_eq!(
        parse_value(b"\"\xff\"", SMALL),
        Err(JsonError::NotUtf8 { offset: 1 })
    );
    assert_eq!(
        parse_value(b"\xef\xbb\xbf{}", SMALL),
        Err(JsonError::ByteOrderMark)
    );
    assert_eq!(
        parse_value(b"{}\n {}", SMALL),
        Err(JsonError::TrailingData { line: 2, column: 2 })
    );
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "+1",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "1e999",
        "tru",
        "\"\\ud800\"",
        "\"\\x41\"",
        "\"\n\"",
        "\"\0\"",
        "// x\n1",
        "/**/1",
        "\u{a0}1",
        "{\"a\" 1}",
        "nul",
    ] {
        let found = parse_value(text.as_bytes(), SMALL);
        assert!(
            matches!(found, Err(JsonError::Syntax { .. })),
            "{text:?}: {found:?}"
        );
    }
    assert!(parse_value(b"\x00", SMALL).is_err());
    assert!(parse_value(b"1 x", SMALL).is_err());
}

#[test]
fn syntax_errors_carry_their_position_once() {
    assert_eq!(
        parse_value(b"{\n  \"a\": x}", SMALL)
            .unwrap_err()
            .to_string(),
        "json syntax error at line 2, column 8: expected value"
    );
}

#[test]
fn each_structure_has_one_spelling() {
    assert!(outer(r#"{"count":1,"inner":{"colour":"green","pair":[1,2]}}"#).is_ok());
    for (text, message) in [
        (
            r"[1]",
            "json value $ is not acceptable: invalid type: array, expected struct Outer",
        ),
        (
            r#"{"count":1,"inner":["green"]}"#,
            "json value $.inner is not acceptable: invalid type: array, expected struct Inner",
        ),
        (
            r#"{"count":1,"inner":null}"#,
            "json value $.inner is not acceptable: null does not stand for an absent field",
        ),
        (
            r#"{"count":1,"inner":{"colour":{"green":null}}}"#,
            "json value $.inner.colour is not acceptable: invalid type: object, \
             expected enum Colour",
        ),
        (
            r#"{"count":1,"inner":{"colour":"Green"}}"#,
            "json value $.inner.colour is not acceptable: unknown variant `Green`, \
             expected `green` or `red`",
        ),
        (
            r#"{"count":1,"inner":{"colour":"green","pair":[1,2,3]}}"#,
            "json value $.inner.pair is not acceptable: invalid length 3, expected fewer items",
        ),
        (
            r#"{"inner":{"colour":"green"}}"#,
            "json object $ lacks the field count",
        ),
        (
            r#"{"count":1,"list":[{"colour":"green"},{}]}"#,
            "json object $.list[1] lacks the field colour",
        ),
        (
            r#"{"count":1,"Count":1}"#,
            "json object $ has the unknown field Count",
        ),
        (
            r#"{"count":1.0}"#,
            "json value $.count is not acceptable: invalid type: floating point `1.0`, expected u64",
        ),
        (
            r#"{"count":-1}"#,
            "json value $.count is not acceptable: invalid value: integer `-1`, expected u64",
        ),
        (
            r#"{"count":"1"}"#,
            "json value $.count is not acceptable: invalid type: string \"1\", expected u64",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
    assert!(outer(r#"{"count":18446744073709551616}"#).is_err());
    assert!(outer(r#"{"count":1e0}"#).is_err());
    assert!(outer(r#"{"count":null}"#).is_err());
    assert!(outer(r#"{"count":true}"#).is_err());
}

#[test]
fn messages_repeat_no_control_characters_and_no_endless_keys() {
    let message = refused("{\"count\":1,\"\\u001b[31mred\":2}");
    assert!(message.chars().all(|c| !c.is_control()), "{message}");
    let long = format!("{{\"count\":1,\"{}\":0}}", "k".repeat(900));
    assert!(refused(&long).len() < 300);
}

#[test]
fn canonical_texts_follow_rfc_8785() {
    // The sorting example of section 3.2.3, with the order given there.
    let value = json!({
        "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
        "\u{f6}": "Latin Small Letter O With Diaeresis",
    });
    let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
    let order = [
        "Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew",
    ];
    let places: Vec<_> = order.iter().map(|word| text.find(word).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");

    // The escapes of section 3.2.2.2.
    let value = json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{8}\t\u{c}\r\u{1f}\u{7f}\u{0}");
    assert_eq!(
        String::from_utf8(canonical(&value).unwrap()).unwrap(),
        "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\b\\t\\f\\r\\u001f\u{7f}\\u0000\""
    );
    assert_eq!(
        canonical(&json!({"b": [true, null, -7], "a": {}})).unwrap(),
        br#"{"a":{},"b":[true,null,-7]}"#
    );
}

#[test]
fn only_exact_integers_are_written() {
    for number in [0, INTEGER_MAX] {
        assert_eq!(canonical(&number).unwrap(), number.to_string().into_bytes());
    }
    let least = -9_007_199_254_740_991_i64;
    assert_eq!(canonical(&least).unwrap(), least.to_string().into_bytes());
    assert_eq!(
        canonical(&json!({"a": [INTEGER_MAX + 1]})),
        Err(JsonError::NotCanonical {
            path: "$.a[0]".into(),
            number: "9007199254740992".into()
        })
    );
    assert!(canonical(&(least - 1)).is_err());
    assert!(canonical(&1.0).is_err());
    assert!(canonical(&0.5).is_err());
    assert!(canonical(&i64::MIN).is_err());
    assert!(canonical(&u64::MAX).is_err());
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let mut value = json!(0);
    for _ in 0..DEPTH_CEILING {
        value = json!([value]);
    }
    assert!(canonical(&value).is_ok());
    assert!(matches!(
        canonical(&json!([value])),
        Err(JsonError::TooDeep { .. })
    ));

    let odd = Odd {
        map: BTreeMap::from([((1, 2), 3)]),
    };
    assert!(matches!(
        canonical(&odd),
        Err(JsonError::NotSerialisable { .. })
    ));
}

fn any_value() -> impl Strategy<Value = Value> {
    let integer = -9_007_199_254_740_991_i64..=9_007_199_254_740_991;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        any::<char>().prop_map(|c| Value::from(c.to_string())),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const WIDE: Limits = Limits {
    bytes_max: 1 << 20,
    depth_max: 16,
};

proptest! {
    #[test]
    fn canonical_text_round_trips(value in any_value()) {
        let text = canonical(&value).unwrap();
        let read: Value = parse(&text, WIDE).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(canonical(&read).unwrap(), text);
    }

    #[test]
    fn spacing_changes_nothing(value in any_value()) {
        let spaced = serde_json::to_vec_pretty(&value).unwrap();
        let read: Value = parse(&spaced, WIDE).unwrap();
        prop_assert_eq!(canonical(&read), canonical(&value));
    }

    #[test]
    fn a_doubled_member_is_refused_wherever_it_stands(
        value in any_value(), key in any::<String>(), before in 0usize..3,
    ) {
        let member = format!("{}:{}", json!(key), value);
        let mut text = format!("{{{member},{member}}}");
        for _ in 0..before {
            text = format!("{{\"in\":[{text}]}}");
        }
        let found = parse_value(text.as_bytes(), WIDE);
        let refused = matches!(found, Err(JsonError::DuplicateKey { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn the_depth_limit_is_exact(depth in 0usize..60, limit in 0usize..60) {
        let text = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        let limits = Limits { bytes_max: 1024, depth_max: limit };
        prop_assert_eq!(parse_value(text.as_bytes(), limits).is_ok(), depth <= limit);
    }

    #[test]
    fn no_input_panics(bytes: Vec<u8>) {
        let _ = parse::<Outer>(&bytes, WIDE);
        let _ = parse_value(&bytes, WIDE);
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json(text in r#"[\[\]{},:"\\0-9a-etrufalsn \n.+-]{0,24}"#) {
        if let Ok(value) = parse_value(text.as_bytes(), WIDE) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }
}

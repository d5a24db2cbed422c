//! Notes well and badly formed, well and badly signed.

use super::*;
use std::string::ToString as _;
use std::vec;

/// Signs by repeating the text under its number; enough to test the form.
struct Toy {
    name: &'static str,
    number: u8,
}

impl Toy {
    fn signature(&self, text: &[u8]) -> Vec<u8> {
        let mut signature = vec![self.number];
        signature.extend_from_slice(text);
        signature
    }
}

impl NoteSigner for Toy {
    fn name(&self) -> &str {
        self.name
    }
    fn key_id(&self) -> u32 {
        42
    }
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BoxedError> {
        if self.number == 0 {
            Err("token removed".into())
        } else {
            Ok(self.signature(text))
        }
    }
}

impl NoteVerifier for Toy {
    fn name(&self) -> &str {
        self.name
    }
    fn key_id(&self) -> u32 {
        42
    }
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        signature == self.signature(text)
    }
}

const ALICE: Toy = Toy {
    name: "alice.example",
    number: 1,
};
const BOB: Toy = Toy {
    name: "bob.example/log",
    number: 2,
};
/// Shares name and key id with Alice, but is another key.
const TWIN: Toy = Toy {
    name: "alice.example",
    number: 3,
};

const TEXT: &str = "first\n\nthird\n";

#[test]
fn a_note_opens_for_each_of_its_signers() {
    let note = sign(TEXT, &[&ALICE, &BOB]).unwrap();
    for known in [vec![&ALICE], vec![&BOB], vec![&BOB, &ALICE]] {
        let known: Vec<&dyn NoteVerifier> = known
            .into_iter()
            .map(|toy| -> &dyn NoteVerifier { toy })
            .collect();
        let opened = open(&note, &known).unwrap();
        assert_eq!(opened.text, TEXT);
        assert_eq!(opened.verified.len(), known.len());
    }
    assert_eq!(Note::parse(&note).unwrap().to_text(), note);
}

#[test]
fn a_note_of_strangers_names_them() {
    let note = sign(TEXT, &[&ALICE]).unwrap();
    for known in [&[][..], &[&BOB as &dyn NoteVerifier][..]] {
        let error = open(&note, known).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no known key signed the note; it carries signatures of: alice.example+0000002a"
        );
    }
}

#[test]
fn one_bad_signature_of_a_known_key_is_enough() {
    let note = sign(TEXT, &[&BOB, &ALICE]).unwrap();
    let opened = open(&note, &[&BOB, &TWIN]);
    assert!(matches!(opened, Err(NoteError::BadSignature { .. })));
    // Also when another line of the same key holds.
    let both = sign(TEXT, &[&ALICE, &TWIN]).unwrap();
    assert!(matches!(
        open(&both, &[&ALICE]),
        Err(NoteError::BadSignature { .. })
    ));
}

#[test]
fn of_keys_with_the_same_id_one_has_to_verify() {
    let note = sign(TEXT, &[&ALICE]).unwrap();
    assert!(open(&note, &[&TWIN, &ALICE]).is_ok());
}

#[test]
fn a_repeated_signature_counts_once() {
    let note = sign(TEXT, &[&ALICE, &ALICE]).unwrap();
    assert_eq!(open(&note, &[&ALICE]).unwrap().verified.len(), 1);
}

#[test]
fn sixteen_signatures_are_read_and_a_flood_is_not() {
    let line = |count: usize| vec![&ALICE as &dyn NoteSigner; count];
    assert!(open(&sign(TEXT, &line(16)).unwrap(), &[&ALICE]).is_ok());
    assert!(matches!(
        sign(TEXT, &line(SIGNATURES_MAX + 1)),
        Err(NoteError::TooManySignatures)
    ));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let note = sign(TEXT, &[&ALICE]).unwrap();
    for position in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            if let Ok(flipped) = core::str::from_utf8(&bytes) {
                assert!(
                    open(flipped, &[&ALICE]).is_err(),
                    "byte {position} bit {bit}"
                );
            }
        }
    }
}

#[test]
fn malformed_notes_are_refused() {
    let good = "text\n\n— name AAAAAAE=\n";
    assert!(Note::parse(good).is_ok());
    for bad in [
        "",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n\n",
        "text\n— name AAAAAAE=\n",
        "text\n\n— name AAAAAAE=",
        "text\n\n— name AAAAAAE=\n\n",
        "text\r\n\n— name AAAAAAE=\n",
        "te\0xt\n\n— name AAAAAAE=\n",
        "text\n\n- name AAAAAAE=\n",
        "text\n\n—name AAAAAAE=\n",
        "text\n\n— AAAAAAE=\n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— na+me AAAAAAE=\n",
        "text\n\n— na\u{a0}me AAAAAAE=\n",
        "text\n\n— name  AAAAAAE=\n",
        "text\n\n— name AAAAAAE= \n",
        "text\n\n— name AAAAAAE\n",
        "text\n\n— name AAAAAAF=\n",
        "text\n\n— name AAAAAA==\n",
        "text\n\n— name AAA=\n",
        "text\n\n— name \n",
    ] {
        assert!(Note::parse(bad).is_err(), "{bad:?}");
    }
    let long = format!("{}\n\n— name AAAAAAE=\n", "x".repeat(NOTE_BYTES_MAX));
    assert!(matches!(Note::parse(&long), Err(NoteError::TooLong { .. })));
}

#[test]
fn what_would_not_be_read_is_not_signed() {
    assert!(sign("no newline", &[&ALICE]).is_err());
    assert!(sign("", &[&ALICE]).is_err());
    assert!(sign(TEXT, &[]).is_err());
    assert!(sign("a\tb\n", &[&ALICE]).is_err());
    let nameless = Toy {
        name: "",
        number: 1,
    };
    assert!(matches!(
        sign(TEXT, &[&nameless]),
        Err(NoteError::KeyName { .. })
    ));
    let broken = Toy {
        name: "broken.example",
        number: 0,
    };
    assert!(matches!(
        sign(TEXT, &[&broken]),
        Err(NoteError::Signer { .. })
    ));
}

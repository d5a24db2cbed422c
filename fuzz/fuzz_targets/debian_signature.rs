//! A cleartext-signed document and a keyring by anyone: nothing verifies that nobody signed.
#![no_main]

use counterseal_attestation::UnixSeconds;
use counterseal_inputs::openpgp::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|inputs: (&[u8], &[u8])| {
    let (keyring, document) = inputs;
    if let Ok(keyring) = Keyring::parse(keyring) {
        let _ = keyring.verify_cleartext(document, UnixSeconds(1_700_000_000));
    }
});

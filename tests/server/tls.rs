//! A server behind TLS: with a certificate that we vouch for, and with one that nobody does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bonafide::detect::{EngineChoice, Scorer, ServerSettings, Token};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::fake::{BINARY, Fake, Fault, TOKEN, model, window, with};

/// A fake server behind TLS, and a file with the certificate that it shows.
fn behind_tls(folder: &Path, name: &str) -> (Fake, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![made.cert.der().clone()], key).unwrap());
    let over = move |connection| {
        let session = ServerConnection::new(config.clone()).unwrap();
        Box::new(StreamOwned::new(session, connection)) as _
    };
    (Fake::start_over(over, &[BINARY], -1), file)
}

#[test]
fn a_token_and_the_windows_go_to_the_server_that_we_vouch_for() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, certificate) = behind_tls(folder.path(), "server.pem");
    let (_other, others) = behind_tls(folder.path(), "other.pem");
    fake.set(Fault::WantsToken);
    let server = ServerSettings::new(&format!("https://{}", fake.server.address)).unwrap();
    let token = Some(Token::new(TOKEN).unwrap());
    let mut here = Scorer::open(model(), EngineChoice::Tract).unwrap();
    let expected = here.llr(&window(1)).unwrap();
    for (certificates, trusted) in [(Some(certificate), true), (Some(others), false), (None, false)] {
        let settings = with(ServerSettings { certificates, token: token.clone(), ..server.clone() });
        let mut scorer = Scorer::open(model(), settings).unwrap();
        let found = scorer.llr(&window(1)).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        // Opening judges windows there too.
        let asked = fake.take_requests();
        if trusted {
            assert_eq!((scorer.note(), asked.last()), (None, Some(&1)));
            assert!(scorer.engine().starts_with("fake 1.0 at https://"), "{}", scorer.engine());
        } else {
            let note = scorer.note().unwrap();
            assert!(note.contains("certificate") && asked.is_empty(), "{note} {asked:?}");
        }
    }
}

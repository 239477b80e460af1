//! A server that answers as it should.

use bonafide::detect::{Scorer, ServerSettings, Token};

use crate::fake::{BINARY, Fake, Fault, TOKEN, model, settings, window, with};

const PLAIN: &[&str] = &[];
const EXTENDED: &[&str] = &["classification", BINARY];

#[test]
fn json_or_bytes_together_or_one_by_one_the_scores_are_those_of_this_machine() {
    let mut here = Scorer::open(model(), bonafide::detect::EngineChoice::Tract).unwrap();
    let windows: Vec<Vec<f32>> = (0..40).map(window).collect();
    let windows: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
    let expected = here.llrs(&windows).unwrap();
    for (extensions, batch, requests) in
        [(PLAIN, -1, vec![16, 16, 8]), (EXTENDED, -1, vec![16, 16, 8]), (EXTENDED, 1, vec![1; 40])]
    {
        let fake = Fake::start(extensions, batch);
        let mut there = Scorer::open(model(), settings(&fake.server.url())).unwrap();
        assert_eq!(there.engine(), format!("fake 1.0 at {}", fake.server.url()));
        assert_eq!(there.note(), None);
        fake.take_requests();
        let found = there.llrs(&windows).unwrap();
        assert_eq!(fake.take_requests(), requests, "{extensions:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{extensions:?}: {found} instead of {expected}");
        }
    }
}

#[test]
fn a_token_opens_the_door() {
    let fake = Fake::start(&[], -1);
    fake.set(Fault::WantsToken);
    let server = ServerSettings::new(&fake.server.url()).unwrap();
    for (token, note) in [
        (None, Some("401 Unauthorized (it wants a token: BONAFIDE_SERVER_TOKEN)")),
        (Some("mellon"), Some("the token is not the right one")),
        (Some(TOKEN), None),
    ] {
        let token = token.map(|token| Token::new(token).unwrap());
        let scorer = Scorer::open(model(), with(ServerSettings { token, ..server.clone() })).unwrap();
        match note {
            None => assert_eq!(scorer.note(), None),
            Some(note) => assert!(scorer.note().unwrap().contains(note), "{:?}", scorer.note()),
        }
    }
}

#[test]
fn a_server_that_is_busy_for_a_moment_is_asked_again() {
    let fake = Fake::start(&[], -1);
    let mut scorer = Scorer::open(model(), settings(&fake.server.url())).unwrap();
    fake.take_requests();
    fake.set(Fault::BusyOnce);
    scorer.llr(&window(1)).unwrap();
    assert_eq!(scorer.note(), None);
    assert_eq!(fake.take_requests(), [1], "the second try was answered");
}

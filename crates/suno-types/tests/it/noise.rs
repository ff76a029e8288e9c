//! Bytes that nobody would send, and real bodies that were damaged: errors, never panics.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{fixtures, laws};

static BODIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| fixtures::bodies(&["decode/callback", "decode/record", "decode/envelope"]));

/// What can get into a body.
const PARTS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "\\",
    "1e999",
    "{\"task_id\":\"x\"}",
];

/// What happened to a body on its way.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Flip(Index, u8),
    Repeat(Index, Index),
    /// The end of another body behind the beginning of this one.
    Splice(Index, Vec<u8>, Index),
    Insert(Index, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
        (any::<Index>(), select(&**BODIES), any::<Index>())
            .prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
        (any::<Index>(), select(PARTS)).prop_map(|(at, what)| Damage::Insert(at, what)),
    ]
}

impl Damage {
    fn apply(&self, body: &mut Vec<u8>) {
        let places = body.len() + 1;
        match self {
            Self::Cut(at) => body.truncate(at.index(places)),
            Self::Flip(at, bits) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] ^= bits;
            }
            Self::Flip(..) => {}
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(places), to.index(places));
                let part = body[from.min(to)..from.max(to)].to_vec();
                body.splice(from..from, part);
            }
            Self::Splice(at, other, from) => {
                body.truncate(at.index(places));
                body.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Insert(at, what) => {
                let at = at.index(places);
                body.splice(at..at, what.bytes());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(body: Vec<u8>) {
        laws::check_decode(&body);
        laws::check_verify(&body);
    }

    #[test]
    fn damaged_bodies_are_decoded_or_refused(
        body in select(&**BODIES), damages in proptest::collection::vec(damage(), 1..4),
    ) {
        let mut body = body;
        for damage in damages {
            damage.apply(&mut body);
        }
        laws::check_decode(&body);
    }
}

#[test]
fn every_body_that_is_cut_anywhere_is_refused_or_decoded() {
    for body in fixtures::bodies(&["decode/callback"]) {
        for end in 0..=body.len().min(2_000) {
            laws::check_decode(&body[..end]);
        }
    }
}

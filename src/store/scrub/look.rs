//! Decodes what is kept of exchanges and looks at it by the rules, without changing anything.

use crate::base::coding;
use crate::store::reader::{ReadError, Reader};
use crate::store::scrub::{Policy, ScrubError, Shape, is_events};
use crate::store::stored::Leg;
use crate::store::vault::{Legs, VaultError};

/// Limit: a coded body once it is decoded; what comes after is not looked at.
const DECODED_MAX: usize = 64 << 20;

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Exchanges with something to hide.
    pub found: Vec<i64>,
    /// Exchanges that cannot be decoded.
    pub unreadable: Vec<i64>,
}

/// Looks at bodies and headers of each exchange.
pub(super) fn exchanges(
    reader: &Reader,
    seqs: &[i64],
    policy: &dyn Policy,
    on: &mut dyn FnMut(u64),
) -> Result<Looked, ScrubError> {
    let mut looked = Looked::default();
    for (n, seq) in (1..).zip(seqs) {
        match reader.shelf.borrow_mut().read(&reader.connection, *seq) {
            Ok(Some(legs)) if has_something(&legs, policy) => looked.found.push(*seq),
            Ok(_) => {}
            Err(VaultError::Damaged { .. }) => looked.unreadable.push(*seq),
            Err(VaultError::Sqlite(error)) => return Err(ReadError::from(error).into()),
        }
        on(n);
    }
    Ok(looked)
}

fn has_something(legs: &Legs, policy: &dyn Policy) -> bool {
    let attempts = legs.attempts.iter().flat_map(|attempt| [&attempt.request, &attempt.response]);
    // All are looked at, so that every value is known.
    let mut found = false;
    for leg in [&legs.request, &legs.response].into_iter().chain(attempts) {
        found |= leg_has(leg, policy);
    }
    found
}

fn leg_has(leg: &Leg, policy: &dyn Policy) -> bool {
    let mut found = leg.line.as_ref().is_some_and(|line| policy.part(line.as_bytes()).is_some());
    for (_, value) in leg.headers.iter().flatten() {
        found |= policy.part(value.as_bytes()).is_some();
    }
    let Some(whole) = leg.body.whole() else { return found };
    let clear =
        whole.coding.as_deref().map(|coding| coding::beginning(coding, &whole.bytes, DECODED_MAX));
    let body = clear.as_deref().unwrap_or(&whole.bytes);
    found |= policy.part(body).is_some();
    found | policy.whole(body, Shape { coding: None, events: is_events(body) }).is_some()
}

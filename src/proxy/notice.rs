//! What the pipeline tells `early`: that a request for an event stream is on its way to a provider.

use std::sync::OnceLock;

use crate::base::id::ExchangeId;
use crate::neutral::kind::Dialect;

/// Set once, when the stream has been asked for.
pub type Notice = OnceLock<Underway>;

/// A stream that has been asked for.
pub struct Underway {
    pub dialect: Dialect,
    pub id: ExchangeId,
}

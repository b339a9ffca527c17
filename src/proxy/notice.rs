//! What the pipeline tells `early`: that a request for an event stream is on its way to a provider.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;

use crate::exchange::opened::Opened;
use crate::neutral::kind::Dialect;

/// Set once, when the stream has been asked for.
pub type Notice = OnceLock<Underway>;

/// A stream that has been asked for.
pub struct Underway {
    pub dialect: Dialect,
    /// The head that it is opened with, if it is opened before its answer comes.
    pub head: HeaderMap,
    /// Told of all that is sent before that.
    pub opened: Arc<Opened>,
}

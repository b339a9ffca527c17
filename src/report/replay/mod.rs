//! What a replay needs of the gateway's records: the recordings that are to be sent again, from the store or from a file.

pub mod pairs;
pub mod runs;
pub mod source;

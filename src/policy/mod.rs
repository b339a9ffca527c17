//! Who may do what. Pure decisions.

pub mod identity;
pub mod redact;

//! Who may do what. Pure decisions.

pub mod capture;
pub mod identity;
pub mod redact;

//! The language read, and what its SQL finds.

mod finding;
mod reading;
mod records;

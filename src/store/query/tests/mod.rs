//! The language read, and what its SQL finds.

mod reading;

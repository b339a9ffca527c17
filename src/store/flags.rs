//! The bits of `exchange_records.flags`. Never changed once released.

/// Something was replaced by a placeholder in headers or bodies.
pub const REDACTED: i64 = 1;
/// The client's request is kept whole, as it was, and can be sent again.
pub const REPLAYABLE: i64 = 1 << 1;
/// What went to the provider differs from what the client sent, headers aside.
pub const MODIFIED: i64 = 1 << 2;
/// Retention leaves it alone.
pub const PINNED: i64 = 1 << 3;
/// A body was longer than what is kept of one.
pub const CUT: i64 = 1 << 4;
/// A body was wanted and let go, for want of memory, queue or disk.
pub const SHED: i64 = 1 << 5;
/// Bodies were kept, and removed later.
pub const REMOVED: i64 = 1 << 6;
/// The answer that the client got is byte for byte the provider's.
pub const ANSWER_SAME: i64 = 1 << 7;

//! What integration tests share.

pub mod certificates;
pub mod gateway;
pub mod proxy;
pub mod raw;
pub mod recordings;
pub mod upstream;

use std::time::Duration;

use pinhole::base::clock;

use self::raw::DEADLINE;

/// Looks again and again until `look` finds something; fails the test, naming `what`, when the deadline passes.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = clock::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now() < until, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

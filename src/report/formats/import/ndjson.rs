//! Our own lines.

use pinhole_replay::recording::Recording;

pub(super) fn recording(line: &[u8]) -> Result<Option<Recording>, String> {
    serde_json::from_slice(line).map(Some).map_err(|error| error.to_string())
}

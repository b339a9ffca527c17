//! Our own lines: an exchange each, as `captures export` and `captures show --as json` write them.

use pinhole_replay::recording::Recording;
use serde::Deserialize;

use crate::report::formats::export::SCHEMA_VERSION;

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    schema_version: u32,
}

pub(super) fn recording(line: &[u8]) -> Result<Option<Recording>, String> {
    let Version { schema_version } = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if schema_version > SCHEMA_VERSION {
        return Err(format!(
            "it has schema_version {schema_version}, this program reads up to {SCHEMA_VERSION}; use a newer one"
        ));
    }
    let recording: Recording = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if recording.id.is_empty() {
        return Err("it has no id".to_owned());
    }
    Ok(Some(recording))
}

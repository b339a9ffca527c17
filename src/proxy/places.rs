//! Waiting for a place: bounded, and refused with the limit's name when the wait runs out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::neutral::failure::{Code, Failure};
use crate::proxy::state::Snapshot;
use crate::upstream::provider::Provider;

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A place among the gateway's requests in flight.
pub async fn in_gateway(snapshot: &Snapshot) -> Result<OwnedSemaphorePermit, Failure> {
    let limits = &snapshot.settings.limits;
    permit(&snapshot.places, limits.wait).await.ok_or_else(|| {
        let text = format!(
            "{} requests are in flight and none ended within {:?}; retry later, or raise limits.in_flight",
            limits.in_flight_max, limits.wait
        );
        Failure::new(Code::Overloaded, text).retry_after(RETRY_AFTER)
    })
}

/// A place among one provider's, where it has a limit.
pub async fn at_provider(
    snapshot: &Snapshot,
    at: usize,
    provider: &Provider,
) -> Result<Option<OwnedSemaphorePermit>, Failure> {
    let Some(places) = snapshot.provider_places(at) else {
        return Ok(None);
    };
    let wait = snapshot.settings.limits.wait;
    let place = permit(places, wait).await.ok_or_else(|| {
        let text = format!(
            "{} requests to provider {} are in flight and none ended within {wait:?}; retry later, or raise its in_flight",
            provider.in_flight_max.unwrap_or_default(),
            provider.id
        );
        Failure::new(Code::ProviderOverloaded, text).retry_after(RETRY_AFTER)
    })?;
    Ok(Some(place))
}

async fn permit(places: &Arc<Semaphore>, wait: Duration) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
        return Some(permit);
    }
    tokio::time::timeout(wait, Arc::clone(places).acquire_owned()).await.ok()?.ok()
}

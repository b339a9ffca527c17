//! Learns the models of providers whose block lists none; a failure is kept for the catalogue and blocks nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::base::task;
use crate::proxy::state::{Learned, Shared};
use crate::upstream::control;
use crate::upstream::provider::Provider;

/// How long after a failed round the next one comes, at first.
const RETRY_FIRST: Duration = Duration::from_secs(15);

/// Runs until its task is dropped: one round at once and after each reload, then one each `discovery.every`.
pub async fn run(shared: Arc<Shared>) {
    let mut retry = RETRY_FIRST;
    loop {
        let settings = Arc::clone(&shared.snapshot().settings);
        if !settings.discovery.enabled {
            shared.replaced.notified().await;
            continue;
        }
        let asked =
            settings.providers.iter().filter(|provider| provider.discover && !provider.disabled);
        let tasks: Vec<_> = asked
            .map(|provider| {
                let provider = Arc::clone(provider);
                task::spawn("discovery", async move {
                    let found = ask(&provider).await;
                    (provider, found)
                })
            })
            .collect();
        let mut failed = false;
        for found in tasks {
            // A panic in one provider's answer must not end discovery for the others.
            let Ok((asked, found)) = found.await else {
                continue;
            };
            failed |= matches!(found, Learned::Failed(_));
            shared.learn(&asked, found);
        }
        let every = settings.discovery.every;
        let pause = if failed { retry.min(every) } else { every };
        retry = if failed { (retry * 2).min(every) } else { RETRY_FIRST };
        if let Ok(()) = tokio::time::timeout(pause, shared.replaced.notified()).await {
            retry = RETRY_FIRST;
        }
    }
}

async fn ask(provider: &Provider) -> Learned {
    match control::models(provider, 0).await {
        Ok(models) => {
            tracing::info!(provider = %provider.id, models = models.len(), "models discovered");
            Learned::Models(models)
        }
        Err(error) => {
            tracing::warn!(provider = %provider.id, %error, "its models could not be discovered; any model name is sent on to it");
            Learned::Failed(error.to_string())
        }
    }
}

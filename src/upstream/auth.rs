//! Outbound credentials: which headers carry them, and whose they are.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::base::headers::remove_all;
use crate::upstream::provider::{AuthMode, AuthScheme, Provider};

pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");
const CF_AIG_AUTHORIZATION: HeaderName = HeaderName::from_static("cf-aig-authorization");

/// The headers a client may put a credential in.
pub static CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY, API_KEY];

/// What the client sent that may be its own credential for the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCredential {
    /// It belongs to the gateway, or there is none: it never leaves.
    Withheld,
    /// It is the client's own and may go through where the provider's mode says so.
    Own,
}

/// Whose credential goes to this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// The client's headers go through as they came.
    Client,
    /// The provider's key at this index.
    Key(usize),
    Nothing,
}

/// Decides whose credential goes out. `client_sent`: a credential header is present; `gateway_has_keys`: then keyless
/// providers get nothing of a client's unless their mode is `passthrough`.
pub fn choose(
    provider: &Provider,
    client: ClientCredential,
    client_sent: bool,
    gateway_has_keys: bool,
) -> Outbound {
    let own = client == ClientCredential::Own && client_sent;
    let configured = if provider.keys.is_empty() || provider.auth == AuthScheme::None {
        Outbound::Nothing
    } else {
        Outbound::Key(0)
    };
    match provider.auth_mode {
        AuthMode::None => Outbound::Nothing,
        AuthMode::Passthrough if own => Outbound::Client,
        AuthMode::Override
            if own && provider.keys.is_empty() && provider.auth != AuthScheme::None =>
        {
            if gateway_has_keys {
                Outbound::Nothing
            } else {
                Outbound::Client
            }
        }
        AuthMode::Passthrough | AuthMode::Override => configured,
    }
}

/// Sets the outbound credential, after the provider's own headers and in place of whatever stood there.
pub fn apply(headers: &mut HeaderMap, provider: &Provider, outbound: Outbound) {
    if outbound == Outbound::Client {
        return;
    }
    remove_all(headers, |name| CREDENTIALS.contains(name));
    let Outbound::Key(index) = outbound else {
        return;
    };
    let Some(key) = provider.keys.get(index) else {
        return;
    };
    let (name, text) = match &provider.auth {
        AuthScheme::Bearer => (header::AUTHORIZATION, format!("Bearer {}", key.secret.reveal())),
        AuthScheme::XApiKey => (X_API_KEY, key.secret.reveal().to_owned()),
        AuthScheme::XGoogApiKey => (X_GOOG_API_KEY, key.secret.reveal().to_owned()),
        AuthScheme::Header(name) => (name.clone(), key.secret.reveal().to_owned()),
        AuthScheme::Hec => (header::AUTHORIZATION, format!("Splunk {}", key.secret.reveal())),
        AuthScheme::CfAigAuthorization => {
            (CF_AIG_AUTHORIZATION, format!("Bearer {}", key.secret.reveal()))
        }
        AuthScheme::None => return,
    };
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

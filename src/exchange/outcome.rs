//! How an exchange ended: exactly one of these, always.

/// The outcome of one exchange; the label `outcome` of metrics, logs and the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole answer was handed on, or the client left after its last event.
    Complete,
    /// The client left before the end.
    ClientCancelled,
    /// The provider answered with an error status, or said inside a 200 that it failed.
    UpstreamError,
    /// The provider's connection failed or broke.
    UpstreamReset,
    /// A wait ran out.
    Timeout,
    /// The gateway refused: bad request, unknown model, no key, overload.
    Rejected,
    /// A defect of the gateway, or its end in the middle of the exchange.
    GatewayError,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Complete,
        Self::ClientCancelled,
        Self::UpstreamError,
        Self::UpstreamReset,
        Self::Timeout,
        Self::Rejected,
        Self::GatewayError,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientCancelled => "client_cancelled",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamReset => "upstream_reset",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
            Self::GatewayError => "gateway_error",
        }
    }
}

//! The choices of a plan beside its targets: what each is called, how it is written, what can be chosen.

/// What can be changed beside the targets; their order is that of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    From,
    Limit,
    Pace,
    Repeat,
    Context,
    Cache,
    Length,
    MaxCost,
}

pub(super) const SETTINGS: [Setting; 8] = [
    Setting::From,
    Setting::Limit,
    Setting::Pace,
    Setting::Repeat,
    Setting::Context,
    Setting::Cache,
    Setting::Length,
    Setting::MaxCost,
];

impl Setting {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::From => "recordings",
            Self::Limit => "at most",
            Self::Pace => "pace",
            Self::Repeat => "repeat",
            Self::Context => "context",
            Self::Cache => "cache",
            Self::Length => "length",
            Self::MaxCost => "max cost",
        }
    }

    /// The plan's key.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::Limit => "limit",
            Self::MaxCost => "max_cost",
            other => other.label(),
        }
    }

    /// What an empty value means.
    pub(super) fn empty(self) -> &'static str {
        match self {
            Self::From => "a query; enter writes it",
            Self::Limit => "all of them",
            Self::MaxCost => "no limit",
            _ => "",
        }
    }

    /// How it is written, where it is written and not chosen.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::From => "a query, such as since:1d model:gpt-5*",
            Self::Limit => "so many recordings; empty: all",
            Self::Pace => "closed 4, recorded 2x, constant 5/s, poisson 5/s, one-by-one",
            Self::Repeat => "how often everything is sent, 1 to 1000",
            Self::MaxCost => "US dollars, such as 0.50; empty: no limit",
            Self::Context | Self::Cache | Self::Length => "",
        }
    }

    /// What can be chosen.
    pub(super) fn choices(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Pace => &[
                ("c", "closed 4: as soon as fewer than 4 are in flight", "set pace:closed 4"),
                ("o", "one by one", "set pace:one-by-one"),
                ("1", "as recorded", "set pace:recorded 1x"),
                ("2", "as recorded, twice as fast", "set pace:recorded 2x"),
                ("r", "at a rate: 5 a second", "set pace:poisson 5/s"),
                ("w", "write another", "write pace"),
            ],
            Self::Context => &[
                ("v", "verbatim: the recorded answers stay in histories", "set context:verbatim"),
                ("l", "live: the target's own answers are fed on", "set context:live"),
            ],
            Self::Cache => &[
                ("a", "as-is: the provider's cache as it happens to be", "set cache:as-is"),
                ("c", "cold: nothing can be read from it", "set cache:cold"),
                ("w", "warm: everything sent twice, the second counts", "set cache:warm"),
            ],
            Self::Length => &[
                ("f", "free: as long as the request lets it", "set length:free"),
                ("c", "capped: at most as long as recorded", "set length:capped"),
                ("m", "matched: as long as recorded, where it can be forced", "set length:matched"),
            ],
            Self::From | Self::Limit | Self::Repeat | Self::MaxCost => &[],
        }
    }
}

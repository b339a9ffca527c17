//! Who called which tools lately, how often, and what came of it: by tool and by agent.
//! Written by the operations API, read by the terminal; what either does not know of is passed over.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::exchange::signal::Signal;
use crate::report::overview::{Stretch, errors, is_failed};
use crate::store::recent::{Recent, Recents};
use crate::store::sketch::Sketch;

/// Limit: tools and agents that are named, the busiest.
const NAMED_MAX: usize = 200;

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    pub from_us: i64,
    pub until_us: i64,
    /// Nothing came in the window: this is the last time anything did.
    pub past: bool,
    /// Only the newest of the window were counted.
    pub cut: bool,
    /// Microseconds of one place of a series.
    pub step_us: i64,
    pub tools: Vec<Tool>,
    pub agents: Vec<Agent>,
}

/// One tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    pub name: String,
    /// Answers that call it, once or more often.
    pub exchanges: i64,
    /// Turns that brought a failed result, after an answer that called it.
    pub failed: i64,
    /// Turns that brought the result that the same call had given before.
    pub repeated: i64,
    /// Answers that call it, and a tool with arguments that do not fit.
    pub invalid: i64,
    pub sessions: i64,
    pub last_us: i64,
    /// Answers that call it over time, oldest first.
    pub series: Vec<i64>,
}

/// One client program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agent {
    /// Empty: none was recognised.
    pub name: String,
    pub exchanges: i64,
    pub errors: i64,
    pub sessions: i64,
    /// Answers that call tools.
    pub calling: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cost_nanousd: i64,
    pub duration_p50_us: Option<u64>,
    pub last_us: i64,
    pub series: Vec<i64>,
}

#[derive(Default)]
struct Counting {
    tool: Tool,
    sessions: HashSet<i64>,
}

#[derive(Default)]
struct Meeting {
    agent: Agent,
    sessions: HashSet<i64>,
    durations: Sketch,
}

/// Adds the window up in `steps` stretches.
pub fn calls(recents: &Recents, steps: usize) -> Calls {
    let stretch = Stretch::of(recents, steps);
    let mut tools: HashMap<String, Counting> = HashMap::new();
    let mut agents: HashMap<Option<u32>, Meeting> = HashMap::new();
    let errors = errors(recents);
    let mut parsed: HashMap<u32, Vec<String>> = HashMap::new();
    // What the session's last answer with calls called: the results come with a later turn.
    let mut called: HashMap<i64, u32> = HashMap::new();
    for row in &recents.rows {
        let meeting = agents.entry(row.agent).or_default();
        meeting.add(row, is_failed(&errors, row), &stretch);
        let before = row.session.and_then(|session| called.get(&session)).copied();
        for (signal, is_failure) in
            [(Signal::FailedToolResult, true), (Signal::RepeatedCall, false)]
        {
            let Some(at) = before.filter(|_| row.signals.has(signal)) else { continue };
            for name in parsed.get(&at).into_iter().flatten() {
                let tool = &mut tools.entry(name.clone()).or_default().tool;
                *(if is_failure { &mut tool.failed } else { &mut tool.repeated }) += 1;
            }
        }
        let Some(at) = row.tools else { continue };
        let names = parsed
            .entry(at)
            .or_insert_with(|| serde_json::from_str(recents.name(Some(at))).unwrap_or_default());
        for name in names.iter() {
            if let Some(counting) = tools.get_mut(name) {
                counting.add(row, &stretch);
            } else {
                tools.entry(name.clone()).or_default().add(row, &stretch);
            }
        }
        if let Some(session) = row.session {
            called.insert(session, at);
        }
    }
    Calls {
        from_us: stretch.from_us,
        until_us: recents.until_us,
        past: recents.past,
        cut: recents.cut,
        step_us: stretch.step_us,
        tools: named(tools.into_iter().map(|(name, counting)| {
            let sessions = count(counting.sessions.len());
            Tool { name, sessions, ..counting.tool }
        })),
        agents: met(agents, recents),
    }
}

fn named(tools: impl Iterator<Item = Tool>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = tools.collect();
    tools.sort_by(|one, other| {
        other.exchanges.cmp(&one.exchanges).then_with(|| one.name.cmp(&other.name))
    });
    tools.truncate(NAMED_MAX);
    tools
}

fn met(agents: HashMap<Option<u32>, Meeting>, recents: &Recents) -> Vec<Agent> {
    let mut agents: Vec<Agent> = agents
        .into_iter()
        .map(|(name, meeting)| Agent {
            name: recents.name(name).to_owned(),
            sessions: count(meeting.sessions.len()),
            duration_p50_us: meeting.durations.quantile(0.5),
            ..meeting.agent
        })
        .collect();
    agents.sort_by(|one, other| {
        other.exchanges.cmp(&one.exchanges).then_with(|| one.name.cmp(&other.name))
    });
    agents.truncate(NAMED_MAX);
    agents
}

impl Counting {
    fn add(&mut self, row: &Recent, stretch: &Stretch) {
        let tool = &mut self.tool;
        tool.exchanges += 1;
        tool.invalid += i64::from(row.signals.has(Signal::InvalidToolArguments));
        tool.last_us = tool.last_us.max(row.started_us);
        note(&mut tool.series, row, stretch);
        self.sessions.extend(row.session);
    }
}

impl Meeting {
    fn add(&mut self, row: &Recent, failed: bool, stretch: &Stretch) {
        let agent = &mut self.agent;
        agent.exchanges += 1;
        agent.errors += i64::from(failed);
        agent.calling += i64::from(row.tools.is_some());
        agent.input_tokens = agent.input_tokens.saturating_add(row.input_tokens);
        agent.output_tokens = agent.output_tokens.saturating_add(row.output_tokens);
        agent.cache_read_tokens = agent.cache_read_tokens.saturating_add(row.cache_read_tokens);
        agent.cost_nanousd = agent.cost_nanousd.saturating_add(row.cost_nanousd);
        agent.last_us = agent.last_us.max(row.started_us);
        note(&mut agent.series, row, stretch);
        self.durations.note(u64::try_from(row.duration_us).unwrap_or(0));
        self.sessions.extend(row.session);
    }
}

fn note(series: &mut Vec<i64>, row: &Recent, stretch: &Stretch) {
    series.resize(stretch.steps, 0);
    if let Some(sum) = series.get_mut(stretch.step(row)) {
        *sum += 1;
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, session: i64, tools: Option<u32>, signals: &[Signal]) -> Recent {
        let mut row = Recent {
            seq,
            started_us: seq * 1_000_000,
            duration_us: 1_000,
            session: Some(session),
            agent: Some(0),
            tools,
            ..Recent::default()
        };
        for signal in signals {
            row.signals.add(*signal);
        }
        row
    }

    #[test]
    fn results_count_at_the_tools_that_the_session_called_before() {
        let rows = vec![
            row(1, 1, Some(1), &[]),
            row(2, 2, Some(2), &[Signal::InvalidToolArguments]),
            row(3, 1, None, &[Signal::FailedToolResult]),
            row(4, 2, Some(2), &[Signal::RepeatedCall]),
            row(5, 3, None, &[Signal::RepeatedCall]),
        ];
        let names = ["codex", r#"["Grep"]"#, r#"["Grep","Read"]"#];
        let told = calls(&Recents::made_up(rows, &names, 60_000_000), 10);
        let of: Vec<(&str, [i64; 5])> = told
            .tools
            .iter()
            .map(|one| {
                let counts = [one.exchanges, one.failed, one.repeated, one.invalid, one.sessions];
                (one.name.as_str(), counts)
            })
            .collect();
        assert_eq!(of, [("Grep", [3, 1, 1, 1, 2]), ("Read", [2, 0, 1, 1, 1])]);
        assert_eq!(told.tools[0].series.iter().sum::<i64>(), 3);
        let agent = &told.agents[0];
        assert_eq!((agent.name.as_str(), agent.exchanges, agent.sessions), ("codex", 5, 3));
        assert_eq!((agent.calling, agent.errors, agent.last_us), (3, 0, 5_000_000));
    }
}

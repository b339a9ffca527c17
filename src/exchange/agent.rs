//! Which program called, told from its user agent. A closed set: what nobody knows is `other`, so that a client cannot
//! make up names for metrics and reports.

use std::cell::RefCell;

/// Beginnings and words of user agents, lower case, most telling first: programs before the libraries they are made of.
const AGENTS: [(&str, &str); 36] = [
    ("claude-cli/", "claude-code"),
    ("claude-code/", "claude-code"),
    ("codex_", "codex"),
    ("codex/", "codex"),
    ("codex-", "codex"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("opencode", "opencode"),
    ("cursor", "cursor"),
    ("cline", "cline"),
    ("roo-code", "roo-code"),
    ("kilo", "kilo-code"),
    ("continue", "continue"),
    ("aider", "aider"),
    ("zed/", "zed"),
    ("copilot", "copilot"),
    ("goose", "goose"),
    ("qwencode", "qwen-code"),
    ("openwebui", "open-webui"),
    ("open webui", "open-webui"),
    ("litellm", "litellm"),
    ("langchain", "langchain"),
    ("llama-index", "llama-index"),
    ("google-genai-sdk", "google-genai"),
    ("ai-sdk/", "ai-sdk"),
    ("openai/python", "openai-python"),
    ("openai/js", "openai-node"),
    ("anthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-node"),
    ("python-httpx", "httpx"),
    ("python-requests", "requests"),
    ("aiohttp", "aiohttp"),
    ("curl/", "curl"),
    ("go-http-client", "go"),
    ("mozilla/", "browser"),
    ("node", "node"),
];

/// Limit: bytes of a user agent that are looked at.
const LOOKED_AT: usize = 256;

/// Names found last: a program sends the same user agent with every call.
#[derive(Default)]
struct Met {
    known: Vec<(Box<[u8]>, &'static str)>,
    /// Where the next new one goes, once the list is full.
    next: usize,
}

/// Limit: user agents remembered by each thread.
const MET_MAX: usize = 16;

thread_local! {
    static MET: RefCell<Met> = RefCell::default();
}

/// As [`name`], without looking through the list again for one met before.
pub fn remembered(user_agent: Option<&[u8]>) -> &'static str {
    let Some(sent) = user_agent else { return name(None) };
    MET.with_borrow_mut(|met| -> &'static str {
        if let Some((_, name)) = met.known.iter().find(|(known, _)| **known == *sent) {
            return name;
        }
        let found = (Box::from(sent.get(..LOOKED_AT).unwrap_or(sent)), name(Some(sent)));
        let name = found.1;
        if met.known.len() < MET_MAX {
            met.known.push(found);
        } else if let Some(oldest) = met.known.get_mut(met.next) {
            *oldest = found;
            met.next = (met.next + 1) % MET_MAX;
        }
        name
    })
}

/// The name for the program behind `user_agent`; `none` without one.
pub fn name(user_agent: Option<&[u8]>) -> &'static str {
    let Some(text) = user_agent.filter(|text| !text.is_empty()) else {
        return "none";
    };
    let text = text.get(..LOOKED_AT).unwrap_or(text).to_ascii_lowercase();
    let known =
        AGENTS.iter().find(|(word, _)| memchr::memmem::find(&text, word.as_bytes()).is_some());
    known.map_or("other", |(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_what_they_send() {
        for (sent, expected) in [
            ("claude-cli/2.1.197 (external, cli)", "claude-code"),
            ("claude-code/2.1.197", "claude-code"),
            ("codex_exec/0.169.0 (Debian 12; x86_64) unknown", "codex"),
            ("GeminiCLI/0.61.0/gemini-3-pro (linux; x64)", "gemini-cli"),
            ("OpenAI/Python 3.51.0", "openai-python"),
            ("AsyncOpenAI/Python 3.51.0", "openai-python"),
            ("OpenAI/JS 6.49.0", "openai-node"),
            ("Anthropic/Python 2.10.0", "anthropic-python"),
            ("ai/6.0.326 ai-sdk/provider-utils/4.0.1 runtime/node.js/22", "ai-sdk"),
            ("google-genai-sdk/3.3.0 gl-python/3.11", "google-genai"),
            ("litellm/1.109.1", "litellm"),
            ("curl/8.5.0", "curl"),
            ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
            ("zgrab/0.x", "other"),
        ] {
            assert_eq!(name(Some(sent.as_bytes())), expected, "{sent}");
        }
        assert_eq!((name(None), name(Some(b""))), ("none", "none"));
        for n in 0..3 * MET_MAX {
            let sent = format!("curl/{n}");
            assert_eq!(remembered(Some(sent.as_bytes())), "curl");
            assert_eq!(remembered(Some(b"OpenAI/JS 6.49.0")), "openai-node");
        }
        MET.with_borrow(|met| assert_eq!(met.known.len(), MET_MAX));
        assert_eq!(name(Some(&[0xff; 10_000])), "other");
    }
}

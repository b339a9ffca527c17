//! A cache that did not help: the beginning of the prompt changed since the last turn, or the provider read nothing of it.

use crate::exchange::signal::Signal;
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::diff::prefix::{self, Agreement, Prefix};
use crate::report::{prose, words};

/// Prompts below this are not worth a word.
const WORTH_TOKENS: u64 = 2_048;

pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let signalled = case.row.signals.contains(&Signal::PrefixChanged.label());
    let prefix =
        case.context.before.as_deref().and_then(|before| prefix::compare(before, case.stored));
    match prefix {
        Some(prefix) => of_prefix(case, &prefix, signalled),
        None if signalled => Some(
            Finding::new(
                Class::CacheMiss,
                Place::Client,
                Confidence::Certain,
                "The prompt's beginning changed since the last turn, so the provider's cache did not help",
            )
            .seen("signal", Signal::PrefixChanged.label())
            .advise("`pinhole captures diff --turns SESSION` shows the first byte that changed"),
        ),
        None => None,
    }
}

fn of_prefix(case: &Case<'_>, prefix: &Prefix, signalled: bool) -> Option<Finding> {
    let read = prefix.told.cache_read_tokens.unwrap_or(0);
    let input = prefix.told.input_tokens.unwrap_or(0);
    // Where most of it was read, or there was little to read, nothing was missed.
    if input < WORTH_TOKENS && !signalled || read * 2 >= input && input > 0 {
        return None;
    }
    let finding = match &prefix.first_change {
        Some(change) => Finding::new(
            Class::CacheMiss,
            Place::Client,
            Confidence::Certain,
            format!(
                "The prompt's beginning changed at {} (byte {}): of {} tokens the provider read {} from its cache",
                change.path, prose::number(change.offset_after as u64), prose::number(input), prose::number(read)
            ),
        )
        .detail("prefix_changed")
        .seen("before", change.before.clone())
        .seen("after", change.after.clone())
        .advise("keep what stands early in the prompt the same from turn to turn: no times, counters or ids in instructions, tools in one order, history only appended"),
        None if prefix.agreement == Agreement::ReadLess => Finding::new(
            Class::CacheMiss,
            if prefix.key_changes.is_empty() { Place::Provider } else { Place::Client },
            Confidence::Likely,
            format!(
                "The prompt's beginning stayed the same, but the provider read only {} of {} tokens from its cache",
                prose::number(read), prose::number(input)
            ),
        )
        .detail(if prefix.key_changes.is_empty() { "not_read" } else { "key_changed" }),
        None => return None,
    };
    let stays = format!(
        "{} of {}",
        words::bytes(prefix.valid_bytes as u64),
        words::bytes(prefix.prompt_bytes as u64)
    );
    Some(finding.seen("unchanged", stays).seen("cache", prefix.says.clone()).advise(format!(
        "`pinhole captures diff {} {}` shows both prompts side by side",
        case.context.before.as_ref().map_or("ID", |before| before.row.id.as_str()),
        case.row.id
    )))
}

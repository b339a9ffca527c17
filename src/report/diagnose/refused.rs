//! The gateway itself said no, or failed: its codes, each with the remedy of the reference.

use crate::neutral::failure::{Code, Source};
use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::prose::{self, capital};

pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let kind = case.row.error_kind.as_deref();
    let code = Code::ALL.iter().copied().find(|code| Some(code.label()) == kind);
    match code {
        Some(Code::InternalError) => Some(defect(case)),
        Some(code) if code.source() != Source::Upstream => Some(refusal(case, code)),
        // Its end in the middle of an exchange is no defect, see `wire`.
        _ if case.row.outcome == "gateway_error" && kind != Some("interrupted") => {
            Some(defect(case))
        }
        _ => None,
    }
}

fn refusal(case: &Case<'_>, code: Code) -> Finding {
    let act_at = match code {
        Code::EndpointNotEnabled | Code::NoProvider | Code::ProviderNotFound => Place::Gateway,
        code if code.source() == Source::Client => Place::Client,
        _ => Place::Gateway,
    };
    let status = case.row.status.unwrap_or(code.status());
    let words = case.row.error_detail.as_deref().unwrap_or(code.meaning());
    // The message ends with the remedy, which comes below.
    let reason = words.split("; ").next().unwrap_or(words);
    let mut finding = Finding::new(
        Class::GatewayRefusal,
        Place::Gateway,
        Confidence::Certain,
        format!("The gateway refused the request ({status} {}): {reason}", code.label()),
    )
    .detail(code.label())
    .act_at(act_at)
    .seen("code", format!("{}: {}", code.label(), code.meaning()))
    .seen_perhaps("gateway's words", case.row.error_detail.clone())
    .seen(
        "request",
        format!(
            "{} {}, from {}",
            case.row.method,
            case.row.path,
            case.row.client_addr.as_deref().unwrap_or("an unknown address")
        ),
    );
    if case.row.queued_us >= 1_000 {
        let waited = prose::time(case.row.queued_us.unsigned_abs());
        finding = finding.seen("timing", format!("waited {waited} for a place"));
    }
    finding = finding.advise(code.remedy());
    finding = match code {
        Code::ModelNotFound => finding.advise(format!("`pinhole route {}` explains the whole decision", case.model())),
        Code::InvalidApiKey | Code::MissingApiKey => finding
            .advise("`curl -i http://127.0.0.1:8000/auth/me -H 'authorization: Bearer KEY'` tells whether a key is known")
            .advise("a key that belongs to the provider goes into the provider's block; the client's own gets through beside a gateway key in `x-pinhole-key`"),
        Code::Overloaded | Code::ProviderOverloaded => finding.advise("`pinhole_requests_in_flight` shows what holds the places; one slow provider can be bounded by its own `in_flight`"),
        Code::BodyTimeout => finding.advise("the client stopped sending its body: look at its network, or at a proxy before the gateway"),
        _ => finding,
    };
    finding.read_on("docs/errors.md")
}

fn defect(case: &Case<'_>) -> Finding {
    Finding::new(
        Class::GatewayError,
        Place::Gateway,
        Confidence::Certain,
        format!(
            "{}: this is a defect of the gateway",
            capital(case.row.error_detail.as_deref().unwrap_or("the gateway failed by itself"))
        ),
    )
    .seen("outcome", format!("closed as {}", case.row.outcome))
    .seen_perhaps("gateway's words", case.row.error_detail.clone())
    .advise(format!(
        "report it with the exchange id {} and the gateway's log of that time",
        case.row.id
    ))
    .advise("try again: a panic ends one exchange, not the gateway")
    .read_on("docs/errors.md")
}

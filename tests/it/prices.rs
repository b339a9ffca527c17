//! Prices from configuration to API: whose list counts, what users override, what is refused, what the commands do.

use std::net::SocketAddr;
use std::path::Path;

use pinhole::config::settings::Overrides;
use pinhole::neutral::usage::Usage;

use crate::command::{pinhole, text, write};
use crate::operations::listen;
use crate::support::gateway::{Gateway, Setting, settings};
use crate::support::raw::{self, Request, Response};
use crate::support::upstream::{Step, Upstream, answer};

const PROVIDERS: &str = r#"
[providers.openai]
apikey = "sk"
models = ["gpt-5", "house-1", "unknown"]
model_cost_map = [{ match = "house-*", as = "gpt-5", adjustment = 0.5 }]

[providers.eu]
baseurl = "http://127.0.0.1:9"
cost_basis = "azure-eu"
models = ["gpt-4.1"]

[providers.ollama]
models = ["gpt-5"]
"#;

const OWN: &str = r#"{ "version": "own-1", "date": "2026-11-20",
  "bases": { "openai": { "models": { "gpt-5": { "input": "2", "output": "20" } } } } }"#;

/// What 1000 tokens in and 100 out cost, and by which row.
fn cost(gateway: &Gateway, provider: &str, model: &str) -> Option<(i64, String, String)> {
    let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
    let snapshot = gateway.shared().snapshot();
    let amount = snapshot.settings.prices.book.price(provider, model, &usage, None)?;
    Some((amount.nanodollars.0, amount.basis.to_string(), amount.version.to_string()))
}

fn told(nano: i64, basis: &str, version: &str) -> (i64, String, String) {
    (nano, basis.to_owned(), version.to_owned())
}

#[tokio::test]
async fn each_provider_is_priced_by_its_own_list_and_exceptions() {
    let gateway = Gateway::start(PROVIDERS);
    let shipped = "2026-11-20";
    assert_eq!(cost(&gateway, "openai", "gpt-5"), Some(told(2_250_000, "openai/gpt-5", shipped)));
    assert_eq!(cost(&gateway, "openai", "house-1"), Some(told(1_125_000, "openai/gpt-5", shipped)));
    assert_eq!(cost(&gateway, "eu", "gpt-4.1"), Some(told(3_080_000, "azure-eu/gpt-4.1", shipped)));
    assert_eq!(cost(&gateway, "openai", "unknown"), None);
    assert_eq!(cost(&gateway, "ollama", "gpt-5"), None, "a local server bills nothing");
}

#[tokio::test]
async fn the_basis_follows_preset_address_and_endpoints() {
    let toml = r#"
        [providers.far]
        baseurl = "https://api.deepseek.com/v1"
        [providers.messages]
        baseurl = "https://llm.corp.example"
        compatibility = { anthropic_messages = true }
        [providers.mixed]
        baseurl = "https://llm.corp.example"
        compatibility = { anthropic_messages = true, openai_chat = true }
        [providers.none]
        baseurl = "https://llm.corp.example"
        cost_basis = "none"
        [providers.azure]
        baseurl = "https://x.openai.azure.com/openai"
        apikey = "k""#;
    let settings_of =
        |toml: &str| settings("pinhole.toml", toml, &Setting::default()).expect("fine");
    let bases = |toml: &str, provider: &str| {
        let settings = settings_of(toml);
        let billing = settings.prices.book.billing(provider).expect("configured").clone();
        billing.bases.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(bases(toml, "far"), ["deepseek"]);
    assert_eq!(bases(toml, "messages"), ["anthropic"]);
    assert_eq!(bases(toml, "mixed"), ["openai", "anthropic"]);
    assert_eq!(bases(toml, "azure"), ["azure"]);
    assert!(bases(toml, "none").is_empty());
    let off = format!("auto_cost_basis = false\n{toml}");
    assert!(bases(&off, "far").is_empty());
}

#[tokio::test]
async fn own_lists_lie_over_installed_over_shipped_and_follow_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("own.json");
    std::fs::write(&own, OWN).expect("written");
    let installed = r#"{ "version": "inst", "date": "2026-11-20", "bases": { "openai": { "models": {
        "gpt-5": { "input": "9", "output": "9" }, "unknown": { "input": "1", "output": "1" } } } } }"#;
    std::fs::write(folder.path().join("prices.json"), installed).expect("written");
    let overrides = Overrides { data_dir: Some(folder.path().to_owned()), ..Overrides::default() };
    let setting = Setting { overrides, ..Setting::default() };
    let toml = format!("[prices]\nfile = \"{}\"\n{PROVIDERS}", own.display());
    let gateway = Gateway::start_with("pinhole.toml", &toml, &setting);
    assert_eq!(cost(&gateway, "openai", "gpt-5"), Some(told(4_000_000, "openai/gpt-5", "own-1")));
    assert_eq!(
        cost(&gateway, "openai", "unknown"),
        Some(told(1_100_000, "openai/unknown", "inst"))
    );
    gateway.reload(PROVIDERS);
    assert_eq!(
        cost(&gateway, "openai", "gpt-5"),
        Some(told(2_250_000, "openai/gpt-5", "2026-11-20"))
    );
}

#[test]
fn faults_name_the_key_the_line_and_what_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, OWN.replace("\"2\"", "\"-2\"")).expect("written");
    let bad = bad.display();
    for (toml, words) in [
        (format!("[prices]\nfile = \"{bad}\""), "pinhole.toml:2:"),
        (format!("[prices]\nfile = \"{bad}\""), "line 2, column"),
        (format!("[prices]\nfile = \"{bad}\""), "gpt-5: input: not a price: negative"),
        ("[prices]\nfile = \"/nowhere.json\"".to_owned(), "/nowhere.json cannot be read"),
        ("[prices]\nfiles = \"x\"".to_owned(), "did you mean file?"),
        ("[prices]\nstale_after = \"soon\"".to_owned(), "prices.stale_after"),
    ] {
        let toml = format!("{toml}\n{PROVIDERS}");
        let findings = settings("pinhole.toml", &toml, &Setting::default()).expect_err("a fault");
        assert!(findings.to_string().contains(words), "{words}: {findings}");
    }
    for (from, to, words) in [
        (
            "azure-eu",
            "azure-ue",
            "providers.eu.cost_basis: no such price list; did you mean azure-eu",
        ),
        ("0.5", "-0.5", "adjustment"),
        ("0.5", "5000.0", "not a factor; write 0 to 1000"),
    ] {
        let toml = PROVIDERS.replace(from, to);
        let findings = settings("pinhole.toml", &toml, &Setting::default()).expect_err("a fault");
        assert!(findings.to_string().contains(words), "{words}: {findings}");
    }
    let lost = PROVIDERS.replace("as = \"gpt-5\"", "as = \"gtp-5\"");
    let odd = settings("pinhole.toml", &lost, &Setting::default()).expect("only odd").warnings;
    assert!(odd.to_string().contains("no such model on the price lists"), "{odd}");
    assert!(odd.to_string().contains("did you mean gpt-5"), "{odd}");
}

#[tokio::test]
async fn what_an_answer_cost_is_on_it_and_in_the_metrics() {
    let upstream = Upstream::start(|got| {
        let model = if got.text().contains("dear") { "dear" } else { "gpt-5-2025-08-07" };
        let body = r#"{"id":"c","object":"chat.completion","model":"MODEL","choices":[{"index":0,
            "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,
            "completion_tokens":500,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":200}}}"#;
        let body = body.replace("MODEL", model);
        vec![Step::Send(answer(200, &[("content-type", "application/json")], body))]
    })
    .await;
    let toml = format!(
        "[providers.up]\nbaseurl = \"{}\"\napikey = \"sk\"\ncost_basis = \"openai\"\n\
         models = [\"gpt-5\", \"dear\"]\n",
        upstream.url()
    );
    let gateway = Gateway::start(&toml);
    let ask_for = |model: &str| {
        let body = serde_json::json!({ "model": model, "messages": [] });
        Request::post("/v1/chat/completions").json(&body)
    };
    let (priced, _) = gateway.call(&ask_for("gpt-5")).await;
    let cost = priced.header("x-pinhole-cost").expect("a cost").to_owned();
    assert!(cost.parse::<f64>().expect("dollars") > 0.0, "{cost}");
    let (unpriced, _) = gateway.call(&ask_for("dear")).await;
    assert_eq!(unpriced.header("x-pinhole-cost"), None);
    let address = listen(&gateway).await;
    let metrics = ask(address, "/metrics", None).await.text();
    let has =
        |line: &str| assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    has(&format!("pinhole_cost_usd_total{{provider=\"up\",model=\"gpt-5\"}} {cost}"));
    has("pinhole_unpriced_total{provider=\"up\",model=\"dear\"} 1");
    gateway.reload(&toml.replace(
        "models = [",
        "model_cost_map = [{ match = \"dear\", as = \"gpt-5\" }]\nmodels = [",
    ));
    let (priced, _) = gateway.call(&ask_for("dear")).await;
    assert_eq!(priced.header("x-pinhole-cost"), Some(cost.as_str()), "after a reload");
}

async fn ask(address: SocketAddr, path: &str, tag: Option<&str>) -> Response {
    let mut request = Request::get(path).header("host", "127.0.0.1");
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    raw::send(address, &request).await
}

#[tokio::test]
async fn the_pricing_api_has_units_versions_and_tags() {
    let gateway = Gateway::start(PROVIDERS);
    let address = listen(&gateway).await;
    let all = ask(address, "/api/pricing", None).await;
    let body = all.json();
    assert_eq!(body["version"], "2026-11-20");
    assert_eq!(body["units"]["input"], "USD per 1M tokens");
    assert_eq!(body["bases"]["azure-eu"]["factor"], "1.1");
    assert!(body["models"].as_array().expect("rows").len() >= 200);
    let tag = all.header("etag").expect("a tag").to_owned();
    for sent in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = ask(address, "/api/pricing", Some(&sent)).await;
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{sent}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(ask(address, "/api/pricing", Some("\"old\"")).await.status, 200);

    let one = ask(address, "/api/pricing/gpt-5", None).await.json();
    assert_eq!(one["models"][0]["basis"], "openai");
    assert_eq!(one["models"][0]["input"], "1.25");
    assert_eq!(one["models"][0]["modes"]["priority"]["output"], "20");
    let slashed = ask(address, "/api/pricing/azure-eu/gpt-5", None).await.json();
    assert_eq!(slashed["models"].as_array().expect("rows").len(), 1);
    assert_eq!(slashed["models"][0]["input"], "1.375");
    let unknown = ask(address, "/api/pricing/org/nothing", None).await;
    assert_eq!((unknown.status, unknown.json()["models"].to_string().as_str()), (200, "[]"));
}

#[tokio::test]
async fn the_catalogue_has_the_price_of_one_token() {
    let gateway = Gateway::start(PROVIDERS);
    let list = gateway.send(&Request::get("/v1/models")).await.json();
    let row = |provider: &str, id: &str| {
        let rows = list["data"].as_array().expect("rows").iter();
        let mut rows = rows.filter(|row| row["id"] == id && row["owned_by"] == provider);
        rows.next().cloned().unwrap_or_else(|| panic!("{id} in {list}"))
    };
    let pricing = row("openai", "gpt-5")["pricing"].clone();
    assert_eq!(pricing["input"], "0.00000125");
    assert_eq!(pricing["output"], "0.00001");
    assert_eq!(pricing["input_cache_read"], "0.000000125");
    assert_eq!(pricing["web_search"], "0.01");
    assert!(pricing.get("input_cache_write").is_none(), "absent where there is none");
    assert_eq!(row("openai", "house-1")["pricing"]["input"], "0.000000625", "adjusted");
    assert_eq!(row("eu", "gpt-4.1")["cost_basis"], "azure-eu/gpt-4.1");
    assert!(row("openai", "unknown").get("pricing").is_none());
}

/// Runs the command: its exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = pinhole(folder, arguments).output().expect("the program");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_list_is_shown_compared_and_installed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (code, out, talk) = run(at, &["prices", "show", "gpt-5", "--basis", "openai", "--json"]);
    assert_eq!(code, Some(0), "without any configuration: {talk}");
    let row: serde_json::Value = serde_json::from_str(&out).expect("one row");
    assert_eq!((row["model"].as_str(), row["input"].as_str()), (Some("gpt-5"), Some("1.25")));
    assert!(run(at, &["prices", "show"]).1.lines().count() > 200);
    let eu = run(at, &["prices", "show", "--basis", "azure-eu"]).1;
    assert!(eu.lines().any(|line| line.starts_with("azure-eu/gpt-4.1 ")), "{eu}");
    let (code, _, talk) = run(at, &["prices", "show", "nothing"]);
    assert_eq!((code, talk.contains("no price for nothing")), (Some(1), true), "{talk}");
    let (code, _, talk) = run(at, &["prices", "show", "--basis", "opneai"]);
    assert_eq!((code, talk.contains("did you mean openai")), (Some(2), true), "{talk}");

    std::fs::write(at.join("new.json"), OWN).expect("written");
    let (code, out, talk) = run(at, &["prices", "diff", "new.json", "--data-dir", "data"]);
    assert_eq!(code, Some(0), "{talk}");
    assert!(out.contains("dearer   openai/gpt-5 input 1.25 -> 2 (+60.0%)"), "{out}");
    assert!(!at.join("data").exists(), "a comparison writes nothing");
    let (code, again, talk) = run(at, &["prices", "update", "new.json", "--data-dir", "data"]);
    assert_eq!((code, again), (Some(0), out), "{talk}");
    assert_eq!(std::fs::read_to_string(at.join("data/prices.json")).expect("installed"), OWN);
    assert_eq!(std::fs::read_dir(at.join("data")).expect("the folder").count(), 1);
    let shown = run(at, &["prices", "show", "gpt-5", "--data-dir", "data", "--json"]).1;
    assert!(
        shown.contains("\"version\":\"own-1\"") && shown.contains("\"input\":\"2\""),
        "{shown}"
    );

    std::fs::write(at.join("bad.json"), OWN.replace("output", "outputs")).expect("written");
    let (code, _, talk) = run(at, &["prices", "update", "bad.json", "--data-dir", "data"]);
    assert_eq!(code, Some(2));
    assert!(
        talk.contains("bad.json: line 2, column") && talk.contains("did you mean output?"),
        "{talk}"
    );
    assert_eq!(std::fs::read_to_string(at.join("data/prices.json")).expect("kept"), OWN);
    std::fs::write(at.join("blocked"), "a file").expect("written");
    assert_eq!(run(at, &["prices", "update", "new.json", "--data-dir", "blocked"]).0, Some(3));
}

#[test]
fn check_tells_lists_and_their_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = r#"{ "version": "old", "date": "2020-01-01", "replaces": true, "bases": {
        "openai": { "models": { "m": { "input": "1", "output": "1" } } } } }"#;
    std::fs::write(folder.path().join("old.json"), old).expect("written");
    let block = "[providers.openai]\napikey = \"file:key\"\n";
    std::fs::write(folder.path().join("key"), "sk").expect("written");
    write(folder.path(), &format!("[prices]\nfile = \"old.json\"\n{block}"));
    let (code, out, talk) = run(folder.path(), &["check"]);
    assert!(talk.contains("the newest price list is of 2020-01-01"), "{talk}");
    assert_eq!(code, Some(0), "age is no fault of the file: {talk}");
    assert!(out.contains("prices         old of 2020-01-01"), "{out}");
    write(folder.path(), &format!("[prices]\nfile = \"old.json\"\nstale_after = \"off\"\n{block}"));
    let (code, _, talk) = run(folder.path(), &["check"]);
    assert_eq!((code, talk.contains("newest price list")), (Some(0), false), "{talk}");

    std::fs::write(folder.path().join("prices.json"), "{").expect("written");
    let (code, _, talk) = run(folder.path(), &["check", "--data-dir", "."]);
    assert_eq!((code, talk.contains("prices.json: not used")), (Some(1), true), "{talk}");
}

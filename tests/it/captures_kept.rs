//! `pinhole captures` on what is damaged, pinned, labelled and filtered; the shape of one exchange as JSON; and that whatever
//! is written is its owner's alone.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::captures::{captures, configure, conversed, end, post, refused, told};
use crate::command::{Serving, text};
use crate::support::raw;
use crate::support::upstream::{Step, Upstream, json};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn ids(folder: &Path, query: &str) -> Vec<String> {
    let rows = lines(&told(folder, &["ls", "--json", "--where", query]));
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

fn database(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("data/pinhole.db")).expect("the store")
}

/// Spoils what the newest exchange brought: its request no longer reads, its answer does.
fn damage(folder: &Path) {
    let spoiled = "UPDATE bodies SET content = zeroblob(length(content)) \
                   WHERE seq = (SELECT max(seq) FROM bodies)";
    assert_eq!(database(folder).execute(spoiled, []).expect("an update"), 1);
}

#[tokio::test]
async fn what_is_damaged_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = conversed(folder.path()).await;
    damage(folder.path());
    let output = captures(folder.path(), &["export", "-o", "out.ndjson"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let talk = text(&output.stderr);
    assert!(talk.contains(&all[2]) && talk.contains("2 exchanges written"), "{talk}");
    assert!(talk.contains("1 exchange is damaged") && talk.contains("captures verify"), "{talk}");
    let written = std::fs::read_to_string(folder.path().join("out.ndjson")).expect("the file");
    assert_eq!(written.lines().count(), 2);
    let output = captures(folder.path(), &["export", "-o", "out.ndjson", "--json"]);
    let told = lines(&text(&output.stdout));
    assert_eq!((&told[0]["kind"], &told[0]["id"]), (&"damaged".into(), &all[2].as_str().into()));
    let total = told.last().expect("a total");
    assert_eq!((&total["exchanges"], &total["damaged"]), (&2.into(), &1.into()));
    // The other two bring the words too.
    let output = captures(folder.path(), &["grep", "of France", "--all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).lines().count() >= 2, "{output:?}");
    assert!(text(&output.stderr).contains(&all[2]), "{output:?}");
    let output = captures(folder.path(), &["show", &all[2]]);
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(page.contains("session    travel") && page.contains("slow down"), "{page}");
    assert!(page.contains("damaged and cannot be read back"), "{page}");
    assert!(text(&output.stderr).contains("the client's request is damaged"), "{output:?}");
    let shown = captures(folder.path(), &["show", &all[2], "--json"]);
    let document = &lines(&text(&shown.stdout))[0];
    assert!(!document["damage"].as_array().expect("a list").is_empty(), "{document}");
    valid(document);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_a_failed_check() {
    let folder = tempfile::tempdir().expect("a folder");
    conversed(folder.path()).await;
    let file = folder.path().join("data/pinhole.db");
    std::fs::write(&file, "no database, but long enough to be looked at ".repeat(99)).expect("it");
    refused(folder.path(), &["verify"], 1, "is damaged from its beginning");
    let output = captures(folder.path(), &["verify", "--json"]);
    assert_eq!(lines(&text(&output.stdout)).last().expect("a total")["ok"], false);
}

#[tokio::test]
async fn pins_keep_what_retention_and_prune_would_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = conversed(folder.path()).await;
    told(folder.path(), &["label", &all[0], "--pin"]);
    assert_eq!(ids(folder.path(), "pinned:true"), [all[0].clone()]);
    assert!(told(folder.path(), &["show", &all[0]]).contains("pinned"));
    told(folder.path(), &["prune", "--where", "model:*", "--bodies-only", "--yes"]);
    told(folder.path(), &["show", &all[0], "--raw", "request"]);
    refused(folder.path(), &["show", &all[1], "--raw", "request"], 1, "removed later");
    let talk = captures(folder.path(), &["diagnose", &all[1]]);
    assert!(text(&talk.stdout).contains("they were removed"), "{talk:?}");
    told(folder.path(), &["prune", "--where", "model:*", "--yes"]);
    assert_eq!(ids(folder.path(), ""), [all[0].clone()]);
    told(folder.path(), &["label", &all[0], "--unpin"]);
    told(folder.path(), &["prune", "--where", "model:*", "--yes"]);
    assert!(ids(folder.path(), "").is_empty());
}

#[tokio::test]
async fn a_sessions_labels_are_on_all_its_exchanges_until_they_are_taken_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = conversed(folder.path()).await;
    told(folder.path(), &["label", "--session", "travel", "trip"]);
    told(folder.path(), &["label", &all[1], "good"]);
    assert_eq!(ids(folder.path(), "label:trip").len(), 3);
    for id in &all {
        let page = told(folder.path(), &["show", id]);
        assert!(page.contains("trip") && page.contains("of the session"), "{page}");
        let document = &lines(&told(folder.path(), &["show", id, "--json"]))[0];
        let labels = document["labels"].as_array().expect("a list");
        let trip = labels.iter().find(|label| label["name"] == "trip").expect("it");
        assert_eq!(trip["on"], "session");
        valid(document);
    }
    // A session's label stays with the session: an import does not put it on exchanges.
    told(folder.path(), &["export", "-o", "out.ndjson"]);
    told(folder.path(), &["import", "out.ndjson", "--data-dir", "other", "--json"]);
    let rows = lines(&told(folder.path(), &["ls", "--json", "--data-dir", "other"]));
    let labels: Vec<&Value> = rows.iter().map(|row| &row["labels"]).collect();
    let none = serde_json::json!([]);
    assert_eq!(labels, [&none, &serde_json::json!(["good"]), &none]);
    told(folder.path(), &["label", "--session", "travel", "trip", "--remove"]);
    assert!(ids(folder.path(), "label:trip").is_empty());
}

#[tokio::test]
async fn filters_and_json_are_taken_or_refused_with_the_way_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = conversed(folder.path()).await;
    let stats = &lines(&told(folder.path(), &["stats", "--json", "--where", "status:429"]))[0];
    assert_eq!((&stats["exchanges"], &stats["bodies"]["exchanges"]), (&1.into(), &1.into()));
    let page = told(folder.path(), &["stats", "--where", "status:429"]);
    assert!(page.starts_with("exchanges   1 in 1 session") && !page.contains("database"), "{page}");
    let told_ = told(folder.path(), &["verify", "--where", "status:429"]);
    assert!(told_.contains("of 1 exchange,"), "{told_}");
    let import = ["import", "nothing.ndjson", "--where", "status:429"];
    refused(folder.path(), &import, 2, "captures export --data-dir DIR --where QUERY");
    refused(folder.path(), &["prune"], 2, "--older-than");
    refused(folder.path(), &["show", &all[0], "--attempt", "9"], 1, "has 1 attempt");
    let diff = told(folder.path(), &["diff", "last", "--where", "status:429", "--json"]);
    assert!(diff.contains(&all[2]), "{diff}");
    // Bodies that were let go are counted by reason.
    let shed = "UPDATE exchange_records SET flags = flags | 32";
    assert_eq!(database(folder.path()).execute(shed, []).expect("an update"), 3);
    let page = told(folder.path(), &["stats"]);
    assert!(page.contains("3 no room in the store's queue"), "{page}");
}

#[tokio::test]
async fn a_request_that_was_never_read_is_not_called_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    configure(folder.path(), &upstream.url(), "full");
    let serving = Serving::start(folder.path());
    let request = post("/v1/chat/completions").header("content-length", "99999999999");
    let response = raw::send(serving.address(), &request).await;
    assert_eq!(response.status, 413, "{response:?}");
    end(serving);
    let output = captures(folder.path(), &["grep", "anything"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).contains("capture.level"), "{output:?}");
    refused(folder.path(), &["show", "--raw", "request"], 1, "it was never read");
    let document = &lines(&told(folder.path(), &["show", "--json"]))[0];
    assert_eq!(document["request"]["body"]["reason"], "none");
    valid(document);
}

#[tokio::test]
async fn exchanges_as_json_have_the_shape_of_the_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = conversed(folder.path()).await;
    told(folder.path(), &["label", &all[0], "good=0.5", "--note", "n"]);
    let removed = format!("id:{}", all[1]);
    told(folder.path(), &["prune", "--where", &removed, "--bodies-only", "--yes"]);
    for id in &all {
        let document = told(folder.path(), &["show", id, "--as", "json"]);
        valid(&serde_json::from_str(&document).expect("JSON"));
    }
    let mut wrong: Value = lines(&told(folder.path(), &["show", &all[0], "--json"])).remove(0);
    wrong["attempts"][0]["n"] = "one".into();
    wrong["unheard"] = 1.into();
    wrong.as_object_mut().expect("an object").remove("seq");
    let told = check(&wrong);
    for place in ["$.attempts[0].n", "$.unheard", "$.seq"] {
        assert!(told.iter().any(|one| one.starts_with(place)), "{place}: {told:?}");
    }
}

#[tokio::test]
async fn whatever_is_written_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    conversed(folder.path()).await;
    let path = |name: &str| folder.path().join(name);
    let open = path("open");
    std::fs::create_dir(&open).expect("a folder");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o755)).expect("its mode");
    std::fs::write(path("out.har.part"), "of an export that was killed").expect("a file");
    told(folder.path(), &["export", "-o", "out.har"]);
    told(folder.path(), &["export", "-o", "out.ndjson"]);
    told(folder.path(), &["backup", "copy.db"]);
    told(folder.path(), &["import", "out.ndjson", "--data-dir", "open"]);
    let output = captures(folder.path(), &["restore", "copy.db", "--data-dir", "open"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("chmod 700"), "{output:?}");
    told(folder.path(), &["restore", "copy.db", "--data-dir", "new/store"]);
    let mode = |path: &Path| std::fs::metadata(path).expect("it").permissions().mode() & 0o777;
    for name in ["out.har", "out.ndjson", "copy.db"] {
        assert_eq!(mode(&path(name)), 0o600, "{name}");
    }
    for made in ["data", "open", "new/store"] {
        for file in std::fs::read_dir(path(made)).expect("a folder") {
            let file = file.expect("a file").path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    assert_eq!((mode(&path("data")), mode(&path("new/store"))), (0o700, 0o700));
}

fn valid(document: &Value) {
    let found = check(document);
    assert!(found.is_empty(), "{found:#?}");
}

/// What does not fit docs/exchange.schema.json; also members that it does not have, so that it names all.
fn check(document: &Value) -> Vec<String> {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/exchange.schema.json")).expect("a schema");
    let mut found = Vec::new();
    fits(&schema, &schema, document, "$", &mut found);
    found
}

/// The part of JSON Schema that the file uses; any other keyword is an error.
fn fits(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let object = schema.as_object().expect("a schema is an object");
    for (keyword, told) in object {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let name = told.as_str().and_then(|name| name.strip_prefix('#')).expect("inside");
                fits(root, root.pointer(name).expect("a definition"), value, place, found);
            }
            "const" => {
                if value != told {
                    found.push(format!("{place}: {value} is not {told}"));
                }
            }
            "enum" => {
                if !told.as_array().expect("a list").contains(value) {
                    found.push(format!("{place}: {value} is none of {told}"));
                }
            }
            "type" => {
                let one = [told.clone()];
                let types = told.as_array().map_or(&one[..], Vec::as_slice);
                if !types.iter().any(|one| is(one.as_str().expect("a name"), value)) {
                    found.push(format!("{place}: {value} is no {told}"));
                }
            }
            "required"
            | "properties"
            | "additionalProperties"
            | "items"
            | "minItems"
            | "maxItems" => {
                members(root, (keyword, told), value, place, found);
            }
            "oneOf" => {
                let tried = told.as_array().expect("a list").iter().map(|schema| {
                    let mut found = Vec::new();
                    fits(root, schema, value, place, &mut found);
                    found
                });
                let tried: Vec<Vec<String>> = tried.collect();
                if tried.iter().filter(|found| found.is_empty()).count() != 1 {
                    found.push(format!("{place}: fits not one of them: {tried:?}"));
                }
            }
            other => panic!("{place}: the keyword `{other}` is not understood"),
        }
    }
}

/// The keywords about what is inside an object or a list.
fn members(
    root: &Value,
    (keyword, told): (&str, &Value),
    value: &Value,
    place: &str,
    found: &mut Vec<String>,
) {
    match keyword {
        "required" => {
            for name in told.as_array().expect("a list") {
                let name = name.as_str().expect("a name");
                if value.is_object() && value.get(name).is_none() {
                    found.push(format!("{place}.{name}: is missing"));
                }
            }
        }
        "properties" => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let place = format!("{place}.{name}");
                match told.get(name) {
                    Some(schema) => fits(root, schema, inner, &place, found),
                    None => found.push(format!("{place}: is not in the schema")),
                }
            }
        }
        "additionalProperties" => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                fits(root, told, inner, &format!("{place}.{name}"), found);
            }
        }
        "items" => {
            for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
                fits(root, told, inner, &format!("{place}[{at}]"), found);
            }
        }
        "minItems" | "maxItems" => {
            let many = value.as_array().map(Vec::len).and_then(|many| u64::try_from(many).ok());
            let (many, bound) = (many.unwrap_or_default(), told.as_u64().expect("a number"));
            if value.is_array() && if keyword == "minItems" { many < bound } else { many > bound } {
                found.push(format!("{place}: has {many} items"));
            }
        }
        other => panic!("{place}: `{other}` is about nothing inside"),
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

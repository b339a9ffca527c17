//! The walls of the house, held as text: which module may import which, who may name a library, how large things get.
//!
//! It reads the repository as plain files and needs no crate of ours, so it runs in well under a second and works on a
//! tree that does not compile. Every rule proves first that it can fail, on a made-up offender, and then runs on the
//! repository. A finding names the rule, file and line, and the way out. To loosen a rule, edit its table here: that is
//! a visible diff, and reviewed as one.

mod walls;

use std::collections::{BTreeMap, BTreeSet};

use walls::rust::{body_of, closing, imports, is_word, words};
use walls::tree::{SourceFile, is_kind};
use walls::{Finding, Rule, hold};

// ---------------------------------------------------------------------------------------------------------- the tables

/// Lowest first. A module may import any layer above it in this list, and nothing of its own layer.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["neutral"],
    &["exchange", "dialect", "price"],
    &["store", "telemetry", "policy", "route", "upstream"],
    &["config", "observe", "hook", "report", "fleet"],
    &["proxy", "simulate"],
    &["tui", "admin"],
    &["cli"],
];

/// Library (a trailing `*` takes every name with that beginning) and the only places whose code may name it.
const CONTAINMENT: &[(&str, &[&str])] = &[
    ("rusqlite", &["src/store/"]),
    ("zstd", &["src/store/", "src/base/coding.rs", "replay/"]),
    ("flate2", &["src/base/coding.rs", "src/simulate/"]),
    ("brotli", &["src/base/coding.rs", "src/simulate/"]),
    ("reqwest", &["src/upstream/control.rs", "src/telemetry/otlp.rs", "src/tui/client.rs"]),
    ("hyper", &["src/proxy/", "src/simulate/", "src/upstream/"]),
    ("hyper_util", &["src/proxy/", "src/simulate/", "src/upstream/"]),
    ("axum", &["src/simulate/", "src/admin/", "src/proxy/"]),
    ("tokio_rustls", &["src/upstream/", "src/proxy/"]),
    ("rustls*", &["src/upstream/", "src/proxy/"]),
    ("opentelemetry*", &["src/telemetry/"]),
    ("tracing_opentelemetry", &["src/telemetry/"]),
    ("prometheus*", &["src/telemetry/"]),
    ("redis", &["src/fleet/"]),
    ("object_store", &["src/fleet/"]),
    ("parquet", &["src/fleet/"]),
    ("ratatui*", &["src/tui/"]),
    ("crossterm", &["src/tui/"]),
    ("clap*", &["src/cli/"]),
    ("toml", CONFIG_FORMATS),
    ("jsonc_parser", CONFIG_FORMATS),
    ("saphyr_parser", CONFIG_FORMATS),
    ("notify", &["src/config/"]),
    ("mimalloc", &["src/main.rs"]),
    (
        "pinhole_replay",
        &[
            "src/store/",
            "src/report/",
            "src/simulate/",
            "src/proxy/",
            "src/admin/runs.rs",
            "src/tui/screens/replay/",
            "src/tui/tests/",
            "src/cli/",
        ],
    ),
];

/// Scripts and the shipped provider catalogue are configuration too.
const CONFIG_FORMATS: &[&str] =
    &["src/config/", "src/simulate/", "src/upstream/catalog.rs", "replay/src/plan"];

/// Files that are one long table by nature, and may be longer than the cap.
const REGISTRIES: &[&str] = &[];

/// Files that a dialect lacks for a reason: file, the dialects without it, the reason.
const DIALECTS_LACK: &[(&str, &[&str], &str)] = &[
    (
        "usage_filter.rs",
        &["openai_responses", "openai_embeddings", "anthropic_messages", "gemini_generate"],
        "only chat lets a client ask for no usage chunk",
    ),
    ("stream.rs", &["openai_embeddings"], "embeddings do not stream"),
    (
        "messages.rs",
        &["openai_embeddings"],
        "vectors are no words, and what was embedded is rarely worth showing",
    ),
    ("calls.rs", &["openai_embeddings"], "embeddings call no tools"),
    ("error.rs", &["openai_embeddings"], "OpenAI's envelope is written by openai_chat"),
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 40;

/// Words that must not be committed. Split, so that this file does not contain them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("registry.", "npmjs"),
    concat!("registry.", "yarnpkg"),
    concat!("pypi.", "org"),
    concat!("python", "hosted.org"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("proxy.", "golang.org"),
    concat!("deb.", "debian.org"),
    concat!("\"resol", "ved\": \"http"),
    concat!("--index", "-url"),
    concat!("--regis", "try"),
];
// ------------------------------------------------------------------------------------------------------------ the rules

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

const IMPORTS_GO_DOWN: Rule = Rule {
    name: "imports go down only, none inside a layer",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.gateway() {
            let module = file.module();
            let Some(own) = module.first() else { continue };
            let Some(layer) = layer_of(own) else {
                findings.push(file.finding(1, format!("module `{own}` is in no layer")));
                continue;
            };
            for import in imports(file) {
                let Some(other) = import.path.first().filter(|other| *other != own) else {
                    continue;
                };
                if layer_of(other).is_none_or(|below| below >= layer) {
                    findings.push(file.finding(
                        file.line_at(import.offset),
                        format!("`{own}` imports `{other}`"),
                    ));
                }
            }
        }
        findings
    },
    way_out: "pass the value in from above, or move what both need into a lower layer; a new module needs a row in LAYERS",
};

#[test]
fn imports_go_down() {
    hold(
        &IMPORTS_GO_DOWN,
        &[
            &[("src/neutral/a.rs", "//! x\nuse crate::proxy::pipeline;")],
            &[("src/store/a.rs", "//! x\nuse crate::{base::id, policy::{a, b}};")],
            &[("src/route/a.rs", "//! x\nfn f() { let x = crate::cli::go(); }")],
            &[("src/base/a.rs", "//! x\nmod tests { use super::super::super::neutral::kind; }")],
            &[("src/helpers/mod.rs", "//! x\n")],
        ],
        &[
            ("src/cli/a.rs", "//! x\n// crate::nowhere\nuse crate::{base::{id, clock}, proxy};"),
            (
                "src/store/b.rs",
                "//! x\nuse super::db; use crate::store::codec;\nconst A: &str = \"crate::proxy::x\";",
            ),
        ],
    );
}

const LIBRARIES_STAY_BEHIND_THEIR_WALL: Rule = Rule {
    name: "a library is named only where the containment table says",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.shipped() {
            for (pattern, places) in CONTAINMENT {
                if places.iter().any(|place| file.path.starts_with(place)) {
                    continue;
                }
                for (offset, name) in library_uses(&file.code, pattern) {
                    findings.push(file.finding(
                        file.line_at(offset),
                        format!("`{name}` belongs to {}", places.join(", ")),
                    ));
                }
            }
        }
        findings
    },
    way_out: "call the module that owns the library; a new place needs a row in CONTAINMENT and a reason in the commit",
};

/// Where `code` names the crate: as the first part of a path, or alone after `use`.
fn library_uses<'a>(code: &'a str, pattern: &str) -> Vec<(usize, &'a str)> {
    let stem = pattern.trim_end_matches('*');
    let bytes = code.as_bytes();
    code.match_indices(stem)
        .filter_map(|(at, _)| {
            let end = code[at..]
                .bytes()
                .position(|byte| !is_word(byte))
                .map_or(code.len(), |length| at + length);
            let name = &code[at..end];
            let before = code[..at].trim_end();
            let is_whole = pattern.ends_with('*') || name == stem;
            let is_start = at == 0 || !(is_word(bytes[at - 1]) || bytes[at - 1] == b'.');
            let is_inner = before
                .strip_suffix("::")
                .is_some_and(|path| path.bytes().last().is_some_and(is_word));
            let is_path = code[end..].trim_start().starts_with("::");
            let is_import = before.ends_with("use") || before.ends_with("extern crate");
            (is_whole && is_start && !is_inner && (is_path || is_import)).then_some((at, name))
        })
        .collect()
}

#[test]
fn libraries_stay_behind_their_wall() {
    hold(
        &LIBRARIES_STAY_BEHIND_THEIR_WALL,
        &[
            &[("src/proxy/a.rs", "//! x\nuse rusqlite::Connection;")],
            &[("src/upstream/client.rs", "//! x\nfn f(c: &reqwest::Client) {}")],
            &[("src/config/a.rs", "//! x\n#[derive(clap::Parser)]\nstruct A;")],
            &[("src/route/a.rs", "//! x\nuse rustls_platform_verifier as v;")],
            &[("replay/src/a.rs", "//! x\nuse hyper;")],
        ],
        &[
            (
                "src/config/a.rs",
                "//! toml::x\nuse toml::Value; fn f() { x.notify(); let clap = 1; }",
            ),
            (
                "src/upstream/control.rs",
                "//! x\nuse reqwest::Client; use crate::config::notify::x;",
            ),
        ],
    );
}

const MODULES_FORM_NO_CYCLE: Rule = Rule {
    name: "no cycle between modules",
    find: |tree| {
        let modules: BTreeMap<String, &SourceFile> =
            tree.gateway().map(|file| (file.module().join("::"), file)).collect();
        let edges: BTreeMap<&str, BTreeSet<&str>> = modules
            .iter()
            .map(|(name, file)| (name.as_str(), targets(name, file, &modules)))
            .collect();
        let mut findings = Vec::new();
        for (name, file) in &modules {
            if let Some(path) = way_back(name, &edges) {
                findings.push(file.finding(1, path.join(" → ")));
            }
        }
        findings
    },
    way_out: "move what both need into a third module below them, or pass it as an argument",
};

/// The modules that `file` imports, tests left out. Arrows between a folder and its own files are structure, not imports.
fn targets<'a>(
    name: &str,
    file: &SourceFile,
    modules: &'a BTreeMap<String, &SourceFile>,
) -> BTreeSet<&'a str> {
    let tests_at = file.tests_at();
    let mut found = BTreeSet::new();
    for import in imports(file).into_iter().filter(|import| import.offset < tests_at) {
        let longest = (1..=import.path.len()).rev().map(|length| import.path[..length].join("::"));
        let Some((target, _)) = longest.into_iter().find_map(|path| modules.get_key_value(&path))
        else {
            continue;
        };
        let related = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}::"));
        if !related(name, target) && !related(target, name) {
            found.insert(target.as_str());
        }
    }
    found
}

/// The shortest way from `start` back to itself.
fn way_back<'a>(start: &str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let (own, _) = edges.get_key_value(start)?;
    let mut seen = BTreeSet::new();
    let mut paths = vec![vec![*own]];
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in path.last().and_then(|last| edges.get(last)).into_iter().flatten() {
                let mut extended = path.clone();
                extended.push(next);
                if next == own {
                    return Some(extended);
                }
                if seen.insert(*next) {
                    longer.push(extended);
                }
            }
        }
        paths = longer;
    }
    None
}

#[test]
fn modules_form_no_cycle() {
    hold(
        &MODULES_FORM_NO_CYCLE,
        &[&[
            ("src/base/a.rs", "//! x\nuse super::b::B;"),
            ("src/base/b.rs", "//! x\nuse crate::base::c::C;"),
            ("src/base/c.rs", "//! x\nuse crate::base::{a::A, d};"),
        ]],
        &[
            ("src/base/mod.rs", "//! x\npub mod a; use a::A;"),
            ("src/base/a.rs", "//! x\nuse super::Thing; use super::b::B;"),
            ("src/base/b.rs", "//! x\n#[cfg(test)]\nmod tests { use super::super::a::A; }"),
        ],
    );
}

const FILES_STAY_SHORT: Rule = Rule {
    name: "a file has at most 500 lines without its tests",
    find: |tree| {
        tree.shipped()
            .filter(|file| !REGISTRIES.contains(&file.path.as_str()))
            .filter_map(|file| {
                let lines = file.code[..file.tests_at()].lines().count();
                (lines > FILE_LINES_MAX)
                    .then(|| file.finding(lines, format!("{lines} lines, limit {FILE_LINES_MAX}")))
            })
            .collect()
    },
    way_out: "is it still about one subject? split it by subject; a table that only grows by rows may go into REGISTRIES",
};

#[test]
fn files_stay_short() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(500));
    let tested = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(500));
    hold(
        &FILES_STAY_SHORT,
        &[&[("src/base/a.rs", &long)]],
        &[("src/base/a.rs", &tested), ("src/base/tests.rs", &long)],
    );
}

const MAIN_STAYS_SHORT: Rule = Rule {
    name: "main.rs only parses, dispatches and returns the exit code",
    find: |tree| {
        let lines = |file: &SourceFile| file.text.lines().count();
        let too_long = tree.file("src/main.rs").filter(|file| lines(file) > MAIN_LINES_MAX);
        too_long
            .map(|file| file.finding(lines(file), format!("limit {MAIN_LINES_MAX} lines")))
            .into_iter()
            .collect()
    },
    way_out: "move the work into src/cli/",
};

#[test]
fn main_stays_short() {
    let long = "//! x\n".repeat(41);
    hold(
        &MAIN_STAYS_SHORT,
        &[&[("src/main.rs", &long)]],
        &[("src/main.rs", "//! x\nfn main() {}\n")],
    );
}

const FUNCTIONS_STAY_SHORT: Rule = Rule {
    name: "a function has at most 70 lines of code",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.rust() {
            for at in words(&file.code, "fn") {
                let Some(open) = body_of(&file.code, at) else {
                    continue;
                };
                let body = &file.code[at..closing(&file.code, open)];
                let lines = body.lines().filter(|line| !line.trim().is_empty()).count() + 1;
                if lines > FUNCTION_LINES_MAX {
                    let what = format!("{lines} lines, limit {FUNCTION_LINES_MAX}");
                    findings.push(file.finding(file.line_at(at), what));
                }
            }
        }
        findings
    },
    way_out: "would a decision and a deed be clearer apart? data belongs into a constant or a file",
};

#[test]
fn functions_stay_short() {
    let long = format!("//! x\nfn f(a: [u8; 4]) {{\n{}}}\n", "    let a = \"}\";\n".repeat(70));
    let short = format!("//! x\nfn f() {{\n{}}}\n", "    let a = '{';\n".repeat(60));
    hold(&FUNCTIONS_STAY_SHORT, &[&[("src/base/a.rs", &long)]], &[("src/base/a.rs", &short)]);
}

const FILES_SAY_WHAT_FOR: Rule = Rule {
    name: "every Rust file opens with `//!` and what it is for",
    find: |tree| {
        let silent = |file: &&SourceFile| !file.text.starts_with("//! ");
        tree.rust().filter(silent).map(|file| file.finding(1, "no module comment")).collect()
    },
    way_out: "say in one line what the file is for, and what it must not do",
};

#[test]
fn files_say_what_for() {
    hold(
        &FILES_SAY_WHAT_FOR,
        &[&[("src/base/a.rs", "use std::fmt;\n")]],
        &[("src/base/a.rs", "//! Ground.\n")],
    );
}

const NOTHING_UNFINISHED: Rule = Rule {
    name: "nothing unfinished, nothing silenced",
    find: |tree| {
        let mut findings = Vec::new();
        for file in &tree.files {
            for word in UNFINISHED {
                let marks = file
                    .text
                    .match_indices(word)
                    .map(|(at, _)| file.finding(file.line_at(at), *word));
                findings.extend(marks);
            }
            for mark in ["dbg!", "#[ignore"] {
                let marks = file
                    .code
                    .match_indices(mark)
                    .map(|(at, _)| file.finding(file.line_at(at), mark));
                findings.extend(marks);
            }
            for at in words(&file.code, "allow") {
                let line_start = file.code[..at].rfind('\n').map_or(0, |end| end + 1);
                let before = &file.code[line_start..at];
                if file.code[at..].starts_with("allow(")
                    && (before.contains("#[") || before.contains("#!["))
                {
                    findings.push(file.finding(file.line_at(at), "allow(…)"));
                }
            }
        }
        findings
    },
    way_out: "finish it, or open an issue and name its number; a lint is silenced by #[expect(lint, reason = \"…\")]",
};

#[test]
fn nothing_unfinished() {
    let marked = format!("//! x\n// {} later\n", UNFINISHED[0]);
    hold(
        &NOTHING_UNFINISHED,
        &[
            &[("src/base/a.rs", &marked)],
            &[("docs/a.md", UNFINISHED[1])],
            &[("src/base/a.rs", "//! x\nfn f() { dbg!(1); }")],
            &[("src/base/a.rs", "//! x\n#[test]\n#[ignore = \"slow\"]\nfn f() {}")],
            &[("src/base/a.rs", "//! x\n#![allow(dead_code)]")],
        ],
        &[(
            "src/base/a.rs",
            "//! x\n#[expect(dead_code, reason = \"x\")]\nfn allow(a: u8) { self.allow(a) }",
        )],
    );
}

const FOLDERS_HAVE_MOD_RS: Rule = Rule {
    name: "a module with files below it is a folder with mod.rs",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.shipped() {
            let stem = file.path.trim_end_matches(".rs");
            if tree.is_folder(stem) {
                findings.push(file.finding(1, format!("stands beside the folder {stem}/")));
            }
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let is_root = folder == "src" || folder == "replay/src";
            if !is_root && !tree.paths.contains(&format!("{folder}/mod.rs")) {
                findings.push(file.finding(1, format!("{folder}/ has no mod.rs")));
            }
        }
        findings
    },
    way_out: "move foo.rs to foo/mod.rs, so that the tree is what `ls` shows",
};

#[test]
fn folders_have_mod_rs() {
    hold(
        &FOLDERS_HAVE_MOD_RS,
        &[
            &[("src/base.rs", "//! x\n"), ("src/base/id.rs", "//! x\n")],
            &[("src/base/id.rs", "//! x\n")],
        ],
        &[("src/base/mod.rs", "//! x\n"), ("src/base/id.rs", "//! x\n")],
    );
}

const CODE_MAP_IS_COMPLETE: Rule = Rule {
    name: "every folder of src stands in the code map of docs/architecture.md",
    find: |tree| {
        let map = tree.file("docs/architecture.md").map_or("", |file| file.text.as_str());
        let folders: BTreeSet<&str> = tree
            .gateway()
            .filter_map(|file| file.path.rsplit_once('/'))
            .map(|(folder, _)| folder)
            .filter(|folder| *folder != "src")
            .collect();
        let missing = folders.into_iter().filter(|folder| {
            let name = folder.rsplit('/').next().unwrap_or(folder);
            !words(map, name).any(|at| map[at + name.len()..].starts_with('/'))
        });
        missing
            .map(|folder| Finding {
                place: format!("{folder}/"),
                what: "not in the code map".to_owned(),
            })
            .collect()
    },
    way_out: "add a line for the folder to the code map: what it is for, where to start reading",
};

#[test]
fn code_map_is_complete() {
    hold(
        &CODE_MAP_IS_COMPLETE,
        &[&[("docs/architecture.md", "database/ x"), ("src/base/mod.rs", "//! x\n")]],
        &[
            ("docs/architecture.md", "base/  the ground"),
            ("src/base/mod.rs", "//! x\n"),
            ("src/lib.rs", "//! x\n"),
        ],
    );
}

const LINKS_RESOLVE: Rule = Rule {
    name: "relative links in documents resolve",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.files.iter().filter(|file| is_kind(&file.path, "md")) {
            for (line, target) in links(&file.text) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let Some(whole) = joined(&file.path, path) else {
                    findings.push(file.finding(line, format!("`{target}` leaves the repository")));
                    continue;
                };
                if !tree.paths.contains(&whole) {
                    findings.push(file.finding(line, format!("no file `{whole}`")));
                } else if let Some(page) = tree.file(&whole)
                    && !anchor.is_empty()
                    && is_kind(&page.path, "md")
                    && !anchors(&page.text).contains(anchor)
                {
                    findings.push(file.finding(line, format!("no heading `#{anchor}` in {whole}")));
                }
            }
        }
        findings
    },
    way_out: "correct the link, or add the page it promises",
};

/// Relative link targets with their lines; fenced blocks hold examples, not links.
fn links(text: &str) -> Vec<(usize, &str)> {
    prose(text)
        .flat_map(|(number, line)| {
            line.match_indices("](").map(move |(at, _)| (number, &line[at + 2..]))
        })
        .filter_map(|(number, rest)| rest.split_once(')').map(|(target, _)| (number, target)))
        .filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// Numbered lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// `path` as seen from the folder of `from`; none when it leaves the repository.
fn joined(from: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors a forge makes of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn links_resolve() {
    hold(
        &LINKS_RESOLVE,
        &[
            &[("docs/a.md", "see [b](b.md)")],
            &[("docs/a.md", "see [b](../../b.md)")],
            &[("docs/a.md", "# One\nsee [b](#two)")],
        ],
        &[
            (
                "README.md",
                "[a](docs/a.md#life-of-a-request), [d](docs/), [w](https://example.org/x)\n```\n[x](nowhere)\n```\n",
            ),
            ("docs/a.md", "# Life of a `request`\n[up](../README.md)"),
        ],
    );
}

const DEPENDENCIES_HAVE_A_REASON: Rule = Rule {
    name: "every dependency says why it is there",
    find: |tree| {
        let mut findings = Vec::new();
        for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
            let mut inside = false;
            for (index, line) in file.text.lines().enumerate() {
                if line.starts_with('[') {
                    inside = line.trim_end().ends_with("dependencies]");
                } else if inside && line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    let reason = line.split_once(" # ").map_or("", |(_, reason)| reason.trim());
                    if reason.len() < 8 {
                        findings.push(file.finding(
                            index + 1,
                            line.split(['=', '.']).next().unwrap_or(line).trim(),
                        ));
                    }
                }
            }
        }
        findings
    },
    way_out: "end the line with `# ` and the reason: what it gives us that the standard library does not",
};

#[test]
fn dependencies_have_a_reason() {
    hold(
        &DEPENDENCIES_HAVE_A_REASON,
        &[
            &[("Cargo.toml", "[dev-dependencies]\nserde = \"1\"\n")],
            &[("replay/Cargo.toml", "[dependencies]\nserde = \"1\" # json\n")],
        ],
        &[(
            "Cargo.toml",
            "[package]\nname = \"x\"\n[dependencies]\nserde = \"1\" # typed configuration\n",
        )],
    );
}

const DIALECTS_ARE_PARALLEL: Rule = Rule {
    name: "every dialect has the same files",
    find: |tree| {
        let mut dialects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in tree.gateway() {
            if let Some((dialect, name)) =
                file.path.strip_prefix("src/dialect/").and_then(|inside| inside.split_once('/'))
            {
                dialects.entry(dialect).or_default().insert(name);
            }
        }
        let all: BTreeSet<&str> = dialects
            .values()
            .flatten()
            .copied()
            .filter(|name| !name.ends_with("tests.rs"))
            .collect();
        let lacking = |(dialect, names): (&&str, &BTreeSet<&str>)| {
            let is_due = |name: &&&str| {
                !DIALECTS_LACK
                    .iter()
                    .any(|(file, without, _)| file == *name && without.contains(dialect))
            };
            let missing: Vec<&str> = all.difference(names).filter(is_due).copied().collect();
            (!missing.is_empty()).then(|| Finding {
                place: format!("src/dialect/{dialect}/"),
                what: format!("lacks {}", missing.join(", ")),
            })
        };
        dialects.iter().filter_map(lacking).collect()
    },
    way_out: "put what the dialect does under the name the other dialects use for it",
};

#[test]
fn dialects_are_parallel() {
    hold(
        &DIALECTS_ARE_PARALLEL,
        &[&[
            ("src/dialect/a/mod.rs", "//! x"),
            ("src/dialect/a/peek.rs", "//! x"),
            ("src/dialect/b/mod.rs", "//! x"),
        ]],
        &[
            ("src/dialect/a/mod.rs", "//! x"),
            ("src/dialect/b/mod.rs", "//! x"),
            ("src/dialect/edit.rs", "//! x"),
        ],
    );
}

const INVARIANTS_ARE_HELD: Rule = Rule {
    name: "a test that docs/architecture.md names exists",
    find: |tree| {
        let Some(page) = tree.file("docs/architecture.md") else {
            return Vec::new();
        };
        let exists = |name: &str| {
            let function = |file: &SourceFile| {
                words(&file.code, name).any(|at| file.code[..at].ends_with("fn "))
            };
            tree.rust().any(function)
        };
        let rows =
            prose(&page.text).filter(|(_, line)| line.starts_with("| ") && line.contains("::"));
        // The last cell says what holds the row.
        let named = rows.flat_map(|(line, row)| {
            let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or(row);
            let quoted = cell.split('`').skip(1).step_by(2);
            quoted.filter(|code| code.contains("::")).map(move |code| (line, code))
        });
        named
            .filter(|(_, path)| !path.rsplit("::").next().is_some_and(exists))
            .map(|(line, path)| page.finding(line, format!("no test `{path}`")))
            .collect()
    },
    way_out: "name the test that holds the invariant, or write it",
};

#[test]
fn invariants_are_held() {
    hold(
        &INVARIANTS_ARE_HELD,
        &[&[
            ("docs/architecture.md", "| 1 | rule | `tidy::nobody` |"),
            ("tests/tidy.rs", "//! nobody\nfn somebody() {}"),
        ]],
        &[
            ("docs/architecture.md", "| 1 | rule | `tidy::somebody` |"),
            ("tests/tidy.rs", "//! x\nfn somebody() {}"),
        ],
    );
}

const NO_PLACE_IS_NAMED: Rule = Rule {
    name: "no committed text names a package registry's host or a path of one machine",
    find: |tree| {
        let mut findings = Vec::new();
        for file in &tree.files {
            for place in PLACES {
                findings.extend(
                    file.text
                        .match_indices(place)
                        .map(|(at, _)| file.finding(file.line_at(at), *place)),
                );
            }
        }
        findings
    },
    way_out: "leave registries to each machine's own settings; write paths relative to the repository",
};

#[test]
fn no_place_is_named() {
    let path = format!("see {}x", PLACES[0]);
    let lock = format!("  {}s://somewhere/x.tgz\",", PLACES[9]);
    hold(
        &NO_PLACE_IS_NAMED,
        &[&[("docs/a.md", &path)], &[("a/package-lock.json", &lock)]],
        &[("docs/a.md", "see docs/b.md")],
    );
}

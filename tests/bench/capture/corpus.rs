//! What the program's dictionaries are trained on: the shapes of four dialects around plain English and common code. It has
//! nothing of what the benchmark sends: other words, other names, other files.

use bytes::Bytes;
use pinhole::dialect::outline::outline;
use pinhole::store::capture::{AttemptIn, BodyIn, Captured, Content, Kind, LegIn};
use serde_json::{Value, json};

use super::heads;
use super::words::Dice;

const WORDS: &str = "the of and to a in is it you that he was for on are with as they be at one have this from or had by \
hot but some what there we can out other were all your when up use word how said an each she which do their time if will \
way about many then them would write like so these her long make thing see him two has look more day could go come did my \
sound no most number who over know water than call first people may down side been now find any new work part take get \
place made live where after back little only round man year came show every good me give our under name very through just \
form much great think say help low line before turn cause same mean differ move right boy old too does tell sentence set \
three want air well also play small end put home read hand port large spell add even land here must big high such follow \
act why ask men change went light kind off need house picture try us again animal point mother world near build self earth \
father head stand own page should country found answer school grow study still learn plant cover food sun four thought let \
keep eye never last door between city tree cross since hard start might story saw far sea draw left late run while press \
close night real life few stop open seem together next white children begin got walk example ease paper often always music \
those both mark book letter until mile river car feet care second group carry took rain eat room friend began idea fish \
mountain north once base hear horse cut sure watch color face wood main enough plain girl usual young ready above ever red \
list though feel talk bird soon body dog family direct pose leave song measure state product black short numeral class wind \
question happen complete ship area half rock order fire south problem piece told knew pass farm top whole king size heard \
best hour better true during hundred remember step early hold west ground interest reach fast five sing listen six table \
travel less morning ten simple several vowel toward war lay against pattern slow center love person money serve appear road \
map science rule govern pull cold notice voice fall power town fine certain fly unit lead cry dark machine note wait plan \
figure star box noun field rest correct able pound done beauty drive stood contain front teach week final gave green quick \
develop sleep warm free minute strong special mind behind clear tail produce fact street inch lot nothing course stay wheel \
full force blue object decide surface deep moon island foot yet busy test record boat common gold possible plane age dry \
wonder laugh thousand ago ran check game shape yes hot miss brought heat snow bed bring sit perhaps fill east weight \
language among file function error request response server client user message content model token value string default \
return result config option command output input code change update create delete should because however therefore please \
ensure provide include following based using without within current version available required instead multiple existing \
implementation directory project module import export package library method parameter argument variable type interface \
database query index cache memory thread process handler service endpoint header body status success failure exception \
documentation description example instructions important assistant task tool tools context analysis information data \
structure format specific support issue bug fix feature branch commit merge repository run running build install test tests \
check failing passed warning environment production development local remote network connection timeout retry limit";

const CODE: &[&str] = &[
    "def {0}(self, {1}: str, {2}: int = 0) -> None:\n    \"\"\"{3} {4}.\"\"\"\n    self.{1} = {1}\n    if not {2}:\n        raise ValueError(f\"{0} {{{1}}}\")\n    return self.{2}\n\n",
    "import os\nimport sys\nimport json\nfrom typing import Any, Dict, List, Optional\nfrom dataclasses import dataclass, field\n\nlogger = logging.getLogger(__name__)\n\n",
    "    for {0} in {1}.items():\n        if {0} is None:\n            continue\n        {2}.append({0})\n    return {2}\n",
    "class {0}Test(unittest.TestCase):\n    def test_{1}(self):\n        self.assertEqual({2}({1}), {3})\n\nif __name__ == \"__main__\":\n    main()\n",
    "export async function {0}({1}: string, {2}?: number): Promise<void> {\n  const {3} = await fetch(`/api/${{1}}`);\n  if (!{3}.ok) {\n    throw new Error(`{0} failed: ${{3}.status}`);\n  }\n  return {3}.json();\n}\n\n",
    "import React, { useState, useEffect } from 'react';\nimport { {0} } from './{1}';\n\nexport default function {2}({ {3} }: Props) {\n  const [{1}, set{1}] = useState<string | null>(null);\n  return (\n    <div className=\"{3}\">\n      {{1}}\n    </div>\n  );\n}\n",
    "const {0} = require('{1}');\nmodule.exports = { {2}, {3} };\nconsole.log({0}.{2});\n  it('should {3} {4}', async () => {\n    expect({0}).toEqual({1});\n  });\n",
    "pub fn {0}(&self, {1}: &str) -> Result<Option<{2}>, Error> {\n    let {3} = self.{1}.get({1})?;\n    match {3} {\n        Some({4}) => Ok(Some({4}.clone())),\n        None => Err(Error::NotFound),\n    }\n}\n\n",
    "use std::collections::HashMap;\nuse std::sync::Arc;\nuse serde::{Deserialize, Serialize};\n\n#[derive(Debug, Clone, Serialize, Deserialize)]\npub struct {0} {\n    pub {1}: String,\n    pub {2}: Option<u64>,\n}\n\nimpl {0} {\n    pub fn new({1}: String) -> Self {\n        Self { {1}, {2}: None }\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn {3}_{4}() {\n        assert_eq!({1}, {2});\n    }\n}\n",
    "package {0}\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\t\"net/http\"\n)\n\nfunc (s *{1}) {2}(ctx context.Context, {3} string) error {\n\tif err := s.{3}(ctx); err != nil {\n\t\treturn fmt.Errorf(\"{2}: %w\", err)\n\t}\n\treturn nil\n}\n\n",
    "public class {0} {\n    private final String {1};\n\n    @Override\n    public List<String> get{2}() throws Exception {\n        return this.{1}.stream().map({3}::new).collect(Collectors.toList());\n    }\n}\n",
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\nstatic int {0}(const char *{1}, size_t {2})\n{\n\tif ({1} == NULL)\n\t\treturn -1;\n\treturn {2} > 0 ? 0 : 1;\n}\n\n",
    "$ git status\nOn branch main\nYour branch is up to date with 'origin/main'.\n\nChanges not staged for commit:\n  (use \"git add <file>...\" to update what will be committed)\n\tmodified:   src/{0}/{1}.py\n\nno changes added to commit (use \"git add\" and/or \"git commit -a\")\n",
    "diff --git a/src/{0}.ts b/src/{0}.ts\nindex 83db48f..bf269f4 100644\n--- a/src/{0}.ts\n+++ b/src/{0}.ts\n@@ -{5},7 +{5},9 @@\n-  const {1} = {2};\n+  const {1} = {3}({2});\n",
    "total {5}\ndrwxr-xr-x  5 user user 4096 Jan 12 10:22 .\n-rw-r--r--  1 user user {5} Jan 12 10:22 {0}.json\n-rw-r--r--  1 user user {5} Jan 12 10:22 README.md\ndrwxr-xr-x 12 user user 4096 Jan 12 10:22 node_modules\n",
    "Traceback (most recent call last):\n  File \"/usr/lib/python3.12/{0}.py\", line {5}, in {1}\n    {2} = {3}({4})\nTypeError: {3}() missing 1 required positional argument: '{4}'\n",
    "error[E0308]: mismatched types\n  --> src/{0}.rs:{5}:17\n   |\n{5} |     let {1} = {2};\n   |                 ^^^^ expected `String`, found `&str`\n",
    "running {5} tests\ntest {0}::tests::{1} ... ok\ntest {0}::tests::{2}_{3} ... FAILED\n\ntest result: FAILED. {5} passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s\n",
    "# {0}\n\n## Installation\n\n```bash\nnpm install {1}\npip install {2}\ncargo build --release\n```\n\n- **{3}**: {4} {0}\n1. {1} the {2}\n",
    "SELECT {0}, COUNT(*) FROM {1} WHERE {2} = '{3}' GROUP BY {0} ORDER BY {4} DESC LIMIT 10;\n",
    "version: '3.8'\nservices:\n  {0}:\n    image: {1}:latest\n    ports:\n      - \"{5}:{5}\"\n    environment:\n      - NODE_ENV=production\n",
];

/// The corpus of one kind of exchange.
pub(crate) struct Corpus {
    dice: Dice,
    words: Vec<&'static str>,
}

impl Corpus {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), words: WORDS.split_whitespace().collect() }
    }

    fn word(&mut self) -> &'static str {
        let at = self.dice.below(1_000) * self.dice.below(1_000) / 1_000;
        self.words[at * self.words.len() / 1_000]
    }

    fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::new();
        while text.len() < bytes {
            let count = self.dice.between(4, 18);
            for n in 0..count {
                let word = self.word();
                if n == 0 {
                    text.push(word.as_bytes()[0].to_ascii_uppercase().into());
                    text.push_str(&word[1..]);
                } else {
                    text.push(' ');
                    text.push_str(word);
                }
            }
            text.push_str(
                self.dice.pick(&[". ", ". ", ", ", ".\n\n", ".\n- ", ": ", "?\n", "'s "]),
            );
        }
        text
    }

    fn source(&mut self, bytes: usize) -> String {
        let mut text = String::new();
        let first = self.dice.below(CODE.len());
        while text.len() < bytes {
            let shape = CODE[(first + self.dice.below(4)) % CODE.len()];
            let mut piece = shape.to_owned();
            for n in 0..5 {
                piece = piece.replace(&format!("{{{n}}}"), self.word());
            }
            text.push_str(&piece.replace("{5}", &self.dice.below(999).to_string()));
        }
        if self.dice.below(3) == 0 {
            // As tools that read files number their lines.
            let lines = text.lines().enumerate().map(|(n, line)| format!("{:6}→{line}\n", n + 1));
            return lines.collect();
        }
        text
    }

    fn tool(&mut self) -> Value {
        let name = self.dice.pick(&[
            "Read",
            "Write",
            "Edit",
            "Bash",
            "Grep",
            "Glob",
            "WebFetch",
            "WebSearch",
            "TodoWrite",
            "Task",
            "shell",
            "apply_patch",
            "update_plan",
            "read_file",
            "write_file",
            "search",
            "execute_command",
            "get_weather",
        ]);
        let mut properties = serde_json::Map::new();
        for _ in 0..self.dice.between(1, 6) {
            let name = self.dice.pick(&[
                "file_path",
                "path",
                "command",
                "content",
                "old_string",
                "new_string",
                "pattern",
                "query",
                "limit",
                "offset",
                "timeout",
                "description",
                "url",
                "prompt",
                "replace_all",
                "location",
            ]);
            let kind = self.dice.pick(&["string", "number", "boolean", "integer"]);
            let words = self.prose(60);
            properties.insert(name.to_owned(), json!({ "type": kind, "description": words }));
        }
        let required: Vec<&String> = properties.keys().take(1).collect();
        json!({ "name": name, "description": self.prose(300), "input_schema": { "type": "object",
            "properties": properties, "required": required, "additionalProperties": false,
            "$schema": "http://json-schema.org/draft-07/schema#" } })
    }

    fn arguments(&mut self) -> Value {
        let (path, file) = (self.word(), self.word());
        match self.dice.below(4) {
            0 => json!({ "file_path": format!("/home/user/project/src/{path}/{file}.py") }),
            1 => {
                json!({ "command": format!("cd /home/user/project && grep -rn \"{file}\" src/{path}"), "description": self.prose(30) })
            }
            2 => {
                json!({ "file_path": format!("/home/user/project/src/{path}.ts"), "old_string": self.source(100), "new_string": self.source(120) })
            }
            _ => {
                json!({ "pattern": format!("{path}.*{file}"), "path": "src", "output_mode": "content" })
            }
        }
    }

    fn pieces(&mut self, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut rest: Vec<char> = text.chars().collect();
        while !rest.is_empty() {
            let after = rest.split_off(self.dice.between(2, 14).min(rest.len()));
            pieces.push(rest.into_iter().collect());
            rest = after;
        }
        pieces
    }

    /// A short conversation's request and its answer.
    pub(crate) fn exchange(&mut self, dialect: &'static str, events: bool) -> Captured {
        let (request, answer) = match dialect {
            "anthropic" => (self.anthropic_request(), self.anthropic_answer(events)),
            "openai_responses" => (self.responses_request(), self.responses_answer(events)),
            "gemini" => (self.gemini_request(), self.gemini_answer(events)),
            _ => (self.chat_request(), self.chat_answer(events)),
        };
        self.captured(request, answer, Kind { dialect, events })
    }

    fn model(&mut self, dialect: &str) -> &'static str {
        let models: &[&'static str] = match dialect {
            "anthropic" => &[
                "claude-sonnet-4-5-20250929",
                "claude-opus-4-1-20250805",
                "claude-3-5-haiku-20241022",
            ],
            "gemini" => &["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash"],
            _ => &["gpt-5", "gpt-5-mini", "gpt-4o-mini", "gpt-4.1", "gpt-5-codex"],
        };
        self.dice.pick(models)
    }

    fn length(&mut self) -> usize {
        let one = self.dice.between(20, 1_200);
        self.dice.between(10, one)
    }

    fn anthropic_request(&mut self) -> String {
        let mut messages = Vec::new();
        for _ in 0..self.dice.between(1, 4) {
            let (length, bytes) = (self.length(), self.length() * 3);
            let id = format!("toolu_01{}", self.dice.id(22));
            messages.push(json!({ "role": "user", "content": [{ "type": "text", "text": self.prose(length) }] }));
            messages.push(json!({ "role": "assistant", "content": [{ "type": "text", "text": self.prose(length / 2) },
                { "type": "tool_use", "id": id, "name": "Read", "input": self.arguments() }] }));
            messages.push(json!({ "role": "user", "content": [
                { "tool_use_id": id, "type": "tool_result", "content": self.source(bytes), "is_error": false }] }));
        }
        let (tool, system) = (self.tool(), self.prose(300));
        json!({ "model": self.model("anthropic"), "max_tokens": 32000, "system": [{ "type": "text", "text": system }],
            "messages": messages, "tools": [tool], "metadata": { "user_id": format!("user_{}_account__session_{}", self.dice.id(40).to_lowercase(), self.dice.id(30)) },
            "temperature": 1, "stream": true, "thinking": { "type": "enabled", "budget_tokens": 31999 } }).to_string()
    }

    fn chat_request(&mut self) -> String {
        let mut messages = vec![
            json!({ "role": "system", "content": format!("You are a helpful assistant. {}", self.prose(200)) }),
        ];
        for _ in 0..self.dice.between(1, 4) {
            let (length, bytes) = (self.length(), self.length() * 3);
            let id = format!("call_{}", self.dice.id(24));
            messages.push(json!({ "role": "user", "content": self.prose(length) }));
            messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": id, "type": "function",
                "function": { "name": "read_file", "arguments": self.arguments().to_string() } }] }));
            messages
                .push(json!({ "role": "tool", "tool_call_id": id, "content": self.source(bytes) }));
        }
        let tool = self.tool();
        json!({ "model": self.model("chat"), "messages": messages, "tools": [{ "type": "function", "function": {
            "name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"], "strict": false } }],
            "tool_choice": "auto", "temperature": 0.7, "max_tokens": 4096, "max_completion_tokens": 1024, "top_p": 1,
            "response_format": { "type": "json_object" }, "stream": true, "stream_options": { "include_usage": true } }).to_string()
    }

    fn responses_request(&mut self) -> String {
        let mut input = Vec::new();
        for _ in 0..self.dice.between(1, 4) {
            let (length, bytes) = (self.length(), self.length() * 3);
            let id = format!("call_{}", self.dice.id(24));
            input.push(json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": self.prose(length) }] }));
            input.push(json!({ "type": "reasoning", "summary": [{ "type": "summary_text", "text": self.prose(80) }], "content": null, "encrypted_content": self.dice.id(60) }));
            input.push(json!({ "type": "function_call", "name": "shell", "arguments": self.arguments().to_string(), "call_id": id }));
            input.push(json!({ "type": "function_call_output", "call_id": id, "output": self.source(bytes) }));
            input.push(json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": self.prose(length) }] }));
        }
        let tool = self.tool();
        json!({ "model": self.model("responses"), "instructions": self.prose(300), "input": input, "tools": [{ "type": "function",
            "name": tool["name"], "description": tool["description"], "strict": false, "parameters": tool["input_schema"] }],
            "tool_choice": "auto", "parallel_tool_calls": false, "reasoning": { "effort": "medium", "summary": "auto" },
            "store": false, "stream": true, "include": ["reasoning.encrypted_content"], "prompt_cache_key": self.dice.id(36) }).to_string()
    }

    fn gemini_request(&mut self) -> String {
        let mut contents = Vec::new();
        for _ in 0..self.dice.between(1, 4) {
            let (length, bytes) = (self.length(), self.length() * 3);
            contents.push(json!({ "role": "user", "parts": [{ "text": self.prose(length) }] }));
            contents.push(json!({ "role": "model", "parts": [{ "functionCall": { "name": "read_file", "args": self.arguments() } }] }));
            contents.push(json!({ "role": "user", "parts": [{ "functionResponse": { "name": "read_file", "response": { "output": self.source(bytes) } } }] }));
        }
        let tool = self.tool();
        json!({ "contents": contents, "systemInstruction": { "role": "user", "parts": [{ "text": self.prose(300) }] },
            "tools": [{ "functionDeclarations": [{ "name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"] }] }],
            "generationConfig": { "temperature": 0, "topP": 1, "maxOutputTokens": 8192, "thinkingConfig": { "includeThoughts": true, "thinkingBudget": -1 } } }).to_string()
    }

    fn anthropic_answer(&mut self, events: bool) -> String {
        let (length, id, model) =
            (self.length(), format!("msg_01{}", self.dice.id(22)), self.model("anthropic"));
        let (text, arguments) = (self.prose(length), self.arguments());
        let tool = format!("toolu_01{}", self.dice.id(22));
        let usage = json!({ "input_tokens": self.dice.below(9_000), "cache_creation_input_tokens": self.dice.below(9_000),
            "cache_read_input_tokens": self.dice.below(90_000), "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
            "output_tokens": self.dice.below(900), "service_tier": "standard" });
        if !events {
            return json!({ "id": id, "type": "message", "role": "assistant", "model": model, "content": [{ "type": "text", "text": text },
                { "type": "tool_use", "id": tool, "name": "Bash", "input": arguments }], "stop_reason": "end_turn", "stop_sequence": null, "usage": usage }).to_string();
        }
        let mut all = Vec::new();
        let mut event =
            |name: &str, data: Value| all.push(format!("event: {name}\ndata: {data}\n\n"));
        event(
            "message_start",
            json!({ "type": "message_start", "message": { "model": model, "id": id, "type": "message", "role": "assistant",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage } }),
        );
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "thinking", "thinking": "", "signature": "" } }),
        );
        for piece in self.pieces(&text[..text.len() / 4]) {
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": piece } }),
            );
        }
        event(
            "content_block_delta",
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "signature_delta", "signature": self.dice.id(80) } }),
        );
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 }));
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "text", "text": "" } }),
        );
        event("ping", json!({ "type": "ping" }));
        for piece in self.pieces(&text) {
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": piece } }),
            );
        }
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 1 }));
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 2, "content_block": { "type": "tool_use", "id": tool, "name": "Read", "input": {} } }),
        );
        for piece in self.pieces(&arguments.to_string()) {
            event(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 2, "delta": { "type": "input_json_delta", "partial_json": piece } }),
            );
        }
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 2 }));
        event(
            "message_delta",
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use", "stop_sequence": null }, "usage": usage }),
        );
        event("message_stop", json!({ "type": "message_stop" }));
        all.concat()
    }

    fn chat_answer(&mut self, events: bool) -> String {
        let (length, id, model) =
            (self.length(), format!("chatcmpl-{}", self.dice.id(29)), self.model("chat"));
        let (text, arguments, created) =
            (self.prose(length), self.arguments(), 1_750_000_000 + self.dice.below(20_000_000));
        let call = format!("call_{}", self.dice.id(24));
        let usage = json!({ "prompt_tokens": self.dice.below(9_000), "completion_tokens": self.dice.below(900), "total_tokens": self.dice.below(9_900),
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 } });
        if !events {
            return json!({ "id": id, "object": "chat.completion", "created": created, "model": model, "choices": [{ "index": 0,
                "message": { "role": "assistant", "content": text, "refusal": null, "annotations": [] }, "logprobs": null, "finish_reason": "stop" }],
                "usage": usage, "service_tier": "default", "system_fingerprint": format!("fp_{}", self.dice.id(10).to_lowercase()) }).to_string();
        }
        let obfuscation = self.dice.below(2) == 0;
        let mut salt = Dice::new(created as u64);
        let mut all = Vec::new();
        let mut event = |delta: Value, finish: Value| {
            let mut data = json!({ "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "service_tier": "default",
                "system_fingerprint": null, "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }], "usage": null });
            if obfuscation {
                data["obfuscation"] = salt.id(6).into();
            }
            all.push(format!("data: {data}\n\n"));
        };
        event(json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null);
        for piece in self.pieces(&text) {
            event(json!({ "content": piece }), Value::Null);
        }
        event(
            json!({ "tool_calls": [{ "index": 0, "id": call, "type": "function", "function": { "name": "shell", "arguments": "" } }] }),
            Value::Null,
        );
        for piece in self.pieces(&arguments.to_string()) {
            event(
                json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] }),
                Value::Null,
            );
        }
        event(json!({}), "tool_calls".into());
        all.push(format!("data: {}\n\ndata: [DONE]\n\n", json!({ "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [], "usage": usage })));
        all.concat()
    }

    fn responses_answer(&mut self, events: bool) -> String {
        let (length, id, model) = (
            self.length(),
            format!("resp_{}", self.dice.id(48).to_lowercase()),
            self.model("responses"),
        );
        let (text, item) = (self.prose(length), format!("msg_{}", self.dice.id(48).to_lowercase()));
        let message = json!({ "id": item, "type": "message", "status": "completed", "content": [{ "type": "output_text", "annotations": [], "logprobs": [], "text": text }], "role": "assistant" });
        let response = json!({ "id": id, "object": "response", "created_at": 1_750_000_000 + self.dice.below(20_000_000), "status": "completed", "background": false,
            "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "model": model, "output": [message],
            "parallel_tool_calls": true, "previous_response_id": null, "prompt_cache_key": null, "reasoning": { "effort": "medium", "summary": null }, "safety_identifier": null,
            "service_tier": "auto", "store": true, "temperature": 1.0, "text": { "format": { "type": "text" }, "verbosity": "medium" }, "tool_choice": "auto", "tools": [],
            "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "usage": { "input_tokens": self.dice.below(9_000), "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": self.dice.below(900), "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 99 }, "user": null, "metadata": {} });
        if !events {
            return response.to_string();
        }
        let mut all = Vec::new();
        let mut event = |name: &str, data: Value| {
            let mut data = data;
            data["sequence_number"] = all.len().into();
            all.push(format!("event: {name}\ndata: {data}\n\n"));
        };
        event("response.created", json!({ "type": "response.created", "response": response }));
        event(
            "response.in_progress",
            json!({ "type": "response.in_progress", "response": response }),
        );
        event(
            "response.output_item.added",
            json!({ "type": "response.output_item.added", "output_index": 0, "item": { "id": item, "type": "message", "status": "in_progress", "content": [], "role": "assistant" } }),
        );
        event(
            "response.content_part.added",
            json!({ "type": "response.content_part.added", "item_id": item, "output_index": 0, "content_index": 0, "part": { "type": "output_text", "annotations": [], "logprobs": [], "text": "" } }),
        );
        for piece in self.pieces(&text) {
            let salt = self.dice.id(9);
            event(
                "response.output_text.delta",
                json!({ "type": "response.output_text.delta", "item_id": item, "output_index": 0, "content_index": 0, "delta": piece, "logprobs": [], "obfuscation": salt }),
            );
        }
        event(
            "response.output_text.done",
            json!({ "type": "response.output_text.done", "item_id": item, "output_index": 0, "content_index": 0, "text": text, "logprobs": [] }),
        );
        for piece in self.pieces("{\"command\":[\"bash\",\"-lc\",\"ls\"]}") {
            event(
                "response.function_call_arguments.delta",
                json!({ "type": "response.function_call_arguments.delta", "item_id": item, "output_index": 1, "delta": piece }),
            );
        }
        event(
            "response.output_item.done",
            json!({ "type": "response.output_item.done", "output_index": 0, "item": message }),
        );
        event("response.completed", json!({ "type": "response.completed", "response": response }));
        all.concat()
    }

    fn gemini_answer(&mut self, events: bool) -> String {
        let (length, model) = (self.length(), self.model("gemini"));
        let text = self.prose(length);
        let (prompt, count, id) = (self.dice.below(9_000), self.dice.below(900), self.dice.id(22));
        let of = |parts: Value, finish: Option<&str>| {
            let mut candidate =
                json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
            if let Some(finish) = finish {
                candidate["finishReason"] = finish.into();
            }
            json!({ "candidates": [candidate], "usageMetadata": { "promptTokenCount": prompt, "candidatesTokenCount": count, "totalTokenCount": prompt + count,
                "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt }], "thoughtsTokenCount": 20 }, "modelVersion": model, "responseId": id })
        };
        if !events {
            return format!("{:#}\n", of(json!([{ "text": text }]), Some("STOP")));
        }
        let mut all = String::new();
        for piece in self.pieces(&text).chunks(6) {
            let event = of(json!([{ "text": piece.concat() }]), None);
            all.extend([
                "data: ",
                &event.to_string(),
                "

",
            ]);
        }
        let arguments = self.arguments();
        let call = json!([{ "functionCall": { "name": "read_file", "args": arguments }, "thoughtSignature": self.dice.id(60) }]);
        all.extend(["data: ", &of(call, Some("STOP")).to_string(), "\r\n\r\n"]);
        all
    }

    fn captured(&mut self, request: String, answer: String, kind: Kind) -> Captured {
        let content = |text: String| {
            let bytes = Bytes::from(text);
            BodyIn::Content(Content { outline: outline(&bytes), bytes, ..Content::default() })
        };
        let (frames, mut at) = (answer.matches("\n\n").count().max(1), 300_000);
        let each: Vec<usize> = answer.split_inclusive("\n\n").map(str::len).collect();
        let frames: Vec<(u64, u32)> = (0..frames)
            .map(|n| {
                at += self.dice.below(300) as u64 * 100;
                (at, each.get(n).copied().unwrap_or_default() as u32)
            })
            .collect();
        let id = self.dice.id(26);
        let (request_leg, upstream) = heads::sent(&mut self.dice, kind, request.len());
        let response = heads::received(&mut self.dice, kind, &id);
        let line = match kind.dialect {
            "anthropic" => "POST /v1/messages?beta=true HTTP/1.1",
            "openai_responses" => "POST /v1/responses HTTP/1.1",
            "gemini" => "POST /v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse HTTP/1.1",
            _ => "POST /v1/chat/completions HTTP/1.1",
        };
        let mut given = response.clone();
        given.extend([
            ("x-pinhole-id", "0199a0b1-7c2e-7d3f-8a4b-5c6d7e8f9a0b".to_owned()),
            ("x-pinhole-upstream", "openai".to_owned()),
            ("x-pinhole-model", "gpt-5".to_owned()),
            ("x-pinhole-attempts", "1".to_owned()),
        ]);
        let leg = |line: &str, headers: &[(&str, String)], body: BodyIn| LegIn {
            line: Some(line.to_owned()),
            headers: Some(
                headers
                    .iter()
                    .map(|(name, value)| {
                        (Bytes::copy_from_slice(name.as_bytes()), Bytes::from(value.clone()))
                    })
                    .collect(),
            ),
            body,
        };
        Captured {
            request: leg(line, &request_leg, content(request)),
            attempts: vec![AttemptIn {
                request: leg(line, &upstream, BodyIn::Same),
                response: leg("200 OK", &response, content(answer)),
                edits: Vec::new(),
                frames,
                untabled: 0,
                kind,
            }],
            response: leg("200 OK", &given, BodyIn::Same),
            headers_redacted: true,
            response_frames: Vec::new(),
            response_untabled: 0,
        }
    }
}

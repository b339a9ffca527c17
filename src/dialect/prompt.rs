//! The words of a request that the provider counts as input, of any dialect: what estimating its tokens needs. Lenient,
//! like all reading for numbers: a body that is cut gives the words before the cut.

use crate::base::json::{Kind, Walk};

/// Limit: bytes of words; what is over is left out.
pub const WORDS_MAX: usize = 8 * 1024 * 1024;
/// Limit: containers in each other; what lies deeper is left out.
const DEPTH_MAX: usize = 64;
/// From this length on a text without white space is taken for data, such as a picture in base64.
const UNBROKEN_MAX: usize = 4 * 1024;

/// The words of a request: of its messages, its instructions and its tools, each text on a line of its own.
pub fn words(body: &[u8]) -> String {
    let mut words = Words::default();
    Walk::new(body).members(|walk, key| match key {
        b"messages"
        | b"input"
        | b"contents"
        | b"content"
        | b"system"
        | b"instructions"
        | b"prompt"
        | b"systemInstruction"
        | b"system_instruction"
        // Gemini's batch of texts to embed.
        | b"requests" => words.texts(walk, 0),
        b"tools" | b"functions" => words.tools(walk, 0),
        _ => {}
    });
    words.text
}

/// How many messages a request has; a text in their place is one.
pub fn messages(body: &[u8]) -> usize {
    let mut messages = 0;
    Walk::new(body).members(|walk, key| {
        if matches!(key, b"messages" | b"input" | b"contents" | b"prompt") {
            let mut elements = 0;
            if walk.elements(|_| elements += 1) {
                messages += elements;
            } else if walk.kind() == Some(Kind::String) {
                messages += 1;
            }
        }
    });
    messages
}

#[derive(Default)]
struct Words {
    text: String,
}

impl Words {
    /// All texts in messages or instructions, in order, but those that name, mark or hold what is no text.
    fn texts(&mut self, walk: &mut Walk<'_>, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match walk.kind() {
            Some(Kind::String) => {
                if let Some(text) = walk.text() {
                    self.say(&text.read());
                }
            }
            Some(Kind::Array) => {
                walk.elements(|walk| self.texts(walk, depth + 1));
            }
            Some(Kind::Object) => {
                walk.members(|walk, key| match key {
                    // Arguments of a tool and what it answered are shown to the model as JSON.
                    b"args" | b"arguments" | b"input" | b"response" | b"output"
                        if walk.kind() == Some(Kind::Object) =>
                    {
                        self.json(walk);
                    }
                    _ if is_no_text(key) => {}
                    _ => self.texts(walk, depth + 1),
                });
            }
            _ => {}
        }
    }

    /// Names, descriptions and schemas, also of tools in namespaces.
    fn tools(&mut self, walk: &mut Walk<'_>, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        if walk.elements(|walk| self.tools(walk, depth + 1)) {
            return;
        }
        walk.members(|walk, key| match key {
            b"name" | b"description" => {
                if let Some(text) = walk.text() {
                    self.say(&text.read());
                }
            }
            b"parameters" | b"input_schema" | b"parametersJsonSchema" | b"format" => {
                self.json(walk);
            }
            b"function"
            | b"custom"
            | b"functionDeclarations"
            | b"function_declarations"
            | b"tools" => self.tools(walk, depth + 1),
            _ => {}
        });
    }

    fn json(&mut self, walk: &mut Walk<'_>) {
        let raw = walk.raw();
        if raw.len() < UNBROKEN_MAX || !holds_data(raw) {
            self.say(&String::from_utf8_lossy(raw));
        }
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() || text.starts_with("data:") || is_unbroken(text.as_bytes()) {
            return;
        }
        if !self.text.is_empty() && self.text.len() < WORDS_MAX {
            self.text.push('\n');
        }
        let room = WORDS_MAX.saturating_sub(self.text.len());
        self.text.push_str(text.split_at(text.floor_char_boundary(room)).0);
    }
}

/// Members whose texts are no words: they name or mark something, or hold what is no text.
fn is_no_text(key: &[u8]) -> bool {
    matches!(
        key,
        b"type"
            | b"role"
            | b"id"
            | b"call_id"
            | b"tool_call_id"
            | b"tool_use_id"
            | b"status"
            | b"model"
            | b"cache_control"
            | b"signature"
            | b"thoughtSignature"
            | b"encrypted_content"
            | b"data"
            | b"file_data"
            | b"file_id"
            | b"image_url"
            | b"url"
            | b"fileUri"
            | b"media_type"
            | b"mimeType"
            | b"detail"
            | b"format"
    )
}

/// A long text without white space. Scripts that use none have characters beyond ASCII.
fn is_unbroken(text: &[u8]) -> bool {
    text.len() > UNBROKEN_MAX && text.is_ascii() && !text.iter().any(u8::is_ascii_whitespace)
}

/// Whether some text in a piece of JSON is data.
fn holds_data(raw: &[u8]) -> bool {
    raw.split(|byte| *byte == b'"').any(is_unbroken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::arbitrary;
    use proptest::prelude::*;

    fn check(body: &str, expected_words: &str, expected_messages: usize) {
        assert_eq!(words(body.as_bytes()), expected_words, "{body}");
        assert_eq!(messages(body.as_bytes()), expected_messages, "{body}");
    }

    #[test]
    fn chat() {
        check(
            r#"{"model":"m","messages":[
                {"role":"system","content":"Be \u00e9."},
                {"role":"user","content":[{"type":"text","text":"What is it?"},
                    {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
                    {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
                {"role":"tool","tool_call_id":"c","content":"done"}],
              "tools":[{"type":"function","function":{"name":"f","description":"Does f.","parameters":{"type":"object"}}}],
              "metadata":{"x":"not this"}}"#,
            "Be é.\nWhat is it?\nf\n{\"a\":1}\ndone\nf\nDoes f.\n{\"type\":\"object\"}",
            4,
        );
    }

    #[test]
    fn messages_of_anthropic() {
        check(
            r#"{"system":[{"type":"text","text":"Be.","cache_control":{"type":"ephemeral"}}],
              "messages":[{"role":"user","content":"Hi"},
                {"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"RXJh"},{"type":"tool_use","id":"t","name":"f","input":{"a":"b c"}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ok"}]},
                   {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}],
              "tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
            "Be.\nHi\nHm\nf\n{\"a\":\"b c\"}\nok\nf\n{\"type\":\"object\"}",
            3,
        );
    }

    #[test]
    fn responses() {
        check(
            r#"{"instructions":"Be.","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},
               {"type":"reasoning","id":"r","encrypted_content":"AAAA","summary":[]},
               {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
               {"type":"function_call_output","call_id":"c","output":"ok"}],
              "tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"g","parameters":{}}]}]}"#,
            "Be.\nHi\nf\n{}\nok\nn\ng\n{}",
            4,
        );
        check(r#"{"input":"Hi"}"#, "Hi", 1);
        check(r#"{"input":["a","b"]}"#, "a\nb", 2);
        check(r#"{"prompt":["a","b"]}"#, "a\nb", 2);
    }

    #[test]
    fn gemini() {
        check(
            r#"{"systemInstruction":{"parts":[{"text":"Be."}],"role":"user"},
              "contents":[{"role":"user","parts":[{"text":"Hi"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},
                {"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"Cg=="}]},
                {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"ok":true}}}]}],
              "tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}],
              "generationConfig":{"stopSequences":["not this"]}}"#,
            "Be.\nHi\nf\n{\"a\":1}\nf\n{\"ok\":true}\nf\n{\"type\":\"object\"}",
            3,
        );
        check(r#"{"content":{"parts":[{"text":"Hi"}]}}"#, "Hi", 0);
    }

    #[test]
    fn data_is_left_out_and_long_words_are_not() {
        let data = "QUJD".repeat(2_000);
        let words = "word ".repeat(2_000);
        let chinese = "字".repeat(2_000);
        let body = format!(
            r#"{{"messages":[{{"content":"{data}"}},{{"content":"{words}"}},{{"content":"{chinese}"}},{{"input":{{"x":"{data}"}}}}]}}"#
        );
        check(&body, &format!("{words}\n{chinese}"), 4);
    }

    #[test]
    fn words_are_bounded_and_cut_bodies_are_read() {
        let long = "é ".repeat(WORDS_MAX / 2);
        let body = format!(r#"{{"input":["x","{long}","y"]}}"#);
        assert!(words(body.as_bytes()).len() <= WORDS_MAX);
        check(r#"{"messages":[{"content":"a"},{"content":"b"#, "a", 2);
        check("", "", 0);
        check("[]", "", 0);
        let deep = format!("{{\"messages\":{}\"x\"", "[".repeat(100_000));
        assert_eq!(words(deep.as_bytes()), "");
    }

    proptest! {
        #[test]
        fn any_body_can_be_read(value in arbitrary::value(), layout in arbitrary::layout()) {
            let body = format!(r#"{{"messages":{0},"tools":{0},"system":{0}"#, arbitrary::write(&value, &layout));
            words(body.as_bytes());
            messages(body.as_bytes());
        }
    }
}

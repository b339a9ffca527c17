//! What a request's body says of its conversation, in one pass and for every dialect: the ids that name its session and its
//! user, and its parts one by one (tools, instructions, messages), each with its place and a digest.
//!
//! A digest leaves out what changes from turn to turn without meaning anything: `cache_control` marks, white space, a text
//! written as a list of one block. Lenient, like all reading here: what cannot be read is left out.

use crate::base::fold::Fold;
use crate::base::json::{Kind, Text, Walk};

/// Limit: parts of one request; what comes after is left out.
pub const PARTS_MAX: usize = 16 * 1024;
/// Limit: containers in each other that are read one by one; what lies deeper is taken as it stands.
const DEPTH_MAX: usize = 48;
/// Limit: bytes of an id.
const ID_BYTES_MAX: usize = 256;
/// Limit: bytes of a user's label: names and ids are short.
const USER_BYTES_MAX: usize = 128;
/// Fewer bytes are no random part of an id.
const DRAWN_BYTES_MIN: usize = 16;
/// How much of a long digest in place of a user's id is shown.
const DEVICE_BYTES: usize = 16;
/// A block of Claude Code's instructions that names its build. Providers leave it out of the prompt.
const BILLING: &[u8] = b"x-anthropic-billing-header";

/// What a body says of its conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The session that the body names.
    pub session: Option<String>,
    /// The session that it says it belongs to.
    pub parent: Option<String>,
    /// A short id of the user.
    pub user: Option<String>,
    /// The answer that this request goes on from.
    pub previous: Option<String>,
    /// Tools, then instructions that stand apart from the messages.
    pub head: Vec<Part>,
    pub messages: Vec<Part>,
    /// There were more parts than [`PARTS_MAX`].
    pub is_cut: bool,
}

/// A tool, a block of instructions or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins and ends in the body.
    pub from: usize,
    pub to: usize,
    pub digest: u64,
    pub side: Side,
}

/// Who speaks in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Instructions, wherever they stand.
    System,
    /// The user, or a tool.
    Asked,
    /// The model.
    Answered,
}

/// Whether parts are wanted besides ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    Read,
    Leave,
}

/// The ids met on the way, by how telling they are.
#[derive(Default)]
struct Ids {
    of_user: Option<String>,
    of_client: Option<String>,
    plain: Option<String>,
    conversation: Option<String>,
    cache_key: Option<String>,
    user: Option<String>,
    safety: Option<String>,
    account: Option<String>,
}

struct Reader<'a> {
    body: &'a [u8],
    sketch: Sketch,
    instructions: Vec<Part>,
    ids: Ids,
    parts: Parts,
}

/// Reads the body.
pub fn sketch(body: &[u8], parts: Parts) -> Sketch {
    let mut reader = Reader {
        body,
        sketch: Sketch::default(),
        instructions: Vec::new(),
        ids: Ids::default(),
        parts,
    };
    reader.members(&mut Walk::new(body), 0);
    let Reader { mut sketch, mut instructions, ids, .. } = reader;
    sketch.head.append(&mut instructions);
    let named = ids.of_user.or(ids.of_client).or(ids.plain).or(ids.conversation);
    let is_users =
        |key: &String| ids.user.as_ref() == Some(key) || ids.safety.as_ref() == Some(key);
    let of_conversation = |key: &String| is_made_up(key) && !is_users(key);
    let cache_key = ids.cache_key.filter(of_conversation);
    sketch.session = named.or(cache_key);
    sketch.user = ids.account.or(ids.user).or(ids.safety);
    sketch
}

impl Reader<'_> {
    fn members(&mut self, walk: &mut Walk<'_>, depth: usize) {
        walk.members(|walk, key| match key {
            b"metadata" => self.metadata(walk),
            b"client_metadata" => self.client_metadata(walk),
            b"session_id" | b"sessionId" => self.ids.plain = id(walk),
            b"prompt_cache_key" => self.ids.cache_key = id(walk),
            b"conversation" => self.ids.conversation = named(walk),
            b"previous_response_id" => self.sketch.previous = id(walk),
            b"user" => self.ids.user = user(walk),
            b"safety_identifier" => self.ids.safety = user(walk),
            // The envelope of Google's own tools.
            b"request" if depth == 0 => self.members(walk, 1),
            _ if self.parts == Parts::Leave => {}
            b"tools" | b"functions" => {
                walk.elements(|walk| {
                    let part = self.part(walk, value);
                    self.push(|sketch| &mut sketch.head, part);
                });
            }
            b"system" | b"instructions" | b"systemInstruction" | b"system_instruction" => {
                self.instructions(walk);
            }
            b"messages" | b"input" | b"contents" => {
                self.messages(walk);
            }
            _ => {}
        });
    }

    /// Anthropic's `metadata.user_id`: of Claude Code one text in one of two forms, with the session in it; of others the
    /// id of a user.
    fn metadata(&mut self, walk: &mut Walk<'_>) {
        walk.members(|walk, key| match key {
            b"user_id" => {
                let Some(text) = walk.text() else { return };
                let text = text.read();
                if text.starts_with('{') {
                    self.user_object(&mut Walk::new(text.as_bytes()));
                } else if let Some((who, session)) = text.rsplit_once("_session_") {
                    self.ids.of_user = short(session, ID_BYTES_MAX);
                    let (device, account) = who.split_once("_account_").unwrap_or((who, ""));
                    let account = short(account, USER_BYTES_MAX);
                    self.ids.account = account.or_else(|| short(beginning(device), USER_BYTES_MAX));
                } else {
                    self.ids.account = short(&text, USER_BYTES_MAX);
                }
            }
            b"session_id" => self.ids.plain = id(walk),
            _ => {}
        });
    }

    fn user_object(&mut self, walk: &mut Walk<'_>) {
        let mut device = None;
        walk.members(|walk, key| match key {
            b"session_id" => self.ids.of_user = id(walk),
            b"parent_session_id" => self.sketch.parent = id(walk),
            b"account_uuid" => self.ids.account = user(walk),
            b"device_id" => device = id(walk),
            _ => {}
        });
        if self.ids.account.is_none() {
            self.ids.account =
                device.as_deref().and_then(|device| short(beginning(device), USER_BYTES_MAX));
        }
    }

    /// Codex repeats its headers here.
    fn client_metadata(&mut self, walk: &mut Walk<'_>) {
        let (mut session, mut thread) = (None, None);
        walk.members(|walk, key| match key {
            b"session_id" | b"x-codex-session-id" => session = id(walk),
            b"thread_id" => thread = id(walk),
            b"parent_thread_id" | b"x-codex-parent-thread-id" => self.sketch.parent = id(walk),
            _ => {}
        });
        self.ids.of_client =
            if self.sketch.parent.is_some() { thread.or(session) } else { session.or(thread) };
    }

    fn instructions(&mut self, walk: &mut Walk<'_>) {
        let mut found = Vec::new();
        let is_list = walk.elements(|walk| {
            let billing = walk.clone().raw();
            let is_billing = memchr::memmem::find(billing.get(..96).unwrap_or(billing), BILLING);
            let part = self.part(walk, block);
            if is_billing.is_none() {
                found.push(part);
            }
        });
        if !is_list && walk.kind() != Some(Kind::Null) {
            found.push(self.part(walk, block));
        }
        for part in found {
            if self.instructions.len() < PARTS_MAX {
                self.instructions.push(Part { side: Side::System, ..part });
            }
        }
    }

    /// A list of messages, or one in its place.
    fn messages(&mut self, walk: &mut Walk<'_>) {
        if !walk.elements(|walk| self.message(walk)) && walk.kind() != Some(Kind::Null) {
            self.message(walk);
        }
    }

    fn message(&mut self, walk: &mut Walk<'_>) {
        let part = self.part(walk, message);
        self.push(|sketch| &mut sketch.messages, part);
    }

    fn push(&mut self, list: impl Fn(&mut Sketch) -> &mut Vec<Part>, part: Part) {
        if list(&mut self.sketch).len() < PARTS_MAX {
            list(&mut self.sketch).push(part);
        } else {
            self.sketch.is_cut = true;
        }
    }

    fn part(&self, walk: &mut Walk<'_>, read: fn(&mut Walk<'_>, &mut Fold, usize) -> Side) -> Part {
        let from = self.body.len() - walk.rest().len();
        let mut fold = Fold::default();
        let side = read(walk, &mut fold, 0);
        Part { from, to: self.body.len() - walk.rest().len(), digest: fold.end(), side }
    }
}

/// A message of any dialect: an object with a role or a type, or a text.
fn message(walk: &mut Walk<'_>, fold: &mut Fold, _depth: usize) -> Side {
    let (mut role, mut kind): (Option<Text<'_>>, Option<Text<'_>>) = (None, None);
    let is_object = walk.members(|walk, key| match key {
        b"role" => role = walk.text(),
        b"type" => kind = walk.text(),
        b"cache_control" => {}
        b"content" => {
            fold.bytes(key);
            content(walk, fold);
        }
        _ => {
            fold.bytes(key);
            value(walk, fold, 1);
        }
    });
    if !is_object {
        return value(walk, fold, 0);
    }
    let role = role.map(|role| role.inner()).unwrap_or_default();
    let kind = kind.map(|kind| kind.inner()).unwrap_or_default();
    fold.bytes(role);
    // The Responses API takes a message with or without its type.
    fold.bytes(if kind == b"message" { b"" } else { kind });
    match (role, kind) {
        (b"system" | b"developer", _) => Side::System,
        (b"assistant" | b"model", _) | (b"", b"reasoning") => Side::Answered,
        (b"", kind) if kind.ends_with(b"_call") => Side::Answered,
        _ => Side::Asked,
    }
}

/// The content of a message. A text stands for a list of one block of text: clients turn one into the other to hang a
/// mark on it.
fn content(walk: &mut Walk<'_>, fold: &mut Fold) {
    if !walk.elements(|walk| {
        block(walk, fold, 1);
    }) {
        block(walk, fold, 1);
    }
}

/// A block of content, a text, or whatever else stands there.
fn block(walk: &mut Walk<'_>, fold: &mut Fold, depth: usize) -> Side {
    let (mut kind, mut said): (Option<Text<'_>>, Option<Text<'_>>) = (None, None);
    let mut more: Option<Fold> = None;
    let is_object = walk.members(|walk, key| match key {
        b"cache_control" => {}
        b"type" if kind.is_none() => kind = walk.text(),
        b"text" if said.is_none() => said = walk.text(),
        _ => {
            let more = more.get_or_insert_default();
            more.bytes(key);
            value(walk, more, depth + 1);
        }
    });
    if !is_object {
        said = walk.text();
        if said.is_none() {
            return value(walk, fold, depth);
        }
    }
    let kind = kind.map_or(b"text".as_slice(), |kind| kind.inner());
    fold.bytes(kind);
    fold.bytes(said.map(|said| said.inner()).unwrap_or_default());
    if let Some(more) = more {
        fold.number(more.end());
    }
    Side::Asked
}

/// Any value, without its marks and its white space.
fn value(walk: &mut Walk<'_>, fold: &mut Fold, depth: usize) -> Side {
    match walk.kind() {
        Some(Kind::String) => {
            if let Some(text) = walk.text() {
                fold.bytes(text.inner());
            }
        }
        Some(Kind::Object | Kind::Array) if depth > DEPTH_MAX => fold.bytes(walk.raw()),
        Some(Kind::Object) => {
            fold.number(1);
            walk.members(|walk, key| {
                if key != b"cache_control" {
                    fold.bytes(key);
                    value(walk, fold, depth + 1);
                }
            });
            fold.number(2);
        }
        Some(Kind::Array) => {
            fold.number(3);
            walk.elements(|walk| {
                value(walk, fold, depth + 1);
            });
            fold.number(4);
        }
        _ => {
            fold.number(5);
            fold.bytes(walk.scalar().unwrap_or_default());
        }
    }
    Side::Asked
}

/// The texts with which a conversation opens: those of its first messages, before the model first answered. Limit: 8
/// messages, 16 texts.
pub fn opening(body: &[u8], sketch: &Sketch) -> Vec<String> {
    let mut texts = Vec::new();
    let asked = sketch.messages.iter().take(8).take_while(|part| part.side != Side::Answered);
    for part in asked.filter(|part| part.side == Side::Asked) {
        let mut walk = Walk::new(body.get(part.from..part.to).unwrap_or_default());
        let mut found = |walk: &mut Walk<'_>| {
            let direct = walk.text();
            let mut said = direct;
            walk.members(|walk, key| {
                if key == b"text" {
                    said = walk.text();
                }
            });
            if let Some(said) = said.filter(|_| texts.len() < 16) {
                texts.push(said.read().into_owned());
            }
        };
        if walk.kind() == Some(Kind::String) {
            found(&mut walk);
        }
        walk.members(|walk, key| {
            if matches!(key, b"content" | b"parts") && !walk.elements(&mut found) {
                found(walk);
            }
        });
    }
    texts
}

fn id(walk: &mut Walk<'_>) -> Option<String> {
    short(&walk.text()?.read(), ID_BYTES_MAX)
}

/// Whether a cache key is one that a program draws for each conversation: a UUID, or a word and a long random part
/// (`ses_4f0c…`). Others name an application, a user or, as a digest, a prompt, which unrelated conversations share.
fn is_made_up(key: &str) -> bool {
    let is_uuid = |text: &str| {
        let mut groups = text
            .split('-')
            .map(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(group.len()));
        [8, 4, 4, 4, 12].iter().all(|long| groups.next() == Some(Some(*long)))
            && groups.next().is_none()
    };
    if is_uuid(key) {
        return true;
    }
    let Some((kind, drawn)) = key.rsplit_once(['_', ':', '/']) else { return false };
    let is_of_user =
        |word: &str| ["user", "usr", "account", "org", "team", "tenant"].contains(&word);
    let words = kind.split(|sign: char| !sign.is_ascii_alphanumeric());
    let is_random = drawn.len() >= DRAWN_BYTES_MIN
        && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && drawn.bytes().any(|byte| byte.is_ascii_digit())
        && drawn.bytes().any(|byte| byte.is_ascii_alphabetic());
    words.map(str::to_ascii_lowercase).all(|word| !is_of_user(&word))
        && (is_uuid(drawn) || is_random)
}

/// An id, or an object with one.
fn named(walk: &mut Walk<'_>) -> Option<String> {
    let mut found = None;
    if walk.members(|walk, key| {
        if key == b"id" {
            found = id(walk);
        }
    }) {
        return found;
    }
    id(walk)
}

fn user(walk: &mut Walk<'_>) -> Option<String> {
    short(&walk.text()?.read(), USER_BYTES_MAX)
}

/// A text that can be a name: short, in one line, and no JSON.
fn short(text: &str, bytes_max: usize) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= bytes_max;
    let is_name = !text.contains(char::is_control) && !text.starts_with(['{', '[']);
    (fits && is_name).then(|| text.to_owned())
}

fn beginning(text: &str) -> &str {
    let length = DEVICE_BYTES + if text.starts_with("user_") { 5 } else { 0 };
    text.get(..length).unwrap_or(text)
}

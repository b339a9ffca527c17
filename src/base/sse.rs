//! Server-sent events: bytes in, in any pieces, events out. No I/O, and no opinion on what the events say.
//!
//! Line ends may be LF, CRLF or CR, also mixed. A byte order mark at the start and comments are skipped. An event ends
//! at the blank line; the LF of a CRLF that ends it is counted to the next event, so that an event never waits for a
//! byte that tells nothing.

/// One event, with all its `data` lines joined by line feeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `event` field, when sent and not empty.
    pub event: Option<String>,
    /// Bytes, because nothing promises UTF-8.
    pub data: Vec<u8>,
    /// The `id` field, when this event sent one.
    pub id: Option<String>,
    /// Bytes on the wire since the event before, comments and line ends included.
    pub raw_len: usize,
    /// A line or the data went over the bound; `data` holds the beginning.
    pub truncated: bool,
}

/// Splits a stream into events, holding at most one event and one line.
#[derive(Debug)]
pub struct Splitter {
    /// Limit: bytes of one line and of one event's data; what is over is dropped and the event marked.
    bytes_max: usize,
    /// The line under way when a piece ended inside it; emptied at the line's end.
    line: Vec<u8>,
    /// Bytes of `line` were dropped; cleared at the line's end.
    line_cut: bool,
    /// The last byte was a CR, so an LF now belongs to it.
    after_cr: bool,
    /// The first line may begin with a byte order mark.
    first_line: bool,
    /// The event under way; emptied at the blank line.
    pending: Event,
    /// A `data` field has been seen, perhaps an empty one; cleared at the blank line.
    has_data: bool,
}

impl Splitter {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            line_cut: false,
            after_cr: false,
            first_line: true,
            pending: Event::default(),
            has_data: false,
        }
    }

    /// Takes the next piece of the stream and gives the events that it completes.
    pub fn feed(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event)) {
        let mut rest = bytes;
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                if let Some(after) = rest.strip_prefix(b"\n") {
                    self.pending.raw_len += 1;
                    rest = after;
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                break;
            };
            let (line, ended) = rest.split_at(end);
            self.after_cr = ended.first() == Some(&b'\r');
            rest = ended.get(1..).unwrap_or_default();
            self.pending.raw_len += end + 1;
            if let Some(event) = self.end_line(line) {
                on_event(event);
            }
        }
        self.pending.raw_len += rest.len();
        self.hold(rest);
    }

    /// The event whose lines so far are whole but whose blank line has not come.
    pub fn pending(&self) -> Option<&Event> {
        self.has_data.then_some(&self.pending)
    }

    /// What stands unfinished at the end of the stream. A client that keeps to the standard ignores it; a meter may not.
    pub fn finish(mut self) -> Option<Event> {
        if !self.line.is_empty() {
            self.end_line(&[]);
        }
        self.has_data.then_some(self.pending)
    }

    fn hold(&mut self, piece: &[u8]) {
        let room = self.bytes_max.saturating_sub(self.line.len());
        self.line_cut |= piece.len() > room;
        self.line
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Ends the line whose last piece is `piece`; gives the event when the line is blank and there is one.
    fn end_line(&mut self, piece: &[u8]) -> Option<Event> {
        if self.line.is_empty() && !self.line_cut && piece.len() <= self.bytes_max {
            // The whole line stands in one piece, as almost always: nothing is copied.
            return self.read_line(piece, false);
        }
        self.hold(piece);
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_cut);
        let event = self.read_line(&line, cut);
        self.line = line;
        self.line.clear();
        event
    }

    fn read_line(&mut self, line: &[u8], cut: bool) -> Option<Event> {
        let mut line = line;
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() && !cut {
            return self.dispatch();
        }
        let colon = memchr::memchr(b':', line);
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.get(1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.add_data(value),
            b"event" => self.pending.event = Some(text(value)).filter(|name| !name.is_empty()),
            b"id" if !value.contains(&0) => self.pending.id = Some(text(value)),
            // Comments, `retry`, and fields nobody knows.
            _ => return None,
        }
        self.pending.truncated |= cut;
        None
    }

    fn add_data(&mut self, value: &[u8]) {
        let data = &mut self.pending.data;
        if std::mem::replace(&mut self.has_data, true) && data.len() < self.bytes_max {
            data.push(b'\n');
        }
        let room = self.bytes_max.saturating_sub(data.len());
        self.pending.truncated |= value.len() > room;
        data.extend_from_slice(value.get(..room).unwrap_or(value));
    }

    /// An event without `data` is none; its bytes are counted to the next.
    fn dispatch(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.has_data) {
            return Some(std::mem::take(&mut self.pending));
        }
        self.pending = Event {
            raw_len: self.pending.raw_len,
            ..Event::default()
        };
        None
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

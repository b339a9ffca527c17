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

/// One event where it stands: in the piece that was fed, or, when it came in several, in the splitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef<'a> {
    /// As in [`Event`], but bytes.
    pub event: Option<&'a [u8]>,
    pub data: &'a [u8],
    pub id: Option<&'a [u8]>,
    pub raw_len: usize,
    pub truncated: bool,
}

impl EventRef<'_> {
    pub fn to_owned(&self) -> Event {
        Event {
            event: self.event.map(text),
            data: self.data.to_vec(),
            id: self.id.map(text),
            raw_len: self.raw_len,
            truncated: self.truncated,
        }
    }
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
    /// What the event under way has from earlier pieces, or from more than one `data` line; emptied at the blank line.
    pending: Event,
    /// `pending` has a `data` field, perhaps an empty one; cleared at the blank line.
    has_data: bool,
}

/// Fields of the event under way that stand whole in the piece being fed. Later than those in `pending`.
#[derive(Default)]
struct Near<'a> {
    event: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
}

/// A line, read.
enum Line<'a> {
    Blank,
    Data(&'a [u8]),
    Event(&'a [u8]),
    Id(&'a [u8]),
    /// Comments, `retry`, and fields nobody knows.
    Other,
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
        self.feed_borrowed(bytes, |event| on_event(event.to_owned()));
    }

    /// As [`Splitter::feed`]; an event that lies within one piece is not copied.
    pub fn feed_borrowed(&mut self, bytes: &[u8], mut on_event: impl FnMut(EventRef<'_>)) {
        let mut near = Near::default();
        let mut rest = bytes;
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                if let Some(after) = rest.strip_prefix(b"\n") {
                    self.pending.raw_len += 1;
                    rest = after;
                }
            }
            let Some(end) = find_line_end(rest) else {
                break;
            };
            let (line, ended) = rest.split_at(end);
            self.after_cr = ended.first() == Some(&b'\r');
            rest = ended.get(1..).unwrap_or_default();
            self.pending.raw_len += end + 1;
            if self.end_line(line, &mut near) {
                self.dispatch(&mut near, &mut on_event);
            }
        }
        self.keep(&mut near);
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
            self.end_held_line(&[]);
        }
        self.has_data.then_some(self.pending)
    }

    fn hold(&mut self, piece: &[u8]) {
        let room = self.bytes_max.saturating_sub(self.line.len());
        self.line_cut |= piece.len() > room;
        self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Ends the line whose last piece is `piece`; true when it is the blank one.
    fn end_line<'a>(&mut self, piece: &'a [u8], near: &mut Near<'a>) -> bool {
        if !self.line.is_empty() || self.line_cut || piece.len() > self.bytes_max {
            self.keep(near);
            return self.end_held_line(piece);
        }
        // The whole line stands in one piece, as almost always: nothing is copied.
        match read_line(piece, &mut self.first_line) {
            Line::Blank => return true,
            Line::Data(value) if near.data.is_none() && !self.has_data => near.data = Some(value),
            Line::Data(value) => {
                self.keep(near);
                self.add_data(value);
            }
            Line::Event(value) => near.event = Some(value),
            Line::Id(value) => near.id = Some(value),
            Line::Other => {}
        }
        false
    }

    /// As `end_line`, for a line that began in an earlier piece or is over the limit.
    fn end_held_line(&mut self, piece: &[u8]) -> bool {
        self.hold(piece);
        let mut line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_cut);
        let read = read_line(&line, &mut self.first_line);
        // A line that was cut down to nothing is not a blank one.
        let is_blank = matches!(read, Line::Blank) && !cut;
        self.pending.truncated |=
            cut && matches!(read, Line::Data(_) | Line::Event(_) | Line::Id(_));
        match read {
            Line::Data(value) => self.add_data(value),
            Line::Event(value) => self.set_event(value),
            Line::Id(value) => self.pending.id = Some(text(value)),
            Line::Blank | Line::Other => {}
        }
        line.clear();
        self.line = line;
        is_blank
    }

    /// Copies what stands in the piece, because the piece ends or the event has more than one line of data.
    fn keep(&mut self, near: &mut Near<'_>) {
        if let Some(event) = near.event.take() {
            self.set_event(event);
        }
        if let Some(id) = near.id.take() {
            self.pending.id = Some(text(id));
        }
        if let Some(data) = near.data.take() {
            self.add_data(data);
        }
    }

    fn set_event(&mut self, value: &[u8]) {
        self.pending.event = Some(text(value)).filter(|name| !name.is_empty());
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

    /// Ends the event. One without `data` is none; its bytes are counted to the next.
    fn dispatch(&mut self, near: &mut Near<'_>, on_event: &mut impl FnMut(EventRef<'_>)) {
        let Near { event, data, id } = std::mem::take(near);
        let pending = &mut self.pending;
        if data.is_some() || self.has_data {
            let name = event.or(pending.event.as_deref().map(str::as_bytes));
            on_event(EventRef {
                event: name.filter(|name| !name.is_empty()),
                data: data.unwrap_or(&pending.data),
                id: id.or(pending.id.as_deref().map(str::as_bytes)),
                raw_len: std::mem::take(&mut pending.raw_len),
                truncated: pending.truncated,
            });
        }
        self.has_data = false;
        pending.event = None;
        pending.id = None;
        pending.truncated = false;
        pending.data.clear();
    }
}

/// Where the first line ends. Every second line is blank, for which no search is needed.
fn find_line_end(bytes: &[u8]) -> Option<usize> {
    if matches!(bytes.first(), Some(b'\n' | b'\r')) {
        return Some(0);
    }
    memchr::memchr2(b'\n', b'\r', bytes)
}

fn read_line<'a>(line: &'a [u8], first_line: &mut bool) -> Line<'a> {
    let mut line = line;
    if std::mem::take(first_line) {
        line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    }
    if line.is_empty() {
        return Line::Blank;
    }
    let (name, value) = if let Some(value) = line.strip_prefix(b"data:") {
        (b"data".as_slice(), value)
    } else {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        (name, value.get(1..).unwrap_or_default())
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match name {
        b"data" => Line::Data(value),
        b"event" => Line::Event(value),
        b"id" if !value.contains(&0) => Line::Id(value),
        _ => Line::Other,
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES_MAX: usize = 4096;

    fn split(pieces: &[&[u8]], bytes_max: usize) -> (Vec<Event>, Option<Event>) {
        let mut events = Vec::new();
        let mut splitter = Splitter::new(bytes_max);
        for piece in pieces {
            splitter.feed(piece, |event| events.push(event));
        }
        (events, splitter.finish())
    }

    /// Feeds `stream` whole, byte by byte, and cut at every position: the same events each time.
    fn split_every_way(stream: &[u8], bytes_max: usize) -> (Vec<Event>, Option<Event>) {
        let whole = split(&[stream], bytes_max);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(split(&single, bytes_max), whole, "byte by byte");
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(split(&[left, right], bytes_max), whole, "cut at {cut}");
        }
        whole
    }

    /// Checks the events as `event|data|id`, and what stands unfinished.
    fn check(stream: &str, expected: &[&str], unfinished: Option<&str>) {
        let (events, rest) = split_every_way(stream.as_bytes(), BYTES_MAX);
        let show = |event: &Event| {
            assert!(!event.truncated);
            format!(
                "{}|{}|{}",
                event.event.as_deref().unwrap_or("-"),
                String::from_utf8_lossy(&event.data),
                event.id.as_deref().unwrap_or("-"),
            )
        };
        let shown: Vec<String> = events.iter().map(show).collect();
        assert_eq!(shown, expected, "{stream:?}");
        assert_eq!(rest.as_ref().map(show).as_deref(), unfinished, "{stream:?}");
    }

    #[test]
    fn fields_are_read_by_the_standard() {
        check("data: a\n\ndata:b\n\n", &["-|a|-", "-|b|-"], None);
        check("event: x\nid: 7\ndata:  two spaces\n\n", &["x| two spaces|7"], None);
        check("data: a\ndata: b\ndata\n\n", &["-|a\nb\n|-"], None);
        check("data\n\ndata:\n\n", &["-||-", "-||-"], None);
        check(": comment\n\n:\ndata: a\n\n", &["-|a|-"], None);
        check("retry: 5\nunknown: x\nnocolon\ndata: a: b\n\n", &["-|a: b|-"], None);
        check("event: ping\n\ndata: a\n\n", &["-|a|-"], None);
        check("event:\nid: a\0b\ndata: a\n\n", &["-|a|-"], None);
        check("\n\n\n", &[], None);
        check("", &[], None);
    }

    #[test]
    fn every_line_end_ends_a_line() {
        check("event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", &["x|a|-", "-|b|-"], None);
        check("event: x\rdata: a\r\rdata: b\r\r", &["x|a|-", "-|b|-"], None);
        check("data: a\n\r\ndata: b\r\n\ndata: c\r\n\r", &["-|a|-", "-|b|-", "-|c|-"], None);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["-|a|-"], None);
    }

    #[test]
    fn split_characters_stay_whole() {
        check("data: {\"t\":\"é😀\u{2028}\"}\n\n", &["-|{\"t\":\"é😀\u{2028}\"}|-"], None);
    }

    #[test]
    fn what_is_unfinished_is_told_apart() {
        check("data: a\n\ndata: b\n", &["-|a|-"], Some("-|b|-"));
        check("data: a\n\ndata: b", &["-|a|-"], Some("-|b|-"));
        check("data: a\n\nevent: x\n", &["-|a|-"], None);
        let mut splitter = Splitter::new(BYTES_MAX);
        splitter.feed(b"data: a\ndata: part", |_| panic!("no event has ended"));
        assert_eq!(splitter.pending().unwrap().data, b"a", "only whole lines");
    }

    #[test]
    fn raw_lengths_add_up_to_the_stream() {
        let stream = ": hi\r\n\r\nevent: x\r\ndata: a\r\n\r\ndata: bé\n\ndata: c\n\ndata: rest";
        let (events, rest) = split_every_way(stream.as_bytes(), BYTES_MAX);
        let sum: usize = events.iter().chain(&rest).map(|event| event.raw_len).sum();
        assert_eq!(sum, stream.len());
        assert_eq!(events[1].raw_len, "\ndata: bé\n\n".len(), "the LF of the CRLF before it");
    }

    #[test]
    fn memory_is_bounded_and_what_is_cut_is_marked() {
        let long = "x".repeat(50);
        for (stream, expected) in [
            (format!("data: {long}\n\ndata: b\n\n"), "xxxxxxxxxxxxxx"),
            (format!("data: 0123456789\ndata: {long}\n\ndata: b\n\n"), "0123456789\nxxxxxxxxx"),
            (
                "data: a\ndata: 0123456789\ndata: 0123456789\n\ndata: b\n\n".to_owned(),
                "a\n0123456789\n0123456",
            ),
        ] {
            let (events, _) = split_every_way(stream.as_bytes(), 20);
            assert_eq!(String::from_utf8_lossy(&events[0].data), expected);
            assert!(events[0].truncated);
            assert_eq!((events[1].data.as_slice(), events[1].truncated), (b"b".as_slice(), false));
        }
        let comment = format!(": {long}\ndata: a\n\n");
        let (events, _) = split_every_way(comment.as_bytes(), 20);
        assert!(!events[0].truncated, "a long comment takes nothing from the event");

        let mut splitter = Splitter::new(20);
        for _ in 0..10_000 {
            splitter.feed(b"data: no line end ever", |_| panic!("no event has ended"));
        }
        assert!(splitter.line.capacity() < 100, "{}", splitter.line.capacity());
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_the_pieces(
            lines in prop::collection::vec("(data: |data:|event: |id: |: |)[a-zé]{0,30}(\n|\r\n|\r|\n\n|\r\n\r\n)", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let stream = lines.concat().into_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&pieces, 24), split(&[&stream], 24));
        }
    }
}

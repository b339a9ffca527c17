//! Golden files of the format: what the blobs of a few exchanges hold before compression, and a store that has to be
//! readable for ever. `UPDATE_GOLDEN=1 cargo nextest run golden` writes the former anew; the latter is only made when it is
//! missing, because a released format is never changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::capture::Captured;
use crate::store::vault::tests::{assert_same, connection, golden_cases, put, vault};
use crate::store::vault::{self, Part, Shelf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/capture-format")
}

fn stored() -> (Connection, Vec<Captured>) {
    let (connection, cases) = (connection(), golden_cases());
    let mut vault = vault();
    for (seq, case) in (1..).zip(&cases) {
        put(&mut vault, &connection, seq, case);
    }
    (connection, cases)
}

/// Bytes as a table: offset, sixteen bytes, the same as text.
fn table(bytes: &[u8], to: &mut String) {
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.join(" ");
        let shown = |byte: &u8| {
            if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }
        };
        let text: String = bytes.iter().map(shown).collect();
        writeln!(to, "  {:06x}  {hex:<48} {}", line * 16, text.trim_end()).unwrap();
    }
}

fn dump(connection: &Connection) -> String {
    let mut shelf = Shelf::default();
    let mut text = String::new();
    let sql = "SELECT seq, content_dictionary, rest_dictionary, rest FROM bodies ORDER BY seq";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (seq, content): (i64, Option<i64>) = (row.get(0).unwrap(), row.get(1).unwrap());
        let (id, rest): (i64, Vec<u8>) = (row.get(2).unwrap(), row.get(3).unwrap());
        if let Some(id) = content {
            writeln!(text, "exchange {seq}, content, dictionary {id}").unwrap();
            table(shelf.content(connection, seq).unwrap().plain(), &mut text);
        }
        writeln!(text, "exchange {seq}, rest, dictionary {id}").unwrap();
        table(&shelf.open(connection, &rest, id, (seq, Part::Rest)).unwrap(), &mut text);
    }
    let sql = "SELECT id, kind, bytes FROM dictionaries ORDER BY id";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (id, kind): (i64, String) = (row.get(0).unwrap(), row.get(1).unwrap());
        writeln!(text, "dictionary {id}, {kind}").unwrap();
        table(&row.get::<_, Vec<u8>>(2).unwrap(), &mut text);
    }
    let mut statement = connection.prepare("SELECT needs, seq FROM links ORDER BY 1, 2").unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (needs, seq): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        writeln!(text, "link: {seq} needs {needs}").unwrap();
    }
    text
}

#[test]
fn golden_blobs_hold_what_the_format_says() {
    let (connection, _) = stored();
    let (dump, path) = (dump(&connection), folder().join("blobs.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &dump).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(dump == expected, "{} is not what is written now", path.display());
}

#[test]
fn golden_store_can_be_read() {
    let (connection, cases) = stored();
    let path = folder().join("store.db");
    if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        connection.execute_batch("PRAGMA page_size = 1024").unwrap();
        connection.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let golden = Connection::open_with_flags(&path, flags).unwrap();
    for (seq, case) in (1..).zip(&cases) {
        assert_same(&vault::read(&golden, seq).unwrap().unwrap(), case);
    }
    let verified = vault::verify(&golden, |_| ()).unwrap();
    assert_eq!((verified.damaged, verified.exchanges), (0, cases.len() as u64));
}

//! Pictures as text: the signs, and below them every stretch that is styled.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

/// The signs alone.
pub(super) fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut out = String::new();
    for row in buffer.content.chunks(width) {
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How a cell is drawn, in words; empty: as the terminal draws by itself.
fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(format!("{:?}", cell.fg).to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {:?}", cell.bg).to_lowercase());
    }
    if !cell.modifier.is_empty() {
        words.push(format!("{:?}", cell.modifier).to_lowercase().replace(" | ", "+"));
    }
    words.join(" ")
}

/// Signs and styles.
pub(super) fn whole(buffer: &Buffer) -> String {
    let mut out = text(buffer);
    out.push_str("-- styles: line, first and last column, how\n");
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let mut from = 0;
        while from < row.len() {
            let how = style(&row[from]);
            let length = row[from..].iter().take_while(|cell| style(cell) == how).count();
            if !how.is_empty() {
                let _ = writeln!(out, "{y} {from}-{} {how}", from + length - 1);
            }
            from += length;
        }
    }
    out
}

/// Compares with the golden file, or writes it.
pub(super) fn check(name: &str, buffer: &Buffer) {
    let (width, height) = (buffer.area.width, buffer.area.height);
    same(&format!("tests/golden/tui/{name}_{width}x{height}.txt"), &whole(buffer));
}

/// Compares a file of the repository, or writes it.
pub(super) fn same(path: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{path}: {error}; UPDATE_GOLDEN=1 writes it"));
    assert!(
        expected == found,
        "{path} is another now; look at it, and write it with UPDATE_GOLDEN=1:\n{found}"
    );
}

//! For terminals without Unicode: what is drawn is replaced cell by cell, after all else.

use ratatui::buffer::Buffer;

/// Replaces every sign that is not ASCII.
pub fn tame(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let plain = plain(cell.symbol());
            cell.set_symbol(plain);
        }
    }
}

fn plain(symbol: &str) -> &'static str {
    match symbol {
        "─" | "━" | "╌" | "┄" | "—" | "–" | "▁" => "-",
        "│" | "┃" | "╎" | "▏" | "▎" | "▍" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" | "╭" | "╮" | "╰" | "╯" | "✓" | "±" => {
            "+"
        }
        "█" | "▓" | "■" | "▇" | "▆" => "#",
        "▅" | "▄" | "▒" | "▃" => "=",
        "░" | "▂" | "·" | "•" | "…" => ".",
        "▸" | "▶" | "→" | "›" | "⏵" => ">",
        "◂" | "◀" | "←" | "‹" => "<",
        "▾" | "▼" | "↓" => "v",
        "▴" | "▲" | "↑" => "^",
        "●" | "◆" | "★" => "*",
        "○" | "◇" | "☆" => "o",
        "✗" | "×" => "x",
        "µ" => "u",
        "≈" | "∼" => "~",
        "\u{202f}" | "\u{a0}" => " ",
        "“" | "”" => "\"",
        "‘" | "’" => "'",
        _ => "?",
    }
}

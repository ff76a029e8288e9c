//! The width of text on a terminal, in cells.

use unicode_width::UnicodeWidthChar;

use crate::environment;

/// The width of a table if nothing says how wide it may be.
const WIDTH: usize = 80;
/// The widths that are believed.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=1_000;

/// Returns the number of cells of a line: what `COLUMNS` says, or what the terminal has, or 80.
pub(super) fn line_cells() -> usize {
    let said = environment::columns().filter(|columns| WIDTHS.contains(columns));
    let has = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    said.or_else(has)
        .unwrap_or(WIDTH)
        .clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// Returns the number of cells that a text takes at most. Some terminals join several characters in
/// fewer cells.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(char_cells).sum()
}

fn char_cells(c: char) -> usize {
    c.width().unwrap_or(1)
}

/// Cuts a text to a number of cells. A text that was cut ends with `…`.
pub(super) fn cut(text: &str, cells_max: usize) -> String {
    // Most texts are short, and a long one need not be measured to its end.
    let (mut taken, mut place_of_mark) = (0, 0);
    for (place, c) in text.char_indices() {
        let width = char_cells(c);
        if taken + width > cells_max {
            let mark = if cells_max > 0 { "…" } else { "" };
            return format!("{}{mark}", &text[..place_of_mark]);
        }
        taken += width;
        if taken < cells_max {
            place_of_mark = place + c.len_utf8();
        }
    }
    text.to_owned()
}

/// Cuts a text to a number of cells, and fills it up with spaces.
pub(super) fn padded(text: &str, cells_wanted: usize) -> String {
    let mut text = cut(text, cells_wanted);
    let missing = cells_wanted.saturating_sub(cells(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_takes_more_cells_than_it_may() {
        let texts = [
            "",
            "abc",
            "港の歌と海の歌",
            "👩‍👩‍👧‍👦 family",
            "e\u{301}e\u{301}e\u{301}",
            "🇩🇪🇫🇷",
            "a\u{200d}b",
        ];
        for text in texts {
            for width in 0..=20 {
                let short = cut(text, width);
                assert!(cells(&short) <= width, "{text} {width}");
                assert_eq!(short == text, cells(text) <= width, "{text} {width}");
                assert_eq!(cells(&padded(text, width)), width, "{text} {width}");
            }
        }
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("港の歌", 4), "港…");
    }
}

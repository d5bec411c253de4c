//! Lines of tokens: their cells, how deep they are indented, and what is aligned with the lines around them.

use unicode_segmentation::UnicodeSegmentation;

use super::scan::{Kind, Token};
use super::space::{change, is_blank_between};

/// A line in three cells, any of which can be empty: `name`, `= value`, `# comment`.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub head: Vec<Token<'a>>,
    /// From the `=` on, where the value ends on the line. A heredoc is part of its line.
    pub value: Vec<Token<'a>>,
    pub comment: Option<Token<'a>>,
}

/// Splits tokens into lines.
pub(super) fn lines(tokens: Vec<Token<'_>>) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut head = Vec::new();
    for token in tokens {
        let is_last = token.kind == Kind::Newline || (token.kind == Kind::Comment && token.text.ends_with('\n'));
        head.push(token);
        if is_last {
            lines.push(Line::of(std::mem::take(&mut head)));
        }
    }
    if !head.is_empty() {
        lines.push(Line::of(head));
    }
    lines
}

impl<'a> Line<'a> {
    fn of(mut head: Vec<Token<'a>>) -> Self {
        let comment = match head.last() {
            Some(last) if last.kind == Kind::Comment && head.len() > 1 => head.pop(),
            _ => None,
        };
        let equal = head.iter().skip(1).position(|token| token.kind == Kind::Equal);
        let value = match equal.map(|at| at + 1) {
            // A value that goes on over further lines is aligned with nothing.
            Some(at) if balance(&head[at..]) == 0 => head.split_off(at),
            _ => Vec::new(),
        };
        Line { head, value, comment }
    }

    /// Sets the blanks within the cells.
    fn space(&mut self) {
        for cell in [&mut self.head, &mut self.value] {
            let mut before = None;
            for at in 1..cell.len() {
                let is_blank = is_blank_between(before, &cell[at - 1], &cell[at]);
                before = Some(cell[at - 1].kind);
                cell[at].blanks = usize::from(is_blank);
            }
        }
    }

    /// How many brackets are open at its end that were not at its start; those of a heredoc's text are not its own.
    fn opens(&self) -> isize {
        let is_code = |token: &&Token<'_>| token.kind != Kind::OpenHeredoc;
        let of =
            |cell: &[Token<'_>]| -> isize { cell.iter().take_while(is_code).map(|token| change(token.kind)).sum() };
        of(&self.head) + of(&self.value)
    }
}

fn balance(tokens: &[Token<'_>]) -> isize {
    tokens.iter().map(|token| change(token.kind)).sum()
}

/// How many columns tokens take, with the blanks before them.
fn columns(cell: &[Token<'_>]) -> usize {
    cell.iter()
        .map(|token| token.blanks + token.text.graphemes(true).count())
        .sum()
}

/// Sets all blanks.
pub(super) fn lay_out(lines: &mut [Line<'_>]) {
    lines.iter_mut().for_each(Line::space);
    indent(lines);
    align(
        lines,
        |line| (!line.value.is_empty()).then(|| columns(&line.head)),
        |line| line.value.first_mut(),
    );
    align(
        lines,
        |line| {
            line.comment
                .is_some()
                .then(|| columns(&line.head) + columns(&line.value))
        },
        |line| line.comment.as_mut(),
    );
}

/// Indents each line by two blanks for each line before it that left brackets open.
fn indent(lines: &mut [Line<'_>]) {
    // How many brackets each of those lines left open: however many, they are one level.
    let mut open: Vec<isize> = Vec::new();
    for line in lines {
        let opens = line.opens();
        let Some(first) = line.head.first_mut() else { continue };
        if first.kind == Kind::Newline {
            first.blanks = 0;
            continue;
        }
        let mut closed = (-opens).max(0);
        while let Some(last) = open.last_mut().filter(|_| closed > 0) {
            let now = closed.min(*last);
            closed -= now;
            *last -= now;
            if *last == 0 {
                open.pop();
            }
        }
        first.blanks = 2 * open.len();
        if opens > 0 {
            open.push(opens);
        }
    }
}

/// Puts the same cell of neighbouring lines into one column. `width` is how far the cells before it reach, `None` where a
/// line has no such cell.
fn align<'a>(
    lines: &mut [Line<'a>],
    width: impl Fn(&Line<'a>) -> Option<usize>,
    cell: impl for<'l> Fn(&'l mut Line<'a>) -> Option<&'l mut Token<'a>>,
) {
    let mut rest = lines;
    while !rest.is_empty() {
        let widths: Vec<usize> = rest.iter().map_while(&width).collect();
        let widest = widths.iter().copied().max().unwrap_or(0);
        // A line without the cell ends the group.
        let (group, others) = rest.split_at_mut(widths.len().max(1));
        for (line, width) in group.iter_mut().zip(&widths) {
            if let Some(token) = cell(line) {
                token.blanks = widest - width + 1;
            }
        }
        rest = others;
    }
}

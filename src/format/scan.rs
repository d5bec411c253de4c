//! Text to tokens. Nothing is refused here, that is left to the parser: every byte of the text that is no blank between two
//! tokens is in exactly one of them.

/// What a token is, as far as its surroundings depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The end of a line.
    Newline,
    /// A comment; one that goes to the end of its line holds the end, too.
    Comment,
    /// A name or a keyword.
    Name,
    Number,
    Dot,
    Comma,
    /// `...`
    Ellipsis,
    /// `::`
    Namespace,
    /// `=`
    Equal,
    Minus,
    Bang,
    /// An operator, `?` or `:`, after which a minus is that of a number.
    Operator,
    /// `=>`
    Arrow,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    OpenQuote,
    CloseQuote,
    /// `<<EOT` with the end of its line.
    OpenHeredoc,
    /// The word that ends a heredoc.
    CloseHeredoc,
    /// Text within quotes or a heredoc.
    Text,
    /// `${` or `%{`, with the `~` after it.
    OpenTemplate,
    /// The `}` of a template, with the `~` before it.
    CloseTemplate,
}

/// A token, and how many blanks stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub blanks: usize,
}

/// What the scanner is inside of.
enum Within<'a> {
    Quotes,
    /// A heredoc that ends with this word.
    Heredoc(&'a str),
    /// A template, with so many braces open in it.
    Template(usize),
}

/// Returns the tokens of a text; their blanks are not set.
pub(crate) fn scan(text: &str) -> Vec<Token<'_>> {
    scan_within(text, Vec::new())
}

/// Returns the tokens of a template that stands alone.
pub(crate) fn scan_template(text: &str) -> Vec<Token<'_>> {
    // No line is this word: it ends with the text.
    scan_within(text, vec![Within::Heredoc("\n")])
}

fn scan_within<'a>(text: &'a str, within: Vec<Within<'a>>) -> Vec<Token<'a>> {
    let mut scanner = Scanner {
        rest: text,
        within,
        tokens: Vec::new(),
    };
    while !scanner.rest.is_empty() {
        match scanner.within.last() {
            Some(Within::Quotes) => scanner.quoted(),
            Some(Within::Heredoc(word)) => {
                let word = *word;
                scanner.heredoc(word);
            }
            _ => scanner.code(),
        }
    }
    scanner.tokens
}

struct Scanner<'a> {
    rest: &'a str,
    within: Vec<Within<'a>>,
    tokens: Vec<Token<'a>>,
}

impl<'a> Scanner<'a> {
    /// Takes so many bytes as a token.
    fn take(&mut self, kind: Kind, length: usize) -> &'a str {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        if !text.is_empty() {
            self.tokens.push(Token { kind, text, blanks: 0 });
        }
        text
    }

    fn code(&mut self) {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return };
        let is_in_template = matches!(self.within.last(), Some(Within::Template(0)));
        match first {
            '\n' => drop(self.take(Kind::Newline, 1)),
            '\r' if rest.starts_with("\r\n") => drop(self.take(Kind::Newline, 2)),
            ' ' | '\t' | '\r' => self.rest = &rest[1..],
            '#' => self.comment_to_the_end_of_the_line(),
            '/' if rest.starts_with("//") => self.comment_to_the_end_of_the_line(),
            '/' if rest.starts_with("/*") => {
                let length = rest[2..].find("*/").map_or(rest.len(), |at| at + 4);
                self.take(Kind::Comment, length);
            }
            '"' => {
                self.take(Kind::OpenQuote, 1);
                self.within.push(Within::Quotes);
            }
            '<' if heredoc_word(rest).is_some() => self.open_heredoc(),
            '~' if is_in_template && rest.starts_with("~}") => self.close_template(2),
            '}' if is_in_template => self.close_template(1),
            '0'..='9' => drop(self.take(Kind::Number, number(rest))),
            c if is_of_names(c) && c != '-' => {
                let length = rest.find(|c| !is_of_names(c)).unwrap_or(rest.len());
                self.take(Kind::Name, length);
            }
            c => self.sign(c),
        }
    }

    fn sign(&mut self, first: char) {
        const LONG: [(&str, Kind); 9] = [
            ("...", Kind::Ellipsis),
            ("::", Kind::Namespace),
            ("=>", Kind::Arrow),
            ("==", Kind::Operator),
            ("!=", Kind::Operator),
            ("<=", Kind::Operator),
            (">=", Kind::Operator),
            ("&&", Kind::Operator),
            ("||", Kind::Operator),
        ];
        if let Some((text, kind)) = LONG.iter().find(|(text, _)| self.rest.starts_with(text)) {
            self.take(*kind, text.len());
            return;
        }
        let kind = match first {
            '.' => Kind::Dot,
            ',' => Kind::Comma,
            '=' => Kind::Equal,
            '-' => Kind::Minus,
            '!' => Kind::Bang,
            '(' => Kind::OpenParen,
            ')' => Kind::CloseParen,
            '[' => Kind::OpenBracket,
            ']' => Kind::CloseBracket,
            '{' => Kind::OpenBrace,
            '}' => Kind::CloseBrace,
            _ => Kind::Operator,
        };
        if let Some(Within::Template(braces)) = self.within.last_mut() {
            match kind {
                Kind::OpenBrace => *braces += 1,
                Kind::CloseBrace => *braces -= 1,
                _ => {}
            }
        }
        self.take(kind, first.len_utf8());
    }

    fn comment_to_the_end_of_the_line(&mut self) {
        let length = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.take(Kind::Comment, length);
    }

    fn close_template(&mut self, length: usize) {
        self.take(Kind::CloseTemplate, length);
        self.within.pop();
    }

    fn open_heredoc(&mut self) {
        let Some(word) = heredoc_word(self.rest) else { return };
        let length = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.take(Kind::OpenHeredoc, length);
        self.within.push(Within::Heredoc(word));
    }

    fn quoted(&mut self) {
        let mut at = 0;
        while let Some(c) = self.rest[at..].chars().next() {
            let rest = &self.rest[at..];
            if let Some(literal) = literal(rest) {
                at += literal;
            } else if c == '"' {
                self.take(Kind::Text, at);
                self.take(Kind::CloseQuote, 1);
                self.within.pop();
                return;
            } else if let Some(length) = opening(rest) {
                return self.open_template(at, length);
            } else {
                at += match c {
                    '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
                    c => c.len_utf8(),
                };
            }
        }
        self.take(Kind::Text, at);
    }

    fn heredoc(&mut self, word: &'a str) {
        let mut at = 0;
        // Behind a template the line goes on: its end is no line of its own.
        let mut is_start = !matches!(self.tokens.last(), Some(token) if token.kind == Kind::CloseTemplate);
        while let Some(c) = self.rest[at..].chars().next() {
            let rest = &self.rest[at..];
            if is_start {
                let line = rest.lines().next().unwrap_or_default();
                let shown = line.trim_start_matches([' ', '\t']);
                if shown
                    .strip_prefix(word)
                    .is_some_and(|rest| !rest.starts_with(is_of_names))
                {
                    let blanks = line.len() - shown.len();
                    self.take(Kind::Text, at + blanks);
                    self.take(Kind::CloseHeredoc, word.len());
                    self.within.pop();
                    return;
                }
            }
            is_start = c == '\n';
            if let Some(literal) = literal(rest) {
                at += literal;
            } else if let Some(length) = opening(rest) {
                return self.open_template(at, length);
            } else {
                at += c.len_utf8();
            }
        }
        self.take(Kind::Text, at);
    }

    fn open_template(&mut self, text: usize, length: usize) {
        self.take(Kind::Text, text);
        self.take(Kind::OpenTemplate, length);
        self.within.push(Within::Template(0));
    }
}

/// Returns the length of what looks like the start of a template and is text: `$${` and `%%{`.
fn literal(text: &str) -> Option<usize> {
    (text.starts_with("$${") || text.starts_with("%%{")).then_some(3)
}

/// Returns the length of the start of a template.
fn opening(text: &str) -> Option<usize> {
    if !(text.starts_with("${") || text.starts_with("%{")) {
        return None;
    }
    Some(if text[2..].starts_with('~') { 3 } else { 2 })
}

/// Returns the word that ends the heredoc that starts here, if one does.
fn heredoc_word(text: &str) -> Option<&str> {
    let line = text.strip_prefix("<<")?.lines().next()?;
    let word = line.strip_prefix('-').unwrap_or(line);
    (!word.is_empty() && word.chars().all(is_of_names)).then_some(word)
}

/// Returns the length of a number: `1`, `1.5`, `1e-3`. The dot of `a.0.b` is none of its.
fn number(text: &str) -> usize {
    let digits = |from: usize| {
        text[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(text.len(), |at| from + at)
    };
    let mut end = digits(0);
    if text[end..].starts_with('.') && text[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits(end + 1);
    }
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if signed.starts_with(|c: char| c.is_ascii_digit()) {
            end = digits(text.len() - signed.len());
        }
    }
    end
}

/// Whether a character can be in a name. Of those beyond ASCII the parser lets no others through.
fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || !c.is_ascii()
}

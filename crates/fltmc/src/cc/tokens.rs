//! The words of a C source: enough to see where statements begin and end.

/// A word, a number, or a sign, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) line: usize,
}

/// The tokens of a source, without comments and lines for the preprocessor. A literal is one token.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    scan(source, false)
}

/// Those of lines for the preprocessor too.
pub(super) fn all_tokens(source: &str) -> Vec<Token<'_>> {
    scan(source, true)
}

fn scan(source: &str, with_directives: bool) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let mut all = Vec::new();
    let (mut at, mut line, mut begins_line) = (0, 1, true);
    while at < bytes.len() {
        let start = at;
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or(' ');
        let mut is_token = false;
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("//") || first == '#' && begins_line && !with_directives {
            at += logical_line(rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            at += comment.find("*/").map_or(rest.len(), |end| end + 4);
        } else {
            is_token = true;
            at += match first {
                '"' | '\'' => literal(rest.as_bytes()),
                c if c.is_alphanumeric() || c == '_' => {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                }
                c => c.len_utf8(),
            };
            all.push(Token { text: &source[start..at], start, line });
        }
        let lines = source[start..at].matches('\n').count();
        line += lines;
        begins_line = if is_token { false } else { begins_line || lines > 0 };
    }
    all
}

/// The length of a line, with those that it continues in.
fn logical_line(rest: &str) -> usize {
    let mut length = 0;
    for line in rest.split_inclusive('\n') {
        length += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    length
}

/// The length of a text or character in quotes.
fn literal(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != rest[0] && rest[at] != b'\n' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// An integer with a suffix that only Microsoft's compiler knows: what the standard writes.
pub(super) fn standard_integer(token: &str) -> Option<String> {
    if !token.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let lower = token.to_ascii_lowercase();
    [("ui64", "ULL"), ("i64", "LL"), ("ui32", "U"), ("i32", ""), ("ui16", "U"), ("i16", ""), ("ui8", "U"), ("i8", "")]
        .iter()
        .find_map(|(ours, theirs)| lower.strip_suffix(ours).map(|digits| format!("{}{theirs}", &token[..digits.len()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_preprocessor_lines_are_none() {
        assert_eq!(texts("a /* b\n */ c // d\n#define x \\\n y\ne"), ["a", "c", "e"]);
        assert_eq!(texts("x # y"), ["x", "#", "y"]);
        assert_eq!(tokens("a\n/*\n*/ b")[1].line, 3);
    }

    #[test]
    fn a_literal_is_one() {
        assert_eq!(texts(r#"L"a\"// b" '\'' "c"#), ["L", r#""a\"// b""#, r"'\''", "\"c"]);
    }

    #[test]
    fn suffixes_of_microsoft_have_others_of_the_standard() {
        assert_eq!(standard_integer("0x10ui64").as_deref(), Some("0x10ULL"));
        assert_eq!(standard_integer("10000I64").as_deref(), Some("10000LL"));
        assert_eq!(standard_integer("7i8").as_deref(), Some("7"));
        assert_eq!(standard_integer("10ULL"), None);
        assert_eq!(standard_integer("i64"), None);
    }
}

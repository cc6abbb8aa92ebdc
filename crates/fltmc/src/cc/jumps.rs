//! Jumps out of the body of a `__try` with a `__finally`.
//!
//! On Windows they run the `__finally` on their way. A macro cannot see them: the block would be skipped in silence, with a lock
//! held or memory lost, so they are found here.

use super::tokens::{Token, tokens};

/// A jump, and the line that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump<'a> {
    pub(super) word: &'a str,
    pub(super) line: usize,
}

/// The jumps of a source that would skip a `__finally`.
pub(super) fn jumps(source: &str, is_cxx: bool) -> Vec<Jump<'_>> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if !is_try(tokens[at].text, is_cxx) {
            continue;
        }
        let Some(end) = closing(&tokens, at + 1, "{", "}") else { continue };
        let follows = tokens.get(end + 1).map_or("", |token| token.text);
        if ["__finally", "_finally"].contains(&follows) || follows == "finally" && !is_cxx {
            let mut body =
                Body { tokens: &tokens[..=end], labels: labels(&tokens[at + 1..end]), at: at + 1, found: Vec::new() };
            body.statement(Within::default());
            found.extend(body.found);
        }
    }
    // of nested ones each finds what is in the inner
    found.sort_by_key(|jump: &Jump<'_>| jump.line);
    found.dedup();
    found
}

fn is_try(word: &str, is_cxx: bool) -> bool {
    ["__try", "_try"].contains(&word) || word == "try" && !is_cxx
}

/// Where what opens at `at` is closed.
fn closing(tokens: &[Token<'_>], at: usize, open: &str, close: &str) -> Option<usize> {
    if tokens.get(at)?.text != open {
        return None;
    }
    let mut depth = 0;
    for (number, token) in tokens.iter().enumerate().skip(at) {
        if token.text == open {
            depth += 1;
        } else if token.text == close {
            depth -= 1;
            if depth == 0 {
                return Some(number);
            }
        }
    }
    None
}

/// Labels that stand in a body: a jump to them stays inside.
fn labels<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let begins = |text: &str| ["{", "}", ";", ":"].contains(&text);
    tokens
        .windows(3)
        .filter(|three| begins(three[0].text) && three[2].text == ":" && three[1].text != "default")
        .map(|three| three[1].text)
        .collect()
}

/// What a `break` or `continue` ends here, if it is in the body.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    breakable: bool,
    loops: bool,
}

/// The reader of one body.
struct Body<'s, 't> {
    tokens: &'t [Token<'s>],
    labels: Vec<&'s str>,
    at: usize,
    found: Vec<Jump<'s>>,
}

impl Body<'_, '_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn is_over(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn statement(&mut self, within: Within) {
        let in_loop = Within { breakable: true, loops: true };
        match self.text() {
            "{" => {
                self.at += 1;
                while !self.is_over() && self.text() != "}" {
                    self.statement(within);
                }
                self.at += 1;
            }
            "for" | "while" => self.controlled(in_loop),
            "switch" => self.controlled(Within { breakable: true, ..within }),
            "if" => self.controlled(within),
            "do" => {
                self.at += 1;
                self.statement(in_loop);
                // `while (…);`
                self.plain(within);
            }
            "else" | "__try" | "_try" | "try" | "__finally" | "_finally" | "finally" => {
                self.at += 1;
                self.statement(within);
            }
            "__except" | "_except" | "except" => self.controlled(within),
            _ => self.plain(within),
        }
    }

    /// `word (…) statement`
    fn controlled(&mut self, within: Within) {
        self.at += 1;
        if let Some(end) = closing(self.tokens, self.at, "(", ")") {
            self.at = end + 1;
        }
        self.statement(within);
    }

    /// Anything up to its semicolon, or a label up to its colon.
    fn plain(&mut self, within: Within) {
        let first = self.text().to_owned();
        let is_label = first == "case" || self.tokens.get(self.at + 1).is_some_and(|token| token.text == ":");
        while !self.is_over() {
            let (token, number) = (self.tokens[self.at], self.at);
            self.at += 1;
            match token.text {
                ";" => return,
                ":" if is_label => return,
                "}" => {
                    self.at = number;
                    return;
                }
                "(" => self.at = closing(self.tokens, number, "(", ")").map_or(self.at, |end| end + 1),
                // the values of an array, or a macro that is a loop
                "{" => {
                    self.at = number;
                    self.statement(Within { breakable: true, loops: true });
                    if self.text() != ";" && self.text() != "," {
                        return;
                    }
                }
                "return" => self.jump(token),
                "break" if !within.breakable => self.jump(token),
                "continue" if !within.loops => self.jump(token),
                "goto" if !self.labels.contains(&self.text()) => self.jump(token),
                _ => {}
            }
        }
    }
}

impl<'s> Body<'s, '_> {
    fn jump(&mut self, token: Token<'s>) {
        self.found.push(Jump { word: token.text, line: token.line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(&str, usize)> {
        jumps(source, false).iter().map(|jump| (jump.word, jump.line)).collect()
    }

    #[test]
    fn a_jump_out_of_a_finally_is_found() {
        assert_eq!(found("try { return 1; } finally { f(); }"), [("return", 1)]);
        assert_eq!(
            found("while (a) {\n__try {\nif (x) break;\nelse continue;\n} __finally { }\n}"),
            [("break", 3), ("continue", 4)]
        );
        assert_eq!(found("__try { goto out; }\n__finally { f(); } out: return;"), [("goto", 1)]);
        assert_eq!(found("try { try { a();\nreturn; } except (1) { } } finally { }"), [("return", 2)]);
        assert_eq!(found("try { switch (a) { case 1:\ncontinue; } } finally { }"), [("continue", 2)]);
        assert_eq!(found("try { do x(); while (a);\nbreak; } finally { }"), [("break", 2)]);
    }

    #[test]
    fn a_jump_that_stays_inside_is_none() {
        for source in [
            "try { for (;;) { if (a) break; else continue; } } finally { }",
            "try { while (a) break; } finally { }",
            "try { do { continue; } while (a); } finally { }",
            "try { switch (a) { case B: x(); break; default: break; } } finally { }",
            "try { goto in; x(); in: y(); leave; } finally { return; }",
            "try { return; } except (f(a)) { return; }",
            "try { int a[] = { 1, 2 }; x(); } finally { } return;",
            "try { int a[] = { 1 }, b = 2; return_to(a); } finally { }",
            "int return_(void) { try { x(\"return\"); /* return */ } finally { } return 1; }",
        ] {
            assert_eq!(found(source), [], "{source}");
        }
    }

    #[test]
    fn a_try_of_cxx_is_another() {
        assert_eq!(jumps("try { return; } finally { }", true), []);
        assert_eq!(jumps("__try { return; } __finally { }", true).len(), 1);
    }
}

//! The modules of a crate as its source files declare them: what each module defines, imports and
//! names. Modules that exist for tests are left out.
//!
//! The files are read as tokens, not as syntax: the bodies of macros name other files too, and syn
//! leaves them unread.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Returns the text of a file, or `None` if the file does not exist. Paths begin at the folder `src`.
pub(super) type Sources<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A module of a crate, with its functions and blocks.
#[derive(Debug)]
pub(super) struct Module {
    /// The path of the file that holds it.
    pub(super) file: String,
    /// The module at the root of its crate, an index like the following ones.
    pub(super) root: usize,
    pub(super) parent: usize,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) defined: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Every path of two segments or more. The first segment is empty if the path begins with `::`.
    pub(super) paths: BTreeSet<Vec<String>>,
    /// Every identifier outside of `use`, fields and methods aside.
    pub(super) names: BTreeSet<String>,
}

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// `*` if it brings in every name.
    pub(super) name: String,
    /// Whether it is a re-export, visible outside of its module.
    pub(super) is_public: bool,
}

/// Reads the modules below `lib.rs` and `main.rs`, as far as these exist.
///
/// # Errors
///
/// A file that is declared is missing, or its text is not Rust.
pub(super) fn read(sources: Sources<'_>) -> Result<Vec<Module>> {
    let mut reader = Reader {
        sources,
        modules: Vec::new(),
    };
    for root in ["lib.rs", "main.rs"] {
        if sources(root).is_some() {
            reader.file(root, "", None)?;
        }
    }
    Ok(reader.modules)
}

struct Reader<'a> {
    sources: Sources<'a>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Reads a file whose children are in `folder`, which is empty or ends with a slash.
    fn file(&mut self, file: &str, folder: &str, parent: Option<usize>) -> Result<usize> {
        let text = (self.sources)(file).with_context(|| format!("{file} is missing"))?;
        let tokens: TokenStream = text
            .parse()
            .map_err(|err| anyhow!("cannot read {file}: {err}"))?;
        self.module(file, folder, parent, tokens)
    }

    fn module(
        &mut self,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        tokens: TokenStream,
    ) -> Result<usize> {
        let id = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            root: parent.map_or(id, |parent| self.modules[parent].root),
            parent: parent.unwrap_or(id),
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            imports: Vec::new(),
            paths: BTreeSet::new(),
            names: BTreeSet::new(),
        });
        let tokens = Tokens::new(tokens);
        let mut at = 0;
        while at < tokens.0.len() {
            if let Some(name) = tokens.declared(at, "mod") {
                self.child(id, folder, name, tokens.0.get(at + 2))?;
                at += 3;
                continue;
            }
            if let Some(name) = tokens.defined(at) {
                self.modules[id].defined.insert(name);
            }
            at = self.modules[id].scan(&tokens, at);
        }
        Ok(id)
    }

    /// Reads a child, unless another configuration has declared it before.
    fn child(
        &mut self,
        parent: usize,
        folder: &str,
        name: String,
        body: Option<&TokenTree>,
    ) -> Result<()> {
        if self.modules[parent].children.contains_key(&name) {
            return Ok(());
        }
        let below = format!("{folder}{name}/");
        let child = if let Some(TokenTree::Group(body)) = body {
            let file = self.modules[parent].file.clone();
            self.module(&file, &below, Some(parent), body.stream())?
        } else {
            let own = format!("{folder}{name}.rs");
            let is_own = (self.sources)(&own).is_some();
            let file = if is_own {
                own
            } else {
                below.clone() + "mod.rs"
            };
            self.file(&file, &below, Some(parent))?
        };
        self.modules[parent].children.insert(name, child);
        Ok(())
    }
}

impl Module {
    /// Records the item or path at a token, and returns the position of the next token.
    fn scan(&mut self, tokens: &Tokens, at: usize) -> usize {
        if tokens.is_for_tests(at) {
            return tokens.after_item(at + 2);
        }
        match &tokens.0[at] {
            TokenTree::Group(group) => {
                let inner = Tokens::new(group.stream());
                let mut within = 0;
                while within < inner.0.len() {
                    within = self.scan(&inner, within);
                }
                at + 1
            }
            TokenTree::Ident(word) if word == "use" && !tokens.is_punct(at + 1, '<') => {
                let end = tokens.end(at, |token| is_punct(token, ';'));
                let is_public = match at.checked_sub(1).map(|before| &tokens.0[before]) {
                    Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
                    before => before.is_some_and(|before| is_word(before, "pub")),
                };
                let tree = &tokens.0[at + 1..end];
                import(tree, &[], is_public, &mut self.imports);
                end
            }
            TokenTree::Ident(_) => {
                let (path, end) = tokens.path(at);
                if tokens.is_name(at) {
                    self.names.insert(path[0].clone());
                    self.paths.extend((path.len() > 1).then_some(path));
                }
                end
            }
            _ => at + 1,
        }
    }
}

/// Reads the tree of a `use` below a prefix.
fn import(tree: &[TokenTree], prefix: &[String], is_public: bool, imports: &mut Vec<Import>) {
    for branch in tree.split(|token| is_punct(token, ',')) {
        let mut path = prefix.to_vec();
        let mut name = None;
        if branch.first().is_some_and(|first| is_punct(first, ':')) {
            path.push(String::new());
        }
        for (at, token) in branch.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = branch.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => name = Some("*".to_owned()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    import(&inner, &path, is_public, imports);
                    path.clear();
                }
                _ => {}
            }
        }
        if let Some(name) = name.or_else(|| path.last().cloned()) {
            imports.push(Import {
                path,
                name,
                is_public,
            });
        }
    }
}

/// The tokens of a file or of a pair of brackets.
struct Tokens(Vec<TokenTree>);

impl Tokens {
    fn new(stream: TokenStream) -> Self {
        Self(stream.into_iter().collect())
    }

    fn is_punct(&self, at: usize, mark: char) -> bool {
        self.0.get(at).is_some_and(|token| is_punct(token, mark))
    }

    fn is_colons(&self, at: usize) -> bool {
        self.is_punct(at, ':') && self.is_punct(at + 1, ':')
    }

    /// The first token from `at` on that `is_end` accepts, or the end of all.
    fn end(&self, at: usize, is_end: impl Fn(&TokenTree) -> bool) -> usize {
        let found = self.0[at..].iter().position(is_end);
        found.map_or(self.0.len(), |distance| at + distance)
    }

    /// The name after a keyword.
    fn declared(&self, at: usize, keyword: &str) -> Option<String> {
        match (self.0.get(at)?, self.0.get(at + 1)?) {
            (word, TokenTree::Ident(name)) if is_word(word, keyword) => Some(name.to_string()),
            _ => None,
        }
    }

    /// The name of the item that a keyword begins.
    fn defined(&self, at: usize) -> Option<String> {
        if is_word(&self.0[at], "macro_rules") {
            return self.0.get(at + 2).map(ToString::to_string);
        }
        [
            "fn", "struct", "enum", "union", "trait", "type", "const", "static",
        ]
        .iter()
        .find_map(|keyword| self.declared(at, keyword))
    }

    /// Whether `#[cfg(test)]` or `#[cfg(all(test, …))]` is here.
    fn is_for_tests(&self, at: usize) -> bool {
        let Some(TokenTree::Group(attribute)) = self.0.get(at + 1) else {
            return false;
        };
        let text: String = attribute.stream().to_string().split(' ').collect();
        self.is_punct(at, '#') && (text == "cfg(test)" || text.starts_with("cfg(all(test"))
    }

    /// The end of an item, field or arm that begins at `at`.
    fn after_item(&self, at: usize) -> usize {
        let mut at = at;
        while self.is_punct(at, '#') {
            at += 2;
        }
        let is_use = self.0[at..]
            .iter()
            .take(3)
            .any(|token| is_word(token, "use"));
        let end = self.end(at, |token| match token {
            TokenTree::Group(group) => !is_use && group.delimiter() == Delimiter::Brace,
            _ => is_punct(token, ';') || is_punct(token, ','),
        });
        end + 1
    }

    /// The path that begins at an identifier, and where it ends.
    fn path(&self, at: usize) -> (Vec<String>, usize) {
        let is_absolute = at >= 2 && self.is_colons(at - 2);
        let mut path = vec![String::new(); usize::from(is_absolute)];
        path.push(self.0[at].to_string());
        let mut at = at + 1;
        while self.is_colons(at) {
            let Some(TokenTree::Ident(word)) = self.0.get(at + 2) else {
                break;
            };
            path.push(word.to_string());
            at += 3;
        }
        (path, at)
    }

    /// Whether an identifier is not the field or method after a dot. A range has two dots.
    fn is_name(&self, at: usize) -> bool {
        let is_dot = |back: usize| at >= back && self.is_punct(at - back, '.');
        !is_dot(1) || is_dot(2)
    }
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_word(token: &TokenTree, expected: &str) -> bool {
    matches!(token, TokenTree::Ident(word) if word == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Module {
        let sources = |file: &str| (file == "lib.rs").then(|| text.to_owned());
        read(&sources).unwrap().remove(0)
    }

    #[test]
    fn a_use_tree_is_read_branch_by_branch() {
        let module = only("use crate::a::{self, B as C, d::{E, *}}; pub(crate) use ::f::G;");
        let found: Vec<String> = module
            .imports
            .iter()
            .map(|import| {
                let mark = if import.is_public { "pub " } else { "" };
                format!("{mark}{} = {}", import.name, import.path.join("::"))
            })
            .collect();
        let expected = [
            "a = crate::a",
            "C = crate::a::B",
            "E = crate::a::d::E",
            "* = crate::a::d",
            "pub G = ::f::G",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn bodies_and_macros_are_read_and_comments_strings_and_tests_are_not() {
        let module = only(
            r#"
            /// [`crate::in_a_link`]
            fn shown() { println!("crate::in_a_string {}", crate::in_a_macro); } // crate::comment
            #[cfg(test)]
            #[allow(unused)]
            use crate::{for_tests, more};
            struct Shown { #[cfg(test)] field: crate::for_a_test, other: crate::in_a_field }
            #[cfg(all(test, feature = "x"))]
            mod tests { use crate::in_tests; }
            const LAST: u8 = shown(..crate::after_a_range);
            "#,
        );
        let found: Vec<String> = module.paths.iter().map(|path| path.join("::")).collect();
        let expected = [
            "crate::after_a_range",
            "crate::in_a_field",
            "crate::in_a_macro",
        ];
        assert_eq!(found, expected);
        assert_eq!(module.imports, []);
        assert_eq!(Vec::from_iter(&module.defined), ["LAST", "Shown", "shown"]);
    }
}

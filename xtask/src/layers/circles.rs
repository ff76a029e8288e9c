//! Cycles among the files of a crate, and the layers of the files without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::files::Files;

/// Files that all depend on each other, however indirectly.
#[derive(Debug)]
pub(super) struct Circle<'a> {
    members: BTreeSet<&'a str>,
    files: &'a Files,
}

/// One line per dependency inside of the circle.
impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files in a circle:", self.members.len())?;
        for (file, others) in self.files.iter().filter(|(file, _)| self.has(file)) {
            for (other, items) in others.iter().filter(|(other, _)| self.has(other)) {
                let items = Vec::from_iter(items.iter().map(String::as_str)).join(", ");
                write!(f, "\n    {file} uses {items} of {other}")?;
            }
        }
        Ok(())
    }
}

impl Circle<'_> {
    fn has(&self, file: &str) -> bool {
        self.members.contains(file)
    }
}

/// Every circle but those of a parent module and its own children, which a parent's removal opens.
pub(super) fn circles(files: &Files) -> Vec<Circle<'_>> {
    let mut found = Vec::new();
    let mut open = vec![files.keys().map(String::as_str).collect::<BTreeSet<_>>()];
    while let Some(among) = open.pop() {
        for mut members in components(files, &among) {
            if members.len() < 2 {
                continue;
            }
            let is_parent = |file: &&&str| members.iter().all(|m| m == *file || is_below(m, file));
            if let Some(parent) = members.iter().find(is_parent).copied() {
                members.remove(parent);
                open.push(members);
            } else {
                found.push(Circle { members, files });
            }
        }
    }
    found.sort_by(|a, b| a.members.cmp(&b.members));
    found
}

/// How many files the longest chain has in which each depends on the next. Those of a circle count as
/// one.
pub(super) fn floors(files: &Files) -> usize {
    let among = files.keys().map(String::as_str).collect();
    let reach = reach(files, &among);
    let mut components = components(files, &among);
    // What a file reaches, its own circle included, grows along every chain.
    components.sort_by_key(|members| members.first().map(|file| reach[file].len()));
    let mut floor: BTreeMap<&str, usize> = BTreeMap::new();
    for members in components {
        let below = members.iter().flat_map(|file| files[*file].keys());
        let below = below.filter_map(|file| floor.get(&**file)).max();
        let height = below.copied().unwrap_or(0) + 1;
        floor.extend(members.into_iter().map(|file| (file, height)));
    }
    floor.into_values().max().unwrap_or(0)
}

/// Whether a file is in the folder that belongs to a module. The folder of a crate's root is not one:
/// everything is in it.
fn is_below(file: &str, parent: &str) -> bool {
    let folder = parent
        .strip_suffix("/mod.rs")
        .or_else(|| parent.strip_suffix(".rs"))
        .unwrap_or(parent);
    let rest = file.strip_prefix(folder);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The strongly connected sets of files, if there were no others.
fn components<'a>(files: &'a Files, among: &BTreeSet<&'a str>) -> Vec<BTreeSet<&'a str>> {
    let reach = reach(files, among);
    let together = |file: &&'a str| {
        let mut members: BTreeSet<&str> = reach[file].clone();
        members.retain(|other| reach[other].contains(file));
        members
    };
    let distinct: BTreeSet<_> = among.iter().map(together).collect();
    distinct.into_iter().collect()
}

/// Each file with itself and all that it depends on, however indirectly.
fn reach<'a>(files: &'a Files, among: &BTreeSet<&'a str>) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut reach = BTreeMap::new();
    for file in among {
        let mut found = BTreeSet::from([*file]);
        let mut open = vec![*file];
        while let Some(file) = open.pop() {
            for other in files[file].keys().map(String::as_str) {
                if among.contains(other) && found.insert(other) {
                    open.push(other);
                }
            }
        }
        reach.insert(*file, found);
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::super::{files, modules};
    use super::*;

    fn made_up(sources: &[(&str, &str)]) -> Files {
        let read = |file: &str| {
            let found = sources.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| (*text).to_owned())
        };
        files::files(&modules::read(&read).unwrap())
    }

    fn found(sources: &[(&str, &str)]) -> Vec<String> {
        let files = made_up(sources);
        circles(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_circle_of_three_is_found_with_the_items_that_tie_it() {
        let found = found(&[
            ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B(Box<super::c::C>);"),
            ("c.rs", "use crate::A; pub struct C(A);"),
        ]);
        let expected = "3 files in a circle:
    a.rs uses B of b.rs
    b.rs uses C of c.rs
    c.rs uses A of a.rs";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_circle_through_a_re_export_is_found() {
        let found = found(&[
            ("lib.rs", "mod delivery; mod store;"),
            (
                "delivery.rs",
                "use crate::store::Held; pub struct Delivery(Held);",
            ),
            ("store/mod.rs", "mod held; pub use held::Held as Held;"),
            (
                "store/held.rs",
                "use crate::delivery; pub struct Held(delivery::Delivery);",
            ),
        ]);
        let expected = "2 files in a circle:
    delivery.rs uses Held of store/held.rs
    store/held.rs uses Delivery of delivery.rs";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_parent_and_its_children_may_depend_on_each_other() {
        let both = [
            ("lib.rs", "mod serve;"),
            (
                "serve.rs",
                "mod one; mod two; pub const MAX: u8 = one::f() + two::f();",
            ),
            ("serve/one.rs", "pub fn f() -> u8 { super::MAX }"),
            (
                "serve/two.rs",
                "use crate::serve::MAX; pub fn f() -> u8 { MAX }",
            ),
        ];
        assert_eq!(found(&both), Vec::<String>::new());
        assert_eq!(floors(&made_up(&both)), 1);
    }

    #[test]
    fn siblings_in_a_circle_are_found_beside_their_parent() {
        let found = found(&[
            ("lib.rs", "mod serve;"),
            (
                "serve/mod.rs",
                "mod one; mod two; pub const MAX: u8 = one::f();",
            ),
            (
                "serve/one.rs",
                "use super::{MAX, two}; pub fn f() -> u8 { two::f() + MAX }",
            ),
            ("serve/two.rs", "pub fn f() -> u8 { super::one::f() }"),
        ]);
        let expected = "2 files in a circle:
    serve/one.rs uses f of serve/two.rs
    serve/two.rs uses f of serve/one.rs";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn the_root_of_a_crate_is_not_excused_as_a_parent() {
        let found = found(&[
            ("lib.rs", "mod a; pub fn f() { a::g() }"),
            ("a.rs", "pub fn g() { crate::f() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn floors_are_the_longest_chain() {
        let files = made_up(&[
            (
                "lib.rs",
                "mod a; mod b; mod c; pub fn f() { a::f(); c::f(); }",
            ),
            ("a.rs", "pub fn f() { crate::b::f() }"),
            ("b.rs", "pub fn f() { crate::c::f() }"),
            ("c.rs", "pub fn f() {}"),
        ]);
        assert_eq!((circles(&files).len(), floors(&files)), (0, 4));
    }
}

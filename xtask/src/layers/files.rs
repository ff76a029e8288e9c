//! Which files of a crate depend on which, and through what.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Import, Module};

/// Each file and the files that it depends on, with the items of theirs that it uses.
///
/// Methods are not seen: a file that calls one need not name the file that defines it.
pub(super) type Files = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The maximum number of imports that may lead to each other. Two that import each other never end.
const HOPS_MAX: u8 = 16;

/// Resolves every path to the file that defines the item. A re-export alone is no dependency: it names
/// an item and does not use it.
pub(super) fn files(modules: &[Module]) -> Files {
    let crates = Crates(modules);
    let mut files = Files::new();
    for (id, module) in modules.iter().enumerate() {
        let found = files.entry(module.file.clone()).or_default();
        for (file, item) in crates.used(id) {
            if *file != module.file {
                found.entry(file.to_owned()).or_default().insert(item);
            }
        }
    }
    files
}

/// The target of a path.
#[derive(Debug, Clone)]
enum Target {
    Module(usize),
    Item(usize, String),
    /// Another crate.
    Foreign,
}

struct Crates<'a>(&'a [Module]);

impl<'a> Crates<'a> {
    /// The items that a module uses, and the files that define them.
    fn used(&self, id: usize) -> Vec<(&'a str, String)> {
        let module = &self.0[id];
        let imports = module.imports.iter();
        let (globs, imports): (Vec<_>, Vec<_>) = imports.partition(|import| import.name == "*");
        let is_used = |import: &&&Import| !import.is_public || module.names.contains(&import.name);
        let through_imports = imports.iter().filter(is_used).map(|import| &import.path);
        let mut targets: Vec<Target> = through_imports
            .chain(&module.paths)
            .filter_map(|path| self.resolve(id, path, 0))
            .collect();
        for glob in globs {
            match self.resolve(id, &glob.path, 0) {
                Some(Target::Module(from)) if from != id => {
                    let names = module.names.iter();
                    targets.extend(names.filter_map(|name| self.item(from, name, 1)));
                }
                Some(item @ Target::Item(..)) => targets.push(item),
                _ => {}
            }
        }
        let found = targets.into_iter().filter_map(|target| match target {
            Target::Item(owner, item) => Some((&*self.0[owner].file, item)),
            _ => None,
        });
        found.collect()
    }

    fn resolve(&self, from: usize, path: &[String], hops: u8) -> Option<Target> {
        let mut target = Target::Module(from);
        for (at, name) in path.iter().enumerate() {
            let Target::Module(id) = target else { break };
            let module = &self.0[id];
            let child = || module.children.get(name).copied().map(Target::Module);
            target = match &**name {
                "crate" => Target::Module(module.root),
                "self" => target,
                "super" => Target::Module(module.parent),
                // A module and a function may share a name; only the module can have a path below.
                _ if at + 1 < path.len() => child().or_else(|| self.item(id, name, hops))?,
                _ => self.item(id, name, hops).or_else(child).or_else(|| {
                    // Nothing defines it in so many words: a macro does.
                    (at > 0).then(|| Target::Item(id, name.clone()))
                })?,
            };
        }
        Some(target)
    }

    /// What a name means in a module that defines or imports it.
    fn item(&self, id: usize, name: &str, hops: u8) -> Option<Target> {
        let module = &self.0[id];
        if module.defined.contains(name) {
            return Some(Target::Item(id, name.to_owned()));
        }
        if hops == HOPS_MAX {
            return None;
        }
        if let Some(import) = module.imports.iter().find(|import| import.name == name) {
            let target = self.resolve(id, &import.path, hops + 1);
            return Some(target.unwrap_or(Target::Foreign));
        }
        let globs = module.imports.iter().filter(|import| import.name == "*");
        globs
            .filter_map(|glob| self.resolve(id, &glob.path, hops + 1))
            .find_map(|target| match target {
                Target::Module(from) if from != id => self.item(from, name, hops + 1),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules;
    use super::*;

    fn uses(sources: &[(&str, &str)]) -> Vec<String> {
        let read = |file: &str| {
            let found = sources.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| (*text).to_owned())
        };
        let mut shown = Vec::new();
        for (file, others) in files(&modules::read(&read).unwrap()) {
            for (other, items) in others {
                let items = Vec::from_iter(items).join(", ");
                shown.push(format!("{file} -> {other}: {items}"));
            }
        }
        shown
    }

    #[test]
    fn imports_inline_paths_and_globs_lead_to_the_defining_file() {
        let found = uses(&[
            (
                "lib.rs",
                "mod a; mod b; pub use b::Deep; pub use serde::Outer;",
            ),
            (
                "a.rs",
                "use crate::{Deep, Outer}; use super::b; use crate::b::*;
                 fn a() -> b::c::Inner { b::made_by_a_macro(Named) }",
            ),
            (
                "b/mod.rs",
                "mod c; pub use c::Deep; pub struct Named; id! { made_by_a_macro }",
            ),
            ("b/c.rs", "pub struct Deep; pub struct Inner;"),
        ]);
        let expected = [
            "a.rs -> b/c.rs: Deep, Inner",
            "a.rs -> b/mod.rs: Named, made_by_a_macro",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_re_export_that_is_used_where_it_is_made_is_a_dependency() {
        let found = uses(&[
            (
                "lib.rs",
                "mod a; pub use a::{Named, Used}; fn f(_: Used) {}",
            ),
            ("a.rs", "pub struct Named; pub struct Used;"),
        ]);
        assert_eq!(found, ["lib.rs -> a.rs: Used"]);
    }

    #[test]
    fn imports_of_each_other_end() {
        let found = uses(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub use crate::b::X; fn f(_: X) {}"),
            ("b.rs", "pub use crate::a::X;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

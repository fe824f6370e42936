//! Which file of the library uses which: there is no circle.
//!
//! A name that a module re-exports counts as a use of the file that defines it, so a circle cannot hide
//! behind a facade.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

type Name = Vec<String>;

/// What one file says of others.
#[derive(Default)]
struct File {
    /// Paths in private `use`s and in code.
    used: Vec<Name>,
    /// What it re-exports, by the name that it gives it.
    exported: BTreeMap<String, Name>,
}

impl File {
    fn parse(source: &str) -> Self {
        let mut file = Self::default();
        file.visit_file(&syn::parse_file(source).expect("it compiles"));
        file
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list().ok();
        let tokens = list.map(|list| list.tokens.to_string());
        let is_test = |text: String| text == "test" || text.starts_with("all (test");
        attribute.path().is_ident("cfg") && tokens.is_some_and(is_test)
    })
}

impl<'a> Visit<'a> for File {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let mut names = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut names);
        if matches!(item.vis, Visibility::Inherited) {
            self.used.extend(names.into_iter().map(|(_, path)| path));
        } else {
            self.exported.extend(names);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Name = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if names.len() > 1 {
            self.used.push(names);
        }
        visit::visit_path(self, path);
    }
}

/// The paths of a `use`, each with the name that it brings in.
fn flatten(tree: &UseTree, before: &mut Name, into: &mut Vec<(String, Name)>) {
    let with = |name: &syn::Ident| {
        let mut path = before.clone();
        path.push(name.to_string());
        path
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, into);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            into.push((before.last().cloned().unwrap_or_default(), before.clone()));
        }
        UseTree::Name(name) => into.push((name.ident.to_string(), with(&name.ident))),
        UseTree::Rename(name) => into.push((name.rename.to_string(), with(&name.ident))),
        UseTree::Glob(_) => into.push(("*".into(), before.clone())),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, into);
            }
        }
    }
}

/// All files, by their module's path.
struct Files(BTreeMap<Name, File>);

impl Files {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![(root.to_owned(), Name::new())];
        while let Some((folder, above)) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let mut name = above.clone();
                if stem != "mod" && stem != "lib" {
                    name.push(stem.clone());
                }
                // Tests and models use what they like.
                if ["tests", "models", "frozen", "shuffled"].contains(&&*stem) {
                } else if path.is_dir() {
                    folders.push((path, name));
                } else if path.extension().is_some_and(|ext| ext == "rs") {
                    files.insert(name, File::parse(&fs::read_to_string(path).unwrap()));
                }
            }
        }
        Self(files)
    }

    /// The file that defines what `path` names in `from`.
    fn find(&self, from: &[String], path: &[String]) -> Option<Name> {
        let mut at: Name = from.to_vec();
        let mut rest = path.iter();
        match path[0].as_str() {
            "crate" => {
                at.clear();
                rest.next();
            }
            "self" => {
                rest.next();
            }
            "super" => {
                while rest.as_slice().first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest.next();
                }
            }
            _ => {
                at.push(path[0].clone());
                let is_child = self.0.contains_key(&at);
                at.pop();
                if !is_child {
                    return None;
                }
            }
        }
        for (i, name) in rest.as_slice().iter().enumerate() {
            at.push(name.clone());
            if self.0.contains_key(&at) {
                continue;
            }
            at.pop();
            let exported = self.0.get(&at).and_then(|file| file.exported.get(name));
            let Some(target) = exported else { break };
            let mut target = target.clone();
            target.extend(rest.as_slice()[i + 1..].iter().cloned());
            return self.find(&at, &target).or(Some(at));
        }
        Some(at)
    }

    fn edges(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let edges = self.0.iter().map(|(name, file)| {
            let used = file.used.iter().filter_map(|path| self.find(name, path));
            (name.clone(), used.filter(|to| to != name).collect())
        });
        edges.collect()
    }
}

/// Files that nothing leads back from are taken away until there are none; what is left is circles, and
/// what uses them.
fn circles(mut edges: BTreeMap<Name, BTreeSet<Name>>) -> BTreeMap<String, Vec<String>> {
    loop {
        let leaves: Vec<Name> = edges
            .iter()
            .filter(|(_, to)| !to.iter().any(|name| edges.contains_key(name)))
            .map(|(name, _)| name.clone())
            .collect();
        let used: BTreeSet<Name> = edges.values().flatten().cloned().collect();
        let roots = edges.keys().filter(|name| !used.contains(*name)).cloned();
        let gone: Vec<Name> = leaves.into_iter().chain(roots).collect();
        if gone.is_empty() {
            break;
        }
        for name in gone {
            edges.remove(&name);
            for to in edges.values_mut() {
                to.remove(&name);
            }
        }
    }
    let shown = |name: &Name| name.join("::");
    let left = edges.iter().map(|(name, to)| {
        let to = to.iter().filter(|name| edges.contains_key(*name));
        (shown(name), to.map(shown).collect())
    });
    left.collect()
}

#[test]
fn files_import_each_other_in_no_circle() {
    let files = Files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.0.len() > 40, "the sources were found");
    let edges = files.edges();
    let count: usize = edges.values().map(BTreeSet::len).sum();
    println!("{} files, {count} imports", edges.len());
    let left = circles(edges);
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_circle_is_found_behind_a_facade() {
    let file = |path: &str, source| {
        let name: Name = path
            .split("::")
            .filter(|p| !p.is_empty())
            .map(Into::into)
            .collect();
        (name, File::parse(source))
    };
    let files = |b| {
        Files(BTreeMap::from([
            file("", "mod a; mod b;"),
            file("a", "pub(crate) mod one; pub(crate) use one::One;"),
            file("a::one", "use crate::b::Two; pub(crate) struct One(Two);"),
            file("b", b),
        ]))
    };
    let none = files("pub(crate) struct Two;");
    assert!(circles(none.edges()).is_empty());
    for bad in [
        "use crate::a::One; pub(crate) struct Two(Box<One>);",
        "use super::a::{One}; pub(crate) struct Two(Box<One>);",
        "pub(crate) struct Two(Box<crate::a::one::One>);",
        "impl Two { fn f() { let x = crate::a::One::new(); } }",
    ] {
        let found: Vec<_> = circles(files(bad).edges()).into_keys().collect();
        assert_eq!(found, ["a::one", "b"], "{bad}");
    }
    let tests_only = files("pub(crate) struct Two; #[cfg(test)] mod t { use crate::a::One; }");
    assert!(circles(tests_only.edges()).is_empty());
}

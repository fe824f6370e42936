//! R094: what hosts can name, as a list that a change has to change too.
//!
//! `tests/public_api.txt` holds the list. What a macro of the crate makes is listed by its name only.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// Set to write the list anew.
const WRITE: &str = "LANEWAY_WRITE_PUBLIC_API";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The files that ship.
fn sources() -> Vec<syn::File> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if ["tests", "models", "frozen", "shuffled", "internals"].contains(&stem) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap());
            }
        }
    }
    found
}

fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        ("> ", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" :", ":"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("->", " -> "),
    ] {
        text = text.replace(from, to);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The names that `pub use` brings out of a file.
fn exported(file: &syn::File) -> BTreeSet<String> {
    fn names(tree: &UseTree, into: &mut BTreeSet<String>) {
        match tree {
            UseTree::Path(path) => names(&path.tree, into),
            UseTree::Name(name) => _ = into.insert(name.ident.to_string()),
            UseTree::Rename(rename) => _ = into.insert(rename.rename.to_string()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, into)),
            UseTree::Glob(_) => panic!("a glob hides what is public"),
        }
    }
    let mut found = BTreeSet::new();
    for item in &file.items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            names(&item.tree, &mut found);
        }
    }
    found
}

/// What the names stand for.
struct List {
    names: BTreeSet<String>,
    lines: BTreeSet<String>,
}

impl List {
    fn read() -> Self {
        let files = sources();
        let of = |name: &str| {
            let source = fs::read_to_string(root().join("src").join(name)).unwrap();
            exported(&syn::parse_file(&source).unwrap())
        };
        let mut names = of("lib.rs");
        names.extend(of("protocol.rs"));
        names.extend(of("cluster.rs"));
        let lines = BTreeSet::new();
        let mut list = Self { names, lines };
        for file in &files {
            file.items.iter().for_each(|item| list.item(item));
        }
        for name in list.names.clone() {
            let is_it = |line: &String| line.split([' ', '(', '<', ':']).nth(1) == Some(&name);
            if !list.lines.iter().any(is_it) {
                list.lines.insert(format!("made {name}"));
            }
        }
        list
    }

    fn add(&mut self, kind: &str, name: &impl ToString, rest: &str) {
        let name = name.to_string();
        if self.names.contains(&name) {
            self.lines.insert(format!("{kind} {name}{rest}"));
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Struct(item) if is_public(&item.vis) => {
                let rest = text(&item.generics) + &attributes(&item.attrs);
                self.add("struct", &item.ident, &rest);
                self.fields(&item.ident.to_string(), &item.fields, false);
            }
            Item::Enum(item) if is_public(&item.vis) => {
                let rest = text(&item.generics) + &attributes(&item.attrs);
                self.add("enum", &item.ident, &rest);
                for variant in &item.variants {
                    let name = format!("::{}{}", variant.ident, attributes(&variant.attrs));
                    self.add("enum", &item.ident, &name);
                    let within = format!("{}::{}", item.ident, variant.ident);
                    self.fields(&within, &variant.fields, true);
                }
            }
            Item::Trait(item) if is_public(&item.vis) => {
                self.add("trait", &item.ident, "");
                for part in &item.items {
                    if let TraitItem::Fn(part) = part {
                        self.add("trait", &item.ident, &format!("::{}", text(&part.sig)));
                    }
                }
            }
            Item::Const(item) if is_public(&item.vis) => {
                self.add("const", &item.ident, &format!(": {}", text(&item.ty)));
            }
            Item::Fn(item) if is_public(&item.vis) => {
                self.add("fn", &item.sig.ident, &format!(": {}", text(&item.sig)));
            }
            Item::Impl(item) => self.implementation(item),
            _ => {}
        }
    }

    fn fields(&mut self, of: &str, fields: &Fields, are_public: bool) {
        let name = of.split(':').next().unwrap_or_default();
        if !self.names.contains(name) {
            return;
        }
        for (at, field) in fields.iter().enumerate() {
            if are_public || is_public(&field.vis) {
                let name = field
                    .ident
                    .as_ref()
                    .map_or(at.to_string(), ToString::to_string);
                self.lines
                    .insert(format!("field {of}.{name}: {}", text(&field.ty)));
            }
        }
    }

    fn implementation(&mut self, item: &syn::ItemImpl) {
        let Type::Path(path) = &*item.self_ty else {
            return;
        };
        let name = &path.path.segments.last().unwrap().ident;
        let Some((_, of, _)) = &item.trait_ else {
            for part in &item.items {
                if let ImplItem::Fn(part) = part
                    && is_public(&part.vis)
                {
                    self.add("impl", name, &format!("::{}", text(&part.sig)));
                }
                if let ImplItem::Const(part) = part
                    && is_public(&part.vis)
                {
                    self.add(
                        "impl",
                        name,
                        &format!("::{}: {}", part.ident, text(&part.ty)),
                    );
                }
            }
            return;
        };
        // A trait of the crate's own is no host's, unless it is exported.
        let last = of.segments.last().unwrap().ident.to_string();
        if !["Drop", "Keyed"].contains(&&*last) {
            self.add("impl", name, &format!(": {}", text(of)));
        }
    }
}

/// What derives and attributes say to hosts.
fn attributes(attributes: &[Attribute]) -> String {
    let mut said = String::new();
    for attribute in attributes {
        if attribute.path().is_ident("derive") || attribute.path().is_ident("non_exhaustive") {
            said += " ";
            said += &text(&attribute.meta);
        }
    }
    said
}

#[test]
fn r094_what_is_public_is_what_the_list_says() {
    let list = List::read();
    let new: String = list.lines.iter().flat_map(|line| [line, "\n"]).collect();
    assert!(list.lines.len() > 400, "the sources were found");
    let path = root().join("tests/public_api.txt");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &new).unwrap();
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.lines().collect(), new.lines().collect());
    let gone: Vec<_> = old.difference(&new).collect();
    let added: Vec<_> = new.difference(&old).collect();
    assert!(
        gone.is_empty() && added.is_empty(),
        "the public interface has changed\ngone: {gone:#?}\nadded: {added:#?}\n\
         If that is meant: {WRITE}=1 cargo test --test public_api"
    );
}

//! Rules that the sources themselves keep: one way in, one hub, no address but a scope, and a
//! test for each requirement. Each rule is tried on sources that break it.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ExprMethodCall, ExprPath, FnArg, ImplItemFn, ItemFn, Signature, Visibility};

/// Types that may be named after what there is one of: the engine, a handle that does not keep it open, and
/// the router of messages in it.
const ONCE: [&str; 4] = ["Hub", "WeakHub", "MessageRouter", "Broadcaster"];
/// Public functions that take a user beside a value and deliver nothing.
const DELIVER_NOTHING: [&str; 7] = [
    "check",
    "check_message",
    // Of events that are to be confirmed, by their ids.
    "expect",
    "sent",
    "failed",
    "confirm",
    "state",
];
/// What an event, or a part of one, is in a signature.
const PAYLOADS: [&str; 9] = [
    "E", "T", "Packet", "Message", "Value", "Map", "String", "str", "Vec",
];
/// The one function that appends to a lane.
const ONE_PATH: &str = "append_to";
/// `Lane::append` has so many arguments beside the lane.
const APPEND_ARGUMENTS: usize = 4;

/// What breaks the rules, and who appends to a lane.
#[derive(Default)]
struct Rules {
    function: Vec<String>,
    appends: Vec<String>,
    broken: Vec<String>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let mut test = false;
        if attribute.path().is_ident("cfg") {
            // An error is a predicate that is no plain name: not `cfg(test)`.
            let _ = attribute.parse_nested_meta(|meta| {
                test |= meta.path.is_ident("test");
                Ok(())
            });
        }
        test || attribute.path().is_ident("test")
    })
}

/// The names in a type, and `impl` for one that is not named.
struct Names(BTreeSet<String>);

impl Visit<'_> for Names {
    fn visit_ident(&mut self, ident: &syn::Ident) {
        self.0.insert(ident.to_string());
    }
    fn visit_type_impl_trait(&mut self, node: &syn::TypeImplTrait) {
        self.0.insert("impl".into());
        visit::visit_type_impl_trait(self, node);
    }
}

impl Rules {
    fn check(source: &str) -> Self {
        let mut rules = Self::default();
        rules.visit_file(&syn::parse_file(source).expect("it compiles"));
        rules
    }

    fn named(&mut self, name: &syn::Ident) {
        let name = name.to_string();
        let reserved = ["Hub", "Router", "Factory", "Broadcaster"];
        if reserved.iter().any(|end| name.ends_with(end)) && !ONCE.contains(&&*name) {
            self.broken.push(format!("a second one: {name}"));
        }
    }

    fn signature(&mut self, signature: &Signature, visibility: &Visibility) {
        if !matches!(visibility, Visibility::Public(_)) {
            return;
        }
        let (mut user, mut payload) = (false, false);
        for input in &signature.inputs {
            let FnArg::Typed(input) = input else {
                continue;
            };
            let mut names = Names(BTreeSet::new());
            names.visit_type(&input.ty);
            // A hook that is told of users is no address.
            if names.0.contains("UserId") && !names.0.contains("impl") {
                user = true;
            } else {
                payload |=
                    names.0.contains("impl") || PAYLOADS.iter().any(|name| names.0.contains(*name));
            }
        }
        let name = signature.ident.to_string();
        if user && payload && !DELIVER_NOTHING.contains(&&*name) {
            self.broken.push(format!("a user beside an event: {name}"));
        }
    }

    fn append(&mut self) {
        let function = self.function.last().cloned();
        self.appends
            .push(function.unwrap_or_else(|| "nowhere".into()));
    }
}

impl<'a> Visit<'a> for Rules {
    fn visit_item_mod(&mut self, node: &'a syn::ItemMod) {
        if !is_test(&node.attrs) {
            visit::visit_item_mod(self, node);
        }
    }
    fn visit_item_struct(&mut self, node: &'a syn::ItemStruct) {
        self.named(&node.ident);
        visit::visit_item_struct(self, node);
    }
    fn visit_item_enum(&mut self, node: &'a syn::ItemEnum) {
        self.named(&node.ident);
        visit::visit_item_enum(self, node);
    }
    fn visit_item_trait(&mut self, node: &'a syn::ItemTrait) {
        self.named(&node.ident);
        for item in &node.items {
            if let syn::TraitItem::Fn(function) = item {
                self.signature(&function.sig, &node.vis);
            }
        }
        visit::visit_item_trait(self, node);
    }
    fn visit_item_type(&mut self, node: &'a syn::ItemType) {
        self.named(&node.ident);
        visit::visit_item_type(self, node);
    }
    fn visit_item_fn(&mut self, node: &'a ItemFn) {
        if !is_test(&node.attrs) {
            self.signature(&node.sig, &node.vis);
            self.function.push(node.sig.ident.to_string());
            visit::visit_item_fn(self, node);
            self.function.pop();
        }
    }
    fn visit_impl_item_fn(&mut self, node: &'a ImplItemFn) {
        if !is_test(&node.attrs) {
            self.signature(&node.sig, &node.vis);
            self.function.push(node.sig.ident.to_string());
            visit::visit_impl_item_fn(self, node);
            self.function.pop();
        }
    }
    fn visit_expr_method_call(&mut self, node: &'a ExprMethodCall) {
        if node.method == "append" && node.args.len() == APPEND_ARGUMENTS {
            self.append();
        }
        visit::visit_expr_method_call(self, node);
    }
    fn visit_expr_path(&mut self, node: &'a ExprPath) {
        let names: Vec<_> = node.path.segments.iter().map(|s| &s.ident).collect();
        if matches!(names[..], [.., of, last] if of == "Lane" && last == "append") {
            self.append();
        }
        visit::visit_expr_path(self, node);
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Modules of the sources that are tests or models as a whole.
fn ships(path: &Path) -> bool {
    let tests = ["tests", "models", "frozen", "shuffled"];
    let named = |part: &std::ffi::OsStr| {
        tests
            .iter()
            .any(|name| Path::new(part).file_stem() == Some(name.as_ref()))
    };
    let sources = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
    !sources.iter().any(named)
}

#[test]
fn r001_r030_one_path_one_router_one_broadcaster_and_no_address_but_a_scope() {
    let (mut appends, mut broken) = (BTreeSet::new(), Vec::new());
    let mut seen = 0;
    for path in files("src").iter().filter(|path| ships(path)) {
        let rules = Rules::check(&fs::read_to_string(path).unwrap());
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        appends.extend(rules.appends.into_iter().map(|f| (file.clone(), f)));
        broken.extend(rules.broken);
        seen += 1;
    }
    assert!(seen > 20, "the sources were found");
    let one = BTreeSet::from([("deliver.rs".to_owned(), ONE_PATH.to_owned())]);
    assert_eq!(appends, one);
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn r001_r030_sources_that_break_a_rule_are_found() {
    let appends = |source: &str| Rules::check(source).appends;
    assert_eq!(
        appends("fn f() { x.lane.append(event, audience, terms, done); }"),
        ["f"]
    );
    let hidden =
        "impl A { fn g(&self) { let h = || { let lane = &self.0; lane.append(a, b, c, d) }; } }";
    assert_eq!(appends(hidden), ["g"]);
    assert_eq!(appends("fn f() { Lane::append(l, a, b, c, d); }"), ["f"]);
    assert_eq!(
        appends("fn f() { [1].map(crate::lane::Lane::append); }"),
        ["f"]
    );
    assert!(appends("fn f() { list.append(&mut other); }").is_empty());
    assert!(appends("#[cfg(test)] mod t { fn f() { x.append(a, b, c, d); } }").is_empty());
    assert_eq!(
        appends("#[cfg(not(test))] mod t { fn f() { x.append(a, b, c, d); } }"),
        ["f"]
    );
    for bad in [
        "pub struct QualityRouter;",
        "enum HandlerFactory {}",
        "mod deep { pub(crate) struct AgentBroadcaster<T>(T); }",
        "trait ThreadRouter {}",
        "type OtherRouter = u8;",
        "pub fn send(user: &UserId, event: E) {}",
        "impl X { pub fn send(&self, to: UserId, m: &Message) {} }",
        "impl X { pub fn send(&self, to: Option<&UserId>, m: impl Into<Value>) {} }",
        "impl X { pub fn send(&self, m: Vec<u8>, to: &[UserId]) {} }",
        "pub trait T { fn send(&self, to: &UserId, text: &str); }",
    ] {
        assert_eq!(Rules::check(bad).broken.len(), 1, "{bad}");
    }
    for good in [
        "pub struct MessageRouter; pub struct Routers;",
        "pub fn scope(user: UserId) -> UserScope {}",
        "fn private(user: &UserId, event: E) {}",
        "pub fn each(f: impl FnMut(&UserId, usize)) {}",
        "impl X { pub fn builder(user: UserId, thread: ThreadId) {} }",
    ] {
        assert!(Rules::check(good).broken.is_empty(), "{good}");
    }
}

/// The requirements that a test cites in front of its name: `r016_r060_what_it_shows`.
fn cited(name: &str) -> impl Iterator<Item = String> + '_ {
    let is_number = |part: &&str| {
        part.len() == 4 && part.starts_with('r') && part[1..].bytes().all(|b| b.is_ascii_digit())
    };
    name.split('_').take_while(is_number).map(str::to_uppercase)
}

/// Tests by the requirement that they cite.
fn citing(sources: impl IntoIterator<Item = String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut tests: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for source in sources {
        let lines = source.lines().map(str::trim);
        let functions = lines.map(|line| line.strip_prefix("async ").unwrap_or(line));
        for at in functions.filter_map(|line| line.strip_prefix("fn ")) {
            let name = at.split('(').next().unwrap_or_default();
            for number in cited(name) {
                tests.entry(number).or_default().insert(name.to_owned());
            }
        }
    }
    tests
}

/// What is wrong with the table of requirements.
fn unproved(table: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| {
        line.starts_with("| R") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit)
    }) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (number, said) = (cells[1], cells[3]);
        listed.insert(number.to_owned());
        let there = tests.get(number).cloned().unwrap_or_default();
        let said: BTreeSet<_> = said
            .split(", ")
            .map(|t| t.trim_matches('`').into())
            .collect();
        if there.is_empty() || said != there {
            wrong.push(format!("{number}: there is {there:?}"));
        }
    }
    let tens = [1..=6, 10..=19, 20..=24, 30..=39, 40..=44, 50..=57, 60..=60];
    let numbers = tens
        .into_iter()
        .chain([70..=86, 90..=98, 100..=124, 130..=137, 140..=143]);
    let all: BTreeSet<_> = numbers.flatten().map(|n: u8| format!("R{n:03}")).collect();
    wrong.extend(
        all.symmetric_difference(&listed)
            .map(|n| format!("{n}: no row, or no requirement")),
    );
    wrong
}

#[test]
fn every_requirement_has_the_tests_that_the_table_says() {
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let sources = files("tests").into_iter().chain(files("src"));
    let tests = citing(sources.map(|path| read(&path)));
    let table = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/REQUIREMENTS.md"));
    let wrong = unproved(&table, &tests);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A row without its test, with another, and one too few are found.
    let mut fewer = tests.clone();
    fewer.remove("R001");
    assert_eq!(unproved(&table, &fewer).len(), 1);
    let mut more = tests.clone();
    more.entry("R002".into())
        .or_default()
        .insert("r002_more".into());
    assert_eq!(unproved(&table, &more).len(), 1);
    let short: String = table
        .lines()
        .filter(|l| !l.starts_with("| R060"))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(unproved(&short, &tests).len(), 1);
}

/// The models and twins of these sources that the page has no row for, by their letters and digits.
fn unlisted<'a>(sources: impl Iterator<Item = &'a String>, page: &str) -> BTreeSet<String> {
    let letters = |text: &str| -> String {
        let kept = text.chars().filter(char::is_ascii_alphanumeric);
        kept.collect::<String>().to_lowercase()
    };
    let cells = page.lines().filter_map(|line| line.split('|').nth(1));
    let rows: BTreeSet<_> = cells.map(letters).collect();
    let mut found = BTreeSet::new();
    for source in sources {
        // Names that a macro makes are left out.
        let models = source.split("model::sound(").skip(1);
        let models =
            models.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        let twins = source.split("model::twin(").skip(1);
        let twins = twins.filter_map(|rest| {
            let twin = rest.trim_start().strip_prefix("Fault::")?;
            twin.split(',').next()
        });
        found.extend(models.chain(twins).map(letters));
    }
    &found - &rows
}

#[test]
fn every_model_and_every_twin_has_its_row() {
    let sources: Vec<_> = files("src")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md")).unwrap();
    assert_eq!(unlisted(sources.iter(), &page), BTreeSet::new());
    // A page without one row is found, and so is a model without one.
    let shorter = page.replacen("| publish read |", "| another |", 1);
    assert_eq!(unlisted(sources.iter(), &shorter).len(), 1);
    let twin = "model::twin(Fault::NoSuchOne, \"lost\")".to_owned();
    assert_eq!(unlisted([twin].iter(), &page).len(), 1);
}

//! Schemas that others build on: one with a `discriminator` stands for all that inherit from it by
//! `allOf`, wherever it is not the one that they build on.
//!
//! Such a family is a schema of its own, named by the place of the `discriminator`. Its members are
//! offered as alternatives in what is sent. In what comes back the discriminator stays a hint, as the
//! specification has it: a server may send members that the document does not know yet.

use std::collections::{HashMap, HashSet};

use super::composition::Discriminator;
use super::{Keywords, Library, Member, Schema, scalar};
use crate::document::Documents;
use crate::model::{At, DocumentId};
use crate::tree::{Kind, Value};

/// Most members of a family that are offered; of more nobody reads all.
const HEIRS_MAX: usize = 60;

/// Where the names of schemas are declared.
const DECLARED: [&[&str]; 2] = [&["components", "schemas"], &["definitions"]];

/// The families of the documents.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// By the place of the discriminator.
    all: HashMap<At, Family>,
    /// The place of the discriminator, by the schema that others build on.
    by_base: HashMap<At, At>,
}

/// A schema and those that inherit from it.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) base: At,
    /// In the order of the documents.
    heirs: Vec<Heir>,
}

#[derive(Debug)]
struct Heir {
    at: At,
    /// The name under which it is declared, which is its value of the discriminator unless something
    /// says otherwise.
    name: Box<str>,
}

impl Families {
    /// Finds the families of the documents.
    pub(super) fn of(documents: &Documents) -> Self {
        let mut families = Self::default();
        if !documents.all.iter().any(|document| document.tree.mentions("discriminator")) {
            return families;
        }
        let declared = declared(documents);
        let places = declared.iter().enumerate().map(|(number, (_, at, _))| (*at, number));
        let places: HashMap<At, usize> = places.collect();
        let mut heirs: HashMap<At, Vec<usize>> = HashMap::new();
        for (number, (_, at, value)) in declared.iter().enumerate() {
            // 3.0 wraps a schema like this only to let it be null.
            if value.flag("nullable") == Some(true) {
                continue;
            }
            for branch in value.get("allOf").into_iter().flat_map(Value::elements) {
                let branch = At { node: branch.id(), ..*at };
                if documents.reference(branch).is_some()
                    && let Ok(target) = documents.resolve(branch)
                {
                    heirs.entry(target.at).or_default().push(number);
                }
            }
        }
        for (_, base, value) in &declared {
            let has_branches = ["oneOf", "anyOf"].iter().any(|key| value.get(key).is_some());
            let Some(discriminator) = value.get("discriminator").filter(|_| !has_branches) else {
                continue;
            };
            let mut numbers: Vec<usize> = inherited(*base, &declared, &heirs).into_iter().collect();
            // Whom `mapping` names belongs to the family, whether it inherits or not.
            let named = Discriminator::of(documents, *base);
            let named = named.iter().flat_map(Discriminator::targets).filter(|at| at != base);
            numbers.extend(named.filter_map(|at| places.get(&at)));
            numbers.sort_unstable();
            numbers.dedup();
            if numbers.is_empty() || numbers.len() > HEIRS_MAX {
                continue;
            }
            let heir =
                |number: usize| Heir { at: declared[number].1, name: declared[number].0.into() };
            let family = Family { base: *base, heirs: numbers.into_iter().map(heir).collect() };
            let at = At { node: discriminator.id(), ..*base };
            families.by_base.insert(*base, at);
            families.all.insert(at, family);
        }
        families
    }

    /// The family that has its discriminator at a place.
    pub(super) fn get(&self, at: At) -> Option<&Family> {
        self.all.get(&at)
    }

    /// The place that stands for the family of a schema, where a reference to the schema means any of
    /// the family. `branch` has the schema in whose `allOf`, `anyOf` or `oneOf` the reference stands.
    pub(super) fn meant(
        &self,
        documents: &Documents,
        base: At,
        branch: Option<(At, &str)>,
    ) -> Option<At> {
        let at = *self.by_base.get(&base)?;
        let family = self.all.get(&at)?;
        let Some((around, key)) = branch else { return Some(at) };
        let branches = documents.value(around).get(key)?;
        let is_meant = if key == "allOf" {
            // With others it is built on; alone it is only wrapped, unless an heir adds nothing.
            branches.len() == 1 && !family.has(around)
        } else {
            // Who names heirs beside it has said all alternatives.
            !branches.elements().any(|branch| {
                let branch = documents.resolve(At { node: branch.id(), ..around });
                branch.is_ok_and(|target| family.has(target.at))
            })
        };
        is_meant.then_some(at)
    }
}

impl Family {
    fn has(&self, at: At) -> bool {
        self.heirs.iter().any(|heir| heir.at == at)
    }
}

/// The alternatives of a family: each heir with its value of the discriminator, then the schema that
/// they build on, for all other values.
pub(super) fn schema(library: &Library<'_>, family: &Family) -> Schema {
    let value = library.value(family.base);
    let discriminator = Discriminator::of(library.documents, family.base);
    let base = Schema::reference(family.base, &name_of(library, family.base));
    let Some(discriminator) = discriminator else { return base };
    let mut branches = Vec::with_capacity(family.heirs.len() + 1);
    let mut values: Vec<String> = Vec::new();
    let mut default = None;
    for heir in &family.heirs {
        let name = super::short_name(&heir.name);
        if discriminator.default == Some(heir.at) {
            default = Some(Schema::reference(heir.at, &name));
            continue;
        }
        let stated = library.value(heir.at).text("x-ms-discriminator-value");
        let chosen_by = stated.unwrap_or(&heir.name);
        let mut branch = Schema::reference(heir.at, &name);
        values.extend(discriminator.choose(library, heir.at, Some(chosen_by), &mut branch));
        branches.push(branch);
    }
    let mut rest = default.unwrap_or(base);
    let known = discriminator.values(library, family.base);
    let is_complete = known.is_some_and(|known| known.iter().all(|one| values.contains(one)));
    if !is_complete || branches.is_empty() {
        discriminator.exclude(&values, &mut rest);
        branches.push(rest);
    }
    let mut keywords = Keywords::default();
    if value.text("type").is_some_and(|name| name.eq_ignore_ascii_case("object")) {
        keywords.set("type", Member::Json(scalar::quoted("object").into()));
    }
    keywords.set("anyOf", Member::Many(branches));
    Schema::Keywords(keywords)
}

fn name_of(library: &Library<'_>, at: At) -> String {
    let declared = declared_in(library.documents, at.document);
    let own = declared.into_iter().find(|(_, value)| value.id() == at.node);
    own.map_or_else(|| "schema".to_owned(), |(name, _)| super::short_name(name))
}

/// All schemas that have a name, with it.
fn declared(documents: &Documents) -> Vec<(&str, At, Value<'_>)> {
    let numbers = (0..documents.all.len()).filter_map(|number| u16::try_from(number).ok());
    let all = numbers.map(DocumentId).flat_map(|document| {
        let all = declared_in(documents, document).into_iter();
        all.map(move |(name, value)| (name, At { document, node: value.id() }, value))
    });
    all.collect()
}

fn declared_in(documents: &Documents, document: DocumentId) -> Vec<(&str, Value<'_>)> {
    let root = documents.all[usize::from(document.0)].tree.root();
    let holders =
        DECLARED.iter().filter_map(|path| path.iter().try_fold(root, |value, key| value.get(key)));
    holders.flat_map(Value::entries).filter(|(_, value)| value.kind() == Kind::Object).collect()
}

/// Which of the declared schemas build on `base`, also by way of others.
fn inherited(
    base: At,
    declared: &[(&str, At, Value<'_>)],
    heirs: &HashMap<At, Vec<usize>>,
) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut pending = vec![base];
    while let Some(at) = pending.pop() {
        for &number in heirs.get(&at).into_iter().flatten() {
            let heir = declared[number].1;
            if found.len() <= HEIRS_MAX && heir != base && found.insert(number) {
                pending.push(heir);
            }
        }
    }
    found
}

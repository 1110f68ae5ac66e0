//! What one composed endpoint shows: built from the servers' listings, immutable, answered from.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use wire::capability::ClientAbilities;
use wire::json::{self, Edit};
use wire::shape::older::{self, Output};
use wire::shape::task;
use wire::uri_template::UriTemplate;
use wire::{Era, Json, Method, Object, Version};

use super::definitions::{Definition, Listing, members_of};
use super::{naming, resources};
use crate::fleet::Server;
use crate::plan::Offer;

/// Where something exposed leads to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: Arc<Server>,
    /// What the server calls it.
    pub(crate) original: String,
}

/// One page of a list, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// `"tools":[…]`
    pub(crate) member: Bytes,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<usize>,
}

/// Everything that an endpoint shows to clients with the same abilities.
#[derive(Debug)]
pub(crate) struct View {
    tools: HashMap<String, Target>,
    prompts: HashMap<String, Target>,
    resources: HashMap<String, Target>,
    templates: Vec<(UriTemplate, Target)>,
    pages: HashMap<Method, Vec<Page>>,
    /// Where each page starts, by the first item's place in the whole list.
    starts: HashMap<Method, Vec<usize>>,
    /// Pages in the words of older versions, made when they are first asked for.
    older: Mutex<HashMap<(Method, usize, Version), Bytes>>,
    /// The merged `ServerCapabilities`.
    pub(crate) capabilities: Json,
    /// The merged instructions, or the configured ones.
    pub(crate) instructions: Option<String>,
    pub(crate) ttl_ms: u64,
    pub(crate) is_public: bool,
    /// The servers that can tell about single resources.
    pub(crate) with_resources: Vec<Arc<Server>>,
    signature: Vec<(usize, u64)>,
}

/// How an endpoint composes.
#[derive(Debug)]
pub(crate) struct Composition {
    pub(crate) offers: Vec<Offer>,
    pub(crate) bare: bool,
    pub(crate) instructions: Option<String>,
    pub(crate) page_items: usize,
    pub(crate) page_bytes: usize,
}

/// The views of one endpoint, by what clients can do.
#[derive(Debug)]
pub(crate) struct Views {
    composition: Composition,
    /// Whether tags decide what is shown.
    are_tagged: bool,
    built: ArcSwap<HashMap<ClientAbilities, Arc<View>>>,
    building: Mutex<()>,
}

/// Longest merged instructions in bytes, and each server's share of them.
const INSTRUCTIONS_MAX: usize = 16 << 10;
const INSTRUCTIONS_SHARE: usize = 4 << 10;

impl Views {
    pub(crate) fn new(composition: Composition) -> Self {
        let are_tagged = composition.offers.iter().any(|offer| !offer.offers_all_kinds());
        Self { composition, are_tagged, built: ArcSwap::default(), building: Mutex::new(()) }
    }

    pub(crate) fn offers(&self) -> &[Offer] {
        &self.composition.offers
    }

    /// Whether tags of tools decide what is shown.
    pub(crate) fn are_tagged(&self) -> bool {
        self.are_tagged
    }

    /// The view as last built, for finding what a call names.
    pub(crate) fn last(&self, abilities: ClientAbilities) -> Option<Arc<View>> {
        self.built.load().get(&abilities).cloned()
    }

    /// The current view; waits at most `wait` for servers of which nothing is known.
    pub(crate) async fn current(&self, abilities: ClientAbilities, wait: Duration) -> Arc<View> {
        let offers = &self.composition.offers;
        let listings: Vec<Option<Arc<Listing>>> =
            join_all(offers.iter().map(|offer| offer.server.listing(abilities, wait))).await;
        let signature: Vec<_> = listings
            .iter()
            .enumerate()
            .filter_map(|(at, listing)| Some((at, listing.as_ref()?.digest)))
            .collect();
        if let Some(view) = self.last(abilities).filter(|view| view.signature == signature) {
            return view;
        }
        let _one_at_a_time = self.building.lock().expect("no panic while building a view");
        let view = Arc::new(View::build(&self.composition, &listings, signature));
        let mut built = HashMap::clone(&self.built.load());
        built.insert(abilities, Arc::clone(&view));
        self.built.store(Arc::new(built));
        view
    }
}

/// One kind of list while it is built.
struct Builder {
    member: &'static str,
    items: Vec<Vec<u8>>,
}

impl View {
    fn build(
        composition: &Composition,
        listings: &[Option<Arc<Listing>>],
        signature: Vec<(usize, u64)>,
    ) -> Self {
        let mut view = Self {
            tools: HashMap::new(),
            prompts: HashMap::new(),
            resources: HashMap::new(),
            templates: Vec::new(),
            pages: HashMap::new(),
            starts: HashMap::new(),
            older: Mutex::default(),
            capabilities: capabilities(&[]),
            instructions: None,
            ttl_ms: u64::MAX,
            is_public: true,
            with_resources: Vec::new(),
            signature,
        };
        let mut present: Vec<(&Offer, &Listing)> = composition
            .offers
            .iter()
            .zip(listings)
            .filter_map(|(offer, listing)| Some((offer, &**listing.as_ref()?)))
            .collect();
        view.add_tools(composition, &present);
        view.add_prompts(composition, &present);
        view.add_resources(composition, &present);
        view.add_templates(composition, &present);
        for (offer, listing) in &present {
            view.ttl_ms = view.ttl_ms.min(listing.ttl_ms);
            view.is_public &= listing.is_public;
            if listing.hello.abilities.resources && offer.offers_all_kinds() {
                view.with_resources.push(Arc::clone(&offer.server));
            }
        }
        if present.is_empty() || present.len() < listings.len() {
            (view.ttl_ms, view.is_public) = (0, false);
        }
        // A server that shows nothing here has nothing to say either.
        let shows = |(offer, listing): &(&Offer, &Listing)| {
            offer.offers_all_kinds() || listing.tools.iter().any(|tool| is_offered(offer, tool))
        };
        present.retain(shows);
        view.capabilities = capabilities(&present);
        view.instructions = composition.instructions.clone().or_else(|| instructions(&present));
        view
    }

    fn add_tools(&mut self, composition: &Composition, present: &[(&Offer, &Listing)]) {
        let mut list = Builder { member: "tools", items: Vec::new() };
        for (offer, listing) in present {
            for tool in listing.tools.iter().filter(|tool| is_offered(offer, tool)) {
                let Some(exposed) = place(&mut self.tools, composition, offer, &tool.key) else {
                    continue;
                };
                if let Some(json) = shown_tool(offer, tool, &exposed) {
                    list.items.push(json);
                }
            }
        }
        self.paginate(Method::ToolsList, &list, composition);
    }

    fn add_prompts(&mut self, composition: &Composition, present: &[(&Offer, &Listing)]) {
        let mut list = Builder { member: "prompts", items: Vec::new() };
        for (offer, listing) in present {
            for prompt in listing.prompts.iter().filter(|it| offer.offers_prompt(&it.key)) {
                let placed = place(&mut self.prompts, composition, offer, &prompt.key);
                if let Some(exposed) = placed {
                    let mut out = Vec::with_capacity(prompt.json.text_len() + 64);
                    let name = Json::string(&exposed);
                    prompt.json.splice(&[Edit::set("name", name.as_bytes())], &mut out);
                    list.items.push(out);
                }
            }
        }
        self.paginate(Method::PromptsList, &list, composition);
    }

    fn add_resources(&mut self, composition: &Composition, present: &[(&Offer, &Listing)]) {
        let offered = |offer: &Offer, resource: &Definition| {
            offer.offers_resource(&resource.key)
                && (offer.server.wanted.app_views || !is_app_view(resource))
        };
        let colliding = colliding(present, |listing| &listing.resources, offered);
        let mut list = Builder { member: "resources", items: Vec::new() };
        for (offer, listing) in present {
            for resource in listing.resources.iter().filter(|resource| offered(offer, resource)) {
                let exposed = exposed_uri(&colliding, offer, &resource.key);
                let target = target(offer, &resource.key);
                if self.resources.insert(exposed.clone(), target).is_none() {
                    list.items.push(with_key(resource, "uri", &exposed));
                }
            }
        }
        self.paginate(Method::ResourcesList, &list, composition);
    }

    fn add_templates(&mut self, composition: &Composition, present: &[(&Offer, &Listing)]) {
        let offered = |offer: &Offer, template: &Definition| offer.offers_resource(&template.key);
        let colliding = colliding(present, |listing| &listing.templates, offered);
        let mut list = Builder { member: "resourceTemplates", items: Vec::new() };
        for (offer, listing) in present {
            for template in listing.templates.iter().filter(|template| offered(offer, template)) {
                let exposed = exposed_uri(&colliding, offer, &template.key);
                list.items.push(with_key(template, "uriTemplate", &exposed));
                if let Ok(parsed) = UriTemplate::parse(&template.key) {
                    self.templates.push((parsed, target(offer, &template.key)));
                }
            }
        }
        self.templates.sort_by_key(|(template, _)| std::cmp::Reverse(template.specificity()));
        self.paginate(Method::ResourceTemplatesList, &list, composition);
    }

    /// Cuts a list into pages within the limits.
    fn paginate(&mut self, method: Method, list: &Builder, composition: &Composition) {
        let mut pages = Vec::new();
        let mut starts = vec![0];
        let mut member = Vec::new();
        let mut count = 0;
        for (at, item) in list.items.iter().enumerate() {
            let full = count > 0
                && (count >= composition.page_items
                    || member.len() + item.len() + 2 > composition.page_bytes);
            if full {
                member.push(b']');
                let page = std::mem::take(&mut member).into();
                pages.push(Page { member: page, next: Some(at) });
                starts.push(at);
                count = 0;
            }
            if count == 0 {
                open_member(&mut member, list.member);
            } else {
                member.push(b',');
            }
            member.extend_from_slice(item);
            count += 1;
        }
        if count == 0 {
            open_member(&mut member, list.member);
        }
        member.push(b']');
        pages.push(Page { member: member.into(), next: None });
        self.pages.insert(method, pages);
        self.starts.insert(method, starts);
    }

    /// The page of a list that starts at item `start`; `None` if no page does.
    pub(crate) fn page(&self, method: Method, start: usize) -> Option<&Page> {
        let at = self.starts.get(&method)?.binary_search(&start).ok()?;
        self.pages.get(&method)?.get(at)
    }

    /// The list of a page, in the words of `version`.
    pub(crate) fn member(
        &self,
        method: Method,
        start: usize,
        page: &Page,
        version: Version,
    ) -> Bytes {
        if version.era() == Era::Modern {
            return page.member.clone();
        }
        let key = (method, start, version);
        let older = || self.older.lock().expect("no panic while holding the older pages");
        if let Some(member) = older().get(&key) {
            return member.clone();
        }
        let member = in_words_of(version, method, page);
        older().insert(key, member.clone());
        member
    }

    pub(crate) fn tool(&self, exposed: &str) -> Option<&Target> {
        self.tools.get(exposed)
    }

    pub(crate) fn prompt(&self, exposed: &str) -> Option<&Target> {
        self.prompts.get(exposed)
    }

    /// The server of a listed or rewritten URI.
    pub(crate) fn resource(&self, uri: &str) -> Option<Target> {
        if let Some(target) = self.resources.get(uri) {
            return Some(target.clone());
        }
        let (name, original) = resources::original(uri)?;
        let server = self.with_resources.iter().find(|server| &*server.name == name)?;
        Some(Target { server: Arc::clone(server), original: original.to_owned() })
    }

    /// The server of the most specific template that the URI matches, unless two servers match as well.
    pub(crate) fn template_for(&self, uri: &str) -> Option<&Target> {
        let mut matching =
            self.templates.iter().filter(|(template, _)| template.matches(uri).is_some());
        let (best, target) = matching.next()?;
        let rival = matching
            .take_while(|(template, _)| template.specificity() == best.specificity())
            .any(|(_, other)| !Arc::ptr_eq(&other.server, &target.server));
        (!rival).then_some(target)
    }

    /// The server that a template belongs to, by the template as it is shown.
    pub(crate) fn template(&self, exposed: &str) -> Option<Target> {
        if let Some((name, original)) = resources::original(exposed) {
            let server = self.with_resources.iter().find(|server| &*server.name == name)?;
            return Some(Target { server: Arc::clone(server), original: original.to_owned() });
        }
        self.templates
            .iter()
            .find(|(_, target)| target.original == exposed)
            .map(|(_, target)| target.clone())
    }
}

/// The list of a page with everything in it that `version` does not know left out or rewritten.
fn in_words_of(version: Version, method: Method, page: &Page) -> Bytes {
    let whole = Json::trusted([b"{", &*page.member, b"}"].concat());
    let (list, _) = members_of(method);
    let Some(whole) = whole.object() else { return page.member.clone() };
    match older::result(method, &whole, version, Output::Unknown) {
        None => page.member.clone(),
        Some(older) => match older.raw(list) {
            Some(elements) => {
                let mut member = Vec::with_capacity(elements.len() + list.len() + 3);
                json::write_string(&mut member, list);
                member.push(b':');
                member.extend_from_slice(elements);
                member.into()
            }
            None => page.member.clone(),
        },
    }
}

fn is_offered(offer: &Offer, tool: &Definition) -> bool {
    offer.offers_tool(&tool.key, &tool.tags)
}

fn target(offer: &Offer, original: &str) -> Target {
    Target { server: Arc::clone(&offer.server), original: original.to_owned() }
}

fn open_member(out: &mut Vec<u8>, member: &str) {
    json::write_string(out, member);
    out.extend_from_slice(b":[");
}

/// Gives a name its place in the table. Under bare names the first owner keeps it, and the log names
/// both.
fn place(
    table: &mut HashMap<String, Target>,
    composition: &Composition,
    offer: &Offer,
    original: &str,
) -> Option<String> {
    let exposed = if composition.bare {
        naming::fit(original)
    } else {
        naming::exposed(offer.server.prefix(), original)
    };
    if let Some(owner) = table.get(&exposed) {
        let (first, second) = (&owner.server.name, &offer.server.name);
        tracing::warn!(
            name = exposed, %first, %second,
            "two servers have the same name; the first keeps it, the second is hidden"
        );
        return None;
    }
    table.insert(exposed.clone(), target(offer, original));
    Some(exposed)
}

/// A tool as it is shown: under its exposed name, without views unless the operator allows them.
/// Tools for views only stay callable and are not listed.
fn shown_tool(offer: &Offer, tool: &Definition, exposed: &str) -> Option<Vec<u8>> {
    let name = Json::string(exposed);
    let mut edits = vec![Edit::set("name", name.as_bytes())];
    let meta = tool.json.object("_meta");
    let bare_meta;
    if let Some(meta) = meta.filter(|_| !offer.server.wanted.app_views) {
        if meta.object(wire::meta::UI).is_some_and(|ui| is_for_apps_only(&ui)) {
            return None;
        }
        if meta.has(wire::meta::UI) || meta.has(wire::meta::UI_RESOURCE_URI) {
            let without = [Edit::remove(wire::meta::UI), Edit::remove(wire::meta::UI_RESOURCE_URI)];
            bare_meta = meta.to_json(&without);
            edits.push(if bare_meta.as_bytes() == b"{}" {
                Edit::remove("_meta")
            } else {
                Edit::set("_meta", bare_meta.as_bytes())
            });
        }
    }
    let mut out = Vec::with_capacity(tool.json.text_len() + 64);
    tool.json.splice(&edits, &mut out);
    Some(out)
}

fn is_for_apps_only(ui: &Object) -> bool {
    let visibility = ui.get("visibility").and_then(|list| list.elements());
    visibility.is_some_and(|list| {
        !list.is_empty() && list.iter().all(|who| who.text().as_deref() == Some("app"))
    })
}

/// Whether a resource is the view of an MCP App.
fn is_app_view(resource: &Definition) -> bool {
    resource.key.starts_with("ui://")
        || resource
            .json
            .text("mimeType")
            .is_some_and(|mime| mime.replace(' ', "").contains("profile=mcp-app"))
}

/// The keys that more than one server offers.
fn colliding(
    present: &[(&Offer, &Listing)],
    kind: impl Fn(&Listing) -> &Vec<Definition>,
    offered: impl Fn(&Offer, &Definition) -> bool,
) -> HashSet<String> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    let mut colliding = HashSet::new();
    for (offer, listing) in present {
        for definition in kind(listing).iter().filter(|definition| offered(offer, definition)) {
            let owner = owners.entry(&definition.key).or_insert(&offer.server.name);
            if **owner != *offer.server.name {
                colliding.insert(definition.key.clone());
            }
        }
    }
    colliding
}

fn exposed_uri(colliding: &HashSet<String>, offer: &Offer, uri: &str) -> String {
    if colliding.contains(uri) {
        resources::rewritten(&offer.server.name, uri)
    } else {
        uri.to_owned()
    }
}

fn with_key(definition: &Definition, key: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(definition.json.text_len() + 64);
    let value = Json::string(value);
    definition.json.splice(&[Edit::set(key, value.as_bytes())], &mut out);
    out
}

/// The union of the primitives; changes of lists are always told, since the gate itself can.
fn capabilities(present: &[(&Offer, &Listing)]) -> Json {
    let any = |has: fn(&wire::capability::ServerAbilities) -> bool| {
        present.iter().any(|(_, listing)| has(&listing.hello.abilities))
    };
    let any_of_all_kinds = |has: fn(&wire::capability::ServerAbilities) -> bool| {
        let mut whole = present.iter().filter(|(offer, _)| offer.offers_all_kinds());
        whole.any(|(_, listing)| has(&listing.hello.abilities))
    };
    let mut members = vec!["\"tools\":{\"listChanged\":true}".to_owned()];
    if present.is_empty() || any_of_all_kinds(|has| has.resources) {
        let subscribe = any_of_all_kinds(|has| has.subscribe);
        members.push(format!("\"resources\":{{\"subscribe\":{subscribe},\"listChanged\":true}}"));
    }
    if present.is_empty() || any_of_all_kinds(|has| has.prompts) {
        members.push("\"prompts\":{\"listChanged\":true}".to_owned());
    }
    if any_of_all_kinds(|has| has.completions) {
        members.push("\"completions\":{}".to_owned());
    }
    if any(|has| has.logging) {
        members.push("\"logging\":{}".to_owned());
    }
    let tasks =
        |capabilities: &Object| task::declared(capabilities) || task::takes_tools(capabilities);
    if present.iter().any(|(_, listing)| tasks(&listing.hello.capabilities)) {
        members.push(format!("\"extensions\":{{\"{}\":{{}}}}", task::EXTENSION));
    }
    Json::trusted(format!("{{{}}}", members.join(",")))
}

/// Each server's instructions under its name, within the bounds.
fn instructions(present: &[(&Offer, &Listing)]) -> Option<String> {
    let mut text = String::new();
    for (offer, listing) in present {
        let Some(own) = &listing.hello.instructions else { continue };
        let title = offer.server.wanted.title.as_deref().unwrap_or(&offer.server.name);
        let end = own.floor_char_boundary(INSTRUCTIONS_SHARE);
        let section = format!("## {title}\n\n{}\n\n", own[..end].trim());
        if text.len() + section.len() > INSTRUCTIONS_MAX {
            break;
        }
        text.push_str(&section);
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

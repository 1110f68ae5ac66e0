//! What the configuration says about tools, in the words of the crate `openapi`.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{
    ApiTools, ArgumentLocation, ArgumentOverride, DefinedBody, DefinedTool, JsonText,
    OperationSelector, PagePlace, PageStep, Pagination, ToolOverride,
};
use openapi::response::{Paging, Spot, Step};
use openapi::tool::{ArgumentChange, Change, Glob, Options, Output, Selector};
use openapi::written::{self, Argument, Body, Definition, Location};
use wire::Json;

/// The options of an API.
pub(super) fn of(api: &config::Api) -> Options {
    let ApiTools { include, exclude, overrides, define: _ } = &api.tools;
    let mut options = Options {
        include: include.iter().flatten().map(selector).collect(),
        exclude: exclude.iter().map(selector).collect(),
        changes: overrides.iter().map(|(name, tool)| change(name, tool)).collect(),
        output: output(api.output),
        paging: paging(&api.pagination),
        ..Options::default()
    };
    if include.as_ref().is_some_and(Vec::is_empty) {
        // An empty list chooses nothing, as everywhere in the configuration.
        options.exclude.push(Selector::default());
    }
    options
}

fn output(written: config::Output) -> Output {
    match written {
        config::Output::Off => Output::Off,
        config::Output::Auto => Output::Auto,
        config::Output::On => Output::On,
    }
}

fn selector(written: &OperationSelector) -> Selector {
    let glob = |text: &Option<String>| text.as_ref().map(Glob::new);
    Selector {
        name: glob(&written.name),
        tag: glob(&written.tag),
        method: written.method.clone(),
        extension: glob(&written.extension),
    }
}

fn change(operation: &str, tool: &ToolOverride) -> Change {
    Change {
        operation: operation.to_owned(),
        name: tool.name.clone(),
        title: tool.title.clone(),
        description: tool.description.clone(),
        is_read_only: tool.annotations.read_only,
        is_destructive: tool.annotations.destructive,
        is_idempotent: tool.annotations.idempotent,
        is_open_world: tool.annotations.open_world,
        arguments: tool.arguments.iter().map(|(name, it)| argument(name, it)).collect(),
        method: tool.method.clone(),
        path: tool.path.clone(),
        origin: tool.origin.clone(),
        headers: pairs(&tool.headers),
        query: pairs(&tool.query),
        media_type: tool.media_type.clone(),
        output: tool.output.map(output),
        output_schema: None,
        paging: tool.pagination.as_ref().map(paging),
        tags: tool.tags.clone(),
    }
}

fn paging(written: &Pagination) -> Arc<Paging> {
    let stated = match written {
        Pagination::Auto => return Arc::default(),
        Pagination::Off => return Arc::new(Paging::off()),
        Pagination::Stated(stated) => stated,
    };
    let spot = |place: &PagePlace| Spot::new(place.as_str());
    Arc::new(Paging {
        is_on: true,
        marks: stated.next.iter().map(spot).collect(),
        argument: stated.argument.clone(),
        step: match stated.by {
            PageStep::Mark => Step::Mark,
            PageStep::Offset => Step::Offset,
            PageStep::Page => Step::Page,
        },
        more: stated.more.as_ref().map(spot),
        items: stated.items.as_ref().map(spot),
        total: stated.total.as_ref().map(spot),
        pages: stated.pages.as_ref().map(spot),
        limit: stated.limit.clone(),
        first: stated.first.and_then(|first| u64::try_from(first).ok()),
    })
}

fn pairs(map: &BTreeMap<String, config::Resolved>) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
}

fn json(text: Option<&JsonText>) -> Option<Json> {
    text.map(|text| Json::trusted(text.as_str().to_owned()))
}

fn argument(name: &str, written: &ArgumentOverride) -> ArgumentChange {
    ArgumentChange {
        argument: name.to_owned(),
        name: written.name.clone(),
        description: written.description.clone(),
        is_hidden: written.hide,
        fixed: json(written.value.as_ref()),
        default: json(written.default.as_ref()),
    }
}

/// The tools that are written by hand.
pub(super) fn defined(api: &config::Api) -> Vec<Definition> {
    api.tools.define.iter().map(|(name, tool)| definition(name, tool)).collect()
}

fn definition(name: &str, tool: &DefinedTool) -> Definition {
    let arguments = tool.arguments.iter().map(|(name, it)| Argument {
        name: name.clone(),
        location: Some(match tool.location(name, it) {
            ArgumentLocation::Path => Location::Path,
            ArgumentLocation::Query => Location::Query,
            ArgumentLocation::Header => Location::Header,
            ArgumentLocation::Cookie => Location::Cookie,
            ArgumentLocation::Body => Location::Body,
        }),
        wire_name: it.name.clone(),
        schema: json(it.schema.as_ref())
            .or_else(|| it.kind.map(|kind| written::of_type(kind.as_str()))),
        description: it.description.clone(),
        is_required: it.required,
        default: json(it.default.as_ref()),
        fixed: json(it.value.as_ref()),
    });
    Definition {
        name: name.to_owned(),
        method: tool.method.clone(),
        path: tool.path.clone(),
        title: tool.title.clone(),
        description: tool.description.clone(),
        is_read_only: tool.annotations.read_only,
        is_destructive: tool.annotations.destructive,
        is_idempotent: tool.annotations.idempotent,
        is_open_world: tool.annotations.open_world,
        arguments: arguments.collect(),
        body: match tool.body {
            DefinedBody::Json => Body::Json,
            DefinedBody::Form => Body::Form,
            DefinedBody::Multipart => Body::Multipart,
            DefinedBody::Text => Body::Text,
        },
        output: json(tool.output.as_ref()),
        paging: tool.pagination.as_ref().map(paging),
        tags: tool.tags.clone(),
        headers: pairs(&tool.headers),
        query: pairs(&tool.query),
    }
}

//! The pages without which a legacy server refuses a call (`URLElicitationRequired`, -32042).

use wire::json::Edit;
use wire::{Json, Object, RpcError};

use super::park::ASKED_MAX;
use super::screen::Unfit;
use crate::fault::{Fault, Reason};

/// The elicitations of a `URLElicitationRequired` error.
pub(crate) fn pages_of(error: &RpcError) -> Vec<Object> {
    let data = error.data.as_ref().and_then(Json::object);
    let pages = data.and_then(|data| data.get("elicitations")?.elements()).unwrap_or_default();
    let pages = pages.iter().filter_map(Json::object).filter(|page| page.text("url").is_some());
    // An elicitation that is required is a page, whether it says so or not.
    pages.map(|page| page.with(&[Edit::set("mode", b"\"url\"")])).take(ASKED_MAX).collect()
}

/// The end of a call whose client cannot be shown the pages, with their addresses for the person.
pub(super) fn unvisited(unfit: &Unfit, server: &str, pages: &[Object]) -> Fault {
    match unfit {
        Unfit::Secret(_) => unfit.to_fault(server),
        Unfit::Unable(_) => unvisited_pages(pages),
    }
}

/// The end of a call whose client cannot be shown the pages that must be visited first.
pub(crate) fn unvisited_pages(pages: &[Object]) -> Fault {
    let links: Vec<_> = pages
        .iter()
        .map(|page| {
            let (url, message) = (page.text("url"), page.text("message"));
            format!("{} ({})", url.unwrap_or_default(), message.unwrap_or_default())
        })
        .collect();
    Fault::new(
        Reason::InteractionUnavailable,
        format!(
            "the server wants a page to be visited before it takes this call, which this client \
             cannot be asked: visit {}, and call again",
            links.join(" and ")
        ),
    )
}

//! Who is calling. Without identity configured, everybody on the loopback is the same principal.

use crate::call::Principal;

/// The principal of a request that came in over HTTP.
pub(crate) fn http(_head: &http::request::Parts) -> Principal {
    Principal::anonymous()
}

/// The principal of the process that started the gate.
pub(crate) fn process() -> Principal {
    Principal::anonymous()
}

/// The gate itself, asking its servers what they offer.
pub(crate) fn gate() -> Principal {
    Principal::anonymous()
}

//! What the page shows, and that its size is bounded.

use std::time::Duration;

use store::CallOutcome;

use super::*;

fn record(endpoint: &str, method: &str, outcome: CallOutcome) -> CallRecord {
    CallRecord {
        correlation: *b"0123456789abcdef",
        parent: None,
        endpoint: endpoint.into(),
        server: Some("time".into()),
        method: method.to_owned().into(),
        name: Some("get_current_time".into()),
        client_version: "2026-07-28",
        server_era: Some("modern"),
        outcome,
        duration: Duration::from_millis(3),
        rounds: 0,
        waited: Duration::ZERO,
        detail: None,
    }
}

fn metrics() -> Metrics {
    Metrics::new("1.2.3", |method| method == "tools/call")
}

/// A server that is in use.
fn time() -> ServerState {
    ServerState {
        name: "time".into(),
        condition: "up",
        is_up: Some(true),
        era: Some(EraState { era: "modern", version: "2026-07-28", is_pinned: false }),
        running: 1,
        parked: 8,
        conversations: 2,
        offers: [Some(3), None, None],
        addresses: vec![("http://a.example".into(), true), ("http://b.example".into(), false)],
    }
}

#[track_caller]
fn assert_has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "no line {line:?} in:\n{page}");
}

#[test]
fn calls_are_counted_by_route_and_outcome_and_never_by_name() {
    let metrics = metrics();
    for _ in 0..2 {
        metrics.count(&record("/mcp", "tools/call", CallOutcome::Success));
    }
    metrics.count(&record("/mcp", "tools/call", CallOutcome::Fault("overloaded")));
    metrics.count(&record("/mcp", "made/up", CallOutcome::ServerError));
    let page = metrics.render(&State::default());
    let route = "endpoint=\"/mcp\",server=\"time\"";
    for (labels, value) in [
        ("method=\"tools/call\",outcome=\"success\"", 2),
        ("method=\"tools/call\",outcome=\"overloaded\"", 1),
        ("method=\"other\",outcome=\"server-error\"", 1),
    ] {
        assert_has(&page, &format!("portcullis_calls_total{{{route},{labels}}} {value}"));
    }
    let name = "portcullis_call_duration_seconds_count";
    assert_has(&page, &format!("{name}{{{route},method=\"tools/call\"}} 3"));
    assert!(!page.contains("get_current_time") && !page.contains("made/up"), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

/// Calls that ask nobody take no room on the page; those of a call that goes on with another one are
/// counted once.
#[test]
fn only_calls_that_asked_have_rounds_and_a_wait() {
    let metrics = metrics();
    let plain = record("/mcp", "tools/call", CallOutcome::Success);
    metrics.count(&plain);
    let page = metrics.render(&State::default());
    assert!(
        !page.contains("call_rounds_sum") && !page.contains("call_waited_seconds_sum"),
        "{page}"
    );

    metrics.count(&CallRecord { rounds: 1, outcome: CallOutcome::Asked, ..plain.clone() });
    metrics.count(&CallRecord { rounds: 1, ..plain.clone() });
    metrics.count(&CallRecord { rounds: 2, waited: Duration::from_secs(3), ..plain });
    let page = metrics.render(&State::default());
    let route = "endpoint=\"/mcp\",server=\"time\",method=\"tools/call\"";
    for (name, value) in [
        ("call_rounds_sum", "3.0"),
        ("call_rounds_count", "2"),
        ("call_waited_seconds_sum", "3.0"),
        ("call_waited_seconds_count", "1"),
        ("call_duration_seconds_count", "4"),
    ] {
        assert_has(&page, &format!("portcullis_{name}{{{route}}} {value}"));
    }
    assert_has(&page, &format!("portcullis_calls_total{{{route},outcome=\"asked\"}} 1"));
}

#[test]
fn labels_are_bounded() {
    let metrics = metrics();
    for number in 0..=SERIES_MAX {
        metrics.count(&record(&format!("/mcp/{number}"), "tools/call", CallOutcome::Success));
    }
    let page = metrics.render(&State::default());
    let count = page.lines().filter(|line| line.starts_with("portcullis_calls_total")).count();
    assert_eq!(count, SERIES_MAX + 1);
    assert!(page.contains("{endpoint=\"other\",server=\"other\",method=\"other\""), "{page}");
}

#[test]
fn the_state_is_shown() {
    let metrics = metrics();
    let page = metrics.render(&State {
        servers: vec![
            time(),
            ServerState {
                name: "cold".into(),
                condition: "idle",
                is_up: None,
                era: None,
                running: 0,
                parked: 0,
                conversations: 0,
                offers: [None; 3],
                addresses: Vec::new(),
            },
        ],
        quarantined: 1,
        sessions: 4,
        calls: 5,
        streams: 6,
        records_dropped: 7,
    });
    for line in [
        "portcullis_build_info{version=\"1.2.3\"} 1",
        "portcullis_server_up{server=\"time\"} 1",
        "portcullis_server_condition{server=\"cold\",condition=\"idle\"} 1",
        "portcullis_server_era{server=\"time\",era=\"modern\",version=\"2026-07-28\",pinned=\"false\"} 1",
        "portcullis_calls_parked{server=\"time\"} 8",
        "portcullis_calls_parked{server=\"cold\"} 0",
        "portcullis_server_calls_running{server=\"time\"} 1",
        "portcullis_server_conversations{server=\"time\"} 2",
        "portcullis_server_offers{server=\"time\",kind=\"tools\"} 3",
        "portcullis_server_address_up{server=\"time\",address=\"http://a.example\"} 1",
        "portcullis_server_address_up{server=\"time\",address=\"http://b.example\"} 0",
        "portcullis_servers_quarantined 1",
        "portcullis_sessions 4",
        "portcullis_calls_running 5",
        "portcullis_streams 6",
        "portcullis_records_dropped_total 7",
    ] {
        assert_has(&page, line);
    }
    assert!(!page.contains("portcullis_server_up{server=\"cold\"}"), "{page}");
}

#[test]
fn a_refused_configuration_is_visible_until_a_good_one_comes() {
    let metrics = metrics();
    metrics.reloaded(false);
    let page = metrics.render(&State::default());
    assert_has(&page, "portcullis_config_reload_failed 1");
    assert_has(&page, "portcullis_config_reloads_total{result=\"failure\"} 1");
    metrics.reloaded(true);
    let page = metrics.render(&State::default());
    assert_has(&page, "portcullis_config_reload_failed 0");
    assert_has(&page, "portcullis_config_reloads_total{result=\"success\"} 1");
}

/// Both ways: what is on the page is explained, and what is explained is on the page.
#[test]
#[cfg(target_os = "linux")]
fn the_documentation_has_every_metric() {
    let metrics = metrics();
    let asked = record("/mcp", "tools/call", CallOutcome::Success);
    metrics.count(&CallRecord { rounds: 1, waited: Duration::from_secs(1), ..asked });
    let page = metrics.render(&State { servers: vec![time()], ..State::default() });
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut shown: Vec<String> = types
        .map(|(name, kind)| format!("{name}{}", if kind == "counter" { "_total" } else { "" }))
        .collect();
    let documentation = include_str!("../../../../docs/operations.md");
    let (_, section) = documentation.split_once("\n## Metrics\n").expect("a section");
    let table = section.lines().take_while(|line| !line.starts_with("## "));
    let names =
        table.filter(|line| line.starts_with("| `")).filter_map(|row| row.split(" | ").next());
    let mut explained: Vec<String> = names
        .flat_map(|cell| cell.trim_matches(['|', ' ']).split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect();
    shown.sort();
    explained.sort();
    assert_eq!(shown, explained);
}

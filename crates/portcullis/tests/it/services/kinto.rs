//! Kinto, a store of JSON records: Swagger 2.0, basic authentication, headers that decide, pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::service::{CLIENTS, Service, gate, path, play};
use crate::interop::parts::Parts;
use crate::interop::script::{Step, call, step};

pub(super) fn server(service: &Service) -> Value {
    json!({
        "openapi": format!("{}/v1/__api__", service.url),
        "url": format!("{}/v1", service.url),
        "credentials": { "schemes": { "basicauth": { "username": "ada", "password": "s:e cret" } } },
    })
}

fn keeps(bucket: &str) -> Vec<Step> {
    let record = |id: &str, data: Value| {
        call(
            "update_record",
            json!({ "bucket_id": bucket, "collection_id": "plants", "id": id, "data": data }),
        )
        .gives("/structuredContent/data/id", id)
    };
    let list = |mut filters: Value| {
        filters["bucket_id"] = json!(bucket);
        filters["collection_id"] = json!("plants");
        call("get_records", filters)
    };
    vec![
        step(json!({ "op": "tools/list" })).lists("tools", "name", &["update_record", "get_records"]),
        call("update_bucket", json!({ "id": bucket, "data": { "made": "by a test" } }))
            .gives("/structuredContent/data/id", bucket),
        call("update_collection", json!({ "bucket_id": bucket, "id": "plants", "data": {} }))
            .gives("/structuredContent/data/id", "plants"),
        record("fern", json!({ "light": 1, "big": 9_007_199_254_740_993_u64 })),
        record("cactus", json!({ "light": 9, "name": "a b&c=d/e?f+g%h" })),
        record("moss", json!({ "light": 2 })),
        // Lists of names are one value with commas, and the order is theirs.
        list(json!({ "_sort": ["-light", "id"], "_fields": ["light", "name"], "_limit": 1 }))
            .gives("/structuredContent/data/0/name", "a b&c=d/e?f+g%h")
            .gives("/structuredContent/data/1", Value::Null),
        list(json!({ "id": "moss" })).gives("/structuredContent/data/0/light", 2),
        call(
            "patch_record",
            json!({ "bucket_id": bucket, "collection_id": "plants", "id": "moss", "data": { "light": 3 } }),
        )
        .gives("/structuredContent/data/light", 3),
    ]
}

fn is_refused(bucket: &str) -> Vec<Step> {
    let get = |mut arguments: Value| {
        arguments["bucket_id"] = json!(bucket);
        arguments["collection_id"] = json!("plants");
        call("get_record", arguments)
    };
    vec![
        get(json!({ "id": "rose" })).gives("/isError", true).mentions("404 Not Found"),
        get(json!({ "id": "moss", "If-Match": "\"1\"" }))
            .gives("/isError", true)
            .mentions("412 Precondition Failed"),
        get(json!({})).gives("/isError", true).mentions("id"),
        call("get_buckets", json!({ "_limit": "many" })).gives("/isError", true).mentions("_limit"),
    ]
}

#[test]
fn records_of_kinto() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::python(&parts, "kinto", home.path());
    let gate = gate(home.path(), &json!({ "kinto": server(&service) }));
    let ada = format!("Basic {}", BASE64.encode("ada:s:e cret"));
    let ada = [("Authorization", ada.as_str())];
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let bucket = format!("garden-{number}");
        let steps = [keeps(&bucket), is_refused(&bucket)].concat();
        play(&parts, &gate, &path("kinto"), client, &steps);
        let plants = format!("/v1/buckets/{bucket}/collections/plants/records");
        let (status, fern) = service.get(&format!("{plants}/fern"), &ada);
        assert_eq!(status, 200, "{client:?}: {fern}");
        assert_eq!(service.json(&format!("{plants}/moss"), &ada)["data"]["light"], 3);

        let gone = call("delete_bucket", json!({ "id": bucket }));
        let gone = gone.gives("/structuredContent/data/deleted", true);
        play(&parts, &gate, &path("kinto"), client, &[gone]);
        let (status, _) = service.get(&format!("{plants}/fern"), &ada);
        assert_ne!(status, 200, "{client:?}");
    }
    assert!(!gate.log().contains(ada[0].1), "credentials are not for the log");
}

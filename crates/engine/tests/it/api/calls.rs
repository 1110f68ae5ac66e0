//! Calls: what arrives at the API, and what its answers become.

use serde_json::json;
use testkit::ScriptedServer;
use wire::Era;

use super::{Api, pets, text};
use crate::harness::ERAS;

/// An API that answers with one pet, whatever is asked.
async fn one_pet() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        exchange.json(200, &json!({"name": "Tom", "age": 7})).await;
    })
    .await
}

#[tokio::test]
async fn operations_are_tools() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    assert_eq!(api.tools().await, ["listPets", "addPet", "getPet"]);
    for era in ERAS {
        let client = api.client(era).await;
        let params = json!({"name": "getPet", "arguments": {"id": "a b/c"}});
        let answer = client.send("tools/call", params).await.json();
        let result = &answer["result"];
        assert_eq!(result["structuredContent"], json!({"name": "Tom", "age": 7}), "{answer}");
        assert_eq!(text(result), r#"{"age":7,"name":"Tom"}"#);
        assert_eq!(result["isError"], false);
        let complete = (era == Era::Modern).then_some("complete");
        assert_eq!(result["resultType"].as_str(), complete, "{answer}");
    }
    let requests = api.server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!((&*request.verb, &*request.target), ("GET", "/v1/pets/a%20b%2Fc"));
        assert_eq!(request.headers.get("accept-encoding"), Some("identity"));
        assert!(request.headers.get("accept").unwrap().contains("application/json"));
        assert!(!request.headers.0.iter().any(|(name, _)| name.starts_with("mcp-")));
    }
}

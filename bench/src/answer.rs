//! Whether an answer is the right one, told cheaply but surely enough.

use crate::http1::contains;

/// The envelope's own members and the beginning of the text lie within so many bytes of either
/// end of an answer, whatever is added around the result on its way.
const EDGE_BYTES: usize = 2 * 1024;

/// Checks an answer to `tools/call`: it has our id, and its text begins with our echo and is as
/// long as we asked.
pub fn check_call(body: &[u8], id: &[u8; 9], echo: &[u8; 9], size: usize) -> Result<(), String> {
    check_id(body, id)?;
    let text = [br#""text":""#.as_slice(), echo, b" "].concat();
    // The answer of an API is itself JSON, within a text.
    let in_json = [br#"\"text\":\""#.as_slice(), echo, b" "].concat();
    if !contains(start(body), &text) && !contains(start(body), &in_json) {
        return Err(format!("the answer does not echo {}", show(echo)));
    }
    if body.len() < size || contains(start(body), br#""isError":true"#) {
        return Err(format!("{} bytes are not the result of {size} bytes", body.len()));
    }
    Ok(())
}

/// Checks an answer to `tools/list`: it has our id and as many bytes as the first one had.
pub fn check_list(body: &[u8], id: &[u8; 9], length: usize) -> Result<(), String> {
    check_id(body, id)?;
    if body.len() != length || !contains(start(body), br#""tools":["#) {
        return Err(format!("{} bytes are not the list of {length} bytes", body.len()));
    }
    Ok(())
}

/// Checks that the answer is a result for this id.
pub fn check_id(body: &[u8], id: &[u8; 9]) -> Result<(), String> {
    let member = [br#""id":"#.as_slice(), id].concat();
    if !contains(start(body), &member) && !contains(end(body), &member) {
        return Err(format!("the answer is not for {}: {}", show(id), show(start(body))));
    }
    if !contains(start(body), br#""result":"#) {
        return Err(format!("the answer is not a result: {}", show(start(body))));
    }
    Ok(())
}

fn start(body: &[u8]) -> &[u8] {
    &body[..body.len().min(EDGE_BYTES)]
}

fn end(body: &[u8]) -> &[u8] {
    &body[body.len().saturating_sub(EDGE_BYTES)..]
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8; 9] = b"100000007";

    #[test]
    fn a_right_answer_passes_in_any_member_order() {
        let one = br#"{"jsonrpc":"2.0","id":100000007,"result":{"content":[{"type":"text","text":"100000007 xx"}]}}"#;
        let two =
            br#"{"result":{"content":[{"type":"text","text":"100000007 xx"}]},"id":100000007}"#;
        assert_eq!(check_call(one, ID, ID, 12), Ok(()));
        assert_eq!(check_call(two, ID, ID, 12), Ok(()));
        let api =
            br#"{"id":100000007,"result":{"content":[{"text":"{\"text\":\"100000007 x\"}"}]}}"#;
        assert_eq!(check_call(api, ID, ID, 12), Ok(()));
    }

    #[test]
    fn wrong_answers_are_found() {
        let check = |body: &str| check_call(body.as_bytes(), ID, ID, 4);
        let other_id = r#"{"id":100000008,"result":{"content":[{"text":"100000007 x"}]}}"#;
        let other_text = r#"{"id":100000007,"result":{"content":[{"text":"100000008 x"}]}}"#;
        let error = r#"{"id":100000007,"error":{"code":-1,"message":"no"}}"#;
        let refused =
            r#"{"id":100000007,"result":{"isError":true,"content":[{"text":"100000007 "}]}}"#;
        for body in [other_id, other_text, error, refused] {
            assert!(check(body).is_err(), "{body}");
        }
        let short = br#"{"id":100000007,"result":{"content":[{"text":"100000007 x"}]}}"#;
        assert!(check_call(short, ID, ID, 1024).is_err());
        assert!(check_call(short, ID, b"100000008", 8).is_err());
        assert!(check_list(br#"{"id":100000007,"result":{"tools":[]}}"#, ID, 99).is_err());
        assert!(check_list(br#"{"id":100000007,"result":{"tools":[]}}"#, ID, 38).is_ok());
    }
}

//! One call of a tool: arguments → request → answer → result.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use aws_lc_rs::rand;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method as Verb, Request, Response};
use openapi::request::Built;
use openapi::response::{self, Answer, Collector, Interpreted};
use wire::json::ObjectWriter;
use wire::{Json, Object, RpcError, code, meta};

use super::access::Credential;
use super::addresses::Choice;
use super::base::{self, Base};
use super::stream::{ApiStream, Collecting};
use super::token::Tokens;
use super::{ApiServer, ApiTool};
use crate::call::{Body as ReplyBody, Call, Reply};
use crate::http::{ClientError, Decoded};
use crate::upstream::{ReplyStream, ServerError};

/// Headers that belong to the connection, whatever a document says.
const OF_THE_HOP: [HeaderName; 7] =
    [HOST, CONTENT_LENGTH, CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

impl ApiServer {
    pub(super) async fn run(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let name = call.params.text("name").unwrap_or_default();
        let Some(tool) = self.tools.get(&*name) else {
            let error = RpcError::new(code::INVALID_PARAMS, format!("Unknown tool: {name}"));
            return Ok(self.done(Err(error)));
        };
        let arguments = call.params.get("arguments").unwrap_or_else(|| Json::trusted("{}"));
        let Some(members) = arguments.object() else {
            return Ok(self.refused("the arguments must be an object"));
        };
        if let Some(mistakes) = tool.mistakes(&arguments) {
            return Ok(self.refused(&mistakes));
        }
        let boundary = if tool.offered.tool.body.is_some() { boundary() } else { String::new() };
        let built = match tool.offered.plan.build(&tool.offered.tool, &members, &boundary) {
            Ok(built) => built,
            Err(error) => return Ok(self.refused(&error.to_string())),
        };
        if let Some(name) = tool.reserved.as_ref().and_then(|reserved| reserved.taken_in(&built)) {
            let problem = format!(
                "`{name}` is what the gate itself sends to be let in, so no argument may have a \
                 member of this name; leave it out"
            );
            return Ok(self.refused(&problem));
        }
        let (response, choice) = self.send(tool, &built, call).await?;
        self.read(tool, choice, response, members, call).await
    }

    /// The request with everything that it shows, and the token among it that was there already.
    pub(super) async fn request(
        &self,
        tool: &ApiTool,
        base: &Base,
        built: &Built,
        forwarded: &[(HeaderName, HeaderValue)],
    ) -> Result<(Request<Bytes>, Option<(Arc<Tokens>, HeaderValue)>), ServerError> {
        let access =
            tool.access.as_ref().map_err(|problem| ServerError::Answer(problem.clone()))?;
        let mut headers = HeaderMap::with_capacity(built.headers.len() + self.way.head.len() + 4);
        for (name, value) in forwarded {
            if self.way.forwarded.contains(name) {
                headers.append(name, value.clone());
            }
        }
        for (name, value) in &built.headers {
            let named = HeaderName::try_from(name.as_str()).ok();
            let value = HeaderValue::try_from(value.as_str()).ok();
            let (Some(name), Some(value)) = (named, value) else {
                let problem = format!("a header of the document cannot be sent: `{name}`");
                return Err(ServerError::Answer(problem));
            };
            if !OF_THE_HOP.contains(&name) {
                headers.insert(name, value);
            }
        }
        if let Some(content_type) = &built.content_type {
            let value = HeaderValue::try_from(content_type.as_str())
                .map_err(|_| ServerError::Answer(format!("`{content_type}` is no content type")))?;
            headers.insert(CONTENT_TYPE, value);
        }
        // The answer to TRACE is the request, so that nothing secret may be in it (RFC 9110 §9.3.8).
        let is_traced = built.method.eq_ignore_ascii_case("TRACE");
        for (name, value) in self.way.head.iter().filter(|_| !is_traced) {
            headers.insert(name, value.clone());
        }
        let mut query: Vec<&str> = Vec::new();
        let mut shown = None;
        for credential in access {
            match credential {
                Credential::Header(name, value) => {
                    headers.insert(name, value.clone());
                }
                Credential::Query(pair) => query.push(pair),
                Credential::Cookie(pair) => add_cookie(&mut headers, pair)?,
                Credential::Token(tokens) => {
                    let (token, was_there) = tokens.get().await?;
                    if was_there {
                        shown = Some((Arc::clone(tokens), token.clone()));
                    }
                    headers.insert(AUTHORIZATION, token);
                }
                Credential::Connection => {}
            }
        }
        let mut request = Request::new(built.body.clone());
        *request.uri_mut() =
            base.uri(&built.path_and_query, &query).map_err(ServerError::Answer)?;
        *request.method_mut() = Verb::from_bytes(built.method.as_bytes())
            .map_err(|_| ServerError::Answer(format!("`{}` is no HTTP method", built.method)))?;
        *request.headers_mut() = headers;
        Ok((request, shown))
    }

    async fn read(
        self: &Arc<Self>,
        tool: &Arc<ApiTool>,
        choice: Choice,
        response: Response<Decoded>,
        arguments: Object,
        call: &Call,
    ) -> Result<Reply, ServerError> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        // Most answers are plain JSON, which is neither a stream nor a file.
        let is_json = content_type
            .is_some_and(|it| it == "application/json" || it.starts_with("application/json;"));
        let uri = if is_json { String::new() } else { self.uri(tool, &arguments) };
        let collector = content_type.filter(|_| head.status.is_success() && !is_json);
        if let Some(collector) =
            collector.and_then(|content_type| Collector::new(content_type, &self.way.limits))
        {
            let collecting = Collecting::new(self, tool, collector, (body, choice), arguments, uri);
            if let Some(token) = call.meta.get(meta::PROGRESS_TOKEN) {
                let stream = ReplyStream::api(ApiStream::new(collecting, token));
                return Ok(self.reply(ReplyBody::Stream(stream)));
            }
            let result = collecting.result(call.deadline).await?;
            return Ok(self.done(Ok(result)));
        }
        let (body, is_partial) =
            body.collect_at_most(self.way.bounds.message.bytes).await.map_err(of_client)?;
        let answers = &tool.offered.answers;
        let is_read = |name: &str| {
            response::HEADERS.contains(&name) || answers.headers().any(|it| it == name)
        };
        let read = head.headers.iter().filter(|(name, _)| is_read(name.as_str()));
        let headers = read.map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let status = head.status.as_u16();
        let answer = Answer { status, headers: headers.collect(), body, is_partial };
        let about = response::Call { arguments: &arguments, uri: &uri };
        let fits = |value: &Json| tool.fits(value);
        let result = answers.interpret(&answer, &about, &self.way.limits, &fits);
        Ok(self.done(Ok(self.answered(tool, result))))
    }

    /// The URI of a file that a call gave: different for different calls, and without anything of the
    /// API's address, in which secrets may be.
    fn uri(&self, tool: &ApiTool, arguments: &Object) -> String {
        let uri = format!("api://{}/{}", self.way.server, tool.name());
        if arguments.is_empty() {
            return uri;
        }
        let mut hasher = DefaultHasher::new();
        for (name, value) in arguments.members() {
            (name, value.as_bytes()).hash(&mut hasher);
        }
        format!("{uri}/{:016x}", hasher.finish())
    }

    /// What an answer became, in the shape of 2026-07-28.
    pub(super) fn answered(&self, tool: &ApiTool, interpreted: Interpreted) -> Object {
        if let Some(misfit) = &interpreted.broken {
            tool.log_broken(&self.way.server, misfit);
        }
        self.result(interpreted)
    }

    /// A result in the shape of 2026-07-28.
    fn result(&self, mut interpreted: Interpreted) -> Object {
        interpreted.meta.push((meta::SERVER_INFO, self.info.clone()));
        let mut result = ObjectWriter::with_capacity(interpreted.bytes());
        result.member("resultType", |out| out.extend_from_slice(b"\"complete\""));
        interpreted.write(&mut result);
        self.way.secrets.hide_in(result.finish())
    }

    /// The arguments are wrong: the model can mend them.
    fn refused(&self, mistakes: &str) -> Reply {
        let text = format!("Nothing was sent: {mistakes}.");
        let mut block = b"{\"type\":\"text\",\"text\":".to_vec();
        wire::json::write_string(&mut block, &text);
        block.push(b'}');
        let content = vec![Json::trusted(block)];
        let result = Interpreted { content, is_error: true, ..Interpreted::default() };
        self.done(Ok(self.result(result)))
    }
}

/// What separates the parts of a body: nobody can guess it.
fn boundary() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        text.push(char::from(b'a' + byte % 16));
        text.push(char::from(b'a' + byte / 16));
        text
    })
}

fn add_cookie(headers: &mut HeaderMap, pair: &str) -> Result<(), ServerError> {
    let before = headers.get(COOKIE).and_then(|value| value.to_str().ok());
    let text = before.map_or_else(|| pair.to_owned(), |before| format!("{before}; {pair}"));
    let value = super::access::sensitive(&text).map_err(ServerError::Answer)?;
    headers.insert(COOKIE, value);
    Ok(())
}

/// What the API's side of HTTP did wrong is said as it is; failures on the way are as everywhere.
pub(super) fn of_client(error: ClientError) -> ServerError {
    match error {
        ClientError::Encoding { encoding } => ServerError::Answer(format!(
            "the API compressed its answer (`{encoding}`), although it was asked for gzip or deflate \
             alone, and once"
        )),
        ClientError::Undecodable { encoding, problem } => ServerError::Answer(format!(
            "the API's answer is compressed (`{encoding}`) and broken: {problem}"
        )),
        ClientError::Protocol(error) if error.is_parse_too_large() => ServerError::Answer(
            "the API's answer has more headers than the 100 that are read, or longer ones; the \
             request was sent"
                .to_owned(),
        ),
        ClientError::Protocol(_) => {
            ServerError::Answer("what the API answered is not HTTP/1.1".to_owned())
        }
        ClientError::Private { host } => ServerError::Answer(base::private(&host)),
        other => ServerError::Http(other),
    }
}

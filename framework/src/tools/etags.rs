//! Entity tags for pages that have none: `Etags`, made from the finished content.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_finalize` | 75 | makes the tag; after the hooks that make content, before those that compress (80) and keep (95) it |
//!
//! The use of a tag is not decided here: the framework compares the tags of any page with the conditions of the request
//! as its last step (304, 412). Only where the answer will be 304 and no cache waits for the page is it answered here
//! already, so that no unsent content is compressed.
//!
//! The tag is a hash of 128 bits that is the same in every process: after a restart, and behind a balancer, browsers
//! keep their copies. It is not a seal: an attacker who can choose all of a page's content might find two with the same
//! tag (and would then see the older one longer).

use crate::exchange::ResponseBody;
use crate::http::{EntityTag, Precondition, ResponseDirectives, Validators, parse_date};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::tools::CspNonce;
use crate::{Caching, Exchange, HeaderValue, Method, Response, StatusCode, header};
use std::time::SystemTime;
use twox_hash::XxHash3_128;

/// Gives pages an `ETag` made of their content, so that a client that has the page already gets 304 and no content.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Etags};
///
/// let app = App::new(Tree::new().index(|_| "the same for a long time")).tool("/", Etags::new());
/// let client = Client::in_process(app);
/// let tag = client.get("/").send().header("etag").unwrap().to_owned();
/// client.get("/").header("if-none-match", &tag).send().assert_status(304).assert_text("");
/// ```
///
/// It saves the transfer, not the handler's work: the page is made and then compared. A handler that knows the state of
/// its page without making it sets `ETag` or `Last-Modified` itself, or asks
/// [`Request::precondition`](crate::Request::precondition); both work without this tool, and a tag that is there stays.
///
/// A tag goes to answers with status 200 to GET and HEAD whose content is in memory and not larger than
/// [`max_size`](Self::max_size). Streams, files (the file tools make their own) and responses with `no-store` get none.
/// Compressed pages get a tag of their own from [`Gzip`](crate::tools).
///
/// In a file: `etags.weak = true`. CherryPy's `etags`; its `autotags` is on here, since pages with tags of their own
/// need no tool.
#[derive(Clone, Debug, Settings)]
pub struct Etags {
    /// Whether tags are made.
    ///
    /// Without, pages that bring a tag are spared the compression when the client has them, and nothing else happens.
    #[setting(default = true)]
    autotags: bool,
    /// Whether the tags are weak: proxies that compress leave those alone, and no part of a page is sent by them.
    ///
    /// A weak tag says that the content means the same, not that its bytes are the same. It never matches in
    /// `If-Match`.
    weak: bool,
    /// The largest content that gets a tag: 4 MiB are about 0.3 ms of a worker.
    #[setting(size, default = "4 MiB")]
    max_size: u64,
}

impl Default for Etags {
    fn default() -> Self {
        Self::defaults()
    }
}

impl Etags {
    /// Strong tags for content up to 4 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tag(&self, exchange: &mut Exchange) {
        let Exchange { request, response, values, .. } = exchange;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || response.status() != StatusCode::OK {
            return;
        }
        // With 304 the old page would get the policy of the new one.
        if values.get::<CspNonce>().is_some_and(CspNonce::is_used) {
            return;
        }
        if self.autotags && response.header(&header::ETAG).is_none() {
            let Some(content) = self.taggable(response) else { return };
            let value = tag_of(content, self.weak);
            response.add_header(header::ETAG, value);
        }
        if request.header("if-none-match").is_some() && !Caching::wants(exchange) && is_known(exchange) {
            exchange.response.set_not_modified();
        }
    }

    fn taggable<'r>(&self, response: &'r Response) -> Option<&'r [u8]> {
        let content = match response.body() {
            ResponseBody::Empty => return None,
            body => body.as_bytes()?,
        };
        let said = response.headers().filter(|(name, _)| **name == header::CACHE_CONTROL).map(|(_, value)| value);
        let is_kept_by_nobody = ResponseDirectives::read(said).no_store;
        (content.len() as u64 <= self.max_size && !is_kept_by_nobody).then_some(content)
    }
}

fn tag_of(content: &[u8], is_weak: bool) -> HeaderValue {
    let weak = if is_weak { "W/" } else { "" };
    let tag = format!("{weak}\"{:032x}\"", XxHash3_128::oneshot(content));
    HeaderValue::try_from(tag).expect("digits in quotes are a field value")
}

/// Whether the client has this very response.
fn is_known(exchange: &Exchange) -> bool {
    let Exchange { request, response, .. } = exchange;
    let last_modified = response.header(&header::LAST_MODIFIED);
    let present = Validators {
        etag: response.header(&header::ETAG).and_then(|tag| EntityTag::parse(tag.as_bytes())),
        last_modified: last_modified.and_then(|date| parse_date(date.as_bytes(), SystemTime::now())),
    };
    request.precondition(Some(&present)) == Precondition::NotModified
}

impl Tool for Etags {
    fn name(&self) -> &'static str {
        "etags"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let tool = self.clone();
        hooks.at(HookPoint::BeforeFinalize, move |exchange| tool.tag(exchange)).priority(75);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Stream, Tree};

    const TEXT: &str = "All work and no play makes Jack a dull boy.";

    fn app(tool: Etags) -> App {
        let own = |value| {
            move |page: &mut crate::publish::PageCall<'_>| {
                page.response().set_header(header::ETAG, HeaderValue::from_static(value));
                TEXT
            }
        };
        let tree = Tree::new()
            .index(|_| TEXT.repeat(100))
            .page("other", |_| TEXT)
            .page("own", own("\"v1\""))
            .page("stream", |_| Stream::new([TEXT]))
            .page("secret", |page| {
                page.response().set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                TEXT
            })
            .page("made", |_| (StatusCode::CREATED, TEXT));
        App::new(tree).tool("/", tool)
    }

    fn tag(client: &Client, path: &str) -> Option<String> {
        client.get(path).send().header("etag").map(str::to_owned)
    }

    #[test]
    fn the_tag_is_of_the_content_and_the_same_in_every_process() {
        let client = Client::in_process(app(Etags::new()));
        assert_eq!(tag(&client, "/other").unwrap(), "\"17b213512257c86ec1e0469641f18640\"");
        assert_eq!(tag(&client, "/other?again"), tag(&client, "/other"));
        assert_ne!(tag(&client, "/"), tag(&client, "/other"));
        assert_eq!(client.head("/other").send().header("etag"), tag(&client, "/other").as_deref());
    }

    #[test]
    fn a_client_with_the_page_gets_304_and_a_wrong_if_match_412() {
        let client = Client::in_process(app(Etags::new()));
        let tag = tag(&client, "/").unwrap();
        let page = client.get("/").header("if-none-match", format!("\"x\", W/{tag}")).send();
        page.assert_status(304).assert_text("").assert_header("etag", &tag).assert_no_header("content-type");
        client.get("/").header("if-none-match", "\"x\"").send().assert_status(200);
        client.get("/").header("if-match", "\"x\"").send().assert_status(412);
        client.get("/").header("if-match", &tag).send().assert_status(200);
    }

    #[test]
    fn a_tag_of_the_page_stays() {
        let client = Client::in_process(app(Etags::new().weak(true)));
        assert_eq!(tag(&client, "/own").unwrap(), "\"v1\"");
        client.get("/own").header("if-none-match", "\"v1\"").send().assert_status(304);
    }

    #[test]
    fn tags_can_be_weak() {
        let client = Client::in_process(app(Etags::new().weak(true)));
        assert!(tag(&client, "/other").unwrap().starts_with("W/\""));
    }

    #[test]
    fn streams_large_pages_and_no_store_get_none() {
        let client = Client::in_process(app(Etags::new().max_size(1000)));
        for path in ["/", "/stream", "/secret", "/made", "/nowhere"] {
            assert_eq!(tag(&client, path), None, "{path}");
        }
        assert_eq!(client.post("/other").send().header("etag"), None);
        assert!(tag(&client, "/other").is_some());
    }

    #[test]
    fn a_page_for_the_cache_stays_whole_though_its_first_client_has_it() {
        let client = Client::in_process(app(Etags::new()).tool("/", Caching::new()));
        let tag = tag(&Client::in_process(app(Etags::new())), "/").unwrap();
        client.get("/").header("if-none-match", &tag).send().assert_status(304);
        client.get("/").send().assert_header("age", "0").assert_header("etag", &tag).assert_text(&TEXT.repeat(100));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn a_compressed_page_has_a_tag_of_its_own_and_its_client_gets_304() {
        let client = Client::in_process(app(Etags::new()).tool("/", crate::tools::Gzip::new()));
        let plain = tag(&client, "/").unwrap();
        let packed = client.get("/").header("accept-encoding", "gzip").send().header("etag").unwrap().to_owned();
        assert_eq!(packed, format!("\"{}-gzip\"", plain.trim_matches('"')));
        let again = client.get("/").header("accept-encoding", "gzip").header("if-none-match", &packed).send();
        again.assert_status(304).assert_header("etag", &packed).assert_header("vary", "Accept-Encoding");
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over() {
        let text = "[\"/\"]\netags.max_size = \"1 KiB\"\n[\"/other\"]\netags.autotags = false";
        let client = Client::in_process(app(Etags::new()).config_str(text));
        assert_eq!((tag(&client, "/"), tag(&client, "/other")), (None, None));
        assert!(app(Etags::new()).config_str("[\"/\"]\netags.week = true").build().is_err());
    }
}

//! Choosing the media type of a section's pages by what the client accepts: `Accept`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 50 | chooses, or answers 406 |
//! | `before_finalize` | 50, always | says `Vary: Accept` |

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::http::best_media_type;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings, list};
use crate::{Error, Exchange, HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Chooses one of the media types that a section offers by the request's `Accept`; a client that accepts none of them
/// gets 406 with the list.
///
/// Handlers take the choice as [`&Accepted`](Accepted), and `Content-Type` says it unless they set another:
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{Accept, Accepted}};
///
/// struct Songs;
///
/// #[handlers]
/// impl Songs {
///     #[expose]
///     fn index(&self, accepted: &Accepted) -> &'static str {
///         match accepted.media_type() {
///             "application/json" => r#"["Blue in Green"]"#,
///             _ => "<li>Blue in Green",
///         }
///     }
/// }
///
/// let client = Client::in_process(App::new(Songs).tool("/", Accept::new(["text/html", "application/json"])));
/// client.get("/").send().assert_header("content-type", "text/html; charset=utf-8").assert_header("vary", "Accept");
/// client.get("/").header("accept", "application/json").send().assert_contains("[").assert_header("content-type", "application/json");
/// client.get("/").header("accept", "image/png").send().assert_status(406).assert_contains("text/html, application/json");
/// ```
///
/// Weights and wildcards count as in RFC 9110, among equals the order of the offer. Malformed parts of `Accept` are
/// passed over, never an error. A client without `Accept` accepts everything. With [`strict(false)`](Self::strict) a
/// client that accepts none of the types gets the first one.
///
/// In a file: `accept.media = ["text/html"]`, `accept.strict = false`. CherryPy's `accept`, which leaves `Content-Type`
/// to the handler.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Accept {
    /// The media types of the pages, the best first.
    #[setting(given, no_builder)]
    media: Vec<String>,
    /// Whether a client that accepts none of them gets 406; without, it gets the first one.
    #[setting(default = true)]
    strict: bool,
}

/// The media type that the tool [`Accept`] has chosen for this request. An argument: `accepted: &Accepted`.
#[derive(Clone, Debug)]
pub struct Accepted {
    offer: Arc<[Offered]>,
    chosen: usize,
}

#[derive(Debug)]
struct Offered {
    media_type: String,
    content_type: HeaderValue,
}

impl Accept {
    /// Offers these, the best first (`media`).
    #[must_use]
    pub fn new<T: Into<String>>(media: impl IntoIterator<Item = T>) -> Self {
        Self::defaults(list(media))
    }

    fn prepare(&self) -> Result<Arc<[Offered]>, SettingError> {
        let refused = |problem| SettingError::new("media", problem);
        if self.media.is_empty() {
            return Err(refused("is empty: name the media types that the pages can have".to_owned()));
        }
        let prepare = |text: &String| {
            let essence = text.split(';').next().unwrap_or_default().trim();
            let is_word =
                |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "*/,".contains(c));
            let is_type = essence.split_once('/').is_some_and(|(family, subtype)| is_word(family) && is_word(subtype));
            let has_charset = essence.starts_with("text/") && !text.contains(';');
            let content_type = format!("{text}{}", if has_charset { "; charset=utf-8" } else { "" });
            match HeaderValue::try_from(content_type) {
                Ok(content_type) if is_type => Ok(Offered { media_type: text.clone(), content_type }),
                _ => Err(refused(format!("has {text:?}; write media types, as \"text/html\""))),
            }
        };
        self.media.iter().map(prepare).collect()
    }
}

impl Accepted {
    /// The choice of this request, where the tool is on.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get()
    }

    /// The media type as it was offered: `text/html`.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.offer[self.chosen].media_type
    }
}

impl<'a> Argument<'a> for &'a Accepted {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<Accepted>().ok_or_else(|| {
            crate::line::record!(Error, target: "kirsch::tools", "a handler asks for the accepted media type where the tool `accept` is off");
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        })
    }
}

fn choose(exchange: &mut Exchange, offer: &Arc<[Offered]>, is_strict: bool) -> Result<(), Error> {
    let offered: Vec<&str> = offer.iter().map(|offered| offered.media_type.as_str()).collect();
    let best = best_media_type(&exchange.request.list("accept").unwrap_or_default(), &offered);
    let chosen = match best.and_then(|best| offered.iter().position(|media_type| *media_type == best)) {
        Some(chosen) => chosen,
        None if !is_strict => 0,
        None => {
            let message = format!("This page can be had as {}.", offered.join(", "));
            return Err(Error::new(StatusCode::NOT_ACCEPTABLE, message));
        }
    };
    exchange.response.default_header(header::CONTENT_TYPE, offer[chosen].content_type.clone());
    exchange.values.insert(Accepted { offer: Arc::clone(offer), chosen });
    Ok(())
}

impl Tool for Accept {
    fn name(&self) -> &'static str {
        "accept"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let offer = match self.prepare() {
            Ok(offer) => offer,
            Err(error) => return hooks.refuse(error),
        };
        let is_strict = self.strict;
        hooks.at(HookPoint::OnStartResource, move |exchange| choose(exchange, &offer, is_strict));
        let vary = |exchange: &mut Exchange| {
            exchange.response.add_vary(&header::ACCEPT);
        };
        hooks.at(HookPoint::BeforeFinalize, vary).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Json, Result, Tree};

    fn app(tool: Accept) -> App {
        let tree = Tree::new()
            .index(|page| -> Result<String> {
                let accepted: &Accepted = page.argument()?;
                Ok(accepted.media_type().to_owned())
            })
            .page("own", |page| {
                page.response().set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/csv"));
                "a,b"
            })
            .page("json", |_| Json([1]));
        App::new(tree).tool("/", tool)
    }

    fn both() -> Accept {
        Accept::new(["text/html", "application/json"])
    }

    #[test]
    fn the_choice_is_the_handlers_and_the_content_types() {
        let client = Client::in_process(app(both()));
        let table = [
            ("application/json", "application/json", "application/json"),
            ("text/*;q=0.1, application/json;q=0.5", "application/json", "application/json"),
            ("*/*", "text/html", "text/html; charset=utf-8"),
            ("text/html;q=0, */*", "application/json", "application/json"),
        ];
        for (accept, chosen, content_type) in table {
            let page = client.get("/").header("accept", accept).send();
            page.assert_text(chosen).assert_header("content-type", content_type).assert_header("vary", "Accept");
        }
        client.get("/own").send().assert_header("content-type", "text/csv");
    }

    #[test]
    fn all_fields_of_the_name_count() {
        let client = Client::in_process(app(both()));
        client
            .get("/")
            .header("accept", "text/html;q=0.5")
            .header("accept", "application/json")
            .send()
            .assert_text("application/json");
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let client = Client::in_process(app(both()));
        for accept in ["", ";;q=", "text/html;q=NaN", "application/json;q=x, text/html", "/", "*/html"] {
            client.get("/").header("accept", accept).send().assert_status(200).assert_text("text/html");
        }
    }

    #[test]
    fn a_client_that_accepts_none_gets_the_list_or_the_first() {
        let refused = Client::in_process(app(both())).get("/").header("accept", "image/png").send();
        refused.assert_status(406).assert_contains("text/html, application/json").assert_header("vary", "Accept");
        let client = Client::in_process(app(both()).config_str("[\"/\"]\naccept.strict = false"));
        client.get("/").header("accept", "image/png").send().assert_status(200).assert_text("text/html");
    }

    #[test]
    fn a_malformed_media_type_stops_the_start() {
        for (media, problem) in
            [(vec!["html"], "has \"html\""), (vec!["text/*"], "has \"text/*\""), (vec![], "is empty")]
        {
            let error = app(Accept::new(media)).build().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(app(both()).config_str("[\"/\"]\naccept.media = [\"a\\nb/c\"]").build().is_err());
    }
}

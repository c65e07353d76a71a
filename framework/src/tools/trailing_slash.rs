//! One address for each page: `/dir` of an index page leads to `/dir/`, and `/page/` of any other page to `/page`.
//!
//! Relative links on an index page only work below `/dir/`, and two addresses of one page are two pages to caches and search engines.
//!
//! The hook runs at `on_start_resource`: all it looks at is known as soon as the path is resolved, and a request that is sent elsewhere
//! should neither upload its body nor wait for a session's lock first (CherryPy's does, at `before_handler` 60). The priority is
//! late, so that tools which refuse or rewrite requests at that point come before.

use crate::{
    Error, Exchange, Method, Redirect,
    exchange::{Source, Step},
    lifecycle::{HookPoint, Hooks, SettingError, SettingReader, Tool},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Redirects GET and HEAD to the one address of a page, with 301. On everywhere unless it is switched off.
///
/// Resources, `default` pages and pages that take path segments answer with and without the slash: to them it may mean something.
///
/// Settings: `missing` (add a missing slash, default true), `extra` (remove an extra one, default true; CherryPy's default is false).
#[derive(Clone, Debug)]
pub struct TrailingSlash {
    missing: bool,
    extra: bool,
}

impl Default for TrailingSlash {
    fn default() -> Self {
        Self { missing: true, extra: true }
    }
}

impl TrailingSlash {
    /// Where the request should go instead, if anywhere.
    fn elsewhere(&self, exchange: &Exchange) -> Option<Redirect> {
        let Exchange { request, trail, .. } = exchange;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let handler = trail.handler()?;
        let &Step::Handler { first, .. } = trail.steps().last()? else { return None };
        let (first, count) = (usize::from(first), request.segments().len());
        let has_slash = request.path().ends_with('/');
        let slash = if trail.is_index() {
            // With nothing left over the path is the node's own.
            (self.missing && !has_slash && count > 0 && first == count).then_some("/")?
        } else {
            let named = first.checked_sub(1).map(|index| request.segment(index)).is_some_and(|segment| {
                let segment = segment.replace(['-', '.'], "_");
                std::iter::once(&*handler.name).chain(handler.aliases.iter().copied()).any(|name| name == segment)
            });
            let takes_rest = handler.arguments.iter().any(|argument| argument.source == Source::Segments);
            (self.extra && has_slash && named && handler.name != "default" && !takes_rest).then_some("")?
        };
        // Written anew from decoded segments, of which none is empty: it never starts with `//`, another host to browsers.
        let mut location = String::new();
        for segment in request.segments() {
            location.push('/');
            location.extend(utf8_percent_encode(segment, ENCODED));
        }
        location.push_str(slash);
        if let Some(query) = request.query() {
            location.push('?');
            location.push_str(query);
        }
        Some(Redirect::permanent(location))
    }
}

impl Tool for TrailingSlash {
    fn name(&self) -> &'static str {
        "trailing_slash"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let tool = self.clone();
        let run = move |exchange: &mut Exchange| {
            tool.elsewhere(exchange).map_or(Ok(()), |redirect| Err(Error::from(redirect)))
        };
        hooks.at(HookPoint::OnStartResource, run).priority(60);
    }

    fn configure(&self, settings: &toml::Table) -> Result<Box<dyn Tool>, SettingError> {
        let mut tool = self.clone();
        let mut reader = SettingReader::new(settings);
        reader.flag("missing", &mut tool.missing)?;
        reader.flag("extra", &mut tool.extra)?;
        reader.finish()?;
        Ok(Box::new(tool))
    }
}

/// What must be encoded in a path segment (RFC 3986, section 3.3: all but `pchar`).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

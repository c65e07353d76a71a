//! Which hooks run in a section: `LogHooks`, named after CherryPy's tool.
//!
//! The hook runs at `on_end_request` 100. Its text is known at start: the hooks, in their order.

use crate::Exchange;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use std::sync::{Arc, OnceLock};

/// Writes the hooks of the section into the log at the start, and with each request, at level debug, the section it was
/// in: for finding out why a tool does not work as it should.
///
/// ```
/// use kirsch::{prelude::*, tools::LogHooks};
///
/// let app = App::new(Tree::new().index(|_| "")).tool("/", LogHooks);
/// # app.build()?;
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// ```text
/// INFO kirsch::hooks: the hooks of "/":
///   BeforeFinalize: secure_headers 97 (always)
///   OnStartResource: trailing_slash 60
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogHooks;

impl Tool for LogHooks {
    fn name(&self) -> &'static str {
        "log_hooks"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let section: Arc<OnceLock<String>> = Arc::default();
        let known = Arc::clone(&section);
        hooks.when_complete(move |plan| {
            let hooks: Vec<_> = plan.all_hooks().map(|hook| hook.to_string()).collect();
            let first = format!("the hooks of {:?}:", plan.section());
            log::info!(target: "kirsch::hooks", "{}", crate::logs::Lines(&first, &hooks));
            let _ = known.set(plan.section().to_owned());
        });
        let tell = move |exchange: &mut Exchange| {
            let (path, request) = (exchange.request.path().escape_debug(), exchange.request.id());
            let section = section.get().map_or("", String::as_str);
            crate::line::record!(Debug, target: "kirsch::hooks", "{path} (request {request}) had the hooks of {section:?}, or of a section below without this tool's settings");
        };
        hooks.at(HookPoint::OnEndRequest, tell).priority(100);
    }
}

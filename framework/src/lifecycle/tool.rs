//! Tools: named bundles of hooks with typed settings, switched on by path.

use super::Hooks;
use crate::settings::{SettingError, SettingTable};
use std::any::Any;

/// A named bundle of hooks that an application switches on for a path and everything below it.
///
/// This one logs how long each handler ran:
///
/// ```
/// use kirsch::prelude::*;
/// use std::time::Instant;
///
/// struct LogTime;
///
/// impl Tool for LogTime {
///     fn name(&self) -> &'static str { "log_time" }
///
///     fn attach(&self, hooks: &mut Hooks) {
///         hooks.at(HookPoint::BeforeHandler, |exchange| { exchange.values.insert(Instant::now()); }).priority(99);
///         hooks.at(HookPoint::BeforeFinalize, |exchange| {
///             let ran = exchange.values.remove::<Instant>().map(|began| began.elapsed());
///             log::info!("{} ran {ran:?}", exchange.request.path());
///         });
///     }
/// }
///
/// let app = App::new(Tree::new().index(|_| "Hello World!")).tool("/", LogTime);
/// # assert!(app.build().is_ok());
/// ```
///
/// A tool puts its values for the length of a request into [`Exchange::values`](crate::Exchange::values). A guard or a
/// place in them is dropped with the request at the latest, however the request ends.
pub trait Tool: Any + Send + Sync {
    /// The name in configuration files and messages.
    fn name(&self) -> &'static str;

    /// Puts the hooks in place; called once at start for each copy of the tool that a plan uses.
    fn attach(&self, hooks: &mut Hooks);

    /// A copy of the tool with the settings of a configuration section laid over its own. Called at start, for each
    /// section that has keys `name.key`; `on` is handled before. Tools without settings keep the default, which refuses
    /// every key.
    ///
    /// # Errors
    /// Names the key and the mistake.
    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        let key = settings.keys().next().map_or("", String::as_str);
        Err(SettingError::unknown(key, &[]))
    }

    /// The tool together with the one of its name that code has switched on further up; `None` if it stands for itself.
    /// Called at start, for each section whose code switches the tool on below such a section.
    ///
    /// Most tools have one value for each setting and stand for themselves. A tool that is a collection adds to the one
    /// above, as its keys in files do. `above` is the same type: [`Any`](std::any::Any) makes it out.
    fn added_to(&self, above: &dyn Tool) -> Option<Box<dyn Tool>> {
        let _ = above;
        None
    }

    /// Whether the tool may answer requests for paths that have no handler, such as static files.
    fn answers(&self) -> bool {
        false
    }
}

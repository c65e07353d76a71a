//! The life of a request: hook points, tools, plans, admission, the error funnel.
//!
//! ```text
//! head ─► before_routing ─► route + plan ─► on_start_resource ─► before_request_body ─► body ─► ADMISSION ─► before_handler
//!      ─► handler ─► before_finalize ─► finalize ─► on_end_resource ─► bytes out ─► on_end_request
//! any failure ─► before_error_response ─► error page ─► after_error_response ─► finalize
//! ```

mod admission;
mod application;
mod background;
mod backtrace;
mod conditions;
mod debug_page;
mod error_page;
mod error_pages;
mod error_template;
mod finish;
mod funnel;
mod health;
mod hook;
mod hosts;
mod plan;
mod redirects;
mod request_counts;
mod run;
mod sections;
mod stream_place;
mod tool;

pub use crate::exchange::{Admission, Admit, Wait, Wakers};
pub use crate::exchange::{Claim, Class, Entered, LineStatus, Place, Turn, WaitList, WaitStatistics};
pub use crate::exchange::{StatusRow, StatusSource};
pub use application::Application;
pub use background::BackgroundJob;
pub use backtrace::backtrace_of;
pub(crate) use debug_page::VERSION;
pub(crate) use debug_page::is_shown_to as is_developers;
pub(crate) use debug_page::key::{NAME as DEBUG_COOKIE, key as debug_key, link as debug_link};
pub use error_page::{ErrorForm, ErrorPage};
pub use error_pages::ErrorPages;
pub(crate) use health::Health;
pub use hook::{Flow, Hook, HookPoint, Hooks, IntoFlow};
pub(crate) use hosts::Hosts;
pub use plan::{PathSettings, Plan};
pub(crate) use redirects::Redirects;
pub(crate) use request_counts::{BOUNDS, CLASSES, CountSums, METHODS, RequestCounts, TimeSums};
pub(crate) use sections::Sections;
pub use tool::Tool;

#[cfg(test)]
mod tests;

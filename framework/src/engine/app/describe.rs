//! The application described for people and programs: its routes, and OpenAPI. Nothing is built for that.

use super::App;
#[cfg(feature = "openapi")]
use crate::Result;
#[cfg(feature = "openapi")]
use crate::config::{Change, SectionPath, joined};
use crate::publish::{Route, routes};

impl App {
    /// Everything that the tree publishes, to be printed or looked at.
    ///
    /// ```
    /// use kirsch::prelude::*;
    ///
    /// let app = App::new(Tree::new().page("add/{a}/{b}", |_| "a sum"));
    /// let route = &app.routes()[0];
    /// assert_eq!(route.path, "/add/{a}/{b}");
    /// assert_eq!(route.to_string(), "GET, HEAD, OPTIONS, POST /add/{a}/{b} (Tree::add)");
    /// ```
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let mut list = self.routes_of_tree();
        for (hosts, app) in &self.virtual_hosts {
            let host = Some(hosts.join(" "));
            list.extend(app.routes_of_tree().into_iter().map(|route| Route { host: host.clone(), ..route }));
        }
        list
    }

    fn routes_of_tree(&self) -> Vec<Route> {
        // A page in the way of a mount is reported when the application is built.
        let tree = self.tree().unwrap_or_else(|_| self.root.clone());
        routes(&tree.describe())
    }

    /// Describes the pages for programs, in OpenAPI 3.1: paths, parameters, forms with their rules, answers and errors,
    /// as far as the types in the signatures know them. The documentation of a handler becomes its summary. See
    /// [`openapi`](crate::openapi).
    ///
    /// What [`Json<T>`](crate::Json) carries is described where `T` has `derive(Fields)` or implements `JsonSchema` of
    /// the crate [schemars](https://docs.rs/schemars). Pages of closures are listed with what their patterns say. Apps
    /// of other hosts have descriptions of their own, and so has an app before it is mounted. Logins are those that
    /// code has switched on so far, so call it last.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Sums;
    ///
    /// #[resource]
    /// impl Sums {
    ///     /// The sum of two numbers.
    ///     fn get(&self, a: i64, b: i64) -> Json<i64> {
    ///         Json(a + b)
    ///     }
    /// }
    ///
    /// let app = App::new(Sums);
    /// let api = app.openapi()?.title("Sums").version("1.0");
    /// assert_eq!(api.as_value()["paths"]["/{a}/{b}"]["get"]["summary"], "The sum of two numbers.");
    /// let client = Client::in_process(app.mount("/api", api));
    /// client.get("/api/").send().assert_contains("The sum of two numbers.");
    /// client.get("/api/openapi.json").send().assert_contains("\"openapi\": \"3.1.1\"");
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// When an app is mounted where it cannot be.
    #[cfg(feature = "openapi")]
    pub fn openapi(&self) -> Result<crate::openapi::OpenApi> {
        let tree = self.tree()?.describe();
        let document = crate::openapi::describe(&tree, &|path| self.logins(path));
        Ok(crate::openapi::OpenApi::new(document))
    }

    /// The tools for logins that code has switched on for a path.
    #[cfg(feature = "openapi")]
    fn logins(&self, path: &str) -> Vec<crate::openapi::Login> {
        let segments = |path: &str| SectionPath::parse(path).ok();
        let is_above = |section: &SectionPath, path: &SectionPath| {
            let mut segments = path.segments();
            section.segments().all(|segment| segments.next() == Some(segment))
        };
        let Some(path) = segments(path) else { return Vec::new() };
        let mut said: Vec<_> = self
            .code
            .iter()
            .filter_map(|statement| {
                Some((segments(&joined(&statement.place.mount, &statement.path))?, &statement.change))
            })
            .filter(|(section, _)| is_above(section, &path))
            .collect();
        said.sort_by_key(|(section, _)| section.segments().count());
        let mut on: Vec<&'static str> = Vec::new();
        for (_, change) in said {
            match change {
                Change::On(tool)
                    if ["auth_basic", "auth_digest", "session_auth"].contains(&tool.name())
                        && !on.contains(&tool.name()) =>
                {
                    on.push(tool.name());
                }
                Change::Off(name) => on.retain(|known| known != name),
                _ => {}
            }
        }
        on.into_iter().map(|tool| crate::openapi::Login { tool }).collect()
    }
}

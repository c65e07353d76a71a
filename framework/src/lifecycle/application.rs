//! What the server calls, as it is put together before the first request: trees, plans, hosts, and what tools read.
//!
//! The stages of a request are in `run.rs` and `finish.rs`.

use super::funnel::{Funnel, TicketDesk};
use super::request_counts::RequestCounts;
use super::{BackgroundJob, Health, Hosts, Plan, Redirects, Sections};
use crate::exchange::{
    Error, Exchange, HttpError, Origin, PageAddresses, Redirect, Stage, StatusSource, capture_backtraces,
};
use crate::panics::watch_panics;
use crate::publish::{Addresses, NodeRef, Publish, has_dispatchers, keyed_routes};
use crate::tickets::{OfTickets, Tickets};
use ::http::StatusCode;
use std::sync::Arc;

/// A published tree with its plans: what the server calls. Made by [`App::build`](crate::App::build).
#[derive(Debug)]
pub struct Application {
    /// The trees; the first is that of the outermost app.
    pub(super) trees: Vec<Root>,
    /// Which of them answers for a host.
    pub(super) hosts: Hosts,
    /// Those of all trees, one tree's after another's.
    pub(super) plans: Vec<Plan>,
    background: Vec<BackgroundJob>,
    /// Where a tool has asked for them.
    pub(super) counts: Option<Arc<RequestCounts>>,
    /// What the tools show on the status page.
    pub(super) status: Vec<Arc<dyn StatusSource>>,
    before_all: Option<Box<BeforeAll>>,
    pub(super) tickets: Option<TicketDesk>,
}

pub(super) struct Root {
    pub(super) node: Arc<dyn Publish>,
    pub(super) shape: NodeRef,
    /// Whether code of the application may run while a path is resolved.
    pub(super) has_dispatchers: bool,
    /// Which plan a path gets, counted from the tree's first.
    pub(super) sections: Sections,
    pub(super) first_plan: usize,
    pub(super) pages: Arc<dyn PageAddresses>,
}

impl Application {
    pub(crate) fn new(
        root: Arc<dyn Publish>,
        sections: Sections,
        plans: Vec<Plan>,
        background: Vec<BackgroundJob>,
    ) -> Self {
        let mut application = Self {
            trees: Vec::new(),
            hosts: Hosts::default(),
            plans: Vec::new(),
            background: Vec::new(),
            counts: None,
            status: Vec::new(),
            before_all: None,
            tickets: None,
        };
        application.add_tree(root, sections, plans, background);
        application
    }

    /// Adds a tree with its plans. [`set_hosts`](Self::set_hosts) sets its hosts.
    pub(crate) fn add_tree(
        &mut self,
        root: Arc<dyn Publish>,
        sections: Sections,
        plans: Vec<Plan>,
        background: Vec<BackgroundJob>,
    ) {
        watch_panics();
        if plans.iter().any(|plan| plan.settings.debug_page) {
            capture_backtraces();
        }
        let shape = root.describe();
        let has_dispatchers = has_dispatchers(&shape);
        let pages = Arc::new(Addresses::of(&shape));
        let first_plan = self.plans.len();
        self.trees.push(Root { node: root, shape, has_dispatchers, sections, first_plan, pages });
        self.plans.extend(plans);
        self.background.extend(background);
    }

    /// Adds what tools show on the status page.
    pub(crate) fn show_status(&mut self, sources: Vec<Arc<dyn StatusSource>>) {
        self.status.extend(sources);
    }

    /// Answers probes.
    pub(crate) fn set_health(&mut self, health: Health) {
        self.before_all.get_or_insert_default().health = Some(health);
    }

    /// Lets the requests of listeners with that role be sent elsewhere.
    pub(crate) fn set_redirects(&mut self, redirects: Redirects) {
        self.before_all.get_or_insert_default().redirects = Some(redirects);
    }

    /// The port of the first encrypted listener.
    pub(crate) fn lead_redirects_to(&self, port: u16) {
        if let Some(redirects) = self.before_all.as_ref().and_then(|first| first.redirects.as_ref()) {
            redirects.lead_to(port);
        }
    }

    /// Writes a ticket for each failure, and lets tools show them. After the last tree.
    pub(crate) fn set_tickets(&mut self, tickets: Arc<Tickets>) {
        self.plans.iter().flat_map(|plan| &plan.tickets_readers).for_each(|reader| reader.connect(&tickets));
        let first = self.plans.iter().position(|plan| !plan.tickets_readers.is_empty());
        let page = first.map(|first| {
            let tree = self.trees.iter().rposition(|tree| tree.first_plan <= first).unwrap_or_default();
            (tree, self.plans[first].section.clone())
        });
        self.status.push(Arc::new(OfTickets(tickets.clone())));
        self.tickets = Some(TicketDesk { tickets, page });
    }

    /// Counts requests from now on, if a tool wants to read the counts. The last step of building.
    pub(crate) fn count_requests(&mut self) {
        let readers: Vec<_> = self.plans.iter().flat_map(|plan| &plan.counts_readers).collect();
        if readers.is_empty() {
            return;
        }
        let routes = self.trees.iter().enumerate().flat_map(|(number, tree)| keyed_routes(number, &tree.shape));
        let counts = Arc::new(RequestCounts::new(routes, self.plans.iter().map(|plan| plan.section.clone())));
        readers.into_iter().for_each(|reader| reader.connect(&counts));
        self.counts = Some(counts);
    }

    pub(crate) fn set_hosts(&mut self, hosts: Hosts) {
        self.hosts = hosts;
    }

    /// The plans, one for each path section, the root's first; those of virtual hosts follow, in the same way.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The first section of each tree where the debug page is on, and the first of each other page that the key of the
    /// process opens: the tree's number, the section, the page.
    pub(crate) fn keyed_sections(&self) -> Vec<(usize, String, &'static str)> {
        let ends = self.trees.iter().skip(1).map(|tree| tree.first_plan).chain([self.plans.len()]);
        let mut sections: Vec<(usize, String, &str)> = Vec::new();
        for (number, (tree, end)) in self.trees.iter().zip(ends).enumerate() {
            for plan in &self.plans[tree.first_plan..end] {
                let debug_page = plan.settings.debug_page.then_some("debug_page");
                for page in debug_page.into_iter().chain(plan.keyed) {
                    let is_known = sections.iter().any(|(tree, _, known)| *tree == number && *known == page);
                    sections.extend((!is_known).then(|| (number, plan.section.clone(), page)));
                }
            }
        }
        sections
    }

    /// The background jobs of the tools.
    #[must_use]
    pub fn background_jobs(&self) -> &[BackgroundJob] {
        &self.background
    }

    /// The answer to a request that should have been encrypted: it names the address that is, or leads there. Only
    /// hosts that this server answers for are named.
    pub(super) fn not_encrypted(&self, request: &crate::Request, redirects: bool) -> Error {
        let origin = request.origin();
        if !self.hosts.is_empty() && self.hosts.find(&origin).is_none() {
            return wrong_host(origin.host());
        }
        let origin = Origin::new(true, origin.authority()).to_string();
        let page = request.target().strip_prefix('/').unwrap_or_default();
        let address = format!("{origin}/{page}");
        if redirects {
            return Redirect { status: StatusCode::PERMANENT_REDIRECT, location: address }.into();
        }
        let text = format!("This address speaks https only. The page is at {address}");
        HttpError::new(StatusCode::BAD_REQUEST, text).into()
    }

    pub(super) fn plan(&self, exchange: &Exchange) -> &Plan {
        &self.plans[exchange.course.plan]
    }

    pub(super) fn tree(&self, exchange: &Exchange) -> &Root {
        &self.trees[exchange.course.tree]
    }

    /// Whether the response is there before anything of the application runs.
    #[inline]
    pub(super) fn is_answered_before_all(&self, exchange: &mut Exchange, is_worker: bool) -> bool {
        let answered = self.before_all.as_ref().and_then(|first| first.answer(exchange, &self.hosts, is_worker));
        answered.map(|stage| exchange.course.stage = stage).is_some()
    }

    pub(super) fn funnel(&self, exchange: &Exchange) -> Funnel<'_> {
        Funnel { plan: self.plan(exchange), root: &self.tree(exchange).shape, tickets: self.tickets.as_ref() }
    }
}

/// What is answered before anything of the application runs.
#[derive(Debug, Default)]
struct BeforeAll {
    health: Option<Health>,
    redirects: Option<Redirects>,
}

impl BeforeAll {
    /// The stage of a request that is answered so.
    #[inline]
    fn answer(&self, exchange: &mut Exchange, hosts: &Hosts, is_worker: bool) -> Option<Stage> {
        if self.redirects.as_ref().is_some_and(|redirects| redirects.answer(exchange, hosts, is_worker)) {
            return Some(Stage::Refused);
        }
        self.health.as_ref().is_some_and(|health| health.answer(exchange)).then_some(Stage::Probed)
    }
}

/// The response to a request for a host that this server does not serve (RFC 9110, section 15.5.20).
pub(super) fn wrong_host(host: &str) -> Error {
    HttpError::new(StatusCode::MISDIRECTED_REQUEST, format!("This server does not answer for the host {host:?}."))
        .into()
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shape.type_name)
    }
}

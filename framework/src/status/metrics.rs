//! Metrics for Prometheus, in its text format: counts and times of requests by route, and gauges of the server.
//!
//! The number of series is bounded: labels are patterns of routes, methods and classes of statuses, never anything that
//! a client can choose.

use super::metric_text::{Kind, MetricText};
use super::pages::Readers;
use crate::exchange::{Error, Exchange, HttpError, Late, Response, ServerView, StatusRow, StatusSource};
use crate::lifecycle::{BOUNDS, CLASSES, CountSums, Flow, HookPoint, Hooks, METHODS, RequestCounts, TimeSums, Tool};
use crate::logs;
use crate::panics::guarded;
use crate::push::{CountedTopic, Tell, Topic, TopicStatistics};
use ::http::{HeaderValue, Method, StatusCode, header};
use std::sync::Arc;
use std::time::SystemTime;

/// The metrics of a program for Prometheus: mount them where you like, or call [`App::metrics`](crate::App::metrics).
///
/// They are shown as the [status pages](super::app) are: to visitors whom a login tool at this very path has let in,
/// and to those who bring the key of the process, which a program sends as `Authorization: Bearer KEY`. The variable
/// `KIRSCH_DEBUG_KEY` sets one that stays the same.
///
/// ```
/// use kirsch::{prelude::*, status};
///
/// let site = App::new(Tree::new().index(|_| "a site"));
/// let site = site.mount("/metrics", status::metrics().append(|text| text.push_str("orders_open 3\n")));
/// # assert!(site.build().is_ok());
/// ```
pub fn metrics() -> Metrics {
    Metrics { is_open: false, reader: Late::default(), topics: Vec::new(), appended: Vec::new() }
}

/// Metrics for Prometheus; made by [`metrics`].
#[derive(Clone)]
#[must_use = "mount it: `App::mount(\"/metrics\", status::metrics())`"]
pub struct Metrics {
    is_open: bool,
    reader: Late<RequestCounts>,
    topics: Vec<Arc<dyn CountedTopic>>,
    appended: Vec<Arc<Appended>>,
}

type Appended = dyn Fn(&mut String) + Send + Sync;

impl Metrics {
    /// Lets everybody see the metrics: for demos, and where something in front of the server keeps strangers away.
    pub fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Adds the counts of a topic, labelled with its name: streams, polls, events, gaps. Of several with one name the
    /// first counts.
    pub fn topic<T: Tell>(mut self, topic: &Topic<T>) -> Self {
        if self.topics.iter().all(|other| other.name() != CountedTopic::name(topic)) {
            self.topics.push(Arc::new(topic.clone()));
        }
        self
    }

    /// Appends metrics of your own, in Prometheus' text format: whole lines, as the crates `prometheus` and
    /// `prometheus-client` write them. A function that panics appends nothing. It runs at each scrape and must not
    /// wait.
    pub fn append(mut self, write: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        self.appended.push(Arc::new(write));
        self
    }

    fn text(&self, server: Option<&dyn ServerView>) -> String {
        let mut text = MetricText::new();
        if let Some(counts) = self.reader.get() {
            write_requests(&mut text, &counts.sums());
        }
        if let Some(server) = server {
            write_server(&mut text, server);
        }
        write_topics(&mut text, &self.topics);
        if let Some(log) = logs::statistics() {
            text.family("kirsch_log_lines_total", Kind::Counter, "Lines of the log, by what became of them.");
            let fates =
                [("written", log.written), ("dropped", log.dropped), ("lost", log.lost), ("repeated", log.repeated)];
            fates.into_iter().for_each(|(fate, count)| text.sample("", &[("fate", fate)], count));
        }
        write_process(&mut text);
        let mut text = text.finish();
        for write in &self.appended {
            let appended = guarded(|| {
                let mut own = String::new();
                write(&mut own);
                Ok::<_, Error>(own)
            });
            match appended {
                Ok(own) => {
                    text.push_str(&own);
                    if !own.is_empty() && !own.ends_with('\n') {
                        text.push('\n');
                    }
                }
                Err(error) => {
                    let causes = logs::causes(&error);
                    crate::line::record!(Error, target: logs::ERROR, "metrics of the application: {causes}");
                }
            }
        }
        text
    }

    fn answer(&self, exchange: &Exchange, depth: usize, readers: &Readers) -> Result<Flow, Error> {
        let request = &exchange.request;
        if request.segments().len() != depth || !readers.include(exchange) {
            return Ok(Flow::Continue);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refusal = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "Nothing changes here: ask with GET.");
            return Err(refusal.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")).into());
        }
        let mut response = Response::new();
        let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.set_header(header::CONTENT_TYPE, content_type);
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.set_body(self.text(request.server().as_deref()));
        Ok(Flow::Answer(response))
    }
}

impl Tool for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let readers = Readers::of(hooks, "metrics", self.is_open);
        hooks.answers_when_busy();
        hooks.count_requests(&self.reader);
        hooks.status(Counted(self.reader.clone()));
        let depth = hooks.section().split('/').filter(|segment| !segment.is_empty()).count();
        let metrics = self.clone();
        hooks.at(HookPoint::BeforeRequestBody, move |exchange| metrics.answer(exchange, depth, &readers)).priority(80);
    }

    fn answers(&self) -> bool {
        true
    }
}

fn write_requests(text: &mut MetricText, sums: &CountSums<'_>) {
    text.family("kirsch_requests_total", Kind::Counter, "Responses, by the pattern of the route.");
    for (route, series) in &sums.series {
        for (method, classes) in METHODS.iter().zip(&series.requests) {
            for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| **count > 0) {
                text.sample("", &[("route", route), ("method", method), ("status", class)], *count);
            }
        }
    }
    text.family("kirsch_request_seconds", Kind::Histogram, "From the complete head to the last byte of the response.");
    for (route, series) in &sums.series {
        write_times(text, &[("route", route)], &series.whole);
    }
    text.family("kirsch_handler_seconds", Kind::Histogram, "The handler and the children on the way to it.");
    for (route, series) in sums.series.iter().filter(|(_, series)| series.handler.count() > 0) {
        write_times(text, &[("route", route)], &series.handler);
    }
    text.family("kirsch_queue_seconds", Kind::Histogram, "From the complete head until a worker begins.");
    write_times(text, &[], &sums.queue);
    text.family("kirsch_wait_seconds", Kind::Histogram, "Waits without a worker: for locks, limits, the cache.");
    write_times(text, &[], &sums.waits);
    text.family("kirsch_response_bytes_total", Kind::Counter, "Bytes of content sent.");
    text.sample("", &[], sums.bytes);
}

fn write_times(text: &mut MetricText, labels: &[(&str, &str)], times: &TimeSums) {
    let mut labels = labels.to_vec();
    labels.push(("le", "+Inf"));
    let le = labels.len() - 1;
    let mut below = 0;
    for (count, bound) in times.buckets.iter().zip(BOUND_LABELS) {
        below += count;
        labels[le].1 = bound;
        text.sample("_bucket", &labels, below);
    }
    labels.pop();
    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds")]
    text.sample("_sum", &labels, times.nanoseconds as f64 / 1e9);
    text.sample("_count", &labels, below);
}

/// The bounds in seconds.
const BOUND_LABELS: [&str; BOUNDS.len() + 1] = [
    "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30",
    "+Inf",
];

fn write_server(text: &mut MetricText, server: &dyn ServerView) {
    let statistics = server.statistics();
    let connections = server.connections();
    text.single("kirsch_workers", Kind::Gauge, "Workers alive.", statistics.workers_alive);
    text.single("kirsch_workers_busy", Kind::Gauge, "Workers that run a request.", statistics.workers_busy);
    text.single("kirsch_workers_waiting", Kind::Gauge, "Workers that wait with a request.", statistics.workers_waiting);
    let help = "Workers that died and were replaced.";
    text.single("kirsch_workers_replaced_total", Kind::Counter, help, statistics.workers_replaced);
    text.single("kirsch_queue_length", Kind::Gauge, "Requests that wait for a worker.", server.queue().length);
    text.family("kirsch_connections", Kind::Gauge, "Open connections, by state.");
    for (state, count) in connections.by_name() {
        text.sample("", &[("state", state)], count);
    }
    let help = "Connections accepted.";
    text.single("kirsch_connections_accepted_total", Kind::Counter, help, statistics.connections_accepted);
    let help = "Connections closed because they did not begin with a PROXY header of a trusted proxy.";
    text.single("kirsch_proxy_headers_refused_total", Kind::Counter, help, statistics.proxy_headers_refused);
    let help = "Handshakes of TLS that have ended, by how.";
    text.family("kirsch_handshakes_total", Kind::Counter, help);
    let handshakes = statistics.handshakes;
    let complete = [("full", handshakes.full), ("resumed", handshakes.resumed)];
    for (end, count) in complete.into_iter().chain(handshakes.failures()) {
        text.sample("", &[("end", end)], count);
    }
    let conversations = statistics.conversations;
    text.single("kirsch_conversations", Kind::Gauge, "Conversations by WebSocket that are open.", conversations.open);
    text.family(
        "kirsch_conversations_ended_total",
        Kind::Counter,
        "Conversations that have ended, by their close code.",
    );
    conversations.ends().for_each(|(code, count)| text.sample("", &[("code", code)], count));
    text.family("kirsch_messages_total", Kind::Counter, "Messages of conversations, by direction.");
    let messages = [("in", conversations.messages_in), ("out", conversations.messages_out)];
    messages.into_iter().for_each(|(direction, count)| text.sample("", &[("direction", direction)], count));
    let certificates = server.certificates();
    if !certificates.is_empty() {
        text.family("kirsch_certificate_expires_seconds", Kind::Gauge, "When a certificate ends, since 1970.");
    }
    for certificate in certificates {
        let end = certificate.expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        text.sample("", &[("certificate", &certificate.place)], end.as_secs());
    }
    let help = "Requests answered 503 because no worker was free in time.";
    text.single("kirsch_overload_rejections_total", Kind::Counter, help, statistics.overload_rejections);
    let help = "Requests answered 503 because all bodies together were too large.";
    text.single("kirsch_bodies_refused_total", Kind::Counter, help, statistics.bodies_refused);
    let help = "Bytes of request bodies, by where they are.";
    text.family("kirsch_body_bytes", Kind::Gauge, help);
    text.sample("", &[("place", "memory")], statistics.bodies_in_memory);
    text.sample("", &[("place", "disk")], statistics.bodies_on_disk);
    let help = "Bytes of responses that clients have not taken yet.";
    text.single("kirsch_unsent_bytes", Kind::Gauge, help, statistics.responses_in_memory);
    let help = "Responses cut off because all that clients had not taken was too much.";
    text.single("kirsch_responses_cut_off_total", Kind::Counter, help, statistics.responses_cut_off);
    let started = server.started().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    text.single("kirsch_start_time_seconds", Kind::Gauge, "When the server started, since 1970.", started);
}

fn write_topics(text: &mut MetricText, topics: &[Arc<dyn CountedTopic>]) {
    type Count = fn(&TopicStatistics) -> u64;
    let families: [(&str, Kind, &str, Count); 6] = [
        ("kirsch_topic_streams", Kind::Gauge, "Event streams that follow a topic.", |topic| topic.open as u64),
        ("kirsch_topic_polls", Kind::Gauge, "Long polls that wait for a topic.", |topic| topic.waiting as u64),
        ("kirsch_topic_events_total", Kind::Counter, "Events published since a topic began.", |topic| topic.published),
        ("kirsch_topic_told_total", Kind::Counter, "Events given to streams.", |topic| topic.told),
        ("kirsch_topic_gaps_total", Kind::Counter, "Gaps that streams were told of.", |topic| topic.gaps),
        ("kirsch_topic_streams_refused_total", Kind::Counter, "Event streams answered 503.", |topic| topic.refused),
    ];
    let topics: Vec<_> = topics.iter().map(|topic| (topic.name(), topic.statistics())).collect();
    for (name, kind, help, count) in families.into_iter().filter(|_| !topics.is_empty()) {
        text.family(name, kind, help);
        topics.iter().for_each(|(topic, statistics)| text.sample("", &[("topic", topic)], count(statistics)));
    }
}

fn write_process(text: &mut MetricText) {
    text.family("kirsch_info", Kind::Gauge, "The version of the framework.");
    text.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    // The kernel makes it from memory.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kibibytes) = resident {
        let bytes: u64 = kibibytes;
        text.single(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory of the process that is in RAM.",
            bytes * 1024,
        );
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    text.single("process_cpu_seconds_total", Kind::Counter, "CPU time of the process.", seconds);
}

/// The status page's rows.
struct Counted(Late<RequestCounts>);

impl StatusSource for Counted {
    fn title(&self) -> String {
        "Requests by route".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let Some(counts) = self.0.get() else { return Vec::new() };
        let sums = counts.sums();
        let mut series: Vec<_> = sums.series.iter().map(|(route, series)| (series.whole.count(), *route)).collect();
        series.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        series.into_iter().take(20).map(|(count, route)| StatusRow::new(route.to_owned(), count.to_string())).collect()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_bounds_are_the_bounds() {
        for (bound, label) in BOUNDS.iter().zip(BOUND_LABELS) {
            let micros = label.parse::<f64>().expect("a number") * 1e6;
            assert!((micros - f64::from(u32::try_from(*bound).expect("it fits"))).abs() < 0.5, "{label}");
        }
    }
}

//! How often a client may come: `RateLimit`, a bucket of tokens for each address.
//!
//! The hook runs at `on_start_resource` 3: before anything is read, checked or waited for.
//!
//! Memory is bounded without looking for the oldest entry: there are two generations, and when the young one is full it
//! takes the place of the old one, which goes. A client that comes again moves to the young one. A forgotten client has
//! not come for a while, and its bucket would be full again.

use super::bucket::Bucket;
use super::neighbourhood::neighbourhood;
use crate::exchange::HttpError;
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{Setting, SettingError, SettingTable, SettingValue, Settings};
use crate::{Error, Exchange, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lets each client come so often; more is answered with 429 and `Retry-After`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::RateLimit};
///
/// let app = App::new(Tree::new().page("search", |_| "found")).tool("/search", RateLimit::per_minute(2));
/// let client = Client::in_process(app);
/// client.get("/search").send().assert_text("found");
/// client.get("/search").send().assert_text("found");
/// client.get("/search").send().assert_status(429).assert_header("retry-after", "30");
/// ```
///
/// Sections further down share the counts, unless they set something.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::bounds)]
pub struct RateLimit {
    /// How often a client may come: `"10/s"`, `"100/m"`, `"1000/h"`.
    #[setting(given, no_builder)]
    rate: Rate,
    /// How many requests may come at once after a pause; `"rate"` is as many as the rate says.
    #[setting(none = "rate")]
    burst: Option<u32>,
    /// Whether each client address has its own count (of IPv6 each network of 64 bits).
    ///
    /// The tool `proxy` decides which address is the client's.
    #[setting(default = true)]
    per_address: bool,
    /// Of how many addresses the count is kept; beyond, those go that have not come for the longest.
    #[setting(default = 20_000)]
    addresses: usize,
    #[setting(skip)]
    buckets: Arc<Mutex<Buckets>>,
}

/// So many requests in such a time.
#[derive(Clone, Copy, Debug)]
struct Rate {
    requests: u32,
    period: Duration,
}

const PERIODS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("m", Duration::from_secs(60)), ("h", Duration::from_secs(3600))];

impl Setting for Rate {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let text = String::read(value)?;
        let rate = text.split_once('/').and_then(|(requests, unit)| {
            let (_, period) = PERIODS.iter().find(|(name, _)| *name == unit.trim())?;
            Some(Self { requests: requests.trim().parse().ok()?, period: *period })
        });
        rate.ok_or_else(|| format!("is {text:?}; it must be a rate, as \"10/s\", \"100/m\" or \"1000/h\""))
    }

    fn show(&self) -> String {
        let unit = PERIODS.iter().find(|(_, period)| *period == self.period).map_or("", |(name, _)| name);
        format!("\"{}/{unit}\"", self.requests)
    }
}

#[derive(Debug, Default)]
struct Buckets {
    young: HashMap<Option<IpAddr>, Bucket>,
    old: HashMap<Option<IpAddr>, Bucket>,
}

impl RateLimit {
    /// So many requests in a second (`rate = "10/s"`).
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(1))
    }

    /// So many requests in a minute (`rate = "10/m"`).
    #[must_use]
    pub fn per_minute(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(60))
    }

    /// So many requests in an hour (`rate = "10/h"`).
    #[must_use]
    pub fn per_hour(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(3600))
    }

    fn new(requests: u32, period: Duration) -> Self {
        Self::defaults(Rate { requests, period })
    }

    fn check(&self, exchange: &Exchange) -> Result<(), Error> {
        let key = self.per_address.then(|| neighbourhood(exchange.request.remote()));
        let taken = self.take(&mut self.buckets.lock(), key, exchange.request.received());
        taken.map_err(|wait| {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            let message = "You come too often. Please try again later.";
            let error = HttpError::new(StatusCode::TOO_MANY_REQUESTS, message);
            let retry_after = HeaderValue::try_from(format!("{seconds:.0}"));
            retry_after.map_or_else(Error::from, |value| error.with_header(header::RETRY_AFTER, value).into())
        })
    }

    /// Counts a request, or says how long it takes until there is room for it.
    fn take(&self, buckets: &mut Buckets, key: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let most = f64::from(self.burst.unwrap_or(self.rate.requests));
        let each = self.rate.period.as_secs_f64() / f64::from(self.rate.requests);
        let known = buckets.young.remove(&key).or_else(|| buckets.old.remove(&key));
        let mut bucket = known.unwrap_or_else(|| Bucket::empty(now));
        let taken = bucket.fill(most, each, now);
        if buckets.young.len() >= (self.addresses / 2).max(1) {
            buckets.old = std::mem::take(&mut buckets.young);
        }
        buckets.young.insert(key, bucket);
        taken
    }

    fn bounds(&self) -> Result<(), SettingError> {
        let key = match (self.rate.requests, self.burst) {
            (0, _) => "rate",
            (_, Some(0)) => "burst",
            _ => return Ok(()),
        };
        Err(SettingError::new(key, "must be at least one request"))
    }
}

impl Tool for RateLimit {
    fn name(&self) -> &'static str {
        "rate_limit"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(problem) = self.bounds() {
            return hooks.refuse(problem);
        }
        let tool = self.clone();
        hooks.at(HookPoint::OnStartResource, move |exchange: &mut Exchange| tool.check(exchange)).priority(3);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(Self { buckets: Arc::default(), ..self.configured(settings)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::tools::Proxy;
    use crate::{App, Tree};

    fn taken(settings: &RateLimit, buckets: &mut Buckets, start: Instant, millis: &[u64]) -> Vec<bool> {
        let at = |millis: &u64| start + Duration::from_millis(*millis);
        millis.iter().map(|millis| settings.take(buckets, None, at(millis)).is_ok()).collect()
    }

    #[test]
    fn tokens_come_back_at_the_rate_and_never_more_than_the_burst() {
        let settings = RateLimit::per_second(10).burst(3);
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        let came = [0, 0, 0, 0, 90, 110, 120, 10_000, 10_000, 10_000, 10_000];
        let expected = [true, true, true, false, false, true, false, true, true, true, false];
        assert_eq!(taken(&settings, &mut buckets, start, &came), expected);
    }

    #[test]
    fn memory_has_a_limit_and_the_latest_clients_are_remembered() {
        let settings = RateLimit::per_hour(1).addresses(100);
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let mine = Some(IpAddr::from([203, 0, 113, 7]));
        assert!(settings.take(&mut buckets, mine, now).is_ok());
        for number in 0..10_000_u32 {
            let _ = settings.take(&mut buckets, Some(IpAddr::from(number.to_be_bytes())), now);
            if number % 20 == 0 {
                assert!(settings.take(&mut buckets, mine, now).is_err(), "remembered");
            }
            assert!(buckets.young.len() + buckets.old.len() <= 101);
        }
    }

    #[test]
    fn each_address_has_its_own_count_and_neighbours_in_ipv6_share_one() {
        let app = App::new(Tree::new().index(|_| "")).tool("/", Proxy::trusting(["loopback"]));
        let client = Client::over_socket(app.tool("/", RateLimit::per_hour(1)));
        let ask = |address: &str| client.get("/").header("x-forwarded-for", address).send().status().as_u16();
        let asked =
            ["203.0.113.1", "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(ask);
        assert_eq!(asked, [200, 429, 200, 200, 429, 200]);
    }

    #[test]
    fn the_file_sets_the_rate_and_mistakes_stop_the_start() {
        let app =
            |file: &str| App::new(Tree::new().index(|_| "")).tool("/", RateLimit::per_second(1000)).config_str(file);
        let client = Client::in_process(app("[\"/\"]\nrate_limit.rate = \"1/h\""));
        client.get("/").send().assert_status(200);
        client.get("/").send().assert_status(429).assert_header("retry-after", "3600");
        for (setting, problem) in
            [("rate = '10'", "must be a rate"), ("rate = '0/s'", "at least one"), ("burst = 0", "at least one")]
        {
            let refused = app(&format!("[\"/\"]\nrate_limit.{setting}")).build().unwrap_err().to_string();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}

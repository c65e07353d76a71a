//! A page in front of a slow web service: `/quadruple?number=4` takes its time once; then every client gets the answer
//! at once.

use crate::page;
use kirsch::prelude::*;
use std::{thread, time::Duration};

/// The application; the service behind it takes `pause`.
pub fn app(pause: Duration) -> App {
    let caching = Caching::new();
    App::new(Quadruple { service: SlowService { pause }, caching: caching.clone() }).tool("/quadruple", caching)
}

struct Quadruple {
    service: SlowService,
    caching: Caching,
}

#[handlers]
impl Quadruple {
    /// A form, and the statistics of the cache.
    #[expose]
    fn index(&self) -> Html<String> {
        let page = page(include_str!("quadruple.html")).replace("{statistics}", &self.statistics().0);
        Html(page.replace("{seconds}", &self.service.pause.as_secs().to_string()))
    }

    /// The statistics of the cache.
    #[expose]
    fn statistics(&self) -> Text<String> {
        let now = self.caching.statistics();
        Text(format!(
            "the service was asked  {:>8}\n\
             answered by the cache  {:>8}\n\
             of these had to wait   {:>8}\n\
             answers kept           {:>8}\n\
             bytes of them          {:>8}\n",
            now.misses, now.hits, now.waits, now.objects, now.bytes
        ))
    }

    #[expose]
    fn quadruple(&self, number: i64) -> kirsch::Result<Text<String>> {
        Ok(Text(self.service.quadruple(number)?.to_string()))
    }
}

/// Stands for a service somewhere else that is slow and must be paid for.
struct SlowService {
    pause: Duration,
}

impl SlowService {
    fn quadruple(&self, number: i64) -> kirsch::Result<i64> {
        let result =
            number.checked_mul(4).ok_or_else(|| Error::new(StatusCode::BAD_REQUEST, "the number is too large"));
        thread::sleep(self.pause);
        result
    }
}

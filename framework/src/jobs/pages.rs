//! What clients see of jobs: the answer to the request that has left one, and the pages that show where it is.

use super::handle::Jobs;
use super::queue::{JobId, JobStatus, Stage};
use crate::Result;
use crate::exchange::{Answer, Error, IntoResponse, Json, Redirect, Request, Response, Watch};
use crate::http::encode_reference;
use crate::push::{Await, Awaited};
use ::http::{HeaderValue, StatusCode, header};
use kirsch_macros::resource;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// Return it from a handler that has enqueued a job: 202 (Accepted), with the place to look at in `Location`, and
/// `Retry-After: 1`.
///
/// ```
/// use kirsch::{jobs::Accepted, prelude::*, testing::Client};
///
/// let app = App::new(Tree::new().page("export", |_| Accepted::at("/jobs/42")));
/// Client::in_process(app).post("/export").send().assert_status(202).assert_header("location", "/jobs/42");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted(String);

impl Accepted {
    /// The place where the client may look.
    pub fn at(location: impl Into<String>) -> Self {
        Self(location.into())
    }
}

impl IntoResponse for Accepted {
    const ANSWER: Answer = Answer::UNKNOWN.with_status("202");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let location = encode_reference(&self.0)
            .map_err(|problem| Error::unexpected(format!("{:?} cannot be the place of a job: {problem}", self.0)))?;
        let location = HeaderValue::from_str(&location)?;
        response.set_status(StatusCode::ACCEPTED).set_header(header::LOCATION, location);
        response.set_header(header::RETRY_AFTER, HeaderValue::from_static("1"));
        "Accepted. The work goes on; the field Location says where to look.\n"
            .into_response(response.default_content_type("text/plain; charset=utf-8"))
    }
}

/// The states of jobs as pages: `GET /42`, below the path that it is mounted at. [`App::jobs`](crate::App::jobs) mounts
/// it.
///
/// | the job | the answer |
/// |---|---|
/// | waits or runs | 200 and its state as JSON, with `Retry-After: 1` |
/// | is done, and has said where its [result](super::Work::result_at) is | 303 to the result |
/// | has ended | 200 and its state as JSON |
/// | is not there, or has ended long ago | 404 |
///
/// ```json
/// { "id": "4611686018427387904", "kind": "thumbnails", "state": "running", "progress": 0.5, "attempt": 1 }
/// ```
///
/// With the field `Prefer: wait=20` (RFC 7240) the answer comes when the job has ended, after 20 s at the latest, or
/// after a minute. Such a request is parked and holds no worker.
///
/// Who knows the number of a job may see its state: the number has 63 random bits. Why a job has failed is told to the
/// operator only. If that is not enough for you, leave these pages out and publish [`Jobs::status`] behind your own
/// check.
#[derive(Clone, Debug)]
pub struct JobPages {
    jobs: Jobs,
    /// How many segments of the mount lead from the app that publishes the jobs to these pages.
    depth: usize,
}

impl JobPages {
    /// The pages of these jobs.
    #[must_use]
    pub fn new(jobs: &Jobs) -> Self {
        Self { jobs: jobs.clone(), depth: 0 }
    }

    /// As an app of their own, at this path of another one: results are pages of that.
    pub(crate) fn mounted_at(mut self, path: &str) -> Self {
        self.depth = path.split('/').filter(|segment| !segment.is_empty()).count();
        self
    }

    /// The path of the app that publishes the jobs, as the client sees it.
    fn app(&self, request: &Request) -> String {
        let mut mount = request.mount();
        for _ in 0..self.depth {
            mount = mount.rsplit_once('/').map_or("", |(above, _)| above);
        }
        format!("{}{mount}", request.prefix())
    }
}

#[resource]
impl JobPages {
    fn get(&self, job: String, request: &Request, response: &mut Response) -> Result<()> {
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let id: JobId = job.parse().map_err(|_| Error::not_found())?;
        let status = self.jobs.status(id)?.ok_or_else(Error::not_found)?;
        match &status {
            JobStatus { stage: Stage::Done, result: Some(path), .. } => {
                Redirect::to(self.app(request) + path).into_response(response)
            }
            status => {
                if !status.stage.is_end() {
                    response.set_header(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                Json(ShownJob::of(status)).into_response(response)
            }
        }
    }
}

/// A job as clients see it.
#[derive(Serialize)]
struct ShownJob<'j> {
    /// A text: it has more digits than numbers of JSON keep.
    id: String,
    kind: &'j str,
    state: &'static str,
    progress: f32,
    attempt: u32,
}

impl<'j> ShownJob<'j> {
    fn of(status: &'j JobStatus) -> Self {
        let JobStatus { kind, progress, attempt, .. } = status;
        Self { id: status.id.to_string(), kind, state: status.stage.name(), progress: *progress, attempt: *attempt }
    }
}

/// A request waits for the end of the job whose number is the last segment of its path. [`App::jobs`](crate::App::jobs)
/// lets those wait that say `Prefer: wait=20`.
impl Awaited for Jobs {
    type Key = JobId;

    fn watch(&self) -> &Watch<JobId> {
        &self.core.watched
    }

    fn key(&self, request: &Request) -> Option<JobId> {
        request.path().rsplit('/').next()?.parse().ok()
    }

    fn has_happened(&self, id: &JobId, _: Option<&str>) -> Result<bool> {
        Ok(self.status(*id)?.is_none_or(|status| status.stage.is_end()))
    }

    fn waits_for(&self, id: &JobId, _: Option<&str>) -> Cow<'static, str> {
        let running = self.core.running.lock().get(id).cloned();
        match running {
            Some(job) => {
                let (kind, share, age) = (&job.kind, job.progress() * 100.0, job.since.elapsed());
                format!("the end of job {id}, {kind} at {share:.0} % for {age:.1?}").into()
            }
            None => format!("the end of job {id}, which waits for a thread or runs elsewhere").into(),
        }
    }
}

/// How long a request waits at most, whatever it prefers.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The tool that lets requests wait for the end of a job.
pub(crate) fn wait(jobs: &Jobs) -> Await {
    Await::on(jobs).if_preferred(true).up_to(MAX_WAIT)
}

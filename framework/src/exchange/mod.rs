//! One request and its response as one owned value: arguments out, responses in.
//!
//! An [`Exchange`] owns everything of one request. It is `Send`, so it can wait without a thread and go on
//! on any worker. This room knows HTTP's words, but no socket, no tree and no tool.

mod admission;
mod argument;
mod argument_types;
mod blocking;
mod body;
mod body_reader;
mod budget;
mod captures;
mod claim;
mod client_watch;
mod connection;
mod cookie_text;
mod course;
mod description;
mod error;
mod error_in_text;
mod escape;
#[expect(clippy::module_inception, reason = "the room is named after its central value")]
mod exchange;
pub mod fields;
pub(crate) mod form_token;
mod form_values;
mod handler;
mod into_response;
mod json_types;
mod key_parameter;
mod late;
mod limits;
mod link;
mod link_value;
mod list_names;
mod login;
mod multipart_form;
mod multipart_reader;
mod origin;
mod page_link;
mod page_type;
mod parameter;
mod preference;
mod problem;
mod push;
mod reading;
mod ready_fields;
mod request;
mod request_text;
mod response;
mod response_body;
mod server_view;
mod service;
mod set_cookie;
mod spent;
mod status_source;
mod stream;
mod tls_facts;
mod trace_parent;
mod trail;
mod upload;
mod values;
mod vary;
mod wait_list;
mod watch;
#[cfg(feature = "websocket")]
pub mod websocket;
mod worker_stage;

pub use admission::{Admission, Admit, Wait};
pub(crate) use admission::{OneWaker, Parked};
pub use argument::{Argument, ArgumentInfo, Arguments, BodyUse, Source, check_parameters};
pub use argument_types::{Bytes, Conn, Cookies, Form, Json, Params, Query, Segments};
pub(crate) use blocking::{
    Blocking, BlockingPlace, BlockingPlaces, InLine, Line, PlaceOrLine, WaitsFor, place_or_line,
};
pub use body::RequestBody;
pub use body_reader::Body;
pub(crate) use body_reader::BodyError;
pub(crate) use budget::{BodyCharge, Budget, Charge, DiskCharge};
pub use captures::Captures;
pub use claim::Claim;
pub use client_watch::ClientWatch;
pub(crate) use client_watch::Connections;
pub use connection::{Connection, ListenerFacts, ListenerRole, Peer, UnixPeer};
pub(crate) use cookie_text::{CookiePart, CookieText};
pub(crate) use course::{Pending, QueueNote, Rescue, Stage};
pub use description::{Answer, Content, Description, Schemas};
/// For the code of the macros.
#[doc(hidden)]
pub mod describing {
    pub use super::description::{
        Carries, Inside, NothingInside, OfFields, OfNothing, OfParameter, OfSchema, Probe, Unknown,
    };
}
pub use error::{Error, ErrorKind, HttpError, Redirect};
pub(crate) use error::{backtrace, capture_backtraces};
pub(crate) use error_in_text::{ErrorInText, TextPlace};
pub use escape::{Escaped, escape};
pub use exchange::Exchange;
pub use fields::{Fault, FieldError, FieldInfo, FieldKind, FieldValue, Fields, FormErrors};
pub use handler::{Handler, HandlerRef, MethodSet};
pub use into_response::{Html, IntoResponse, Text};
pub(crate) use json_types::{JSON_TYPES, problem_with as problem_with_json_type};
pub(crate) use key_parameter::{KEY_PARAMETER, bytes_without_key, without_key};
pub(crate) use late::Late;
pub(crate) use limits::{Limit, Limits, MAX_BODY, MAX_FORM, MAX_JSON, MAX_PARTS};
pub use link::Link;
pub use link_value::{LinkText, LinkValue, Omit};
pub use login::{Login, LoginChallenge};
pub use multipart_reader::{Multipart, Part};
pub use origin::{Forwarded, Origin, origin_of};
pub(crate) use origin::{RemoteText, is_own_origin};
pub(crate) use page_link::{Address, NamedValues, PageAddresses};
pub use page_link::{LinkError, LinkWay, PageLink, PathLinks};
pub use page_type::{Escaping, PageType};
pub use parameter::{InvalidParameter, Parameter};
pub(crate) use problem::OwnPage;
pub use problem::Problem;
pub use push::{Pulled, Push, PushTurn};
pub use ready_fields::ReadyFields;
pub use request::{Request, RequestId};
pub use response::Response;
pub use response_body::{FileBody, ResponseBody};
pub use server_view::{
    ConnectionCounts, ConversationCounts, HandshakeCounts, ParkedRequest, QueueState, RunningRequest, ServerPhase,
    ServerView, SlowRequest, Statistics, WorkerState,
};
pub use service::{Asker, BodyPlan, Delivery, Progress, Service, Wakers, WhenBusy};
pub use set_cookie::{SameSite, SetCookie};
pub(crate) use spent::{Doing, Spent};
pub use status_source::{StatusRow, StatusSource};
pub use stream::Stream;
pub use tls_facts::{CertificateName, CertificateState, ClientCertificate, TlsFacts, TlsVersion};
pub use trace_parent::{TraceId, TraceParent};
pub use trail::{Step, Trail};
pub use upload::Upload;
pub use values::Values;
pub use wait_list::{Class, Entered, LineStatus, Place, Turn, WaitList, WaitStatistics};
pub use watch::Watch;
pub(crate) use worker_stage::StageByte;
pub use worker_stage::WorkerStage;

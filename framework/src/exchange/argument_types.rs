//! The arguments by type that need no tool.

/// The body read as JSON, or a value sent as JSON.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// The urlencoded form in the body as one value.
#[derive(Clone, Debug)]
pub struct Form<T>(pub T);

/// The query as one value.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// All parameters of query and form.
#[derive(Clone, Debug)]
pub struct Params(pub Vec<(String, String)>);

/// The rest of the path, decoded.
#[derive(Clone, Debug)]
pub struct Segments(pub Vec<String>);

/// The whole body as bytes.
#[derive(Clone, Debug)]
pub struct Bytes(pub Vec<u8>);

/// The body as a stream that the handler reads itself.
#[derive(Debug)]
pub struct Body(pub(crate) super::RequestBody);

/// The cookies of the request.
#[derive(Clone, Debug)]
pub struct Cookies(pub(crate) Vec<(String, String)>);

/// The connection that the request came by.
#[derive(Clone, Copy, Debug)]
pub struct Conn(pub super::Connection);

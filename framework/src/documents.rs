//! The README and the guide, so that their code is compiled and run with the tests. Nothing here is part of the
//! library.

macro_rules! documents {
    ($($name:ident: $path:literal;)*) => {
        $(
            #[doc = include_str!(concat!("../../", $path))]
            mod $name {}
        )*
    };
}

documents! {
    logging_and_limits: "docs/reference/logging-and-limits.md";
    security_tools: "docs/reference/security-tools.md";
    readme: "README.md";
    getting_started: "docs/guide/getting-started.md";
    development: "docs/guide/development.md";
    tutorial: "docs/guide/tutorial.md";
    publishing: "docs/guide/publishing.md";
    sessions: "docs/guide/sessions.md";
    streaming: "docs/guide/streaming.md";
    push: "docs/guide/push.md";
    websockets: "docs/guide/websockets.md";
    tools_and_hooks: "docs/guide/tools-and-hooks.md";
    write_a_tool: "docs/guide/write-a-tool.md";
    static_files: "docs/guide/static-files.md";
    caching: "docs/guide/caching.md";
    errors: "docs/guide/errors.md";
    errors_reference: "docs/reference/errors.md";
    coming_from_cherrypy: "docs/reference/coming-from-cherrypy.md";
    configuration: "docs/guide/configuration.md";
    testing: "docs/guide/testing.md";
    uploads: "docs/guide/uploads.md";
    plugins: "docs/guide/plugins.md";
    jobs: "docs/guide/jobs.md";
    deployment: "docs/guide/deployment.md";
    proxies: "docs/guide/proxies.md";
    privileges: "docs/guide/privileges.md";
    upgrades: "docs/guide/upgrades.md";
    logs: "docs/guide/logs.md";
    operating: "docs/guide/operating.md";
    metrics: "docs/guide/metrics.md";
    embedding: "docs/guide/embedding.md";
    tools: "docs/reference/tools.md";
    header_tools: "docs/reference/header-tools.md";
    security: "docs/reference/security.md";
    dispatchers: "docs/reference/dispatchers.md";
    sessions_reference: "docs/reference/sessions.md";
    session_stores: "docs/reference/session-stores.md";
    how_to_session: "docs/how-to/session.md";
    how_to_upload: "docs/how-to/upload.md";
    how_to_live: "docs/how-to/live.md";
    how_to_json_api: "docs/how-to/json-api.md";
    how_to_job: "docs/how-to/job.md";
    how_to_static: "docs/how-to/static.md";
    how_to_lets_encrypt: "docs/how-to/lets-encrypt.md";
    how_to_report: "docs/how-to/report.md";
    how_to_lock: "docs/how-to/lock.md";
    how_to_tool: "docs/how-to/tool.md";
    how_to_test: "docs/how-to/test.md";
    how_to_nginx: "docs/how-to/nginx.md";
    how_to_small_server: "docs/how-to/small-server.md";
    how_to_from_actix: "docs/how-to/from-actix.md";
    how_to_from_axum: "docs/how-to/from-axum.md";
}

#[cfg(feature = "sqlite")]
documents! {
    how_to_database: "docs/how-to/database.md";
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
documents! {
    databases: "docs/guide/databases.md";
}

#[cfg(feature = "gzip")]
documents! {
    compression: "docs/guide/compression.md";
}

#[cfg(feature = "templates")]
documents! {
    photoblog: "docs/guide/photoblog.md";
    forms: "docs/guide/forms.md";
    templates: "docs/guide/templates.md";
    quick_start: "docs/quick-start.md";
    how_to_from_flask: "docs/how-to/from-flask.md";
}

#[cfg(feature = "passwords")]
documents! {
    authentication: "docs/reference/authentication.md";
    how_to_log_in: "docs/how-to/log-in.md";
}

#[cfg(feature = "openapi")]
documents! {
    openapi: "docs/reference/openapi.md";
}

#[cfg(feature = "tls")]
documents! {
    tls: "docs/guide/tls.md";
}

#[cfg(feature = "websocket")]
documents! {
    how_to_chat: "docs/how-to/chat.md";
}

//! Urlencoded forms, JSON, and requests without a body.

use crate::{Row, row};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("Chrome, an urlencoded form", "
        Content-Type: application/x-www-form-urlencoded
        Origin: null",
        b"title=The+sea&note=100%25+%26+more%0D%0Aline&empty=", "empty = \nnote = 100% & more|line\ntitle = The sea"),
    row("jQuery", "
        Content-Type: application/x-www-form-urlencoded; charset=UTF-8
        X-Requested-With: XMLHttpRequest
        Accept: application/json, text/javascript, */*; q=0.01",
        b"tag%5B%5D=a&tag%5B%5D=b&title=h%C3%B6hle", "tag[] = a\ntag[] = b\ntitle = h\u{f6}hle"),
    row("jQuery, a list", "Content-Type: application/x-www-form-urlencoded; charset=UTF-8", b"tag%5B%5D=a&tag%5B%5D=b", "a|b").to("POST /list"),
    row("axios, a list with numbers", "Content-Type: application/x-www-form-urlencoded;charset=utf-8", b"tag%5B0%5D=a&tag%5B1%5D=b", "a|b").to("POST /list"),
    row("htmx", "
        HX-Request: true
        HX-Current-URL: http://localhost/
        Content-Type: application/x-www-form-urlencoded",
        b"title=The%20sea", "title = The sea").to("PUT /form"),
    row("curl -d", "
        User-Agent: curl/8.9.1
        Accept: */*
        Content-Type: application/x-www-form-urlencoded",
        b"title=The sea&x=1", "title = The sea\nx = 1"),
    row("curl --data-urlencode", "Content-Type: application/x-www-form-urlencoded", b"title=The%20sea%20%26%20sky", "title = The sea & sky"),
    row("curl -G", "User-Agent: curl/8.9.1", b"", "title = The sea").to("GET /form?title=The%20sea"),
    row("curl --json", "
        Content-Type: application/json
        Accept: application/json",
        b"{\"title\": \"The sea\"}", "{\"title\":\"The sea\"}").to("POST /json"),
    row("wget --post-data", "
        User-Agent: Wget/1.24.5
        Accept-Encoding: identity
        Content-Type: application/x-www-form-urlencoded", b"title=a&title=b", "title = a\ntitle = b"),
    row("an old page in latin1", "Content-Type: application/x-www-form-urlencoded; charset=iso-8859-1", b"title=caf%E9", "title = caf\u{e9}"),
    row("a page that tells its charset by a field", "Content-Type: application/x-www-form-urlencoded", b"_charset_=windows-1252&title=%93caf%E9%94", "_charset_ = windows-1252\ntitle = \u{201c}caf\u{e9}\u{201d}"),
    row("a script with a bare percent sign", "Content-Type: application/x-www-form-urlencoded", b"share=50%&odd=%zz", "odd = %zz\nshare = 50%"),
    row("an image as a map", "", b"", "223,114 = ").to("GET /form?223,114"),
    row("a form without fields", "
        Content-Type: application/x-www-form-urlencoded
        Content-Length: 0", b"", ""),
    row("POST without a body, by fetch", "Content-Length: 0", b"", ""),
    row("axios, JSON", "
        Accept: application/json, text/plain, */*
        Content-Type: application/json", b"{\"a\":[1,2]}", "{\"a\":[1,2]}").to("PUT /json"),
    row("Java, JSON with a charset", "Content-Type: application/json;charset=UTF-8", b"{\"a\":1}", "{\"a\":1}").to("POST /json"),
    row("Java's HttpURLConnection asks", "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", b"", "x = 1").to("GET /form?x=1"),
    row("PowerShell, JSON with a byte order mark", "Content-Type: application/json", b"\xef\xbb\xbf{\"a\":1}", "{\"a\":1}").to("POST /json"),
    row("a report of a browser", "Content-Type: application/csp-report", b"{\"csp-report\":{}}", "{\"csp-report\":{}}").to("POST /json"),
    row("reports of a browser", "Content-Type: application/reports+json", b"[{\"type\":\"deprecation\"}]", "[{\"type\":\"deprecation\"}]").to("POST /json"),
    row("an old script, text/json", "Content-Type: text/json", b"[1]", "[1]").to("POST /json"),
    row("an iPhone, JSON of a web API", "Content-Type: application/vnd.api+json", b"{\"data\":null}", "{\"data\":null}").to("PATCH /json"),
];

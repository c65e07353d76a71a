//! multipart/form-data, as clients of thirty years write it.

use crate::{Row, row};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("Chrome, a form with a file", "
        Content-Type: multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW0
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        b"------WebKitFormBoundary7MA4YWxkTrZu0gW0\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n------WebKitFormBoundary7MA4YWxkTrZu0gW0\nContent-Disposition: form-data; name=\"photo\"; filename=\"sea.png\"\nContent-Type: image/png\n\nPNG\n------WebKitFormBoundary7MA4YWxkTrZu0gW0--\n",
        "photo <sea.png> <image/png> PNG\ntitle = The sea"),
    row("Chrome, no file chosen", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryA",
        b"------WebKitFormBoundaryA\nContent-Disposition: form-data; name=\"photo\"; filename=\"\"\nContent-Type: application/octet-stream\n\n\n------WebKitFormBoundaryA\nContent-Disposition: form-data; name=\"title\"\n\n\n------WebKitFormBoundaryA--\n",
        "title = "),
    row("Chrome, quotes and line ends in names", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryB",
        b"------WebKitFormBoundaryB\nContent-Disposition: form-data; name=\"a%22b\"\n\n1\n------WebKitFormBoundaryB\nContent-Disposition: form-data; name=\"photo\"; filename=\"x%22y, z; 100%.png\"\nContent-Type: image/png\n\nPNG\n------WebKitFormBoundaryB--\n",
        "a\"b = 1\nphoto <x\"y, z; 100%.png> <image/png> PNG"),
    row("Firefox, letters beyond ASCII", "
        Content-Type: multipart/form-data; boundary=---------------------------4025198237193847265013984712
        Accept-Language: de,en-US;q=0.7,en;q=0.3",
        b"-----------------------------4025198237193847265013984712\nContent-Disposition: form-data; name=\"stra\xc3\x9fe\"\n\nM\xc3\xbchlweg\nZeile 2\n-----------------------------4025198237193847265013984712\nContent-Disposition: form-data; name=\"photo\"; filename=\"h\xc3\xb6hle.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n-----------------------------4025198237193847265013984712--\n",
        "photo <h\u{f6}hle.jpg> <image/jpeg> JPEG\nstra\u{df}e = M\u{fc}hlweg|Zeile 2"),
    row("Safari, several files of one field", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundarySaf",
        b"------WebKitFormBoundarySaf\nContent-Disposition: form-data; name=\"files\"; filename=\"IMG_0001.HEIC\"\nContent-Type: image/heic\n\n1\n------WebKitFormBoundarySaf\nContent-Disposition: form-data; name=\"files\"; filename=\"IMG_0002.MOV\"\nContent-Type: video/quicktime\n\n2\n------WebKitFormBoundarySaf--\n",
        "files <IMG_0001.HEIC> <image/heic> 1\nfiles <IMG_0002.MOV> <video/quicktime> 2"),
    row("Internet Explorer, a whole path", "Content-Type: multipart/form-data; boundary=---------------------------7da36d1b4a0164",
        b"-----------------------------7da36d1b4a0164\nContent-Disposition: form-data; name=\"photo\"; filename=\"C:\\Documents and Settings\\me\\Desktop\\sea.gif\"\nContent-Type: image/gif\n\nGIF\n-----------------------------7da36d1b4a0164\nContent-Disposition: form-data; name=\"Submit\"\n\nSend\n-----------------------------7da36d1b4a0164--\n",
        "Submit = Send\nphoto <sea.gif> <image/gif> GIF"),
    row("Internet Explorer, a path on a server", "Content-Type: multipart/form-data; boundary=---------------------------7da",
        b"-----------------------------7da\nContent-Disposition: form-data; name=\"photo\"; filename=\"\\\\server\\share\\sea.gif\"\nContent-Type: image/pjpeg\n\nGIF\n-----------------------------7da--\n",
        "photo <sea.gif> <image/pjpeg> GIF"),
    row("Opera, a preamble of one line end", "Content-Type: multipart/form-data; boundary=----------zEO9jQKmLc2Cq88c23Dx19",
        b"\n------------zEO9jQKmLc2Cq88c23Dx19\nContent-Disposition: form-data; name=\"text\"\n\nblafasel\n------------zEO9jQKmLc2Cq88c23Dx19--\n",
        "text = blafasel"),
    row("fetch, FormData with a Blob and a File", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryFd",
        b"------WebKitFormBoundaryFd\nContent-Disposition: form-data; name=\"file\"; filename=\"blob\"\nContent-Type: application/json\n\n{\"a\":1}\n------WebKitFormBoundaryFd\nContent-Disposition: form-data; name=\"file\"; filename=\"notes.txt\"\nContent-Type: text/plain\n\nnotes\n------WebKitFormBoundaryFd\nContent-Disposition: form-data; name=\"\"\n\nempty name\n------WebKitFormBoundaryFd--\n",
        " = empty name\nfile <blob> <application/json> {\"a\":1}\nfile <notes.txt> <text/plain> notes"),
    row("fetch, an empty FormData", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryEmpty",
        b"------WebKitFormBoundaryEmpty--\n", ""),
    row("iOS, URLSession by hand", "
        Content-Type: multipart/form-data; boundary=Boundary-7E0A4C0D-59F1-4C7E-9D6B-3F1B0A0C1D2E
        User-Agent: Notes/12 CFNetwork/1410.0.3 Darwin/22.6.0",
        b"--Boundary-7E0A4C0D-59F1-4C7E-9D6B-3F1B0A0C1D2E\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--Boundary-7E0A4C0D-59F1-4C7E-9D6B-3F1B0A0C1D2E\nContent-Disposition: form-data; name=\"photo\"; filename=\"image.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n--Boundary-7E0A4C0D-59F1-4C7E-9D6B-3F1B0A0C1D2E--",
        "photo <image.jpg> <image/jpeg> JPEG\ntitle = The sea"),
    row("Alamofire", "Content-Type: multipart/form-data; boundary=alamofire.boundary.1f7d9a3c4e083$",
        b"--alamofire.boundary.1f7d9a3c4e083$\nContent-Disposition: form-data; name=\"photo\"; filename=\"image.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n--alamofire.boundary.1f7d9a3c4e083$--\n",
        "photo <image.jpg> <image/jpeg> JPEG"),
    row("AFNetworking", "Content-Type: multipart/form-data; boundary=Boundary+0DF2A3D2C1A0E5B4",
        b"--Boundary+0DF2A3D2C1A0E5B4\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--Boundary+0DF2A3D2C1A0E5B4--\n",
        "title = The sea"),
    row("an old iPhone library, a star in the boundary", "Content-Type: multipart/form-data; boundary=ab*cd",
        b"--ab*cd\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--ab*cd--\n", "title = The sea"),
    row("every mark that a token may have", "Content-Type: multipart/form-data; boundary=!#$%&'*+-.^_`|~",
        b"--!#$%&'*+-.^_`|~\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--!#$%&'*+-.^_`|~--\n", "title = The sea"),
    row("Android, OkHttp and Retrofit", "
        Content-Type: multipart/form-data; boundary=3f0c2a5e-7b4d-4a7e-8d1f-0a1b2c3d4e5f
        User-Agent: okhttp/4.12.0",
        b"--3f0c2a5e-7b4d-4a7e-8d1f-0a1b2c3d4e5f\nContent-Disposition: form-data; name=\"title\"\nContent-Transfer-Encoding: binary\nContent-Type: text/plain; charset=UTF-8\nContent-Length: 7\n\nThe sea\n--3f0c2a5e-7b4d-4a7e-8d1f-0a1b2c3d4e5f\nContent-Disposition: form-data; name=\"photo\"; filename=\"sea.jpg\"\nContent-Type: image/jpeg\nContent-Length: 4\n\nJPEG\n--3f0c2a5e-7b4d-4a7e-8d1f-0a1b2c3d4e5f--\n",
        "photo <sea.jpg> <image/jpeg> JPEG\ntitle = The sea"),
    row("curl -F", "
        User-Agent: curl/8.9.1
        Accept: */*
        Content-Type: multipart/form-data; boundary=------------------------d74496d66958873e",
        b"--------------------------d74496d66958873e\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--------------------------d74496d66958873e\nContent-Disposition: form-data; name=\"photo\"; filename=\"a\\\"b\\\\c.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n--------------------------d74496d66958873e--\n",
        "photo <c.jpg> <image/jpeg> JPEG\ntitle = The sea"),
    row("curl -F, a text with a type of its own", "Content-Type: multipart/form-data; boundary=------------------------5e",
        b"--------------------------5e\nContent-Disposition: form-data; name=\"meta\"\nContent-Type: application/json\n\n{\"a\":1}\n--------------------------5e--\n",
        "meta = {\"a\":1}"),
    row("Python requests", "
        User-Agent: python-requests/2.32.3
        Content-Type: multipart/form-data; boundary=0b4f2c6a8d0e4f6a9b1c3d5e7f901234",
        b"--0b4f2c6a8d0e4f6a9b1c3d5e7f901234\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--0b4f2c6a8d0e4f6a9b1c3d5e7f901234\nContent-Disposition: form-data; name=\"file\"; filename=\"report.csv\"\n\na,b\n1,2\n\n--0b4f2c6a8d0e4f6a9b1c3d5e7f901234--\n",
        "file <report.csv> <-> a,b|1,2|\ntitle = The sea"),
    row("Python requests of old, a name that is extended only", "Content-Type: multipart/form-data; boundary=9d",
        b"--9d\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''h%C3%B6hle.csv\n\n1\n--9d--\n",
        "file <h\u{f6}hle.csv> <-> 1"),
    row("Python httpx", "Content-Type: multipart/form-data; boundary=a1b2c3d4e5f60718293a4b5c6d7e8f90",
        b"--a1b2c3d4e5f60718293a4b5c6d7e8f90\nContent-Disposition: form-data; name=\"file\"; filename=\"report.csv\"\nContent-Type: text/csv\n\n1\n--a1b2c3d4e5f60718293a4b5c6d7e8f90--\n",
        "file <report.csv> <text/csv> 1"),
    row("Python aiohttp", "Content-Type: multipart/form-data; boundary=c0ffee00c0ffee00c0ffee00c0ffee00",
        b"--c0ffee00c0ffee00c0ffee00c0ffee00\nContent-Type: text/plain; charset=utf-8\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--c0ffee00c0ffee00c0ffee00c0ffee00\nContent-Type: text/csv\nContent-Disposition: form-data; name=\"file\"; filename=\"report.csv\"; filename*=utf-8''report.csv\n\n1\n--c0ffee00c0ffee00c0ffee00c0ffee00--\n",
        "file <report.csv> <text/csv> 1\ntitle = The sea"),
    row("Python's email package, folded heads", "Content-Type: multipart/form-data; boundary=\"===============2098471623==\"",
        b"--===============2098471623==\nContent-Type: text/csv;\n charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Disposition: form-data;\n name=\"file\";\n\tfilename=\"report.csv\"\n\n1\n--===============2098471623==--\n",
        "file <report.csv> <text/csv; charset=\"utf-8\"> 1"),
    row("Node, undici", "
        User-Agent: node
        Content-Type: multipart/form-data; boundary=----formdata-undici-048291037465",
        b"------formdata-undici-048291037465\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n------formdata-undici-048291037465\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\nContent-Type: application/octet-stream\n\n1\n------formdata-undici-048291037465--\n",
        "file <a.bin> <application/octet-stream> 1\ntitle = The sea"),
    row("Node, form-data and axios", "
        User-Agent: axios/1.7.7
        Content-Type: multipart/form-data; boundary=--------------------------104729384756019283746501",
        b"----------------------------104729384756019283746501\nContent-Disposition: form-data; name=\"files[]\"; filename=\"a.txt\"\nContent-Type: text/plain\n\n1\n----------------------------104729384756019283746501\nContent-Disposition: form-data; name=\"files[]\"; filename=\"b.txt\"\nContent-Type: text/plain\n\n2\n----------------------------104729384756019283746501--\n",
        "files <a.txt> <text/plain> 1\nfiles <b.txt> <text/plain> 2"),
    row("Go, mime/multipart", "
        User-Agent: Go-http-client/1.1
        Content-Type: multipart/form-data; boundary=0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2",
        b"--0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\nContent-Type: application/octet-stream\n\n1\n--0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2--\n",
        "file <a.txt> <application/octet-stream> 1"),
    row("Java, Apache HttpClient", "
        Content-Type: multipart/form-data; boundary=Xk3_pQ-9vYt2mRzL7wN0; charset=ISO-8859-1
        User-Agent: Apache-HttpClient/4.5.14 (Java/17.0.9)",
        b"--Xk3_pQ-9vYt2mRzL7wN0\nContent-Disposition: form-data; name=\"title\"\nContent-Type: text/plain; charset=ISO-8859-1\nContent-Transfer-Encoding: 8bit\n\ncaf\xe9\n--Xk3_pQ-9vYt2mRzL7wN0\nContent-Disposition: form-data; name=\"file\"; filename=\"caf\xe9.txt\"\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n1\n--Xk3_pQ-9vYt2mRzL7wN0--\n",
        "file <caf\u{e9}.txt> <application/octet-stream> 1\ntitle = caf\u{e9}"),
    row("Java, jakarta.mail", "Content-Type: multipart/form-data; boundary=\"----=_Part_0_1330247642.1700000000000\"",
        b"------=_Part_0_1330247642.1700000000000\nContent-Disposition: form-data; name=\"title\"\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\nThe sea\n------=_Part_0_1330247642.1700000000000--\n",
        "title = The sea"),
    row("Java by hand, marks without quotes", "Content-Type: multipart/form-data;boundary=----=_Part_1:2(3)?4/5@6",
        b"------=_Part_1:2(3)?4/5@6\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n------=_Part_1:2(3)?4/5@6--\n",
        "title = The sea"),
    row(".NET HttpClient", "Content-Type: multipart/form-data; boundary=\"4c1f0a7e-2b3d-4f5a-8c9e-0d1e2f3a4b5c\"",
        b"--4c1f0a7e-2b3d-4f5a-8c9e-0d1e2f3a4b5c\nContent-Type: text/plain; charset=utf-8\nContent-Disposition: form-data; name=title\n\nThe sea\n--4c1f0a7e-2b3d-4f5a-8c9e-0d1e2f3a4b5c\nContent-Disposition: form-data; name=file; filename=\"=?utf-8?B?aMO2aGxlLnR4dA==?=\"; filename*=utf-8''h%C3%B6hle.txt\n\n1\n--4c1f0a7e-2b3d-4f5a-8c9e-0d1e2f3a4b5c--\n",
        "file <h\u{f6}hle.txt> <-> 1\ntitle = The sea"),
    row("PowerShell", "
        User-Agent: Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.19045; en-US) PowerShell/7.4.1
        Content-Type: multipart/form-data; boundary=\"0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f\"",
        b"--0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f\nContent-Disposition: form-data; name=title\n\nThe sea\n--0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f\nContent-Disposition: form-data; name=file; filename=a.txt; filename*=utf-8''a.txt\nContent-Type: application/octet-stream\n\n1\n--0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f--\n",
        "file <a.txt> <application/octet-stream> 1\ntitle = The sea"),
    row("PHP, Guzzle", "
        User-Agent: GuzzleHttp/7
        Content-Type: multipart/form-data; boundary=9051d72b8c3a4e6f7081920a3b4c5d6e7f809102",
        b"--9051d72b8c3a4e6f7081920a3b4c5d6e7f809102\nContent-Disposition: form-data; name=\"tags[]\"\nContent-Length: 1\n\na\n--9051d72b8c3a4e6f7081920a3b4c5d6e7f809102\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\nContent-Length: 1\nContent-Type: text/plain\n\n1\n--9051d72b8c3a4e6f7081920a3b4c5d6e7f809102--\n",
        "file <a.txt> <text/plain> 1\ntags[] = a"),
    row("Postman", "
        User-Agent: PostmanRuntime/7.42.0
        Content-Type: multipart/form-data; boundary=--------------------------598104728391028374650192",
        b"----------------------------598104728391028374650192\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\nContent-Type: text/plain\n\n1\n----------------------------598104728391028374650192--\n",
        "file <a b.txt> <text/plain> 1"),
    row("Perl, LWP", "
        User-Agent: libwww-perl/6.77
        Content-Type: multipart/form-data; boundary=xYzZY",
        b"--xYzZY\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--xYzZY\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\nContent-Length: 1\nContent-Type: text/plain\n\n1\n--xYzZY--\n",
        "file <a.txt> <text/plain> 1\ntitle = The sea"),
    row("Ruby, net/http", "
        User-Agent: Ruby
        Content-Type: multipart/form-data; boundary=WjF0cmFuZG9tQm91bmRhcnlfMTIzNDU2",
        b"--WjF0cmFuZG9tQm91bmRhcnlfMTIzNDU2\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\nContent-Type: application/octet-stream\n\n1\n--WjF0cmFuZG9tQm91bmRhcnlfMTIzNDU2--\n",
        "file <a.txt> <application/octet-stream> 1"),
    row("Ruby, rest-client, a name in an encoding unknown", "Content-Type: multipart/form-data; boundary=----RubyFormBoundary9",
        b"------RubyFormBoundary9\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; filename*=gbk''%c4%e3.txt\nContent-Type: text/plain\n\n1\n------RubyFormBoundary9--\n",
        "file <a.txt> <text/plain> 1"),
    row("an extended name that is no UTF-8", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; filename*=UTF-8''%ff\n\n1\n--XX--\n", "file <a.txt> <-> 1"),
    row("a raw space and raw UTF-8 in an extended name", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; filename*=h\xc3\xb6 hle.txt\n\n1\n--XX--\n", "file <a.txt> <-> 1"),
    row("a name in pieces", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Disposition: form-data; name=file;\n filename*0*=UTF-8''h%C3%B6hle;\n filename*1=\" and sea.txt\"\n\n1\n--XX--\n", "file <h\u{f6}hle and sea.txt> <-> 1"),
    row("a quote that nobody has escaped", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"sea \"blue\".txt\"\n\n1\n--XX--\n", "file <sea > <-> 1"),
    row("Dropzone, a chunk", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryDz",
        b"------WebKitFormBoundaryDz\nContent-Disposition: form-data; name=\"dzuuid\"\n\n0d2f4a\n------WebKitFormBoundaryDz\nContent-Disposition: form-data; name=\"dzchunkindex\"\n\n0\n------WebKitFormBoundaryDz\nContent-Disposition: form-data; name=\"file[0]\"; filename=\"sea.mov\"\nContent-Type: video/quicktime\n\nMOV\n------WebKitFormBoundaryDz--\n",
        "dzchunkindex = 0\ndzuuid = 0d2f4a\nfile <sea.mov> <video/quicktime> MOV"),
    row("Uppy, null for a missing value", "Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryUp",
        b"------WebKitFormBoundaryUp\nContent-Disposition: form-data; name=\"relativePath\"\n\nnull\n------WebKitFormBoundaryUp\nContent-Disposition: form-data; name=\"files[]\"; filename=\"sea.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n------WebKitFormBoundaryUp--\n",
        "files <sea.jpg> <image/jpeg> JPEG\nrelativePath = null"),
    row("a post in the manner of S3, the file last", "Content-Type: multipart/form-data; boundary=9431149156168",
        b"--9431149156168\nContent-Disposition: form-data; name=\"key\"\n\nuploads/${filename}\n--9431149156168\nContent-Disposition: form-data; name=\"success_action_status\"\n\n201\n--9431149156168\nContent-Disposition: form-data; name=\"file\"; filename=\"sea.jpg\"\nContent-Type: image/jpeg\n\nJPEG\n--9431149156168--\n",
        "file <sea.jpg> <image/jpeg> JPEG\nkey = uploads/${filename}\nsuccess_action_status = 201"),
    row("Flash, its last part no file and no last line end", "
        Accept: text/*
        Content-Type: multipart/form-data; boundary=----------KM7Ij5cH2KM7Ef1gL6ae0ae0cH2gL6
        User-Agent: Shockwave Flash
        Cache-Control: no-cache",
        b"------------KM7Ij5cH2KM7Ef1gL6ae0ae0cH2gL6\nContent-Disposition: form-data; name=\"Filename\"\n\n.project\n------------KM7Ij5cH2KM7Ef1gL6ae0ae0cH2gL6\nContent-Disposition: form-data; name=\"Filedata\"; filename=\".project\"\nContent-Type: application/octet-stream\n\n<project>\n</project>\n\n------------KM7Ij5cH2KM7Ef1gL6ae0ae0cH2gL6\nContent-Disposition: form-data; name=\"Upload\"\n\nSubmit Query\n------------KM7Ij5cH2KM7Ef1gL6ae0ae0cH2gL6--",
        "Filedata <.project> <application/octet-stream> <project>|</project>|\nFilename = .project\nUpload = Submit Query"),
    row("parts that declare UTF-16", "Content-Type: multipart/form-data;boundary=X",
        b"--X\nContent-Type: text/plain;charset=utf-16\nContent-Disposition: form-data; name=\"text\"\n\n\xff\xfea\x00b\x00\x1c\x20c\x00\n--X--", "text = ab\u{201c}c"),
    row("a form in windows-1252 by its field", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Disposition: form-data; name=\"_charset_\"\n\nwindows-1252\n--XX\nContent-Disposition: form-data; name=\"price\"\n\n5 \x80\n--XX--\n", "_charset_ = windows-1252\nprice = 5 \u{20ac}"),
    row("a boundary with a space in quotes, and parameters around", "Content-Type: multipart/form-data; charset=utf-8; Boundary=\"two words\" ; x=y",
        b"--two words\nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--two words-- \n", "title = The sea"),
    row("the longest boundary, white space behind it, preamble and epilogue", "Content-Type: multipart/form-data; boundary=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        b"This is a message with multiple parts in MIME format.\n--yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy  \nContent-Disposition: form-data; name=\"title\"\n\nThe sea\n--yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy--\nThe end.\n", "title = The sea"),
    row("heads in odd case with odd spaces", "content-type: Multipart/Form-Data; BOUNDARY = XX",
        b"--XX\ncontent-type : text/plain\nCONTENT-DISPOSITION:form-data ;NAME = \"title\" ; \n\nThe sea\n--XX--\n", "title = The sea"),
    row("parts without a name, and of other kinds", "Content-Type: multipart/form-data; boundary=XX",
        b"--XX\nContent-Type: text/plain\n\n1\n--XX\n\n2\n--XX\nContent-Disposition: form-field; name=title\n\n3\n--XX\nContent-Disposition: attachment; name=\"file\"; filename=\"a.txt\"\n\n4\n--XX--\n",
        " = 1\n = 2\nfile <a.txt> <-> 4\ntitle = 3"),
];

from flask import Flask, request, session

application = Flask(__name__)
application.secret_key = "only a test"


@application.get("/hello/<name>")
def hello(name):
    return f"Hello, {name}!"


@application.post("/form")
def form():
    return f"{request.form['text']} {len(request.files['file'].read())}"


@application.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@application.get("/stream")
def stream():
    return (f"{number} " for number in range(3)), {"Content-Type": "text/plain"}


@application.get("/fails")
def fails():
    raise ValueError("in Flask")
